"""The same company at earlier dates, rebuilt from dates alone: what the rules of thumb learn from.

The rule this module keeps: a snapshot's features were known on its day, and its outcome is only used for horizons that
ended by the panel's as-of date.
"""

from dataclasses import dataclass

import numpy as np

from engine.methods.protocol import Places, Question, find_places, place_of
from engine.simulation.cells import booked_revenue
from models.calendar import month_number
from models.panel import NONE, WON, Dates, Floats, Ints, Panel

QUARTER = 3
FEWEST_HORIZONS = 3
"""Fewest past horizons, a quarter apart, that are enough; else they are taken a month apart."""

MOST_HORIZONS = 24


@dataclass(frozen=True)
class Snapshot:
    """A company on a day, and what a horizon brought after it.

    Attributes
    ----------
    day : the date, inclusive
    months : [month] of the horizon
    deal : [open] index into the panel's deals of those open on the day
    place : [open] index of their place
    stage : [open] stage on the day
    age : [open] weeks since creation
    amount : [open] list amount, else the mean won amount
    booked : [place, month] revenue up to the day in the months of the horizon
    remaining : [place, month] revenue after the day in those months; zero for the present
    won : [open] amount won after the day within the horizon, zero when not won in it
    """

    day: np.datetime64
    months: Ints
    deal: Ints
    place: Ints
    stage: Ints
    age: Floats
    amount: Floats
    booked: Floats
    remaining: Floats
    won: Floats


@dataclass(frozen=True)
class Past:
    """A panel with its places and snapshots: the present one, and earlier ones at the same point of their horizons."""

    panel: Panel
    places: Places
    now: Snapshot
    before: tuple[Snapshot, ...]


def look_back(panel: Panel, question: Question) -> Past:
    """Snapshots at the same distance from the start of earlier horizons of the same length, latest first."""
    places = find_places(panel)
    now = snapshot(panel, places, panel.as_of, question.months)
    offset = panel.as_of - _first_day(int(question.months[0]))
    before: list[Snapshot] = []
    for step in (QUARTER, 1):
        before = _earlier(panel, places, question.months, offset, step)
        if len(before) >= FEWEST_HORIZONS:
            break
    return Past(panel, places, now, tuple(before))


def _first_day(month: int) -> np.datetime64:
    return np.datetime64(month, "M").astype("datetime64[D]")


def _earlier(panel: Panel, places: Places, months: Ints, offset: np.timedelta64, step: int) -> list[Snapshot]:
    """Snapshots ``step`` months apart whose horizon had ended by the as-of date, back to the first closing or order."""
    last_month = int(month_number(np.array([panel.as_of + np.timedelta64(1, "D")]))[0]) - 1
    first = _first_outcome(panel)
    found: list[Snapshot] = []
    shift = -(-max(int(months[-1]) - last_month, 1) // step) * step
    while len(found) < MOST_HORIZONS:
        moved = months - shift
        day = _first_day(int(moved[0])) + offset
        if day <= first:
            break
        found.append(snapshot(panel, places, day, moved))
        shift += step
    return found


def _first_outcome(panel: Panel) -> np.datetime64:
    """First day of which the outcome of a deal or an order is on record."""
    closed = panel.deals.closed[~np.isnat(panel.deals.closed)]
    days = [closed.min()] if len(closed) else []
    if len(panel.orders):
        days.append(np.datetime64(int(panel.orders.month.min()), "M").astype("datetime64[D]"))
    return min(days) if days else panel.as_of


def snapshot(panel: Panel, places: Places, day: np.datetime64, months: Ints) -> Snapshot:
    """The company on a day at or before the as-of date."""
    deals = panel.deals
    still = np.isnat(deals.closed) | (deals.closed > day)
    index = np.flatnonzero((deals.created <= day) & still & (deals.rep != NONE))
    territory = panel.cell_territory(deals.account[index], deals.rep[index])
    close_month = np.where(np.isnat(deals.closed[index]), -1, month_number(deals.closed[index]))
    in_horizon = (deals.outcome[index] == WON) & (close_month >= months[0]) & (close_month <= months[-1])
    booked, remaining = _revenue(panel, places, day, months)
    return Snapshot(
        day=day,
        months=months,
        deal=index,
        place=place_of(places, deals.rep[index], territory),
        stage=stage_on(panel, index, day),
        age=(day - deals.created[index]) / np.timedelta64(7, "D"),
        amount=_amount(panel)[index],
        booked=booked,
        remaining=remaining,
        won=np.where(in_horizon, np.nan_to_num(deals.won_amount[index]), 0.0),
    )


def stage_on(panel: Panel, deal: Ints, day: np.datetime64) -> Ints:
    """Stage [deal] on a day: the last one entered by then; without history the first, except on the as-of date."""
    moves = panel.stage_moves
    if not len(moves.deal):
        # Nothing says when a deal entered the stage it is in: only today's stage is known, and only today.
        return np.zeros(len(deal), dtype=np.int64)
    seen = np.flatnonzero(moves.date <= day)
    stage = np.zeros(len(panel.deals), dtype=np.int64)
    stage[moves.deal[seen]] = moves.stage[seen]  # by deal and date: the last one stays
    return np.maximum(stage[deal], 0)


def _amount(panel: Panel) -> Floats:
    """[deal] list amount, else the mean won amount of the product, else of all."""
    deals = panel.deals
    won = deals.won_amount[deals.outcome == WON]
    usual = float(np.nanmean(won)) if len(won) else 1.0
    return np.where(np.isnan(deals.list_amount), usual, deals.list_amount)


def _revenue(panel: Panel, places: Places, day: np.datetime64, months: Ints) -> tuple[Floats, Floats]:
    """Revenue [place, month] of the horizon up to the day, and after it. Orders count with their month's last day."""
    revenue = booked_revenue(panel)
    date = _booking_day(panel, revenue.month)
    place = place_of(places, revenue.rep, panel.cell_territory(revenue.account, revenue.rep))
    slot = revenue.month - months[0]
    inside = (slot >= 0) & (slot < len(months)) & (place != NONE)
    tables = []
    for chosen in (inside & (date <= day), inside & (date > day)):
        table = np.zeros((len(places), len(months)))
        np.add.at(table, (place[chosen], slot[chosen]), revenue.amount[chosen])
        tables.append(table)
    return tables[0], tables[1]


def _booking_day(panel: Panel, month: Ints) -> Dates:
    """[row] day of every row of `booked_revenue`: the closing of a deal, the last day of an order's month or today."""
    won = panel.deals.outcome == WON
    last = (month[int(won.sum()) :] + 1).astype("datetime64[M]").astype("datetime64[D]") - np.timedelta64(1, "D")
    return np.concatenate([panel.deals.closed[won], np.minimum(last, panel.as_of)])
