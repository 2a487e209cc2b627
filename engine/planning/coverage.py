"""Pipeline coverage needed for a chosen chance of quota, from the deals that a rep really has.

Coverage is the value of the open pipeline over what is still missing to the quota. More or less pipeline of the same
kind is made of copies of the rep's own open deals, drawn with replacement and simulated on the run's posterior: win
rate, amounts and time to close are those of the rep's deals, with all their uncertainty and shared shocks.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from pydantic import BaseModel

from engine.config import RunOptions
from engine.errors import InputRefusedError, Problem
from engine.finished import FinishedRun
from engine.planning.futures import (
    Span,
    asked_reps,
    beside_forecast,
    company_goal,
    need_pipeline,
    only_open_deals,
    planning_span,
    quick,
    targets,
    without_pipeline,
)
from engine.planning.hypothetical import Batch, copies, group_revenue, with_deals
from engine.planning.question_settings import CoverageSettings
from engine.planning.questions import Answer
from engine.planning.textbook import required_coverage
from engine.seeds import seed_for
from engine.simulation.clock import SimulationHorizons
from engine.simulation.outcomes import Paths
from engine.simulation.simulate import simulate
from models.draws import Draws
from models.panel import OPEN, Floats, Ints, Panel

BATCHES = 8
"""Compositions of the pipeline that are averaged over: each is drawn anew from the rep's deals."""

FEWEST_DEALS = 5
"""Open deals below which a rep's pipeline is taken to be like the company's."""

MOST_DEALS = 300_000
"""Copies of deals in one batch."""

TEXTBOOK_QUOTAS = (1, 2, 4, 8, 16, 32)
"""Quotas, in deals, that the closed form is shown for."""


@dataclass(frozen=True)
class Need:
    """What coverage is asked for.

    Attributes
    ----------
    reps : [n] indices of reps with a quota
    quota, booked, gap : [n] money; the gap is what is missing at the as-of date, at least zero
    levels : [level] coverages looked at, ascending from zero
    value : [open deal] money, in the order of ``deal``
    deal : [open deal] index into the panel's deals
    """

    reps: Ints
    quota: Floats
    booked: Floats
    gap: Floats
    levels: Floats
    value: Floats
    deal: Ints


@dataclass(frozen=True)
class Curves:
    """Simulated over all batches.

    Attributes
    ----------
    chance : [n, level] share of the paths on which a rep reaches the quota at each coverage
    chance_now : [n] the same as things are
    total : [path, level] revenue of the company when all reps have the same coverage
    today : [path] revenue of the company as things are
    won, offered : [n, month] value won from copies a batch; [n] value of all copies a batch, means over batches
    """

    chance: Floats
    chance_now: Floats
    total: Paths
    today: Paths
    won: Floats
    offered: Floats


def answer(run: FinishedRun, settings: BaseModel, options: RunOptions) -> Answer:
    """Simulate the coverages and read off what is needed.

    Raises
    ------
    InputRefusedError
        Without a pipeline leg, without a rep with a quota, or when the copies would be too many.
    """
    asked = cast(CoverageSettings, settings)
    need_pipeline(run, "coverage")
    span = planning_span(run.config)
    need = _need(run, asked, span)
    curves = _simulate(run, asked, (span, need), options)
    table = _table(run, need, curves, asked.chance)
    company, row = _company(run, asked, (span, need), curves)
    curve = _curve(run, need, curves.chance, company)
    rate = float(curves.won.sum() / max(curves.offered.sum(), 1e-12))
    textbook = _textbook(rate, asked.chance)
    reached = table["coverage_needed"].notna() & (table["gap"] > 0)
    lines = (
        f"Company       {row}",
        f"Reps          {int(reached.sum())} of {len(table)} reach {asked.chance:.0%} with some coverage up to "
        f"{asked.most:g} x; median need {_times(table.loc[reached, 'coverage_needed'].median())}, now "
        f"{_times(table['coverage_now'].median())}",
        f"Yield         {rate:.1%} of open value is won in {span}: coverage of {1 / rate:.1f} x covers the gap on "
        "average"
        if rate > 0
        else "Yield         nothing open is won in the period",
    )
    metrics = {
        "yield": rate,
        "coverage_needed_median": float(table.loc[reached, "coverage_needed"].median()),
        "coverage_now_median": float(table["coverage_now"].median()),
        "reps_short": float((table["pipeline_missing"] > 0).sum()),
    }
    tables = {"coverage": table, "coverage_curve": curve, "coverage_textbook": textbook}
    title = f"Pipeline coverage for a {asked.chance:.0%} chance of quota, {span}"
    notes = _notes(run, asked, need) + beside_forecast(run, span, curves.today)
    return Answer(title, tables, lines, metrics, notes, ("coverage", "coverage_textbook"))


