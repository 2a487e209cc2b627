"""What a run knew about its deals and its number: one side of a comparison of two runs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from engine.archive import load
from engine.errors import EngineError
from engine.simulation.cells import booked_revenue
from models.calendar import month_number
from models.draws import ClosingDraws
from models.panel import OPEN, WON, Floats, Ints, Panel

TEXTS = {"level": str, "key": str, "period": str, "opportunity_id": str}


class NotComparableError(EngineError):
    """Two runs that have no number in common, or one whose files cannot be read."""

    exit_code = 2


@dataclass(frozen=True)
class Snapshot:
    """One run's side.

    Attributes
    ----------
    run : name of its folder
    currency : of all money
    panel, closing : the company as of the run's date, and the posterior of closing (None without the leg)
    months : [month] of the horizon, since 1970-01
    mean, p50, new : of the company over the horizon, money; ``new`` is expected of deals and orders to come
    deals : by opportunity id: index into the panel, outcome, in_horizon (closed there), booked in the horizon, chance
        to be won in it and expected revenue of open deals (0 for closed ones)
    orders : [month] booked orders
    """

    run: str
    currency: str
    panel: Panel
    closing: ClosingDraws | None
    months: Ints
    mean: float
    p50: float
    new: float
    deals: pd.DataFrame
    orders: Floats


def read_snapshot(folder: Path) -> Snapshot:
    """Read a finished run.

    Raises
    ------
    NotComparableError
        When one of its files cannot be read, such as those of an older version.
    """
    try:
        said = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        tables = {name: _read(folder / f"{name}.csv") for name in ("forecast", "deals")}
        panel = load(Panel, folder / "draws" / "panel.nc")
        stored = folder / "draws" / "closing.nc"
        closing = load(ClosingDraws, stored) if stored.is_file() else None
        return take_snapshot(folder.name, str(said["currency"]), (panel, closing), tables)
    except (OSError, ValueError, TypeError, KeyError, IndexError, yaml.YAMLError) as error:
        raise NotComparableError(f"the files of {folder.name} cannot be read: {error}") from error


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=TEXTS, keep_default_na=False, na_values=[""])


def take_snapshot(
    run: str, currency: str, company: tuple[Panel, ClosingDraws | None], tables: dict[str, pd.DataFrame]
) -> Snapshot:
    """One side from a panel with its posterior of closing and the tables ``forecast`` and ``deals`` of its run."""
    panel, closing = company
    rows = tables["forecast"][tables["forecast"]["level"] == "company"]
    names = rows.loc[rows["period"].str.fullmatch(r"\d{4}-\d{2}"), "period"].to_numpy(dtype=str)
    months = names.astype("datetime64[M]").astype(np.int64)
    whole = rows.iloc[-1]
    revenue = booked_revenue(panel)
    ordered = revenue.month[int((panel.deals.outcome == WON).sum()) :]
    amounts = revenue.amount[len(revenue.month) - len(ordered) :]
    return Snapshot(
        run=run,
        currency=currency,
        panel=panel,
        closing=closing,
        months=months,
        mean=float(whole["mean"]),
        p50=float(whole["p50"]),
        new=float(whole["new"]),
        deals=_deals(panel, months, tables["deals"]),
        orders=np.array([amounts[ordered == month].sum() for month in months]),
    )


def _deals(panel: Panel, months: Ints, table: pd.DataFrame) -> pd.DataFrame:
    """See `Snapshot.deals`. Ids go without the apostrophe that a file may put before them (see engine.report)."""
    deals, open_ = panel.deals, panel.deals.outcome == OPEN
    ids = pd.Index(deals.ids.astype(object), name="opportunity_id").str.removeprefix("'")
    known = table.assign(opportunity_id=table["opportunity_id"].str.removeprefix("'")).set_index("opportunity_id")
    known = known[["p_win_in_period", "expected_revenue"]].astype(float).reindex(ids).fillna(0.0)
    inside = ~open_ & np.isin(month_number(deals.closed), months)
    return pd.DataFrame(
        {
            "index": np.arange(len(ids)),
            "outcome": deals.outcome,
            "in_horizon": inside,
            "booked": np.where(inside & (deals.outcome == WON), np.nan_to_num(deals.won_amount), 0.0),
            "chance": np.where(open_, known["p_win_in_period"], 0.0),
            "expected": np.where(open_, known["expected_revenue"], 0.0),
        },
        index=ids,
    )
