"""Results without a fit for the tests of the numbers of the trade: made-up chances on the real tables of a company."""

import numpy as np

from engine.config import RunConfig, load_config
from engine.data import as_of_date, build_panel, cut, issues_frame, load_tables
from engine.planning.quotas import propose
from engine.results import ForecastResult
from engine.simulation.outcomes import LEVELS, Cells, DealOutcomes, LevelOutcomes, Outcomes
from models.draws import Draws
from models.panel import OPEN, Floats, Panel
from tests.conftest import ROOT


def unfitted(config: RunConfig) -> ForecastResult:
    """A result with the tables and the panel of a config, outcomes of zero, and chances to win from the deal's number.

    There is no posterior and no allocation, so what needs one is not available.
    """
    tables = load_tables(config)
    now = cut(tables, as_of_date(tables, config))
    panel = build_panel(now, config)
    outcomes = _outcomes(panel, config)
    first = config.planning_horizon.first_month
    quotas = propose(panel, outcomes.levels["company"], first, first + config.planning_horizon.months - 1)
    draws = Draws(10, None, None, None, None, ())
    return ForecastResult(
        config, panel, draws, outcomes, quotas, None, None, issues_frame(now.issues), None, None, None, now
    )


def demo() -> ForecastResult:
    """The embedded company."""
    return unfitted(load_config(ROOT / "configs" / "q3.yaml"))


def maven(root: str) -> ForecastResult:
    """The pipeline with stages and without bookings."""
    return unfitted(load_config(ROOT / "configs" / "maven.yaml", (f"data.root={root}",)))


def chances(panel: Panel) -> Floats:
    """Made-up chances [open deal] to be won."""
    deal = np.flatnonzero(panel.deals.outcome == OPEN)
    return 0.05 + 0.9 * (deal % 7) / 7


def _outcomes(panel: Panel, config: RunConfig) -> Outcomes:
    months = np.arange(config.horizon.first_month, config.horizon.first_month + config.horizon.months)
    deal = np.flatnonzero(panel.deals.outcome == OPEN)
    p_win, zero = chances(panel), np.zeros(len(deal))
    labels = {
        "company": (np.array([""]), np.array(["company"])),
        "region": (panel.regions.ids, panel.regions.names),
        "territory": (panel.territories.ids, panel.territories.names),
        "manager": (panel.managers.ids, panel.managers.names),
        "rep": (panel.reps.labels.ids, panel.reps.labels.names),
        "product": (panel.products.labels.ids, panel.products.labels.names),
    }
    levels = {}
    for level in LEVELS:
        ids, names = labels[level]
        none = np.zeros((len(ids), len(months)))
        total = np.zeros((20, len(ids), len(months)), dtype=np.float32)
        levels[level] = LevelOutcomes(ids, names, total, none, none, none)
    nothing = np.zeros(0, dtype=np.int64)
    cells = Cells(nothing, nothing, nothing, nothing)
    deals = DealOutcomes(deal, p_win, p_win, zero, zero, zero)
    return Outcomes(months, cells, levels, deals, None, np.zeros((0, 0, len(months)), dtype=np.float32), 20)