def needed(levels: Floats, chances: Floats, wanted: float) -> float:
    """First level at which the chance is reached, straight between two levels; NaN when none does."""
    above = np.flatnonzero(chances >= wanted)
    if not len(above):
        return float("nan")
    first = int(above[0])
    if first == 0:
        return float(levels[0])
    share = (wanted - chances[first - 1]) / (chances[first] - chances[first - 1])
    return float(levels[first - 1] + share * (levels[first] - levels[first - 1]))


def open_value(panel: Panel) -> tuple[Ints, Floats]:
    """Open deals and what they are worth: the list amount, else the median of those known, else of won amounts."""
    deal = np.flatnonzero(panel.deals.outcome == OPEN)
    amount = panel.deals.list_amount[deal]
    known = panel.deals.list_amount[panel.deals.list_amount > 0]
    won = panel.deals.won_amount[panel.deals.won_amount > 0]
    typical = float(np.median(known)) if len(known) else float(np.median(won)) if len(won) else 1.0
    return deal, np.where(amount > 0, amount, typical)


def _need(run: FinishedRun, asked: CoverageSettings, span: Span) -> Need:
    """Reps with a quota and what they miss."""
    reps = asked_reps(run.panel, span)
    quota, _ = targets(run, span, reps)
    reps, quota = reps[quota > 0], quota[quota > 0]
    deal, value = open_value(run.panel)
    if not len(reps) or not len(deal):
        came = "no rep with a quota" if not len(reps) else "no open deal"
        raise InputRefusedError([Problem("RUN", came, "reps with quotas and open deals", "ask about another run")])
    stored = simulate(
        run.panel,
        Draws(run.draws.count, None, None, None, None, ()),
        SimulationHorizons(span.months),
        quick(run.config, 10),
        run.config.seed,
        1,
    )
    booked = stored.levels["rep"].booked[reps].sum(axis=1)
    levels = np.arange(0.0, asked.most + asked.step / 2, asked.step)
    return Need(reps, quota, booked, (quota - booked).clip(min=0.0), levels, value, deal)


def _simulate(run: FinishedRun, asked: CoverageSettings, where: tuple[Span, Need], options: RunOptions) -> Curves:
    """All batches: the company without its pipeline, the copies level by level, and the company as it is."""
    span, need = where
    rng = np.random.default_rng(seed_for(run.config.seed, "coverage composition"))
    parts = []
    for number, part in enumerate(np.array_split(np.arange(asked.paths), BATCHES)):
        batch = Batch(len(part), f"coverage {number}")
        panel, value = pipeline_of(run.panel, need, rng)
        group, by_month = group_revenue(run, panel, span, batch, options)
        draws = run.draws if asked.new_business else only_open_deals(run.draws)
        other, _ = _levels(run, without_pipeline(run.panel), draws, span, batch, options)
        now, company = _levels(run, run.panel, run.draws, span, batch, options)
        steps = group.reshape(len(part), len(need.reps), len(need.levels))  # no copy belongs to level 0
        rep = other[:, need.reps, None] + np.cumsum(steps, axis=2)
        rest = company - now[:, need.reps].sum(axis=1)
        chance = (rep >= need.quota[:, None]).mean(axis=0)
        chance_now = (now[:, need.reps] >= need.quota).mean(axis=0)
        parts.append(Curves(chance, chance_now, rest[:, None] + rep.sum(axis=1), company, by_month[need.reps], value))
    return _averaged(parts)


