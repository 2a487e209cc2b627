"""Replicated closings and wins: every deal-week at risk, and every closing, is drawn anew from the posterior."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import expit

from experiments.ppc_statistics import (
    Check,
    Reference,
    compare,
    contrast,
    dispersion,
    group_means,
    highest,
    interaction,
    neighbours,
    pair,
    ratios,
    spread,
)
from models.calendar import WEEKS_PER_QUARTER
from models.closing_cells import covariates
from models.deal_weeks import deal_weeks
from models.draws import ClosingDraws
from models.panel import WON, Bools, Floats, Ints, Panel
from models.settings import ModelSettings

EFFECTS = {
    "close": ("age", "age_month", "stage", "week", "size", "segment", "product"),
    "win": ("age", "stage", "week", "size", "segment", "product", "territory", "rep"),
}
"""Covariates of either side, by the names of `ClosingDraws`."""

SHOCK = {"close": 0, "win": 1}


@dataclass(frozen=True)
class Rows:
    """Outcomes of one side.

    Attributes
    ----------
    side : close or win
    outcome : [row] 1 where it closed, or was won
    levels : [row] by covariate; ``week`` is that of the quarter, ``shock`` the month, both from 0
    calendar_week : [row] from 0
    """

    side: str
    outcome: Floats
    levels: dict[str, Ints]
    calendar_week: Ints

    @property
    def last_week(self) -> Bools:
        """[row] the last week of a quarter."""
        return self.levels["week"] == WEEKS_PER_QUARTER - 1

    @property
    def later(self) -> Bools:
        """[row] in the later half of the months."""
        return self.levels["shock"] > np.median(self.levels["shock"])

    @property
    def large(self) -> Bools:
        """[row] size class above the middle one of the rows; nowhere true where there is one class."""
        return self.levels["size"] > np.median(self.levels["size"])


def closing_checks(
    panel: Panel, draws: ClosingDraws, settings: ModelSettings, chosen: Ints, rng: np.random.Generator
) -> list[Check]:
    """Checks of both sides. Shocks of the past are kept, but for statistics of months, where they are drawn anew."""
    close, win = rows_of(panel, draws, settings)
    checks = []
    for rows in (close, win):
        within = partial(close_statistics if rows.side == "close" else win_statistics, rows)
        for statistics, shocks in ((within, True), (partial(month_statistics, rows), False)):
            checks += compare(rows.side, statistics, rows.outcome, _replicates(rows, draws, chosen, shocks, rng))
    return checks


def rows_of(panel: Panel, draws: ClosingDraws, settings: ModelSettings) -> tuple[Rows, Rows]:
    """Complete deal-weeks, and closings."""
    weeks = deal_weeks(panel)
    levels = covariates(panel, weeks, settings.closing, draws.size_edges, draws.shock_months).levels
    won = (panel.deals.outcome[weeks.deal] == WON).astype(float)
    parts = {"close": (weeks.complete, weeks.closing.astype(float)), "win": (weeks.closing, won)}
    first = int(weeks.week.min())
    close, win = (
        Rows(side, outcome[chosen], {name: level[chosen] for name, level in levels.items()}, weeks.week[chosen] - first)
        for side, (chosen, outcome) in parts.items()
    )
    return close, win


def month_statistics(rows: Rows, data: Floats, reference: Reference) -> dict[str, float]:
    """Size of the shocks that all deals share, and whether one says something of the next."""
    ratio = ratios(data, reference, rows.levels["shock"])
    return {"SD over months": spread(ratio), "correlation of neighbouring months": neighbours(ratio)}


def close_statistics(rows: Rows, data: Floats, reference: Reference) -> dict[str, float]:
    """What the close side could get wrong: it knows no reps, one rush, and may have left covariates out."""
    rep, month = rows.levels["rep"], rows.levels["shock"]
    rush = rows.last_week
    return {
        "spread over reps": spread(ratios(data, reference, rep)),
        "dispersion over rep-months": dispersion(data, reference, pair(rep, month)),
        "dispersion over weeks": dispersion(data, reference, rows.calendar_week),
        "most in one week": highest(np.bincount(rows.calendar_week, data)),
        "large less small": contrast(data, reference, rows.large, ~rows.large),
        "spread over segments": spread(ratios(data, reference, rows.levels["segment"])),
        "quarter-end rush, large less small": interaction(data, reference, rush, rows.large),
        "quarter-end rush, later less earlier": interaction(data, reference, rush, rows.later),
    }


def win_statistics(rows: Rows, data: Floats, reference: Reference) -> dict[str, float]:
    """Shares by rep are fitted with shrinkage; how reps differ by segment or month is not fitted at all."""
    rep, month = rows.levels["rep"], rows.levels["shock"]
    rush = rows.last_week
    share = group_means(data, rep, 10)
    return {
        "spread over reps": spread(share),
        "highest rep": highest(share),
        "dispersion over rep x segment": dispersion(data, reference, pair(rep, rows.levels["segment"])),
        "dispersion over rep-months": dispersion(data, reference, pair(rep, month)),
        "large less small": contrast(data, reference, rows.large, ~rows.large),
        "quarter-end, large less small": interaction(data, reference, rush, rows.large),
        "quarter-end, later less earlier": interaction(data, reference, rush, rows.later),
    }


def _logit(rows: Rows, draws: ClosingDraws, draw: int) -> Floats:
    """Logit [row] at one draw, without shocks."""
    logit = np.full(len(rows.outcome), getattr(draws, f"{rows.side}_base")[draw])
    for name in EFFECTS[rows.side]:
        effect = np.append(getattr(draws, f"{rows.side}_{name}")[draw].ravel(), 0.0)
        logit += effect[rows.levels[name]]
    return logit


def _replicates(
    rows: Rows, draws: ClosingDraws, chosen: Ints, shocks: bool, rng: np.random.Generator
) -> Iterator[tuple[Floats, Reference]]:
    side, month = SHOCK[rows.side], rows.levels["shock"]
    for draw in chosen:
        logit = _logit(rows, draws, draw)
        if shocks:
            chance = expected = expit(logit + draws.shocks[draw, :, side][month])
        else:
            fresh = rng.normal(0.0, draws.shock_scale[draw, side], len(draws.shock_months))
            chance, expected = expit(logit + fresh[month]), expit(logit)
        yield (rng.random(len(chance)) < chance).astype(float), Reference(expected, expected * (1 - expected))
