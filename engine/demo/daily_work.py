"""What else a CRM, a telephone system and a payroll know of the demo company: leads, activities, contracts, hours.

The rule this module keeps: these tables are made from the finished world, with streams of their own, so nothing about
deals, accounts or revenue depends on them.
"""

import numpy as np
import pandas as pd

from engine.demo.accounts import Accounts
from engine.demo.arrivals import NewDeals
from engine.demo.clock import FIRST_DAY, LAST_DAY, MONTHS, as_dates
from engine.demo.deals import Course
from engine.demo.people import People
from engine.demo.truth import OrderTruth
from models.panel import NONE, Floats, Ints, Texts

SOURCES = ("Website", "Referral", "Trade fair", "Partner", "Cold call")
CONVERTED_MIX = np.array([0.34, 0.28, 0.12, 0.18, 0.08])
"""Sources of the leads that became opportunities."""
LOST_MIX = np.array([0.42, 0.07, 0.22, 0.09, 0.20])
"""Sources of those that did not."""
FROM_LEAD = 0.55
"""Share of opportunities that began as a lead."""
LOST_PER_CONVERTED = 1.4
"""Leads that came to nothing, for each that became an opportunity."""
LEAD_TO_DEAL_DAYS = 12.0
TYPES = np.array(["call", "email", "meeting", "record"])
TYPE_MIX = np.array([0.38, 0.40, 0.14, 0.08])
TALK_MINUTES = np.array([11.0, 0.0, 48.0, 0.0])
"""Mean minutes by type; an email and a new record have none."""
WEEKS_PER_ACTIVITY = 2.6
PAID_HOURS = 160.0
"""Of a full-time month."""
SELLING_SHARE = 0.36
_FIRST, _LAST = int(FIRST_DAY.astype(np.int64)), int(LAST_DAY.astype(np.int64))


def leads_table(rng: np.random.Generator, people: People, new: NewDeals, ids: Texts) -> pd.DataFrame:
    """Leads: those behind some of the opportunities, and those that came to nothing; by day of creation.

    Parameters
    ----------
    ids : [deal] ids of the opportunities
    """
    deal = np.flatnonzero(rng.random(len(new)) < FROM_LEAD)
    wait = np.minimum(rng.gamma(1.5, LEAD_TO_DEAL_DAYS / 1.5, len(deal)).astype(np.int64), new.created[deal] - _FIRST)
    touched = (wait * rng.beta(1.2, 4.0, len(deal))).astype(np.int64)
    qualified = touched + ((wait - touched) * rng.random(len(deal))).astype(np.int64)
    lost = round(LOST_PER_CONVERTED * len(deal))
    rep, created = _lost_leads(rng, people, lost)
    first = created + rng.gamma(0.9, 5.0, lost).astype(np.int64)
    later = first + rng.gamma(1.5, 6.0, lost).astype(np.int64)
    was_touched = (rng.random(lost) < 0.84) & (first <= _LAST)
    was_qualified = was_touched & (rng.random(lost) < 0.22) & (later <= _LAST)
    start = new.created[deal] - wait
    frame = pd.DataFrame(
        {
            "created": np.concatenate([start, created]),
            "source": np.concatenate(
                [rng.choice(SOURCES, len(deal), p=CONVERTED_MIX), rng.choice(SOURCES, lost, p=LOST_MIX)]
            ),
            "rep": people.rep_ids[np.concatenate([new.rep[deal], rep])],
            "first_touch": np.concatenate([start + touched, np.where(was_touched, first, -1)]),
            "qualified": np.concatenate([start + qualified, np.where(was_qualified, later, -1)]),
            "opportunity": pd.concat([_text(ids[deal]), _text(np.full(lost, ""))], ignore_index=True),
        }
    )
    frame = frame.sort_values(["created", "opportunity", "rep"], kind="stable", ignore_index=True)
    for name in ("created", "first_touch", "qualified"):
        frame[name] = _dates(frame[name].to_numpy(dtype=np.int64))
    frame.insert(0, "id", _text(np.array([f"L{i + 1:06d}" for i in range(len(frame))])))
    return frame