def _averaged(parts: list[Curves]) -> Curves:
    """All batches as one; chances weigh by paths."""
    weight = np.array([len(part.today) for part in parts]) / sum(len(part.today) for part in parts)
    return Curves(
        np.tensordot(weight, np.stack([part.chance for part in parts]), axes=1),
        weight @ np.stack([part.chance_now for part in parts]),
        np.concatenate([part.total for part in parts]),
        np.concatenate([part.today for part in parts]),
        np.mean([part.won for part in parts], axis=0),
        np.mean([part.offered for part in parts], axis=0),
    )


def _levels(
    run: FinishedRun, panel: Panel, draws: Draws, span: Span, batch: Batch, options: RunOptions
) -> tuple[Paths, Paths]:
    """[path, rep] and [path] revenue of reps and company over the span."""
    found = simulate(
        panel,
        draws,
        SimulationHorizons(span.months),
        quick(run.config, batch.paths),
        run.config.seed,
        options.threads,
        purpose=batch.purpose,
        draw_slice=batch.draws,
    )
    return found.levels["rep"].total.sum(axis=2), found.levels["company"].total.sum(axis=(1, 2))


def pipeline_of(panel: Panel, need: Need, rng: np.random.Generator) -> tuple[Panel, Floats]:
    """Copies of open deals for every rep and level.

    The number of copies up to a level is the value asked for over the mean value of the rep's deals, rounded up or down
    at random (the same way on all levels), so that the value is right on average over batches.

    Returns
    -------
    panel whose account ``i * levels + j`` holds what level j adds for rep i, and [n] value of all copies of a rep
    """
    owner, count = panel.deals.rep[need.deal], len(need.levels)
    rows, rep, group, value = [], [], [], np.zeros(len(need.reps))
    for i, who in enumerate(need.reps):
        own = np.flatnonzero(owner == who)
        own = own if len(own) >= FEWEST_DEALS else np.arange(len(need.deal))
        upto = np.floor(need.levels * need.gap[i] / need.value[own].mean() + rng.random()).astype(np.int64)
        adds = np.diff(upto, prepend=upto[0])
        picked = rng.choice(own, size=int(adds.sum()))
        rows.append(need.deal[picked])
        rep.append(np.full(len(picked), who))
        group.append(i * count + np.repeat(np.arange(count), adds))
        value[i] = need.value[picked].sum()
    total = sum(len(part) for part in rows)
    if total > MOST_DEALS:
        came = f"{total:,} deals in a batch"
        mend = "lower `most`, or check the quotas against the size of a deal"
        raise InputRefusedError([Problem("most", came, f"at most {MOST_DEALS:,}", mend)])
    deals = copies(panel.deals, np.concatenate(rows), np.concatenate(rep), "copy")
    return with_deals(panel, deals, np.concatenate(group), len(need.reps) * count), value


