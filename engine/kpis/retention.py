"""Who stays: retention of customers and of revenue over rolling twelve months, by cohort, and renewal of contracts.

A customer of twelve months is an account with positive revenue in them. A period is compared with the year before: the
twelve months that end with it against the twelve before those, so every period has one comparison and none is partial.
"""

import numpy as np
import pandas as pd

from engine.kpis.calendar import GRAINS
from engine.kpis.cells import COLUMNS, Part, kept_periods, rows, stacked
from engine.kpis.facts import Facts, index_of
from engine.kpis.intervals import jeffreys, linearised
from engine.kpis.measures import Measure, share
from models.calendar import MONTHS_PER_YEAR, month_number
from models.panel import NONE, Floats

RETENTION_LEVELS = ("company", "region", "territory", "rep")
"""Of the account: its territory, and its owner at the as-of date."""

SUMS = ("n", "kept", "base", "now", "less", "bb", "nn", "nb", "ll", "lb")
"""Sums over the customers of the year before that the numbers are made of."""

GRACE = np.timedelta64(31, "D")
"""Days around the end of a contract within which the next one counts as its renewal."""

WINDOWS = "twelve months to the end of the period against the twelve before"


def retention(facts: Facts) -> list[pd.DataFrame]:
    """Retention of customers, churn, net and gross revenue retention, and of cohorts."""
    table, first = _by_month(facts)
    if table.shape[1] < MONTHS_PER_YEAR or not table.any():
        return []
    found = []
    low, high = facts.calendar.span("month")
    opening = int(not facts.calendar.complete("month", low))
    running_month = int(not facts.calendar.complete("month", high))
    running = np.concatenate([np.zeros((len(table), 1)), np.cumsum(table, axis=1)], axis=1)
    parts: list[Part] = []
    for grain in GRAINS:
        for code in kept_periods(facts, "company", grain):
            last = facts.calendar.months(grain, code)[1] - first + 1  # number of months up to the end of the period
            if last < 2 * MONTHS_PER_YEAR + opening or last > table.shape[1] - running_month:
                continue
            now = running[:, last] - running[:, last - MONTHS_PER_YEAR]
            base = running[:, last - MONTHS_PER_YEAR] - running[:, last - 2 * MONTHS_PER_YEAR]
            parts += _cells(facts, grain, code, base.round(2), now.round(2))
    if parts:
        found = _numbers(facts, stacked(facts, parts, SUMS))
    return [*found, _cohorts(facts, table, first)]


def _by_month(facts: Facts) -> tuple[Floats, int]:
    """Revenue [account, month] from the first to the last month on record, and the first of them since 1970-01."""
    calendar = facts.calendar
    low, high = calendar.span("month")
    first, last = calendar.months("month", low)[0], calendar.months("month", high)[0]
    events = facts.revenue[facts.revenue["account"] != NONE]
    month = month_number(events["date"].to_numpy().astype("datetime64[D]")) - first
    inside = (month >= 0) & (month <= last - first)
    count = last - first + 1
    flat = events["account"].to_numpy()[inside] * count + month[inside]
    size = len(facts.panel.accounts.labels) * count
    return np.bincount(flat, events["amount"].to_numpy()[inside], size).reshape(-1, count), first


def _cells(facts: Facts, grain: str, code: int, base: Floats, now: Floats) -> list[Part]:
    """Sums over the customers of the year before, by level."""
    panel = facts.panel
    was = base > 0
    kept = np.where(was & (now > 0), 1.0, 0.0)
    less = np.minimum(now, base).clip(min=0.0)
    sums = {"n": was, "kept": kept, "base": base, "now": now, "less": less, "bb": base**2, "nn": now**2}
    sums |= {"nb": now * base, "ll": less**2, "lb": less * base}
    territory = panel.accounts.territory
    places = {
        "company": np.zeros(len(base), dtype=np.int64),
        "territory": territory,
        "region": np.append(panel.territory_region, NONE)[territory],
        "rep": panel.accounts.owner,
    }
    parts: list[Part] = []
    for level in RETENTION_LEVELS:
        if code not in kept_periods(facts, level, grain):
            continue
        size = len(facts.labels(level).ids)
        place = np.where(places[level] == NONE, size - 1, places[level])
        columns = {
            name: np.bincount(place[was], np.asarray(part, dtype=float)[was], size) for name, part in sums.items()
        }
        member = np.flatnonzero(columns["n"])
        codes = np.full(len(member), code)
        picked = {name: part[member] for name, part in columns.items()}
        parts.append((level, grain, member, codes, picked))
    return parts


