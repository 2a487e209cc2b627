"""Attainment of reps by quarter from the panel, the split of its spread, and what must be said about the split."""

from dataclasses import dataclass, fields

import numpy as np

from engine.planning.quotas import prorated
from engine.simulation.cells import booked_revenue
from models.attainment_shares import AttainmentRows, AttainmentShares, attainment_shares
from models.calendar import month_number
from models.panel import NONE, Bools, Dates, Floats, Ints, Panel, Quotas

MONTHS_PER_QUARTER = 3

DRAWS = 1000
"""Posterior draws of the split."""

FEW_MOVERS = 0.2
"""Share of reps below which movers are called few."""

USABLE_K = 0.7
"""Pareto shape from which the draws cannot be relied on."""

QUOTA, TEAM_MEAN = "quota", "team mean"


@dataclass(frozen=True)
class SpreadReport:
    """The split with its words.

    Attributes
    ----------
    shares : the split
    measure : `QUOTA` or `TEAM_MEAN`: what revenue was divided by
    warning : plain words on what the split rests on; empty when movers connect all territories
    """

    shares: AttainmentShares
    measure: str
    warning: str


def spread_report(panel: Panel, seed: int) -> SpreadReport | None:
    """Split the spread of attainment over the reps of a panel; None where there is too little to split."""
    rows, measure = attainment_rows(panel)
    shares = attainment_shares(rows, DRAWS, seed)
    return None if shares is None else SpreadReport(shares, measure, warning(shares))


def warning(shares: AttainmentShares) -> str:
    """What the split between rep and territory rests on, when that is not movers."""
    told = []
    if shares.k_hat > USABLE_K:
        told.append("The draws behind the split are unreliable (importance weights too uneven).")
    if shares.territories < 2:
        told.append("There is one territory only: whatever it does to attainment, all reps share.")
    elif shares.movers == 0:
        told.append(
            f"No rep was seen in two territories, so the data cannot tell the {shares.reps} reps from the "
            f"{shares.territories} territories they work: the split between rep and territory is driven by the prior, "
            "and by the assumption that reps were placed at random. Only luck is measured."
        )
    else:
        if shares.islands > 1:
            told.append(
                f"The {shares.movers} of {shares.reps} reps seen in two territories or more leave the territories in "
                f"{shares.islands} groups without a rep in common: between these groups the split is driven by the "
                "prior."
            )
        if shares.movers < FEW_MOVERS * shares.reps:
            told.append(
                f"Only {shares.movers} of {shares.reps} reps were seen in two territories or more: the split between "
                "rep and territory rests on them and on the prior."
            )
    return " ".join(told)


