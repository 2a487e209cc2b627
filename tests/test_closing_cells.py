"""The win side stays below its bound: week, ages in classes, no ages, in that order, and what is left is used right."""

import numpy as np
import pytest

from models.close_hazard import fit_closing
from models.closing_cells import AGE_CLASSES, Effects, covariates, win_side
from models.deal_weeks import deal_weeks, shock_months, size_edges
from models.panel import WON, Panel
from models.settings import ClosingSettings, ModelSettings, SamplerSettings
from tests.panels import company, truth


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Enough deals for thousands of combinations."""
    return company(truth(1, reps=40), 3000, 1)


def side(panel: Panel, bound: int) -> Effects:
    """The win side under a bound."""
    settings, rows = ClosingSettings(max_cells=bound), deal_weeks(panel)
    edges = size_edges(panel, settings.size_bins)
    return win_side(covariates(panel, rows, settings, edges, shock_months(rows)), rows, panel, settings)


def test_cells_stay_below_the_bound_and_lose_no_closing(panel: Panel) -> None:
    full = side(panel, 200_000)
    assert len(full.cells.count) > 2000
    smallest = full.sizes["rep"] * full.sizes["shock"]
    for bound in range(500, 2500, 100):
        found = side(panel, bound)
        assert len(found.cells.count) <= max(bound, smallest)
        assert found.cells.count.sum() == full.cells.count.sum()
        assert found.cells.success.sum() == (panel.deals.outcome == WON).sum()
        assert {"quarter_end", "rep", "shock"} <= found.sizes.keys()


def test_week_goes_before_ages_are_put_into_classes_and_these_before_none(panel: Panel) -> None:
    ages = len(ClosingSettings().age_bins)
    kinds = []
    for bound in range(2800, 499, -50):
        sizes = side(panel, bound).sizes
        kinds.append((sizes.get("week", 0) > 0, sizes.get("age", 0)))
    order = [kind for i, kind in enumerate(kinds) if i == 0 or kind != kinds[i - 1]]
    expected = [(True, ages), (False, ages), (False, AGE_CLASSES), (False, 0)]
    assert order == [kind for kind in expected if kind in order]
    assert (False, AGE_CLASSES) in order
    assert (False, 0) in order


def test_ages_of_a_class_share_their_effect_in_the_draws(panel: Panel) -> None:
    bound = next(b for b in range(2800, 499, -50) if side(panel, b).age_class is not None)
    age_class = side(panel, bound).age_class
    assert age_class is not None
    assert (np.diff(age_class) >= 0).all()
    settings = ModelSettings(
        closing=ClosingSettings(max_cells=bound), sampler=SamplerSettings(method="laplace", draws=50)
    )
    found = fit_closing(panel, settings, 1)
    assert found is not None
    win_age = found[0].win_age
    assert win_age.shape[1] == len(age_class)
    for left in range(len(age_class) - 1):
        same = np.array_equal(win_age[:, left], win_age[:, left + 1])
        assert same == (age_class[left] == age_class[left + 1])
    np.testing.assert_allclose(win_age.mean(axis=1), 0, atol=1e-9)
