"""A small company whose deals are given: the panel that the pipeline's sub-models are calibrated on."""

from dataclasses import dataclass

import numpy as np

from models.panel import (
    NONE,
    Accounts,
    Dates,
    Deals,
    Floats,
    Ints,
    Labels,
    Orders,
    Panel,
    Products,
    Quotas,
    Reps,
    StageMoves,
)

REPS, TERRITORIES, PRODUCTS, SEGMENTS, STAGES = 12, 3, 3, 2, 3
"""Members of the company."""

UNKNOWN = np.datetime64("NaT", "D")

LEAVES = np.datetime64("2029-12-31")
"""Last day of every rep, later than any horizon: an exposure must not depend on whether a rep has created a deal."""


@dataclass(frozen=True)
class DealTable:
    """What differs between simulated deals; all [deal]. Territories are those of the reps."""

    rep: Ints
    product: Ints
    segment: Ints
    created: Dates
    closed: Dates
    outcome: Ints
    list_amount: Floats
    won_amount: Floats


def small_company(as_of: str, deals: DealTable, moves: StageMoves, hired: Dates) -> Panel:
    """Panel of given deals.

    Parameters
    ----------
    as_of : date of the panel
    deals : the pipeline, in order of id
    moves : stage history, possibly empty
    hired : [rep] first day of employment
    """
    count = len(deals.rep)
    ids = np.array([f"D{i:06d}" for i in range(count)], dtype=str)
    none, no_date = np.zeros(count, dtype=np.int64), np.full(count, UNKNOWN)
    first = deals.created.min()
    return Panel(
        as_of=np.datetime64(as_of, "D"),
        first_day=first,
        regions=_labels("region", 1),
        territories=_labels("territory", TERRITORIES),
        managers=_labels("manager", 1),
        segments=_labels("segment", SEGMENTS),
        industries=_labels("industry", 1),
        stages=_labels("stage", STAGES),
        territory_region=np.zeros(TERRITORIES, dtype=np.int64),
        reps=_reps(hired),
        accounts=_no_accounts(),
        products=Products(_labels("product", PRODUCTS), np.full(PRODUCTS, np.nan)),
        deals=Deals(
            ids=ids,
            names=ids,
            account=none + NONE,
            rep=deals.rep,
            product=deals.product,
            territory=deals.rep % TERRITORIES,
            segment=deals.segment,
            stage=none,
            created=deals.created,
            exposed=deals.created,
            closed=deals.closed,
            expected_close=no_date,
            pushes=none,
            outcome=deals.outcome.astype(np.int8),
            list_amount=deals.list_amount,
            won_amount=deals.won_amount,
            category=np.full(count, "", dtype=str),
        ),
        stage_moves=moves,
        orders=_no_orders(first),
        quotas=_no_quotas(),
        barred=(),
        fiscal_year_start=1,
    )


def no_moves() -> StageMoves:
    """No stage history: stages are not used."""
    empty = np.empty(0, dtype=np.int64)
    return StageMoves(empty, empty, np.empty(0, dtype="datetime64[D]"))


def _labels(prefix: str, count: int) -> Labels:
    names = np.array([f"{prefix}{i:02d}" for i in range(count)], dtype=str)
    return Labels(names, names)


def _reps(hired: Dates) -> Reps:
    count = len(hired)
    return Reps(
        labels=_labels("rep", count),
        manager=np.zeros(count, dtype=np.int64),
        territory=np.arange(count) % TERRITORIES,
        start=hired,
        end=np.full(count, LEAVES),
        fte=np.ones(count),
        active=np.ones(count, dtype=bool),
    )


def _no_accounts() -> Accounts:
    empty, no = np.empty(0, dtype=np.int64), np.empty(0, dtype=bool)
    return Accounts(_labels("account", 0), empty, empty, empty, empty, no, np.empty(0), no, empty)


def _no_orders(first: np.datetime64) -> Orders:
    empty = np.empty(0, dtype=np.int64)
    return Orders(empty, empty, empty, empty, np.empty(0), int(first.astype("datetime64[M]").astype(np.int64)))


def _no_quotas() -> Quotas:
    text, day = np.empty(0, dtype=str), np.empty(0, dtype="datetime64[D]")
    return Quotas(text, text, day, day, np.empty(0))