def _table(run: FinishedRun, need: Need, curves: Curves, wanted: float) -> pd.DataFrame:
    """One row a rep."""
    labels, owner = run.panel.reps.labels, run.panel.deals.rep[need.deal]
    pipeline = np.bincount(owner[owner >= 0], need.value[owner >= 0], minlength=len(labels))[need.reps]
    deals = np.bincount(owner[owner >= 0], minlength=len(labels))[need.reps]
    wants = np.array([needed(need.levels, row, wanted) for row in curves.chance])
    month = np.arange(curves.won.shape[1]) + 0.5
    total = curves.won.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        table = {
            "rep": labels.ids[need.reps],
            "rep_name": labels.names[need.reps],
            "quota": need.quota,
            "booked": need.booked,
            "gap": need.gap,
            "deals_open": deals,
            "pipeline_open": pipeline,
            "coverage_now": np.where(need.gap > 0, pipeline / need.gap, np.nan),
            "chance_now": curves.chance_now,
            "chance_without_pipeline": curves.chance[:, 0],
            "coverage_needed": wants,
            "pipeline_needed": wants * need.gap,
            "pipeline_missing": (wants * need.gap - pipeline).clip(min=0.0),
            "value_won_share": np.where(curves.offered > 0, total / curves.offered, np.nan),
            "months_to_win": np.where(total > 0, curves.won @ month / total, np.nan),
        }
    return pd.DataFrame(table)


def _company(
    run: FinishedRun, asked: CoverageSettings, where: tuple[Span, Need], curves: Curves
) -> tuple[tuple[Floats, Floats], str]:
    """Coverage and chance of the goal when all reps have the same coverage, and the need in words."""
    span, need = where
    goal, source = company_goal(run, span, None, curves.today)
    chances = (curves.total >= goal).mean(axis=0)
    want = needed(need.levels, chances, asked.chance)
    said = f"needs {_times(want)} at every rep for a {asked.chance:.0%} chance of the goal {goal:,.0f} ({source}); "
    gap = need.gap.sum()
    owner = np.isin(run.panel.deals.rep[need.deal], need.reps)
    have = need.value[owner].sum() / gap if gap > 0 else np.nan
    return (need.levels, chances), f"{said}its reps have {_times(float(have))} together"


def _curve(run: FinishedRun, need: Need, chances: Floats, company: tuple[Floats, Floats]) -> pd.DataFrame:
    """Chance by coverage, company first."""
    count, labels = len(need.levels), run.panel.reps.labels
    return pd.DataFrame(
        {
            "level": np.repeat(["company", "rep"], [count, chances.size]),
            "key": np.concatenate([np.repeat("", count), np.repeat(labels.ids[need.reps], count)]),
            "key_name": np.concatenate([np.repeat("company", count), np.repeat(labels.names[need.reps], count)]),
            "coverage": np.concatenate([company[0], np.tile(need.levels, len(need.reps))]),
            "chance": np.concatenate([company[1], chances.reshape(-1)]),
        }
    )


def _textbook(rate: float, chance: float) -> pd.DataFrame:
    """The closed form at the company's own yield, and at the win rate of the textbook."""
    rates = [("this company's yield", rate), ("textbook", 0.25)]
    rows = [
        {"case": name, "win_rate": p, "quota_deals": quota, "coverage_needed": required_coverage(quota, p, chance)}
        for name, p in rates
        if 0.001 < p < 0.999
        for quota in TEXTBOOK_QUOTAS
    ]
    return pd.DataFrame(rows, columns=["case", "win_rate", "quota_deals", "coverage_needed"])


def _times(value: float) -> str:
    return f"{value:.1f} x" if np.isfinite(value) else "more than was looked at"


def _notes(run: FinishedRun, asked: CoverageSettings, need: Need) -> tuple[str, ...]:
    owner = run.panel.deals.rep[need.deal]
    few = [who for who in need.reps if (owner == who).sum() < FEWEST_DEALS]
    notes = [
        "Coverage is the value of all open deals over quota less booked; chances are interpolated between coverages "
        f"{asked.step:g} apart.",
        "Deals and orders yet to come count as the model expects them."
        if asked.new_business
        else "Nothing but what is open today counts.",
        "The closed form knows equal deals, one win rate and independence: it is the comparison, not the answer.",
    ]
    if few:
        names = ", ".join(run.panel.reps.labels.names[few])
        notes.append(f"Fewer than {FEWEST_DEALS} open deals, so the company's stand in: {names}.")
    return tuple(notes)
