"""What the people of the demo company plan: quotas that are not fair, and calls that are not honest."""

from dataclasses import dataclass

import numpy as np

from engine.demo.clock import FIRST_DAY, KNOWN_MONTHS, LAST_DAY, MONTHS, Days
from engine.demo.people import TERRITORIES, People
from engine.demo.truth import HumanTruth
from models.panel import Floats, Ints

QUARTER_STARTS: Ints = MONTHS[::3]
"""[quarter] first months."""
OVER_ASSIGNMENT = 1.05
"""Sum of the reps' quotas, before gifts and burdens, over what the company wants."""
STRETCH = 1.0
"""What the company wants over what its capacity has been bringing in."""
REPUTATION = 0.85
"""How much of a rep's and a territory's strength the planners see: 1 would be all of it."""
GIFTS, BURDENS = 5, 4
"""Reps with far too easy, and with far too hard quotas."""
ROUNDING = 5_000.0


@dataclass(frozen=True)
class Quotas:
    """Targets in money: ``rep`` [rep, quarter], ``territory`` [territory, quarter] and ``company`` [quarter]."""

    rep: Floats
    territory: Floats
    company: Floats


@dataclass(frozen=True)
class Calls:
    """Weekly calls, all [call]: rep index, day of the call, first day of the quarter it speaks of, and money."""

    rep: Ints
    day: Days
    quarter: Days
    amount: Floats


def first_judgement(rng: np.random.Generator, rep: Ints, human: HumanTruth) -> Ints:
    """[deal] forecast category at creation, 0 to 2; optimists commit more often, and the outcome has no part in it.

    A category that followed the outcome without a time stamp would give the future away.
    """
    return np.digitize(rng.normal(size=len(rep)) + 2.0 * np.log(human.bias[rep]), [0.2, 1.2])


def make_quotas(rng: np.random.Generator, people: People, revenue: Floats, ramp: Floats, strength: Floats) -> Quotas:
    """Company goal from capacity, spread over reps by capacity, territory and reputation, unfairly.

    Parameters
    ----------
    revenue : [month] booked revenue of the company; only months up to `clock.TODAY` are looked at
    ramp : [rep, month] productivity by tenure, 0 to 1
    strength : [rep] log of what the rep in the home territory brings in, relative to others
    """
    capacity = _by_quarter(people.fte[:, None] * people.employed() * ramp)  # [rep, quarter] rep-months
    quarters = slice(3, KNOWN_MONTHS // 3)
    known = revenue.reshape(-1, 3).sum(axis=1)[quarters]
    goal = STRETCH * known.sum() / capacity[:, quarters].sum() * capacity.sum(axis=0)
    weight = capacity * np.exp(REPUTATION * strength)[:, None]
    rep = OVER_ASSIGNMENT * goal * weight / weight.sum(axis=0) * _unfairness(rng, len(people.fte))[:, None]
    rep = np.where(capacity > 0, np.maximum(np.round(rep / ROUNDING), 1.0) * ROUNDING, 0.0)
    territory = np.array([rep[people.home == place].sum(axis=0) for place in range(len(TERRITORIES))]) / OVER_ASSIGNMENT
    return Quotas(rep, np.round(territory / ROUNDING) * ROUNDING, np.round(goal / ROUNDING) * ROUNDING)


def _by_quarter(values: Floats) -> Floats:
    """Sum of [rep, month] over the months of each quarter."""
    return values.reshape(len(values), -1, 3).sum(axis=2)


def _unfairness(rng: np.random.Generator, reps: int) -> Floats:
    """[rep] multiple of the quota a rep should have."""
    factor = np.exp(0.12 * rng.normal(size=reps))
    chosen = rng.choice(reps, GIFTS + BURDENS, replace=False)
    factor[chosen[:GIFTS]] *= 0.6
    factor[chosen[GIFTS:]] *= 1.35
    return factor


def make_calls(rng: np.random.Generator, people: People, daily: Floats, human: HumanTruth) -> Calls:
    """Every Monday each rep says what the running quarter will bring: booked so far, plus a biased look at the rest.

    The look is a geometric mean of what really comes, which weighs more as the end nears, and of a rep's usual quarter.

    Parameters
    ----------
    daily : [rep, day] booked revenue from the first day of the world to its last
    """
    days = np.arange(FIRST_DAY, LAST_DAY + np.timedelta64(1, "D"))
    mondays = np.flatnonzero(np.is_busday(days, weekmask="Mon"))
    starts = QUARTER_STARTS.astype("datetime64[M]").astype("datetime64[D]")
    offsets = np.append((starts - FIRST_DAY).astype(np.int64), len(days))
    quarter = np.searchsorted(offsets, mondays, side="right") - 1
    total = np.column_stack([np.zeros(len(daily)), np.cumsum(daily, axis=1)])  # [rep, day + 1], up to the day before
    booked = total[:, mondays] - total[:, offsets[quarter]]
    left = (offsets[quarter + 1] - mondays) / (offsets[quarter + 1] - offsets[quarter])
    to_come = total[:, offsets[quarter + 1]] - total[:, mondays]
    usual = np.median(np.diff(total[:, offsets], axis=1), axis=1, keepdims=True).clip(min=50_000.0) * left
    seen = (to_come + 0.1 * usual) ** (0.8 - 0.5 * left) * usual ** (0.2 + 0.5 * left)
    call = booked + human.bias[:, None] * seen * np.exp(0.25 * np.sqrt(left) * rng.normal(size=seen.shape))
    day = days[mondays]
    present = (people.start[:, None] <= day) & (np.isnat(people.end)[:, None] | (people.end[:, None] >= day))
    rep, week = np.nonzero(present)
    return Calls(rep, day[week], starts[quarter[week]], np.round(call[rep, week] / 1000.0) * 1000.0)
