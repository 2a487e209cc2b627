"""Pipeline coverage of the horizon, and the coverage that a chosen chance of quota needs: not "3x", but simulated.

The need is that of `engine.planning.coverage` (copies of each rep's own open deals on the run's posterior), with fewer
futures: ``python -m engine.planning RUN coverage`` asks with as many as are wanted.
"""

from typing import cast

import numpy as np
import pandas as pd

from engine.config import RunOptions
from engine.errors import InputRefusedError, Problem
from engine.finished import FinishedRun
from engine.kpis.cells import COLUMNS
from engine.kpis.facts import PEOPLE_LEVELS, Facts
from engine.kpis.intervals import Z
from engine.planning.coverage import MOST_DEALS, Need, needed, open_value, pipeline_of
from engine.planning.futures import Span, quick, without_pipeline
from engine.planning.hypothetical import Batch, group_revenue
from engine.planning.quotas import capacity
from engine.report.periods import periods
from engine.results import ForecastResult
from engine.seeds import seed_for
from engine.simulation.clock import SimulationHorizons
from engine.simulation.simulate import simulate
from models.calendar import month_number
from models.panel import NONE, Floats

CHANCE = 0.8
"""Chance of quota that the coverage is to give."""

LEVELS_ASKED = np.arange(0.0, 25.5, 1.0)
"""Coverages looked at; between them the chance is interpolated."""

PATHS = 500
"""Futures a batch."""

BATCHES = 2
"""Compositions of the pipeline that are averaged over."""

MOST_REPS = 300
"""Reps beyond which the need is left to the planning question: it grows with the copies of deals."""

NEED = (
    f"open pipeline / (quota - booked) that gives a chance of {CHANCE:.0%} of the quota, from {PATHS * BATCHES:,} "
    "simulated futures with copies of the rep's own open deals; interval: noise of the simulation"
)


def coverage(facts: Facts, result: ForecastResult, seed: int) -> tuple[list[pd.DataFrame], list[str]]:
    """Coverage of members with a quota that is not reached yet, and the need of reps; and what is not available."""
    if not len(result.outcomes.deals.deal):
        return [], ["pipeline_coverage: needs open deals in table opportunities"]
    found = [_there(facts, result, whole) for whole in (False, True)]
    if found[0].empty and found[1].empty:
        return [], ["pipeline_coverage: needs targets of the horizon in table quotas"]
    if result.draws.closing is None or result.draws.amounts is None:
        return found, ["pipeline_coverage_needed: needs a posterior of deals"]
    try:
        need = _needed(result, seed)
    except InputRefusedError as error:
        return found, [f"pipeline_coverage_needed: {error.problems[0].came}; ask `engine.planning RUN coverage`"]
    return ([*found, need], []) if len(need) else (found, ["pipeline_coverage_needed: needs quotas of reps"])


def _span(result: ForecastResult) -> tuple[Span, str]:
    """The forecast horizon and its name."""
    months = result.outcomes.months
    named = max(periods(months, result.panel.fiscal_year_start), key=lambda pair: len(pair[1]))
    return Span(int(months[0]), int(months[-1])), named[0]


def _there(facts: Facts, result: ForecastResult, whole: bool) -> pd.DataFrame:
    """Open pipeline over what is missing, by level.

    Parameters
    ----------
    whole : all open pipeline, or that which is expected to close by the end of the horizon (or has no date)
    """
    span, period = _span(result)
    deals = facts.deals[(facts.deals["outcome"] == "open").to_numpy()]
    day = deals["expected_close"].to_numpy().astype("datetime64[D]")
    inside = np.isnat(day) | (month_number(np.where(np.isnat(day), facts.panel.as_of, day)) <= span.last)
    value = deals["amount"].fillna(0.0).to_numpy() * (1.0 if whole else inside)
    parts = []
    for level in PEOPLE_LEVELS:
        labels, outcome = facts.labels(level), result.outcomes.levels[level]
        place = deals[level].to_numpy()
        sums = np.bincount(np.where(place == NONE, len(labels) - 1, place), value, len(labels))
        pipeline = dict(zip(labels.ids.tolist(), sums.tolist(), strict=True))
        booked = outcome.booked.sum(axis=1)
        quota = np.array([result.quotas.target(level, str(key), span.first, span.last)[0] for key in outcome.keys])
        kept = np.flatnonzero(quota - booked > 0)
        have = np.array([pipeline.get(str(key), 0.0) for key in outcome.keys])
        gap = quota - booked
        frame = {"level": level, "key": outcome.keys[kept], "period": period, "value": have[kept] / gap[kept]}
        parts.append(pd.DataFrame(frame | {"numerator": have[kept], "denominator": gap[kept]}))
    table = pd.concat(parts, ignore_index=True)
    what = "all open pipeline" if whole else "open pipeline expected to close in the horizon, overdue or without a date"
    table["formula"] = f"{what} / (quota - booked); amounts of today, no estimate"
    table["kpi"] = "pipeline_coverage_open" if whole else "pipeline_coverage"
    return table.assign(low=np.nan, high=np.nan)[COLUMNS]