def attainment_rows(panel: Panel) -> tuple[AttainmentRows, str]:
    """Attainment of every rep in every complete fiscal quarter in which the rep sold from its first to its last day.

    Where at least half of these have a given quota, the others are left out. Else revenue over the mean of the reps of
    the quarter stands for attainment.
    """
    revenue = booked_revenue(panel)
    quarter, first, last = _quarters(revenue.month, panel)
    count, reps = last - first + 1, len(panel.reps.labels)
    inside = (revenue.rep != NONE) & (quarter >= first) & (quarter <= last)
    place = np.where(inside, revenue.rep * count + quarter - first, 0)
    booked = np.bincount(place[inside], revenue.amount[inside], minlength=max(reps * count, 1))
    booked = booked[: reps * count].reshape(reps, count)
    there = _present(panel, revenue.rep[inside], quarter[inside], first, count)
    quota = _given_quotas(panel, there, first)
    given = there & (quota > 0)
    measure = QUOTA if 2 * given.sum() >= there.sum() and given.any() else TEAM_MEAN
    if measure == QUOTA:
        kept, value = given, booked / np.where(given, quota, 1.0)
    else:
        mean = np.where(there, booked, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        kept, value = there & (mean > 0), booked / np.where(mean > 0, mean, 1.0)
    weights = _territory_weights(panel, revenue.account[inside], revenue.rep[inside], (quarter[inside] - first, count))
    index = np.argwhere(kept)
    known = weights[index[:, 0], index[:, 1]].sum(axis=1) > 0
    index = index[known]
    rows = AttainmentRows(
        value=value[index[:, 0], index[:, 1]],
        rep=np.unique(index[:, 0], return_inverse=True)[1].astype(np.int64),
        quarter=np.unique(index[:, 1], return_inverse=True)[1].astype(np.int64),
        territory=weights[index[:, 0], index[:, 1]],
    )
    return rows, measure


def _quarters(month: Ints, panel: Panel) -> tuple[Ints, int, int]:
    """Fiscal quarter [row] of months, and the first and last quarter that the export covers from end to end."""
    shift = panel.fiscal_year_start - 1
    day = np.array([panel.first_day, panel.as_of + np.timedelta64(1, "D")], dtype="datetime64[D]")
    opened, closed = month_number(day)
    begins_whole = day[0] == day[0].astype("datetime64[M]").astype("datetime64[D]")
    first = -(-(int(opened) + (not begins_whole) - shift) // MONTHS_PER_QUARTER)
    last = (int(closed) - shift) // MONTHS_PER_QUARTER - 1
    if len(month):
        # Where the export has rows before its first revenue, quarters without any revenue at all tell nothing.
        first = max(first, (int(month.min()) - shift) // MONTHS_PER_QUARTER)
    return (month - shift) // MONTHS_PER_QUARTER, first, max(last, first - 1)


def _given_quotas(panel: Panel, there: Bools, first: int) -> Floats:
    """Given quota [rep, quarter] where the rep was there; NaN where none covers the quarter."""
    amount = np.full(there.shape, np.nan)
    for rep in np.flatnonzero(there.any(axis=1)):
        key = str(panel.reps.labels.ids[rep])
        own = _own_quotas(panel.quotas, key)
        for q in np.flatnonzero(there[rep]) if len(own.amount) else ():
            start = (int(q) + first) * MONTHS_PER_QUARTER + panel.fiscal_year_start - 1
            amount[rep, q] = prorated(own, "rep", key, start, start + MONTHS_PER_QUARTER - 1)
    return amount


def _own_quotas(quotas: Quotas, key: str) -> Quotas:
    """The quotas of one rep, so that each of the rep's quarters looks at these only."""
    rows = np.flatnonzero((quotas.key == key) & (quotas.level == "rep"))
    return Quotas(*(getattr(quotas, item.name)[rows] for item in fields(Quotas)))


def _present(panel: Panel, rep: Ints, quarter: Ints, first: int, count: int) -> Bools:
    """Whether [rep, quarter] a rep was there all quarter: employed, or where dates are unknown, between sales."""
    reps, far = len(panel.reps.labels), np.iinfo(np.int64).max
    opened, closed = np.full(reps, far), np.full(reps, -1)
    np.minimum.at(opened, rep, quarter - first)
    np.maximum.at(closed, rep, quarter - first)
    start, end = panel.reps.start, panel.reps.end
    # A start or end inside a quarter leaves it incomplete; without dates the quarter of the first sale counts too.
    begin = np.where(np.isnat(start), opened, _after(start, panel) - first)
    stop = np.where(np.isnat(end), np.where(panel.reps.active, count - 1, closed), _before(end, panel) - first)
    q = np.arange(count)
    return (q >= begin[:, None]) & (q <= stop[:, None]) & (opened < far)[:, None]


def _after(day: Dates, panel: Panel) -> Ints:
    """First quarter that begins on or after a day."""
    month = month_number(day)
    late = day != day.astype("datetime64[M]").astype("datetime64[D]")
    return -(-(month + late - panel.fiscal_year_start + 1) // MONTHS_PER_QUARTER)


def _before(day: Dates, panel: Panel) -> Ints:
    """Last quarter that ends on or before a day."""
    return (month_number(day + np.timedelta64(1, "D")) - panel.fiscal_year_start + 1) // MONTHS_PER_QUARTER - 1


def _territory_weights(panel: Panel, account: Ints, rep: Ints, when: tuple[Ints, int]) -> Floats:
    """Share [rep, quarter, territory] of the accounts a rep sold to in a quarter; without sales, of all of the rep's.

    Accounts, not money: with money a lucky quarter would choose its own territory. Sales without account count as one.
    """
    quarter, count = when
    reps, territories = len(panel.reps.labels), len(panel.territories)
    home = np.append(panel.reps.territory, NONE)
    territory = panel.cell_territory(account, rep)
    territory = np.where(territory == NONE, home[rep], territory)
    known = territory != NONE
    pairs = np.unique(np.stack([rep, quarter, account, territory], axis=1)[known], axis=0)
    weights = np.zeros((reps, count, territories))
    np.add.at(weights, (pairs[:, 0], pairs[:, 1], pairs[:, 3]), 1.0)
    always = weights.sum(axis=1)
    silent = np.flatnonzero((always.sum(axis=1) == 0) & (panel.reps.territory != NONE))
    always[silent, panel.reps.territory[silent]] = 1.0
    weights = np.where(weights.sum(axis=2, keepdims=True) > 0, weights, always[:, None, :])
    return weights / np.maximum(weights.sum(axis=2, keepdims=True), 1.0)
