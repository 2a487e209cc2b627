"""The question ``compensation``: what a pay plan pays the reps of a finished run, and what it costs."""

from typing import cast

import numpy as np
from pydantic import BaseModel

from engine.config import RunOptions
from engine.errors import InputRefusedError, Problem
from engine.finished import FinishedRun
from engine.planning.business import known_customers, share_by_rank, split_revenue
from engine.planning.compensation_settings import CompensationSettings, Terms, plan_problems
from engine.planning.payout_tables import SalesToPay, Team, compensation
from engine.planning.questions import Answer
from engine.planning.quotas import NOT_GIVEN, QuotaBook, capacity
from engine.planning.rep_names import with_names
from engine.seeds import seed_for
from engine.simulation.clock import SimulationHorizons
from engine.simulation.simulate import simulate
from models.panel import NONE, Floats, Ints, Labels, Panel

MONTHS = {"month": 1, "quarter": 3}
"""Months of a payout period."""


def answer(run: FinishedRun, settings: BaseModel, options: RunOptions) -> Answer:
    """Pay every simulated future by the plan.

    Raises
    ------
    InputRefusedError
        When the plan names reps that the run does not have, caps what has no target, or pays nothing or nobody.
    """
    plan = cast(CompensationSettings, settings)
    problems = plan_problems(plan, set(run.panel.reps.labels.ids.tolist()))
    if problems:
        raise InputRefusedError(problems)
    sales, notes = sales_to_pay(run, plan, options)
    tables, metrics = compensation(plan, sales)
    cost = tables["payout_cost"].iloc[0]
    payouts = tables["payouts"]
    currency, horizon = run.config.currency, run.config.horizon
    lines: tuple[str, ...] = (
        f"{len(payouts)} reps, target incentive {cost['target_incentive']:,.0f} {currency} in {horizon.months} months.",
        f"Cost: mean {cost['cost_mean']:,.0f}, P50 {cost['cost_p50']:,.0f}, P95 {cost['cost_p95']:,.0f} {currency}, "
        f"{cost['cost_share_of_revenue']:.2%} of the revenue of these reps.",
        f"The plan paid on the mean future would cost {cost['cost_of_mean_path']:,.0f}: that is not the mean cost.",
        f"Chance that it costs more than the target incentives: {cost['p_over_target']:.1%}.",
    )
    if any(terms.cap is not None for terms in plan.all_terms()):
        lines += (f"{int((payouts['p_cap'] >= 0.05).sum())} reps hit the cap with a chance of at least 5 %.",)
    title = f"Pay plan {plan.name}, {horizon.start} to {horizon.end}, as of {run.panel.as_of}"
    shown = with_names(run, tables)
    return Answer(title, shown, lines, metrics, tuple(notes), ("payout_cost", "payout_curve", "payout_accelerator"))


def sales_to_pay(run: FinishedRun, plan: CompensationSettings, options: RunOptions) -> tuple[SalesToPay, list[str]]:
    """What the reps who are paid bring in on the stored paths, and what must be said about it."""
    panel, horizon, book = run.panel, run.config.horizon, run.quotas()
    columns = payout_periods(horizon.months, plan.payout, horizon.first_month - panel.fiscal_year_start + 1)
    spans = [(horizon.first_month + int(c[0]), horizon.first_month + int(c[-1])) for c in columns]
    quota, source = rep_quotas(panel, book, spans)
    presence = np.stack([_presence(panel, *span) for span in spans], axis=1)  # [rep, period]
    paid, notes = paid_reps(panel, plan, quota, presence)
    if not len(paid):
        mend = "give quotas, or a plan with commission or draw"
        raise InputRefusedError([Problem("compensation", "no rep to pay", "active reps with a quota", mend)])
    revenue = _by_period(run.level("rep").total[:, paid], columns)
    share = np.full_like(revenue, np.nan)
    if plan.tells_apart:
        new, existing = simulated_split(run, plan.split_paths, options)
        share = share_by_rank(revenue, _by_period(new[:, paid], columns), _by_period(existing[:, paid], columns))
        notes.append(
            "New business is sales to accounts without revenue before the horizon, to customers yet to come, and "
            "without an account; customers of the time before the export count as new."
        )
    lengths = np.array([len(c) for c in columns]) / 12
    sales = SalesToPay(
        reps=Labels(panel.reps.labels.ids[paid], panel.reps.labels.names[paid]),
        managers=panel.managers,
        manager=panel.reps.manager[paid],
        revenue=revenue,
        new_share=share,
        quota=quota[paid],
        quota_source=source[paid],
        years=lengths * presence[paid],
        horizon_years=horizon.months / 12,
        teams=teams_of(run, plan, (book, quota), (columns, paid), notes),
    )
    return sales, notes


def payout_periods(months: int, payout: str, shift: int) -> list[Ints]:
    """Columns of the horizon's months by payout period; ``shift``: first month, counted from a fiscal year's start."""
    if payout not in MONTHS:
        return [np.arange(months)]
    number = (np.arange(months) + shift) // MONTHS[payout]
    return [np.flatnonzero(number == value) for value in np.unique(number)]