def _numbers(facts: Facts, cells: pd.DataFrame) -> list[pd.DataFrame]:
    part = {name: cells[name].to_numpy() for name in cells.columns[4:]}
    low, high = jeffreys(part["kept"], part["n"])
    kept = {"value": part["kept"] / part["n"], "numerator": part["kept"], "denominator": part["n"]}
    gone = part["n"] - part["kept"]
    lost = {"value": gone / part["n"], "numerator": gone, "denominator": part["n"], "low": 1 - high, "high": 1 - low}
    net = linearised(part["n"], (part["now"], part["base"], part["nn"], part["bb"], part["nb"]))
    gross = linearised(part["n"], (part["less"], part["base"], part["ll"], part["bb"], part["lb"]))
    over = {"denominator": part["base"]}
    nets = {"value": part["now"] / part["base"], "numerator": part["now"], "low": net[0].clip(min=0.0), "high": net[1]}
    grosses = {"value": part["less"] / part["base"], "numerator": part["less"]}
    grosses |= {"low": gross[0].clip(0.0, 1.0), "high": gross[1].clip(0.0, 1.0)}
    return [
        rows(
            facts,
            "customer_retention",
            cells,
            kept | {"low": low, "high": high},
            f"customers kept / customers, {WINDOWS}",
        ),
        rows(facts, "customer_churn", cells, lost, f"customers lost / customers, {WINDOWS}"),
        rows(
            facts, "net_revenue_retention", cells, nets | over, f"revenue now of customers / their revenue, {WINDOWS}"
        ),
        rows(
            facts,
            "gross_revenue_retention",
            cells,
            grosses | over,
            f"revenue now of customers, at most what each brought before / their revenue before, {WINDOWS}",
        ),
    ]


def _cohorts(facts: Facts, table: Floats, first: int) -> pd.DataFrame:
    """Share of the customers of each fiscal year of first revenue that bought in a later complete fiscal year.

    Customers seen in the first year on record may be older: their cohort is named with ``or before``.
    """
    calendar = facts.calendar
    low, high = calendar.span("year")
    code = (np.arange(first, first + table.shape[1]) - (calendar.fiscal_year_start - 1)) // MONTHS_PER_YEAR
    years = list(range(low, high + 1))
    bought = np.stack([table[:, code == year].sum(axis=1) > 0 for year in years], axis=1)  # [account, year]
    begun = np.where(bought.any(axis=1), bought.argmax(axis=1), -1)
    found = []
    for cohort, year in enumerate(years):
        members = bought[begun == cohort]
        for later in range(cohort + 1, len(years)):
            if not len(members) or not calendar.complete("year", years[later]):
                continue
            name = calendar.name("year", year).split(" ")[0] + (" or before" if cohort == 0 else "")
            low_, high_ = jeffreys(np.array([members[:, later].sum()]), np.array([len(members)]))
            found.append(
                {
                    "kpi": "cohort_retention",
                    "level": "cohort",
                    "key": name,
                    "period": calendar.name("year", years[later]),
                    "value": members[:, later].mean(),
                    "numerator": float(members[:, later].sum()),
                    "denominator": float(len(members)),
                    "low": low_[0],
                    "high": high_[0],
                    "formula": "customers with revenue in the period / customers whose first revenue was in the cohort",
                }
            )
    return pd.DataFrame(found, columns=COLUMNS)


def renewals(facts: Facts) -> list[pd.DataFrame]:
    """Contracts that ended and were followed by another of the same account; nothing without the table."""
    contracts = facts.frames.get("contracts")
    if contracts is None:
        return []
    panel = facts.panel
    ended = contracts[contracts["end"] <= pd.Timestamp(panel.as_of - GRACE)]
    starts = contracts[["account", "start"]].rename(columns={"start": "next"})
    pairs = ended.reset_index(names="row")[["row", "account", "start", "end"]].merge(starts, on="account")
    gap = (pairs["next"] - pairs["end"]).abs() <= pd.Timedelta(GRACE)
    renewed = ended.index.isin(pairs.loc[gap & (pairs["next"] > pairs["start"]), "row"]).astype(np.float64)
    account = index_of(panel.accounts.labels.ids, ended["account"])
    owner, territory = (np.append(part, NONE)[account] for part in (panel.accounts.owner, panel.accounts.territory))
    placed = ended.assign(
        company=0,
        territory=territory,
        region=np.append(panel.territory_region, NONE)[territory],
        manager=np.append(panel.reps.manager, NONE)[owner],
        rep=owner,
    )
    what = f"contracts followed by another within {GRACE.astype(int)} days of their end / contracts that ended"
    measure = Measure(
        "contract_renewal_rate", what, placed, "end", ("company", "region", "territory", "manager", "rep")
    )
    return [share(facts, measure, renewed)]
