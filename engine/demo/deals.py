"""Opportunities of the demo company: one step a week until they close (or never do)."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from engine.demo.arrivals import NewDeals
from engine.demo.clock import FIRST_WEEK, WEEKS, pick_day, working_days
from engine.demo.truth import AmountTruth, ClosingTruth
from models.calendar import WEEKS_PER_MONTH, month_number, week_number, week_of_quarter
from models.panel import LOST, OPEN, WON, Bools, Floats, Ints

STALE_WEEKS = 26
"""Age from which the expected close of a deal that will never close is hardly touched any more."""
FIRST_PROMISE, NEXT_PROMISE = 55.0, 25.0
"""Median wait in days that a rep promises at creation, and at a slip."""


@dataclass(frozen=True)
class History:
    """The CRM's stage history, sorted by deal and day.

    Attributes
    ----------
    deal, stage : [row] deal, and the stage it is in after the row
    day : [row] days since 1970-01-01
    expected : [row] expected close after the row, days since 1970-01-01
    """

    deal: Ints
    stage: Ints
    day: Ints
    expected: Ints


@dataclass(frozen=True)
class Course:
    """What became of the opportunities by the end of the world.

    Attributes
    ----------
    closed : [deal] days since 1970-01-01, -1 while open
    outcome : [deal] OPEN, WON or LOST
    stage, expected : [deal] last open stage, and last expected close
    never : [deal] never closes
    won_amount : [deal] booked amount, NaN unless won
    history : the open stages and expected closes over time
    """

    closed: Ints
    outcome: Ints
    stage: Ints
    expected: Ints
    never: Bools
    won_amount: Floats
    history: History


@dataclass(frozen=True)
class _State:
    """What a weekly step reads, and the arrays it writes into: ``stage``, ``expected``, ``closed``, ``outcome``."""

    truth: ClosingTruth
    days: list[Ints]
    created: Ints
    week: Ints
    never: Bools
    close: Floats
    win: Floats
    stage: Ints
    expected: Ints
    closed: Ints
    outcome: Ints


def run_deals(rng: np.random.Generator, new: NewDeals, truth: ClosingTruth, amounts: AmountTruth) -> Course:
    """Let every opportunity of the world run its course."""
    state = _start(rng, new, truth)
    rows = [(np.arange(len(new)), state.stage.copy(), new.created, state.expected.copy())]
    for week in range(WEEKS):
        staying = _close(rng, state, week)
        rows.append(_move(rng, state, week, staying))
    deal, stage, day, expected = (np.concatenate(column) for column in zip(*rows, strict=True))
    order = np.lexsort((day, deal))
    return Course(
        closed=state.closed,
        outcome=state.outcome,
        stage=state.stage,
        expected=state.expected,
        never=state.never,
        won_amount=_won_amounts(rng, amounts, new, state.outcome == WON),
        history=History(deal[order], stage[order], day[order], expected[order]),
    )


def _start(rng: np.random.Generator, new: NewDeals, truth: ClosingTruth) -> _State:
    """Everybody open, with the part of both hazards that does not change over time."""
    size = np.log(new.list_amount) - truth.size_center
    close = truth.close_base + np.append(truth.close_segment, 0.0)[new.segment] + truth.close_size_slope * size
    win = truth.win_base + np.append(truth.win_segment, 0.0)[new.segment] + truth.win_size_slope * size
    win += truth.win_product[new.product] + truth.win_territory[new.territory] + truth.win_rep[new.rep]
    return _State(
        truth=truth,
        days=working_days(),
        created=new.created,
        week=week_number(new.created.astype("datetime64[D]")) - FIRST_WEEK,
        never=rng.random(len(new)) < truth.never_share,
        close=close,
        win=win,
        stage=rng.choice(len(truth.stages), len(new), p=truth.first_stage),
        expected=_promise(rng, new.created, FIRST_PROMISE),
        closed=np.full(len(new), -1),
        outcome=np.full(len(new), OPEN),
    )


def _close(rng: np.random.Generator, state: _State, week: int) -> Ints:
    """Close some of the deals that are open in ``week`` (from 0); returns those that stay open."""
    truth, month = state.truth, week // WEEKS_PER_MONTH
    deals = np.flatnonzero((state.week <= week) & (state.closed < 0))
    age = np.searchsorted(truth.age_bins, week - state.week[deals], side="right") - 1
    quarter_week = week_of_quarter(np.array([FIRST_WEEK + week]))
    stage = state.stage[deals]
    close = state.close[deals] + truth.close_age[age] + truth.close_stage[stage] + truth.close_week[quarter_week]
    win = state.win[deals] + truth.win_age[age] + truth.win_stage[stage] + truth.win_week[quarter_week]
    closes = (rng.random(len(deals)) < expit(close + truth.shocks[month, 0])) & ~state.never[deals]
    wins = rng.random(len(deals)) < expit(win + truth.shocks[month, 1])
    day = pick_day(state.days[week], state.created[deals], rng.random(len(deals)))
    state.closed[deals[closes]] = day[closes]
    state.outcome[deals[closes]] = np.where(wins, WON, LOST)[closes]
    return deals[~closes]


def _move(rng: np.random.Generator, state: _State, week: int, deals: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Move stages and push back expected closes that have passed, both on one day of the week; returns history rows.

    Nothing is recorded on the day of creation, so that every row of a deal has a day of its own.
    """
    day = pick_day(state.days[week], state.created[deals] + 1, rng.random(len(deals)))
    chance = np.cumsum(state.truth.stage_move, axis=1)[state.stage[deals], :-1]
    stage = (rng.random(len(deals))[:, None] > chance).sum(axis=1)
    stale = state.never[deals] & (week - state.week[deals] > STALE_WEEKS)
    slipped = (state.expected[deals] <= state.days[week][-1]) & (rng.random(len(deals)) < np.where(stale, 0.05, 0.8))
    promise = _promise(rng, np.maximum(day, state.expected[deals]), NEXT_PROMISE)
    changed = (day >= 0) & (slipped | (stage != state.stage[deals]))
    kept = deals[changed]
    state.stage[kept] = stage[changed]
    state.expected[kept] = np.where(slipped, promise, state.expected[deals])[changed]
    return kept, stage[changed], day[changed], state.expected[kept]


def _promise(rng: np.random.Generator, day: Ints, typical: float) -> Ints:
    """An expected close: a log-normal wait from ``day``, for a third of the deals moved to the end of its quarter."""
    wait = 1 + np.round(typical * np.exp(0.45 * rng.normal(size=len(day)))).astype(np.int64)
    months = month_number((day + wait).astype("datetime64[D]"))
    quarter_end = (months + 3 - months % 3).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - 1
    return np.where(rng.random(len(day)) < 0.35, quarter_end, day + wait)


def _won_amounts(rng: np.random.Generator, truth: AmountTruth, new: NewDeals, won: Bools) -> Floats:
    """Booked amount where won, NaN elsewhere: nothing, the list amount, or a heavy-tailed multiple of it in cents."""
    segment = np.append(truth.segment, 0.0)[new.segment]
    noise = truth.scale * rng.standard_t(truth.dof, len(new))
    multiple = np.exp(truth.base + truth.product[new.product] + segment + truth.rep[new.rep] + noise)
    kind = rng.random(len(new))
    multiple = np.where(kind < truth.zero, 0.0, np.where(kind < truth.zero + truth.exact, 1.0, multiple))
    return np.where(won, np.round(new.list_amount * multiple, 2), np.nan)