def _needed(result: ForecastResult, seed: int) -> pd.DataFrame:
    """Coverage needed by every rep with a quota and something missing; no row where none looked at is enough."""
    span, period = _span(result)
    need = _need(result, span)
    if not len(need.reps):
        return pd.DataFrame(columns=COLUMNS)
    rng = np.random.default_rng(seed)
    asked = cast(FinishedRun, result)  # futures ask for nothing but config, panel and draws, which a result has too
    chance = np.zeros((len(need.reps), len(need.levels)))
    for number in range(BATCHES):
        batch = Batch(PATHS, f"coverage of kpis {number}")
        panel, _ = pipeline_of(result.panel, need, rng)
        group, _ = group_revenue(asked, panel, span, batch, RunOptions(threads=1))
        other = simulate(
            without_pipeline(result.panel),
            result.draws,
            SimulationHorizons(span.months),
            quick(result.config, batch.paths),
            result.config.seed,
            1,
            purpose=batch.purpose,
        )
        base = other.levels["rep"].total[:, need.reps].sum(axis=2)
        rep = base[:, :, None] + np.cumsum(group.reshape(PATHS, len(need.reps), len(need.levels)), axis=2)
        chance += (rep >= need.quota[:, None]).mean(axis=0) / BATCHES
    return _need_rows(result, need, chance, period)


def _need(result: ForecastResult, span: Span) -> Need:
    """Reps with a quota that is not reached.

    Raises
    ------
    InputRefusedError
        Where so many copies of deals would be needed that a run does not wait for them.
    """
    panel = result.panel
    reps = np.flatnonzero(panel.reps.active & (capacity(panel, span.first, span.last) > 0))
    ids = panel.reps.labels.ids
    quota = np.array([result.quotas.target("rep", str(ids[who]), span.first, span.last)[0] for who in reps])
    booked = result.outcomes.levels["rep"].booked[reps].sum(axis=1)
    kept = quota - booked > 0
    reps, quota, booked = reps[kept], quota[kept], booked[kept]
    deal, value = open_value(panel)
    copies = LEVELS_ASKED[-1] * (quota - booked).sum() / max(float(value.mean()), 1e-9) if len(reps) else 0.0
    if len(reps) > MOST_REPS or copies > MOST_DEALS / 4:
        came = f"{len(reps):,} reps and some {copies:,.0f} copies of deals"
        raise InputRefusedError([Problem("kpis", came, f"at most {MOST_REPS} reps", "ask the planning question")])
    return Need(reps, quota, booked, quota - booked, LEVELS_ASKED, value, deal)


def _need_rows(result: ForecastResult, need: Need, chance: Floats, period: str) -> pd.DataFrame:
    error = Z * np.sqrt((chance * (1 - chance)).clip(min=0.0) / (PATHS * BATCHES))
    labels = result.panel.reps.labels
    found = []
    for i, who in enumerate(need.reps):
        value, low, high = (needed(need.levels, chance[i] + shift * error[i], CHANCE) for shift in (0, 1, -1))
        if np.isfinite(value):
            row = {"kpi": "pipeline_coverage_needed", "level": "rep", "key": labels.ids[who], "period": period}
            row |= {"value": value, "numerator": value * need.gap[i], "denominator": need.gap[i]}
            found.append(row | {"low": low, "high": high, "formula": NEED})
    return pd.DataFrame(found, columns=COLUMNS)


def coverage_seed(root: int) -> int:
    """Seed of the compositions."""
    return seed_for(root, "coverage of kpis")
