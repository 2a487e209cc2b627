"""Who should get the next inbound leads.

A lead is a deal that does not exist yet: one of the kind the company created in the last year, in its first stage
today. Every rep is tried on it, on the posterior of the run: what the win rate and amounts of the rep make of it within
the horizon, added to what the rep has anyway, path by path. Then n leads are split by one of three objectives, within
what a rep can work.
"""

from dataclasses import dataclass
from dataclasses import replace as changed
from typing import cast

import numpy as np
import pandas as pd
from pydantic import BaseModel

from engine.config import RunOptions
from engine.errors import InputRefusedError, Problem
from engine.finished import FinishedRun
from engine.planning.futures import Span, asked_reps, need_pipeline, planning_span, quick, targets
from engine.planning.hypothetical import Batch, copies, group_revenue, with_deals
from engine.planning.lead_split import most_in_sum, raise_the_lowest
from engine.planning.question_settings import LeadsSettings
from engine.planning.questions import Answer
from engine.planning.quotas import capacity
from engine.seeds import seed_for
from engine.simulation.clock import SimulationHorizons
from engine.simulation.sellers import DAYS_PER_MONTH, LEAST_TENURE, RECENT_DAYS
from engine.simulation.simulate import simulate
from models.deal_weeks import has_stages
from models.panel import Floats, Ints, Panel

BATCHES = 4
"""Samples of leads that are averaged over."""

MOST_GROUPS = 20_000
"""Rep and number of lead: what one simulation holds."""

OBJECTIVES = ("even", "at_quota", "revenue")


@dataclass(frozen=True)
class Takers:
    """Reps who may get leads.

    Attributes
    ----------
    reps : [n] indices
    quota : [n] money
    weight : [n] full-time equivalents times ramp over the span
    most : [n] leads that a rep can take
    """

    reps: Ints
    quota: Floats
    weight: Floats
    most: Ints


@dataclass(frozen=True)
class Effects:
    """What leads do, by rep: both [0 to most].

    Attributes
    ----------
    chance : chance of quota with so many leads
    revenue : expected revenue with so many leads, money
    """

    chance: list[Floats]
    revenue: list[Floats]


def answer(run: FinishedRun, settings: BaseModel, options: RunOptions) -> Answer:
    """Simulate every rep with every number of leads, and split them.

    Raises
    ------
    InputRefusedError
        Without a pipeline leg, without a recent deal, or without a rep with a quota.
    """
    asked = cast(LeadsSettings, settings)
    need_pipeline(run, "leads")
    span = planning_span(run.config)
    takers = takers_of(run, asked, span)
    effects = _simulate(run, asked, (span, takers), options)
    splits = {name: split(effects, name, asked.leads) for name in OBJECTIVES}
    table = _table(run, takers, effects, splits[asked.objective])
    compared = _compared(takers, effects, splits)
    chosen = compared[compared["objective"] == asked.objective].iloc[0]
    given = int(splits[asked.objective].sum())
    lines = (
        f"Objective     {asked.objective}: {given} of {asked.leads} leads to "
        f"{int((splits[asked.objective] > 0).sum())} of {len(takers.reps)} reps",
        f"Chances       lowest {table['chance_before'].min():.1%} before, {chosen['chance_lowest']:.1%} after; reps "
        f"expected at quota {table['chance_before'].sum():.2f} before, {chosen['reps_at_quota']:.2f} after",
        f"Revenue       {chosen['revenue_added']:,.0f} {run.config.currency} expected from the leads in {span}",
    )
    metrics = {
        "leads": float(given),
        "chance_lowest_before": float(table["chance_before"].min()),
        "chance_lowest": float(chosen["chance_lowest"]),
        "reps_at_quota": float(chosen["reps_at_quota"]),
        "revenue_added": float(chosen["revenue_added"]),
    }
    notes = [
        "A lead is like the deals the company created in the last year, the same for all reps; "
        f"{asked.conversion:.0%} of leads become deals.",
        "even gives each lead to the lowest chance that can take one (optimal for the lowest chance); at_quota and "
        "revenue are exact (dynamic programming).",
        f"A rep takes at most {asked.most:g} x the share that fte and ramp would give.",
    ]
    if given < asked.leads:
        notes.append(f"{asked.leads - given} leads are left: nobody can take more; raise `most`.")
    tables = {"leads": table, "leads_objectives": compared}
    title = f"Fair distribution of {asked.leads} inbound leads, {span}"
    return Answer(title, tables, lines, metrics, tuple(notes), ("leads", "leads_objectives"))


def split(effects: Effects, objective: str, leads: int) -> Ints:
    """[n] leads of every rep under one of `OBJECTIVES`."""
    if objective == "even":
        return raise_the_lowest(effects.chance, leads)
    return most_in_sum(effects.chance if objective == "at_quota" else effects.revenue, leads)


def takers_of(run: FinishedRun, asked: LeadsSettings, span: Span) -> Takers:
    """Reps with a quota, and how many leads each can take."""
    reps = asked_reps(run.panel, span)
    quota, _ = targets(run, span, reps)
    reps, quota = reps[quota > 0], quota[quota > 0]
    if not len(reps):
        problem = Problem("RUN", "no rep with a quota", "reps with quotas", "ask about another run")
        raise InputRefusedError([problem])
    weight = capacity(run.panel, span.first, span.last)[reps] * ramp_of(run, reps, span)
    share = weight / weight.sum() if weight.sum() > 0 else np.full(len(reps), 1 / len(reps))
    most = np.ceil(asked.most * asked.leads * share - 1e-9).astype(np.int64).clip(max=asked.leads)
    if most.sum() > MOST_GROUPS:
        came = f"{asked.leads} leads among {len(reps)} reps"
        raise InputRefusedError([Problem("leads", came, f"at most {MOST_GROUPS} in all", "lower `leads` or `most`")])
    return Takers(reps, quota, weight, most)


