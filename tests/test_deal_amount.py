"""Amounts of won deals: the three kinds are told apart, and known effects come out."""

from dataclasses import replace

import numpy as np
import pytest

from models.deal_amount import fit_amounts
from models.draws import AmountDraws, Diagnostics
from models.panel import WON, Panel
from models.settings import ModelSettings, SamplerSettings
from tests.panels import company, truth

SHORT = ModelSettings(sampler=SamplerSettings(tune=200, draws=300))


@pytest.fixture(scope="module")
def panel() -> Panel:
    """About 1,100 wins: 5 % for nothing, 20 % for exactly the list amount, the others for a discount by rep."""
    return company(truth(1), 3000, 1)


@pytest.fixture(scope="module")
def fitted(panel: Panel) -> tuple[AmountDraws, Diagnostics]:
    """The one fit that the tests share."""
    result = fit_amounts(panel, SHORT, 5)
    assert result is not None
    return result


def test_shares_of_nothing_and_of_exactly_the_list_amount(
    panel: Panel, fitted: tuple[AmountDraws, Diagnostics]
) -> None:
    amounts, _ = fitted
    assert abs(amounts.zero.mean() - 0.05) < 0.025
    won = panel.deals.outcome == WON
    exact = panel.deals.won_amount[won] == panel.deals.list_amount[won]
    assert abs(amounts.exact.mean() - exact.mean()) < 0.003
    assert (amounts.zero + amounts.exact < 1).all()


def test_discounts_of_reps_are_found(panel: Panel, fitted: tuple[AmountDraws, Diagnostics]) -> None:
    amounts, judged = fitted
    assert judged.divergences == 0
    assert judged.r_hat < 1.03
    # The median log ratio of a rep is -0.2 + 0.1 * (rep % 3 - 1), with t(5) noise of scale 0.1.
    rep = np.arange(len(panel.reps.labels)) % 3
    mean = (amounts.base[:, None] + amounts.rep).mean(axis=0)
    by_kind = [mean[rep == kind].mean() for kind in range(3)]
    np.testing.assert_allclose(by_kind, [-0.3, -0.2, -0.1], atol=0.04)
    assert abs(amounts.scale.mean() - 0.1) < 0.02
    assert 2 < np.median(amounts.dof) < 15


def test_mean_of_simulated_amounts_is_that_of_the_wins(panel: Panel, fitted: tuple[AmountDraws, Diagnostics]) -> None:
    """Total over total: what the whole model says a list amount is worth against what it was worth."""
    amounts, _ = fitted
    deals = panel.deals
    won = deals.outcome == WON
    rng = np.random.default_rng(1)
    totals = []
    for draw in range(0, len(amounts.base), 40):
        middle = amounts.base[draw] + amounts.product[draw, deals.product[won]]
        middle += amounts.segment[draw, deals.segment[won]] + amounts.rep[draw, deals.rep[won]]
        multiple = np.exp(middle + amounts.scale[draw] * rng.standard_t(amounts.dof[draw], won.sum()))
        kind = rng.random(won.sum())
        multiple = np.where(kind < amounts.zero[draw] + amounts.exact[draw], 1.0, np.minimum(multiple, amounts.cap))
        totals.append((np.where(kind < amounts.zero[draw], 0.0, multiple) * deals.list_amount[won]).sum())
    assert abs(np.mean(totals) / deals.won_amount[won].sum() - 1) < 0.05


def test_list_amounts_of_products(fitted: tuple[AmountDraws, Diagnostics]) -> None:
    amounts, _ = fitted
    np.testing.assert_allclose(amounts.list_log_mean, [7.0, 8.0, 9.0], atol=0.1)
    np.testing.assert_allclose(amounts.list_log_sd, 0.5, atol=0.12)
    assert amounts.cap >= 1


def test_nothing_won_gives_nothing(panel: Panel) -> None:
    few = replace(panel, deals=replace(panel.deals, outcome=np.full(len(panel.deals), 2, dtype=np.int8)))
    assert fit_amounts(few, SHORT, 1) is None


@pytest.mark.slow
def test_without_list_amounts_the_amount_itself_is_modelled(panel: Panel) -> None:
    blank = replace(panel, deals=replace(panel.deals, list_amount=np.full(len(panel.deals), np.nan)))
    result = fit_amounts(blank, SHORT, 5)
    assert result is not None
    amounts, _ = result
    assert amounts.exact.max() < 0.05
    product = (amounts.base[:, None] + amounts.product).mean(axis=0)
    np.testing.assert_allclose(product, np.array([7.0, 8.0, 9.0]) - 0.15, atol=0.2)
    assert np.isfinite(amounts.list_log_mean).all()
