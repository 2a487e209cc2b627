"""Deals and stage moves of a panel."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.data.coordinates import days, index_in, take, texts
from engine.data.tables import Tables, column
from engine.data.worth import booked_amount, list_price
from models.panel import LOST, NONE, OPEN, WON, Accounts, Deals, Ints, Labels, Products, Reps, StageMoves

CODES = {"open": OPEN, "won": WON, "lost": LOST}


@dataclass(frozen=True)
class Entities:
    """Entities that deals point to."""

    reps: Reps
    accounts: Accounts
    products: Products
    stages: Labels


def usable_deals(tables: Tables) -> pd.DataFrame:
    """Deals with a creation date, by id, with every optional column; barred attributes missing (the account stays)."""
    deals = tables.frames["opportunities"]
    booked = booked_amount(tables.frames)
    names = ("account", "product", "amount", "expected_close", "name", "category")
    full = deals.assign(**{name: column(deals, name) for name in names}, booked=booked)
    for name in tables.barred:
        if name != "account":
            full[name] = np.nan if full[name].dtype != "datetime64[us]" else pd.NaT
    return full[full["created"].notna()].sort_values("id").reset_index(drop=True)


def deal_arrays(tables: Tables, entities: Entities) -> tuple[Deals, StageMoves]:
    """Deals and stage moves of a panel; none without an opportunities table, or before the first deal."""
    deals = usable_deals(tables) if "opportunities" in tables.frames else pd.DataFrame()
    if deals.empty:
        return _no_deals(), StageMoves(_ints(), _ints(), _no_days())
    history = _usable_history(tables, deals)
    moves = _stage_moves(history, entities.stages)
    account = index_in(entities.accounts.labels, deals["account"])
    rep = index_in(entities.reps.labels, deals["rep"])
    segment, territory = _covariates(tables, entities, account, rep)
    created, closed = days(deals["created"]), days(deals["closed"])
    won = (deals["outcome"] == "won").to_numpy()
    shown = deals["amount"] if "amount" in tables.barred else _amount_shown(history, deals)
    amount = shown.where(shown > 0).fillna(list_price(tables.frames, deals["product"]))
    return Deals(
        ids=texts(deals["id"]),
        names=texts(deals["name"]),
        account=account,
        rep=rep,
        product=index_in(entities.products.labels, deals["product"]),
        territory=territory,
        segment=segment,
        stage=_stages(deals, moves, tables, entities.stages),
        created=created,
        exposed=_exposed(created, closed),
        closed=closed,
        expected_close=days(deals["expected_close"]),
        pushes=_pushes(history, deals),
        outcome=deals["outcome"].map(CODES).to_numpy(dtype=np.int64).astype(np.int8),
        list_amount=amount.to_numpy(dtype=np.float64, copy=True),
        won_amount=np.where(won, deals["booked"].to_numpy(dtype=np.float64), np.nan),
        category=texts(deals["category"]),
    ), moves


def _covariates(tables: Tables, entities: Entities, account: Ints, rep: Ints) -> tuple[Ints, Ints]:
    """[deal] segment and territory as the models may see them."""
    home = take(entities.reps.territory, rep)
    if "account" in tables.barred:
        return np.zeros(len(account), dtype=np.int64), home
    place = take(entities.accounts.territory, account)
    segment = take(entities.accounts.segment, account)
    return np.where(segment == NONE, 0, segment), np.where(place == NONE, home, place)


def _exposed(created: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """Start of exposure: an export shows no deal that closed before its first recorded closing."""
    first = closed[~np.isnat(closed)]
    return np.maximum(created, first.min()) if len(first) else created.copy()


def _usable_history(tables: Tables, deals: pd.DataFrame) -> pd.DataFrame:
    """Stage history of usable deals up to their closing, by deal and date."""
    history = tables.frames.get("stage_history")
    if history is None:
        history = pd.DataFrame(
            {
                "opportunity": pd.Series(dtype="str"),
                "stage": pd.Series(dtype="str"),
                "date": pd.Series(dtype="datetime64[us]"),
            }
        )
    number = pd.Series(np.arange(len(deals)), index=deals["id"])
    deal = history["opportunity"].map(number)
    dated = {name: column(history, name) for name in ("expected_close", "amount")}
    rows = history.assign(deal=deal, **dated)[deal.notna()]
    rows = rows.assign(deal=rows["deal"].astype("int64"))
    end = rows["deal"].map(deals["closed"])
    return rows[~(rows["date"] > end)].sort_values(["deal", "date"], kind="stable")


def _amount_shown(history: pd.DataFrame, deals: pd.DataFrame) -> pd.Series:
    """[deal] amount while it was open: the last on record before the day of its closing, else the table's."""
    end = history["deal"].map(deals["closed"])
    known = history[history["amount"].notna() & ~(history["date"] >= end)]
    return known.groupby("deal")["amount"].last().reindex(deals.index).fillna(deals["amount"])


def _stage_moves(history: pd.DataFrame, stages: Labels) -> StageMoves:
    """Entries into open stages; rows that repeat the stage a deal is in are no moves."""
    stage = index_in(stages, history["stage"])
    rows = history.assign(index=stage)[stage != NONE]
    again = (rows["deal"] == rows["deal"].shift()) & (rows["index"] == rows["index"].shift())
    rows = rows[~again]
    return StageMoves(
        rows["deal"].to_numpy(dtype=np.int64, copy=True),
        rows["index"].to_numpy(dtype=np.int64, copy=True),
        days(rows["date"]),
    )


def _stages(deals: pd.DataFrame, moves: StageMoves, tables: Tables, stages: Labels) -> Ints:
    """[deal] stage at the date: of an open deal the table's, of a closed one the last open stage on record."""
    stage = index_in(stages, deals["stage"])
    last = np.full(len(deals), index_in(stages, pd.Series([tables.stages.unknown], dtype="str"))[0])
    last[moves.deal] = moves.stage  # moves are in order of date: the last assignment wins
    return np.where(stage == NONE, last, stage)


def _pushes(history: pd.DataFrame, deals: pd.DataFrame) -> Ints:
    """[deal] how often the expected close was moved later."""
    known = history[history["expected_close"].notna()]
    later = known["expected_close"] > known.groupby("deal")["expected_close"].shift()
    return np.bincount(known.loc[later, "deal"].to_numpy(dtype=np.int64), minlength=len(deals)).astype(np.int64)


def _ints() -> Ints:
    return np.zeros(0, dtype=np.int64)


def _no_days() -> np.ndarray:
    return np.zeros(0, dtype="datetime64[D]")


def _no_deals() -> Deals:
    none, never, nothing = _ints(), _no_days(), np.zeros(0)
    return Deals(
        texts([]),
        texts([]),
        none,
        none,
        none,
        none,
        none,
        none,
        never,
        never,
        never,
        never,
        none,
        np.zeros(0, dtype=np.int8),
        nothing,
        nothing,
        texts([]),
    )