def rep_quotas(panel: Panel, book: QuotaBook, spans: list[tuple[int, int]]) -> tuple[Floats, np.ndarray]:
    """Quota [rep, period] with NaN where there is none, and where the first one comes from [rep]."""
    found = [[book.target("rep", str(key), *span) for span in spans] for key in panel.reps.labels.ids]
    amounts = np.array([[amount for amount, _ in row] for row in found], dtype=float).reshape(len(found), len(spans))
    return amounts, np.array([row[0][1] for row in found], dtype=str)


def paid_reps(panel: Panel, plan: CompensationSettings, quota: Floats, presence: Floats) -> tuple[Ints, list[str]]:
    """Reps whom the plan pays: employed, with a quota or terms that need none; and notes on the others."""
    terms = [plan.terms_of(str(key))[1] for key in panel.reps.labels.ids]
    there = presence.sum(axis=1) > 0
    measured = np.isfinite(quota).any(axis=1)
    paid = there & (measured | np.array([needs_no_quota(own) for own in terms], dtype=bool))
    notes = []
    if (there & ~paid).any():
        notes.append(f"{int((there & ~paid).sum())} reps have no quota and are left out.")
    if (paid & ~measured).any():
        notes.append(f"{int((paid & ~measured).sum())} reps have no quota: their own attainment pays nothing.")
    if (paid & (presence < 1).any(axis=1)).any():
        notes.append("Target incentives of reps who come or go are cut to the days employed; draws are not.")
    return np.flatnonzero(paid), notes


def needs_no_quota(terms: Terms) -> bool:
    """Whether terms pay something to a rep without a quota."""
    return terms.commission is not None or terms.draw is not None


def simulated_split(run: FinishedRun, paths: int, options: RunOptions) -> tuple[Floats, Floats]:
    """Revenue [path, rep, month] of all reps with new and with existing customers, on fresh paths of the same draws.

    The run keeps the cells of a hundred paths only, and these are of the first few posterior draws.
    """
    horizon = run.config.horizon
    months = np.arange(horizon.first_month, horizon.first_month + horizon.months)
    per_draw = max(1, min(run.config.simulation.paths_per_draw, paths // max(run.draws.count, 1)))
    changes = {"paths": paths, "sample_paths": paths, "paths_per_draw": per_draw}
    settings = run.config.simulation.model_copy(update=changes)
    seed = seed_for(run.config.seed, "planning compensation")
    outcomes = simulate(run.panel, run.draws, SimulationHorizons(months), settings, seed, options.threads)
    known = known_customers(run.panel, horizon.first_month)
    return split_revenue(outcomes.cells, outcomes.sample, known, len(run.panel.reps.labels))


def teams_of(
    run: FinishedRun,
    plan: CompensationSettings,
    quotas: tuple[QuotaBook, Floats],
    chosen: tuple[list[Ints], Ints],
    notes: list[str],
) -> dict[str, Team]:
    """Attainment of the teams that the plan's terms name: over their own quota, else over the sum of their reps'."""
    panel, (columns, paid), (book, rep_quota) = run.panel, chosen, quotas
    first = run.config.horizon.first_month
    home = panel.reps.territory
    members = {
        "company": np.zeros(len(panel.reps.labels), dtype=np.int64),
        "manager": panel.reps.manager,
        "territory": home,
        "region": np.append(panel.territory_region, NONE)[home],
    }
    teams: dict[str, Team] = {}
    for name in dict.fromkeys(terms.team for terms in plan.all_terms() if terms.shares.team > 0):
        level, member = run.level(name), members[name]
        quota = np.full((len(level.keys), len(columns)), np.nan)
        summed = 0
        for i, key in enumerate(level.keys):
            for t, months in enumerate(columns):
                amount, source = book.target(name, str(key), first + int(months[0]), first + int(months[-1]))
                own = rep_quota[member == i, t]
                if source == NOT_GIVEN and np.isfinite(own).any():
                    amount, summed = float(np.nansum(own)), summed + (t == 0)
                quota[i, t] = amount
        revenue = _by_period(level.total, columns)
        attained = np.divide(revenue, quota, out=np.full_like(revenue, np.nan), where=quota > 0)
        teams[name] = Team(attained, member[paid])
        if summed:
            notes.append(f"{summed} teams ({name}) have no quota of their own: the sum of their reps' stands for it.")
        lost = int((~np.isfinite(quota).any(axis=1))[member[paid]][member[paid] != NONE].sum())
        lost += int((member[paid] == NONE).sum())
        if lost:
            notes.append(f"{lost} reps have no team ({name}) with a quota: their team share pays nothing.")
    return teams


def _by_period(values: np.ndarray, columns: list[Ints]) -> Floats:
    """Sum [path, member, month] over the months of every period."""
    return np.stack([values[:, :, c].sum(axis=2, dtype=np.float64) for c in columns], axis=2)


def _presence(panel: Panel, first: int, last: int) -> Floats:
    """Share [rep] of the days of a span of months in which a rep is employed."""
    reps = panel.reps
    full = np.where(reps.fte > 0, reps.fte, 1.0)
    return capacity(panel, first, last) / full
