"""Late deals stay with the old rep: in planning they are the rep's own revenue, whoever gets the account."""

import numpy as np
import pytest

from engine.errors import InputRefusedError
from engine.planning.hold_over import check_hold_over, held
from engine.simulation.clock import SimulationHorizons
from engine.simulation.settings import SimulationSettings
from engine.simulation.simulate import simulate
from models.panel import OPEN
from tests.simulation_inputs import make_draws, make_panel


def test_held_deals_move_from_the_account_to_the_rep_and_nothing_else_changes() -> None:
    panel = make_panel(deals=300, reps=5, accounts=20)
    draws, months = make_draws(panel), np.arange(678, 681)
    stage = str(panel.stages.ids[panel.deals.stage[panel.deals.outcome == OPEN][0]])
    late = held(panel, (stage,))
    assert late.any()
    assert (panel.deals.outcome[late] == OPEN).all()
    settings = SimulationSettings(paths=200)
    free = simulate(panel, draws, SimulationHorizons(months, months), settings, 1, 1)
    kept = simulate(panel, draws, SimulationHorizons(months, months, late), settings, 1, 1)
    assert free.planning is not None
    assert kept.planning is not None
    for level, outcome in free.levels.items():
        assert (outcome.total == kept.levels[level].total).all()
    assert (free.sample == kept.sample).all()
    less = (free.planning.account.astype(float) - kept.planning.account).sum(axis=1)
    more = (kept.planning.fixed.astype(float) - free.planning.fixed).sum(axis=1)
    np.testing.assert_allclose(less, more, rtol=1e-5, atol=1.0)
    assert more.sum() > 0
    owners = np.unique(panel.deals.rep[late & (panel.deals.account >= 0)])
    gained = (kept.planning.fixed != free.planning.fixed).any(axis=0)
    assert set(np.flatnonzero(gained)) <= set(owners.tolist())


def test_a_stage_that_the_data_do_not_have_is_refused() -> None:
    with pytest.raises(InputRefusedError, match="open stages"):
        check_hold_over(make_panel(deals=30, reps=3, accounts=5), ("Nowhere",))
