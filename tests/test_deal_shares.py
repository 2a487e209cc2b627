"""Share of an open deal in the spread of the company's and of its rep's revenue."""

import numpy as np
import pytest

from engine.simulation.clock import SimulationHorizons
from engine.simulation.outcomes import Outcomes
from engine.simulation.settings import SimulationSettings
from engine.simulation.simulate import simulate
from models.panel import Panel
from tests.simulation_inputs import make_draws, make_panel

REPS = 3


@pytest.fixture(scope="module")
def panel() -> Panel:
    """A company with nothing but deals."""
    return make_panel(deals=90, reps=REPS, accounts=0, orders=False)


@pytest.fixture(scope="module")
def outcomes(panel: Panel) -> Outcomes:
    """Its open deals alone: nothing else can vary."""
    draws = make_draws(panel, arrivals=False, orders=False)
    return simulate(panel, draws, SimulationHorizons(np.arange(678, 681)), SimulationSettings(paths=4000), 1, 1)


def test_where_nothing_else_varies_the_shares_are_all_of_the_variance(panel: Panel, outcomes: Outcomes) -> None:
    deals = outcomes.deals
    assert deals.share_of_rep_variance is not None
    by_rep = np.bincount(panel.deals.rep[deals.deal], deals.share_of_rep_variance, REPS)
    np.testing.assert_allclose(by_rep, 1.0, rtol=1e-5)
    np.testing.assert_allclose(deals.share_of_variance.sum(), 1.0, rtol=1e-5)


def test_a_deal_weighs_more_in_its_rep_than_in_the_company(outcomes: Outcomes) -> None:
    deals = outcomes.deals
    assert deals.share_of_rep_variance is not None
    largest = np.argsort(-deals.share_of_variance)[:5]
    assert (deals.share_of_rep_variance[largest] > deals.share_of_variance[largest]).all()
