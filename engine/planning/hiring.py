"""Chance of the goal against the number, date and ramp of hires, with leavers: the capacity curve.

Hires only add: the company's futures are simulated once, the deals of hires alone under the same posterior draws,
shocks and market, and the curve is the goal held against their sum. So one more hire never lowers a chance, and
differences between dates and ramps are differences of these, not of random numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import cast

import numpy as np
import pandas as pd
from pydantic import BaseModel

from engine.config import RunOptions
from engine.errors import InputRefusedError, Problem
from engine.finished import FinishedRun
from engine.planning.attrition import Attrition, leaving_month, observed
from engine.planning.futures import (
    Span,
    beside_forecast,
    company_goal,
    draw_of_path,
    need_pipeline,
    planning_span,
    quick,
    without_pipeline,
)
from engine.planning.noise import cluster_means
from engine.planning.question_settings import CapacitySettings
from engine.planning.questions import Answer
from engine.scenarios.asking import Ask
from engine.scenarios.company import Company, Frame
from engine.scenarios.people import hire
from engine.scenarios.reading import Item
from engine.scenarios.settings import Hire
from engine.seeds import seed_for
from engine.simulation.clock import SimulationHorizons
from engine.simulation.outcomes import Paths
from engine.simulation.simulate import simulate
from models.calendar import month_number
from models.draws import Draws
from models.panel import Floats, Ints, Panel

PURPOSE = "capacity"
"""Names the random streams of all simulations of the question, so that they share draws, shocks and market."""

MOST_STARTS = 4
"""Months of the horizon that are tried where none are asked for: spread evenly."""


@dataclass(frozen=True)
class World:
    """What all curves share.

    Attributes
    ----------
    run, asked, options : the question
    span : months of the goal
    months : [month] simulated, from the day after the as-of date
    rates : [path] chance of anybody to leave within a month; zero when nobody leaves
    """

    run: FinishedRun
    asked: CapacitySettings
    options: RunOptions
    span: Span
    months: Ints
    rates: Floats

    def simulated(self, panel: Panel, draws: Draws) -> tuple[Paths, Paths]:
        """[path, rep] and [path] revenue of reps and company over the span."""
        found = simulate(
            panel,
            draws,
            SimulationHorizons(self.span.months),
            quick(self.run.config, self.asked.paths),
            self.run.config.seed,
            self.options.threads,
            purpose=PURPOSE,
        )
        count = len(panel.reps.labels)
        return found.levels["rep"].total[:, :count].sum(axis=2), found.levels["company"].total.sum(axis=(1, 2))

    def uniforms(self, name: str, people: int) -> Floats:
        """[path, person] when people leave: the same for every curve."""
        return np.random.default_rng(seed_for(self.run.config.seed, name)).random((self.asked.paths, people))


def answer(run: FinishedRun, settings: BaseModel, options: RunOptions) -> Answer:
    """Simulate the company, its leavers and the hires of every curve.

    Raises
    ------
    InputRefusedError
        Without a posterior of new deals, without a territory, or with a start outside the months asked about.
    """
    asked = cast(CapacitySettings, settings)
    need_pipeline(run, "capacity")
    span = planning_span(run.config, asked.months)
    _check(run)
    starts = start_days(run.panel, span, asked.starts)
    seen = observed(run.panel)
    rng = np.random.default_rng(seed_for(run.config.seed, "capacity attrition"))
    rates = seen.rates(asked.paths, rng) if asked.attrition else np.zeros(asked.paths)
    tomorrow = np.array([run.panel.as_of.astype("datetime64[D]") + np.timedelta64(1, "D")])
    world = World(run, asked, options, span, np.arange(month_number(tomorrow)[0], span.last + 1), rates)
    _, company = world.simulated(run.panel, run.draws)
    goal, source = company_goal(run, span, asked.goal, company)
    base = company - lost_by_leavers(world)
    curves = [(day, ramp, hired(world, day, ramp)) for ramp in asked.ramp for day in starts]
    table = _curve(world, base, curves, goal)
    need = smallest(table, asked.chance)
    before, after = float((company >= goal).mean()), float((base >= goal).mean())
    lines = _lines(run, asked, (goal, source), (before, after), seen, need)
    metrics = {"goal": goal, "chance_without_leavers": before, "chance": after, "leavers_per_month": rates.mean()}
    metrics |= {"hires_needed": float(need["hires"].min()), "chance_most_hires": float(table["chance"].max())}
    tables = {"capacity": table, "hires_needed": need}
    notes = NOTES + beside_forecast(run, span, company)
    return Answer(f"Chance of the goal against hires, {span}", tables, lines, metrics, notes, ("capacity",))


NOTES = (
    "A hire is a rep of the population: effects drawn anew in every posterior draw, deals among the accounts of the "
    "territory, ramp as the model has it. Hires take nothing from their colleagues.",
    "A leaver works to the end of a month and then creates no more deals; open deals and orders are handed over, and "
    "nobody follows unless a hire does.",
)


def start_days(panel: Panel, span: Span, asked: tuple[str, ...]) -> list[date]:
    """First days of the hires.

    Raises
    ------
    InputRefusedError
        With every month that has begun or lies after the span.
    """
    first = int(month_number(np.array([panel.as_of]))[0]) + 1
    if not asked:
        possible = np.arange(max(first, span.first), span.last + 1)
        picked = possible[np.unique(np.linspace(0, len(possible) - 1, min(MOST_STARTS, len(possible))).astype(int))]
    else:
        picked = np.array([int(np.datetime64(text, "M").astype(np.int64)) for text in asked])
    allowed = f"{np.datetime64(first, 'M')} to {np.datetime64(span.last, 'M')}"
    problems = [
        Problem("starts", str(np.datetime64(int(month), "M")), allowed, "correct it, or lengthen `months`")
        for month in picked
        if not first <= month <= span.last
    ]
    if not len(picked):
        problems = [Problem("starts", "no month left in the horizon", allowed, "lengthen `months`")]
    if problems:
        raise InputRefusedError(problems)
    return [np.datetime64(int(month), "M").astype("datetime64[D]").item() for month in picked]


def homes(panel: Panel, count: int) -> Ints:
    """[hire] territories, in proportion to the reps at work there (highest averages, D'Hondt)."""
    at_work = np.bincount(panel.reps.territory[panel.reps.active & (panel.reps.territory >= 0)])
    at_work = at_work if at_work.sum() else np.ones(len(panel.territories), dtype=np.int64)
    given, chosen = np.zeros(len(at_work)), []
    for _ in range(count):
        best = int(np.argmax(at_work / (given + 1)))
        given[best] += 1
        chosen.append(best)
    return np.array(chosen)


def hired(world: World, day: date, ramp: float) -> Paths:
    """[path, hire] revenue of the hires of one curve, on whose paths some leave again."""
    run, asked = world.run, world.asked
    frame = Frame(world.span.months, world.months, run.config.seed, 0.0, run.config.output)
    company = Company(run.panel, run.draws, run.quotas())
    ids = run.panel.territories.ids
    for number, home in enumerate(homes(run.panel, asked.hires), 1):
        change = Hire(change="hire", date=day, territory=str(ids[home]), fte=asked.fte, id=f"HIRE {number}")
        company = hire(company, change, Ask(Item(change, {"": PURPOSE}), company, frame))
    panel, draws = company.panel, company.draws
    new = np.arange(len(panel.reps.labels)) >= len(run.panel.reps.labels)
    alone = replace(panel, reps=replace(panel.reps, active=new))
    if draws.arrivals is None:
        raise RuntimeError("checked before")
    arrivals = replace(draws.arrivals, ramp_months=draws.arrivals.ramp_months * ramp)
    draws = replace(draws, arrivals=arrivals, orders=None)
    begin = np.full(asked.hires, int(month_number(np.array([day], dtype="datetime64[D]"))[0]))
    leaves = leaving_month(world.rates, world.uniforms("capacity hires", asked.hires), begin)
    kept = np.zeros((asked.paths, asked.hires), dtype=np.float32)
    for which, revenue in by_creation(world, alone, draws, leaves, int(begin[0])):
        kept += np.where(which, revenue[:, new], 0)
    return kept


def lost_by_leavers(world: World) -> Floats:
    """[path] revenue of new deals that reps who leave will not create."""
    if not world.rates.any():
        return np.zeros(world.asked.paths)
    panel, count = world.run.panel, len(world.run.panel.reps.labels)
    begin = np.full(count, int(world.months[0]))
    leaves = leaving_month(world.rates, world.uniforms("capacity reps", count), begin)
    draws = replace(world.run.draws, orders=None)
    alone, kept, full = _unbooked(panel), np.zeros(world.asked.paths), np.zeros(world.asked.paths)
    for which, revenue in by_creation(world, alone, draws, leaves, int(begin[0])):
        kept += np.where(which, revenue, 0).sum(axis=1, dtype=np.float64)
        full = revenue.sum(axis=1, dtype=np.float64)  # the last one counts all deals
    return np.maximum(full - kept, 0.0)


def by_creation(
    world: World, panel: Panel, draws: Draws, leaves: Ints, first: int
) -> Iterator[tuple[np.ndarray, Paths]]:
    """Month by month, who leaves at its end, and what all reps would earn with deals created up to then.

    Deals are named by rep and month of creation, so those created before a departure are the same with and without it.

    Yields
    ------
    [path, rep] who leaves at the end of the month, in the last month also who stays, and [path, rep] revenue
    """
    panel = _unbooked(panel)
    last = int(world.months[-1])
    for month in range(first, last + 1):
        which = leaves == month if month < last else leaves >= last
        if not which.any() and month < last:
            continue
        end = np.datetime64(month + 1, "M").astype("datetime64[D]") - np.timedelta64(1, "D")
        known = panel.reps.end.astype("datetime64[D]")
        ends = np.where(np.isnat(known), end, np.minimum(known, end))
        yield which, world.simulated(replace(panel, reps=replace(panel.reps, end=ends)), draws)[0]


def _unbooked(panel: Panel) -> Panel:
    """The company without open pipeline and with nothing booked in the span: new deals alone bring revenue."""
    panel = without_pipeline(panel)
    amount = np.zeros_like(panel.deals.won_amount)
    orders = replace(panel.orders, amount=np.zeros_like(panel.orders.amount))
    return replace(panel, deals=replace(panel.deals, won_amount=amount), orders=orders)


def _curve(world: World, base: Floats, curves: list[tuple[date, float, Paths]], goal: float) -> pd.DataFrame:
    """One row a curve and number of hires."""
    config = world.run.config
    draw = draw_of_path(len(base), config.simulation.paths_per_draw, np.arange(world.run.draws.count))
    rows = []
    for day, ramp, revenue in curves:
        sums = np.cumsum(np.column_stack([np.zeros(len(base)), revenue]), axis=1, dtype=np.float64)
        for number in range(sums.shape[1]):
            total = base + sums[:, number]
            clusters = cluster_means((total >= goal)[:, None], draw)[:, 0]
            low, middle, high = np.quantile(total, [0.1, 0.5, 0.9])
            rows.append(
                {
                    "start": f"{day:%Y-%m}",
                    "ramp": ramp,
                    "hires": number,
                    "chance": float((total >= goal).mean()),
                    "standard_error_chance": float(clusters.std(ddof=1) / np.sqrt(len(clusters))),
                    "mean": float(total.mean()),
                    "p10": float(low),
                    "p50": float(middle),
                    "p90": float(high),
                    "added_by_hires": float(sums[:, number].mean()),
                }
            )
    return pd.DataFrame(rows)


def smallest(curve: pd.DataFrame, wanted: float) -> pd.DataFrame:
    """Smallest number of hires with the wanted chance for every start and ramp; empty where none has it."""
    rows = []
    for (ramp, start), part in curve.groupby(["ramp", "start"], sort=False):
        enough = part[part["chance"] >= wanted]
        found = enough.iloc[0] if len(enough) else None
        rows.append(
            {
                "start": start,
                "ramp": ramp,
                "chance_wanted": wanted,
                "hires": np.nan if found is None else float(found["hires"]),
                "chance": np.nan if found is None else float(found["chance"]),
                "chance_most": float(part["chance"].max()),
            }
        )
    return pd.DataFrame(rows)


def _lines(
    run: FinishedRun,
    asked: CapacitySettings,
    goal: tuple[float, str],
    chances: tuple[float, float],
    seen: Attrition,
    need: pd.DataFrame,
) -> tuple[str, ...]:
    """The answer in words."""
    rate = (seen.leavers + 0.5) / (seen.months + 1.0)
    said = [
        f"Goal          {goal[0]:,.0f} {run.config.currency} ({goal[1]}): chance {chances[0]:.1%} if everybody stays"
        + (f", {chances[1]:.1%} with leavers" if asked.attrition else ""),
        f"Attrition     {seen.leavers} leavers in {seen.months:,.0f} months of work: {rate:.2%} a month",
    ]
    for row in need.to_dict("records"):
        what = f"hires on {row['start']}-01, ramp x {row['ramp']:g}"
        found = f"not with {asked.hires}: {row['chance_most']:.1%} at most"
        if np.isfinite(row["hires"]):
            found = f"{row['hires']:.0f} for {asked.chance:.0%} ({row['chance']:.1%})"
        said.append(f"Needed        {what}: {found}")
    return tuple(said)


def _check(run: FinishedRun) -> None:
    """Refuse runs on which a hire means nothing."""
    problems = []
    if run.draws.arrivals is None:
        problems.append(
            Problem("QUESTION", "a run without new deals", "a run that models them", "ask another question")
        )
    if not len(run.panel.territories):
        problems.append(Problem("QUESTION", "a run without territories", "at least one", "give reps a territory"))
    if problems:
        raise InputRefusedError(problems)
