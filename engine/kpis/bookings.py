"""Contracts received: what was booked by period, beside the year before, the quota, and the contracts signed."""

import numpy as np
import pandas as pd

from engine.kpis.calendar import GRAINS
from engine.kpis.cells import KEYS, Cells, kept_periods, tally
from engine.kpis.facts import Facts, index_of
from engine.kpis.targets import given_targets
from models.calendar import MONTHS_PER_YEAR
from models.panel import NONE, Floats

RECEIVED_LEVELS = ("company", "region", "territory", "manager", "rep", "product")

COLUMNS = [
    "level",
    "key",
    "key_name",
    "grain",
    "period",
    "deals",
    "deal_amount",
    "orders",
    "order_amount",
    "total",
    "year_before",
    "change",
    "quota",
    "attainment",
    "contracts",
    "contract_amount",
]


def contracts_received(facts: Facts) -> pd.DataFrame:
    """One row a member and period with a booking, the newest period of each grain first."""
    rows = facts.revenue
    deal = rows["deal"].to_numpy().astype(np.float64)
    amount = rows["amount"].to_numpy()
    sums = {"deals": deal, "deal_amount": deal * amount, "orders": 1 - deal, "order_amount": (1 - deal) * amount}
    cells = tally(facts, rows, "date", sums | {"total": amount}, RECEIVED_LEVELS, MONTHS_PER_YEAR)
    cells = _with_year_before(facts, cells, amount)
    shown = {(level, grain): kept_periods(facts, level, grain) for level in RECEIVED_LEVELS for grain in GRAINS}
    pairs = zip(cells["level"], cells["grain"], cells["code"], strict=True)
    cells = cells[[code in shown[level, grain] for level, grain, code in pairs]].reset_index(drop=True)
    cells = cells.assign(quota=quota_of(facts, cells))
    cells = cells.merge(_signed(facts), how="left", on=KEYS)
    cells["change"] = cells["total"] / cells["year_before"].where(cells["year_before"] > 0) - 1.0
    cells["attainment"] = cells["total"] / cells["quota"].where(cells["quota"] > 0)
    names = {level: dict(zip(*_pair(facts, level), strict=True)) for level in cells["level"].unique()}
    cells["key_name"] = [names[level][key] for level, key in zip(cells["level"], cells["key"], strict=True)]
    calendar = facts.calendar
    named = zip(cells["grain"], cells["code"], strict=True)
    cells["period"] = [calendar.name(grain, int(code)) for grain, code in named]
    cells[["deals", "orders"]] = cells[["deals", "orders"]].astype(np.int64)
    rank = {level: i for i, level in enumerate(RECEIVED_LEVELS)}, {grain: i for i, grain in enumerate(GRAINS)}
    order = {"_level": cells["level"].map(rank[0]), "_grain": cells["grain"].map(rank[1]), "_new": -cells["code"]}
    cells = cells.assign(**order).sort_values(["_level", "_grain", "_new", "key"], kind="stable", ignore_index=True)
    return cells[COLUMNS]


def quota_of(facts: Facts, cells: Cells) -> pd.Series:
    """[cell] given target of the whole period, NaN where none is given."""
    found = pd.Series(np.nan, index=cells.index)
    for (level, grain), part in cells.groupby(["level", "grain"], sort=False):
        if level in ("product", "source"):
            continue
        codes = np.unique(part["code"].to_numpy(dtype=np.int64))
        spans = np.array([facts.calendar.months(str(grain), int(code)) for code in codes])
        amounts = given_targets(facts, str(level), spans[:, 0], spans[:, 1])
        place = index_of(facts.labels(str(level)).ids, part["key"])
        found[part.index] = amounts[place, np.searchsorted(codes, part["code"].to_numpy(dtype=np.int64))]
    return found


def _pair(facts: Facts, level: str) -> tuple[list[str], list[str]]:
    labels = facts.labels(level)
    return labels.ids.tolist(), labels.names.tolist()


def _with_year_before(facts: Facts, cells: Cells, amount: Floats) -> Cells:
    """Totals of the same days a year before, so a running period is compared with as much of the one before.

    NaN where nothing was booked, and where that period began before the first day that is known.

    Parameters
    ----------
    amount : [row of facts.revenue] money
    """
    later = facts.revenue.assign(date=facts.revenue["date"] + pd.DateOffset(years=1))
    before = tally(facts, later, "date", {"year_before": amount}, RECEIVED_LEVELS, MONTHS_PER_YEAR)
    cells = cells.merge(before.drop(columns="n"), how="left", on=KEYS)
    calendar = facts.calendar
    first = {grain: calendar.span(grain)[0] for grain in GRAINS}
    first = {grain: code + (not calendar.began(grain, code)) for grain, code in first.items()}
    begins = cells["grain"].map({grain: code + MONTHS_PER_YEAR // GRAINS[grain] for grain, code in first.items()})
    return cells.assign(year_before=cells["year_before"].where(cells["code"] >= begins))


def _signed(facts: Facts) -> Cells:
    """Contracts that began in the period, by the owner of their account; no rows without the table."""
    contracts = facts.frames.get("contracts")
    if contracts is None:
        return pd.DataFrame({name: pd.Series(dtype=object if name != "code" else np.int64) for name in KEYS}).assign(
            contracts=np.nan, contract_amount=np.nan
        )
    panel = facts.panel
    account = index_of(panel.accounts.labels.ids, contracts["account"])
    owner = np.append(panel.accounts.owner, NONE)[account]
    territory = np.append(panel.accounts.territory, NONE)[account]
    placed = contracts.assign(
        company=0,
        region=np.append(panel.territory_region, NONE)[territory],
        territory=territory,
        manager=np.append(panel.reps.manager, NONE)[owner],
        rep=owner,
        product=NONE,
    )
    amount: Floats = contracts["amount"].to_numpy()
    cells = tally(facts, placed, "start", {"contract_amount": amount}, RECEIVED_LEVELS)
    return cells.rename(columns={"n": "contracts"})