def _lost_leads(rng: np.random.Generator, people: People, count: int) -> tuple[Ints, Ints]:
    """[lead] rep and day, on the days on which the rep is employed."""
    weight = (people.employed() * people.fte[:, None]).ravel()
    place = rng.choice(len(weight), count, p=weight / weight.sum())
    rep, month = np.divmod(place, len(MONTHS))
    opens = MONTHS[month].astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    day = opens + rng.integers(0, 28, count)
    start = people.start.astype(np.int64)[rep]
    end = np.where(np.isnat(people.end), _LAST, people.end.astype(np.int64))[rep]
    return rep, np.clip(day, np.maximum(start, _FIRST), np.minimum(end, _LAST))


def activities_table(
    rng: np.random.Generator, people: People, accounts: Accounts, deals: tuple[NewDeals, Course], ids: Texts
) -> pd.DataFrame:
    """Calls, emails, meetings and records about opportunities, while they are open; fewer as a deal grows old."""
    new, course = deals
    end = np.where(np.isnat(people.end), _LAST, people.end.astype(np.int64))[new.rep]
    stop = np.minimum(np.where(course.closed < 0, _LAST, course.closed), end)
    length = np.maximum(stop - new.created, 0)
    mean = 1.0 + np.minimum(length, 120) / (7.0 * WEEKS_PER_ACTIVITY)
    count = rng.poisson(mean)
    deal = np.repeat(np.arange(len(new)), count)
    day = new.created[deal] + (np.minimum(length[deal], 180) * rng.beta(1.0, 1.6, len(deal))).astype(np.int64)
    kind = rng.choice(len(TYPES), len(deal), p=TYPE_MIX)
    minutes = np.round(TALK_MINUTES[kind] * rng.gamma(2.0, 0.5, len(deal)))
    account = pd.Series(np.append(accounts.ids, "")[new.account[deal]], dtype="str").where(new.account[deal] != NONE)
    frame = pd.DataFrame(
        {
            "rep": people.rep_ids[new.rep[deal]],
            "date": _dates(day),
            "type": TYPES[kind],
            "minutes": minutes,
            "opportunity": ids[deal],
            "account": account,
        }
    )
    return frame.sort_values("date", kind="stable", ignore_index=True)


def contracts_table(rng: np.random.Generator, accounts: Accounts, truth: OrderTruth) -> pd.DataFrame:
    """Yearly contracts of every second repeat customer, renewed until the customer lapses."""
    signed = np.flatnonzero((truth.cycle > 0) & (rng.random(len(accounts)) < 0.5))
    rows: list[tuple[int, int, float]] = []
    for account in signed.tolist():
        month, stop = int(max(truth.phase[account], MONTHS[0])), int(min(truth.lapsed[account], MONTHS[-1] + 1))
        yearly = float(np.exp(truth.level[account, month - MONTHS[0]]) * 12.0 / truth.cycle[account])
        amount = 0.6 * yearly
        while month < stop:
            rows.append((account, month, round(amount, 2)))
            amount *= float(np.exp(0.02 + 0.10 * rng.normal()))
            month += 12
    who, begin, money = (np.array(part) for part in zip(*rows, strict=True))
    start = begin.astype("datetime64[M]").astype("datetime64[D]")
    end = (begin + 12).astype("datetime64[M]").astype("datetime64[D]") - np.timedelta64(1, "D")
    frame = pd.DataFrame(
        {
            "account": accounts.ids[who],
            "start": start.astype("datetime64[us]"),
            "end": end.astype("datetime64[us]"),
            "amount": money.astype(np.float64),
        }
    )
    return frame.sort_values(["start", "account"], kind="stable", ignore_index=True)


def hours_table(rng: np.random.Generator, people: People) -> pd.DataFrame:
    """Paid hours of every month of employment, and the part of it that was spent selling."""
    paid = PAID_HOURS * people.employed() * people.fte[:, None]
    own = SELLING_SHARE * np.exp(0.15 * rng.normal(size=len(people.rep_ids)))
    share: Floats = np.clip(own[:, None] * np.exp(0.12 * rng.normal(size=paid.shape)), 0.05, 0.9)
    rep, month = np.nonzero(paid > 0)
    return pd.DataFrame(
        {
            "rep": people.rep_ids[rep],
            "month": MONTHS[month].astype("datetime64[M]").astype("datetime64[us]"),
            "paid": np.round(paid[rep, month], 1),
            "selling": np.round((share * paid)[rep, month], 1),
        }
    )


def _dates(days: Ints) -> np.ndarray:
    return as_dates(days).astype("datetime64[us]")


def _text(values: Texts) -> "pd.Series[str]":
    """Texts, missing where empty."""
    texts = pd.Series(values, dtype="str")
    return texts.where(texts != "")