def ramp_of(run: FinishedRun, reps: Ints, span: Span) -> Floats:
    """[n] posterior mean of the ramp in the middle of the span; 1 without a start date or a model of new deals."""
    if run.draws.arrivals is None:
        return np.ones(len(reps))
    first = np.datetime64(span.first, "M").astype("datetime64[D]")
    middle = first + (np.datetime64(span.last + 1, "M").astype("datetime64[D]") - first) // 2
    start = run.panel.reps.start[reps].astype("datetime64[D]")
    days = (middle - np.where(np.isnat(start), middle, start)).astype(np.int64)
    tenure = np.maximum(days / DAYS_PER_MONTH, LEAST_TENURE)
    ramp = 1.0 - np.exp(-tenure / run.draws.arrivals.ramp_months[:, None]).mean(axis=0)
    return np.where(np.isnat(start), 1.0, ramp)


def leads_panel(run: FinishedRun, takers: Takers, rng: np.random.Generator) -> Panel:
    """The company with nothing but the leads: group after group one lead of one rep, the k-th the same for all reps."""
    panel, most = run.panel, int(takers.most.max())
    recent = np.flatnonzero(panel.deals.created > panel.as_of - np.timedelta64(RECENT_DAYS, "D"))
    if not len(recent):
        problem = Problem("RUN", "no deal created within a year", "recent deals", "ask about another run")
        raise InputRefusedError([problem])
    source = rng.choice(recent, size=most)
    number = np.concatenate([np.arange(most) for most in takers.most])
    deals = copies(panel.deals, source[number], np.repeat(takers.reps, takers.most), "lead")
    stage = np.zeros(len(number), dtype=np.int64)
    if has_stages(panel) and run.draws.closing is not None:
        share = run.draws.closing.first_stage.mean(axis=0)
        stage = rng.choice(len(share), size=most, p=share / share.sum())[number]
    today = np.full(len(number), panel.as_of, dtype="datetime64[D]")
    deals = changed(deals, stage=stage, created=today, exposed=today)
    return with_deals(panel, deals, np.arange(len(number)), len(number))


def _simulate(run: FinishedRun, asked: LeadsSettings, where: tuple[Span, Takers], options: RunOptions) -> Effects:
    """Chance and expected revenue by number of leads, averaged over batches."""
    span, takers = where
    rng = np.random.default_rng(seed_for(run.config.seed, "leads"))
    starts = np.concatenate([[0], np.cumsum(takers.most)])
    chance = [np.zeros(most + 1) for most in takers.most]
    revenue = [np.zeros(most + 1) for most in takers.most]
    for number, part in enumerate(np.array_split(np.arange(asked.paths), BATCHES)):
        batch = Batch(len(part), f"leads {number}")
        found = simulate(
            run.panel,
            run.draws,
            SimulationHorizons(span.months),
            quick(run.config, batch.paths),
            run.config.seed,
            options.threads,
            purpose=batch.purpose,
        )
        own = found.levels["rep"].total[:, takers.reps].sum(axis=2)
        worth, _ = group_revenue(run, leads_panel(run, takers, rng), span, batch, options)
        worth = np.where(rng.random(worth.shape) < asked.conversion, worth, 0)
        for i in range(len(takers.reps)):
            more = np.cumsum(worth[:, starts[i] : starts[i + 1]], axis=1)
            total = own[:, i, None] + np.column_stack([np.zeros(batch.paths, dtype=np.float32), more])
            chance[i] += (total >= takers.quota[i]).sum(axis=0) / asked.paths
            revenue[i] += total.sum(axis=0, dtype=np.float64) / asked.paths
    return Effects(chance, revenue)


def _table(run: FinishedRun, takers: Takers, effects: Effects, leads: Ints) -> pd.DataFrame:
    """One row a rep."""
    labels, rows = run.panel.reps.labels, range(len(takers.reps))
    return pd.DataFrame(
        {
            "rep": labels.ids[takers.reps],
            "rep_name": labels.names[takers.reps],
            "quota": takers.quota,
            "capacity_fte": takers.weight,
            "most_leads": takers.most,
            "leads": leads,
            "chance_before": [effects.chance[i][0] for i in rows],
            "chance_after": [effects.chance[i][leads[i]] for i in rows],
            "revenue_before": [effects.revenue[i][0] for i in rows],
            "revenue_after": [effects.revenue[i][leads[i]] for i in rows],
        }
    )


def _compared(takers: Takers, effects: Effects, splits: dict[str, Ints]) -> pd.DataFrame:
    """What every objective would bring, beside no leads at all."""
    rows = []
    for name, leads in {"no leads": np.zeros(len(takers.reps), dtype=np.int64), **splits}.items():
        chance = np.array([row[k] for row, k in zip(effects.chance, leads, strict=True)])
        added = sum(row[k] - row[0] for row, k in zip(effects.revenue, leads, strict=True))
        rows.append(
            {
                "objective": name,
                "leads": int(leads.sum()),
                "chance_lowest": float(chance.min()),
                "chance_highest": float(chance.max()),
                "reps_at_quota": float(chance.sum()),
                "revenue_added": float(added),
            }
        )
    return pd.DataFrame(rows)
