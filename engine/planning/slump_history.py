"""What every rep brought in month by month, and what was to be expected of a rep like the others.

Expected is exposure (days employed, fte, ramp one sales cycle later) times what the month brought to all *other* reps
per exposure: season, quarter ends and market shocks hit all and are no slump of one. The month's factor is shrunk to 1
as far as the other reps are too few to know it. What a rep's own rate is, `engine.planning.slump_model` learns.
"""

from dataclasses import dataclass

import numpy as np

from models.calendar import month_number
from models.panel import NONE, OPEN, WON, Floats, Ints, Panel

WINS, ORDERS = "deals won", "orders"

ROUNDS = 10
"""Rounds of fitting rates of reps and factors of months to each other."""

REP_PRIOR = 2.0
"""Expected counts that a rep's rate is shrunk by while the months' factors are found."""

SHORTEST = 1e-9


@dataclass(frozen=True)
class History:
    """Counts by rep and month.

    Attributes
    ----------
    months : [month] since 1970-01, complete ones
    count : [rep, month]
    exposure : [rep, month] fte times share of days employed times ramp; 0 where not there
    expected : [rep, month] count expected of a rep of average rate
    measure : what is counted
    """

    months: Ints
    count: Ints
    exposure: Floats
    expected: Floats
    measure: str


def rep_history(panel: Panel, measure: str, most_months: int, ramp_months: float) -> History:
    """Count deals won (or orders) of the complete months up to the as-of date.

    Parameters
    ----------
    measure : "wins", "orders", or "auto": deals where any has closed
    ramp_months : time constant of the ramp of new reps
    """
    wins = panel.has_pipeline if measure == "auto" else measure == "wins"
    rep, month = _events(panel, wins)
    first, last = complete_months(panel)
    months = np.arange(max(first, last - most_months + 1), last + 1)
    reps = len(panel.reps.labels)
    inside = (rep != NONE) & (month >= months[0]) & (month <= last) if len(months) else np.zeros(len(rep), dtype=bool)
    place = rep[inside] * len(months) + month[inside] - (months[0] if len(months) else 0)
    count = np.bincount(place, minlength=reps * len(months)).reshape(reps, len(months)).astype(np.int64)
    lag = sales_cycle(panel) if wins else 0.0
    exposure = presence(panel, months, (rep, month)) * ramp(panel, months, ramp_months, lag)
    return History(months, count, exposure, expected_counts(count, exposure), WINS if wins else ORDERS)


def _events(panel: Panel, wins: bool) -> tuple[Ints, Ints]:
    """Rep and month of what is counted; an order without a rep is its account's owner's."""
    deals, orders = panel.deals, panel.orders
    if wins:
        won = deals.outcome == WON
        return deals.rep[won], month_number(deals.closed[won])
    bought = orders.amount > 0
    owner = np.append(panel.accounts.owner, NONE)[orders.account]
    return np.where(orders.rep == NONE, owner, orders.rep)[bought], orders.month[bought]


def complete_months(panel: Panel) -> tuple[int, int]:
    """First and last month that the export covers from end to end."""
    days = np.array([panel.first_day - np.timedelta64(1, "D"), panel.as_of + np.timedelta64(1, "D")])
    before, after = month_number(days.astype("datetime64[D]"))
    return int(before) + 1, int(after) - 1


def sales_cycle(panel: Panel) -> float:
    """Median months from creation to a win; 0 without wins."""
    deals = panel.deals
    won = deals.outcome == WON
    if not won.any():
        return 0.0
    return float(np.median((deals.closed[won] - deals.created[won]).astype(float)) / 30.4)


def presence(panel: Panel, months: Ints, events: tuple[Ints, Ints]) -> Floats:
    """Full-time equivalents [rep, month] there; without dates from the rep's first event on, leavers to their last."""
    reps = panel.reps
    start = months.astype("datetime64[M]").astype("datetime64[D]")
    stop = (months + 1).astype("datetime64[M]").astype("datetime64[D]")
    far = np.iinfo(np.int64).max // 2
    opened, closed = np.full(len(reps.labels), far), np.full(len(reps.labels), -far)
    deals = panel.deals
    for rep, month in (events, (deals.rep, month_number(deals.created))):
        np.minimum.at(opened, rep[rep != NONE], month[rep != NONE])
        if not (rep is deals.rep and (deals.outcome == OPEN).all()):
            np.maximum.at(closed, rep[rep != NONE], month[rep != NONE])
    begin = np.maximum(reps.start[:, None], start)
    begin = np.where(np.isnat(reps.start)[:, None], start, begin)
    end = np.where(np.isnat(reps.end)[:, None], stop, np.minimum(reps.end[:, None] + np.timedelta64(1, "D"), stop))
    share = (end - begin).astype(float).clip(min=0.0) / (stop - start).astype(float)
    unknown_start = np.isnat(reps.start)[:, None] & (months < opened[:, None])
    unknown_end = (np.isnat(reps.end) & ~reps.active)[:, None] & (months > closed[:, None])
    return np.where(unknown_start | unknown_end, 0.0, share * reps.fte[:, None])


def ramp(panel: Panel, months: Ints, ramp_months: float, lag: float) -> Floats:
    """Share [rep, month] of the full rate: the ramp of the arrivals model, a sales cycle later; 1 without a start."""
    start = panel.reps.start
    began = month_number(np.where(np.isnat(start), np.datetime64("1970-01-01"), start).astype("datetime64[D]"))
    tenure = months + 0.5 - began[:, None] - lag
    grown = 1.0 - np.exp(-np.maximum(tenure, 0.25) / max(ramp_months, SHORTEST))
    return np.where(np.isnat(start)[:, None], 1.0, grown)


def expected_counts(count: Ints, exposure: Floats) -> Floats:
    """Counts [rep, month] expected at rate 1 (the average rep's), from the other reps' months."""
    if not exposure.sum() > 0:
        return np.zeros(count.shape)
    base = exposure * count[exposure > 0].sum() / exposure.sum()
    factor = np.ones(count.shape)
    for _ in range(ROUNDS):
        rate = (count.sum(axis=1) + REP_PRIOR) / ((base * factor).sum(axis=1) + REP_PRIOR)
        factor = month_factors(count, rate[:, None] * base)
    return np.asarray(base * factor)


def month_factors(count: Ints, usual: Floats) -> Floats:
    """What a month brings beside the usual count [rep, month], from all reps but one, for each of them.

    The mean of what others brought over their usual, pulled to 1 by the share of its variance that is theirs alone:
    ``factor = 1 + w (others / usual - 1)``, ``w = market / (market + 1 / usual + noise * sum(usual_i^2) / usual^2)``.
    The market's variance comes from what reps do together (products of the deviations of different reps), the noise
    from what is left of their own: moments, as in Buehlmann and Straub (1970) for credibility.
    """
    away = count - usual
    all_usual, squares = usual.sum(axis=0), (usual**2).sum(axis=0)
    own = (away**2 - usual).sum()
    together = (away.sum(axis=0) ** 2).sum() - (away**2).sum()
    pairs = (all_usual**2).sum() - squares.sum()
    market = max(together / pairs, 0.0) if pairs > SHORTEST else 0.0
    noise = max(own / max(squares.sum(), SHORTEST) - market, 0.0)
    others = all_usual - usual
    known = others > SHORTEST
    safe = np.where(known, others, 1.0)
    luck = 1.0 / safe + noise * (squares - usual**2) / safe**2
    weight = np.where(known, market / (market + luck), 0.0)
    return np.asarray(1.0 + weight * (away.sum(axis=0) - away) / safe)
