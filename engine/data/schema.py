"""The contract: what a value of each column of each table must look like.

Which columns a table must have is the config's business (`engine.config.data.TABLES`); this module says what may stand
in them.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

type Kind = Literal["text", "date", "number", "flag", "choice"]


@dataclass(frozen=True)
class Column:
    """What a cell may hold.

    Attributes
    ----------
    kind : type of the value
    filled : an empty cell is refused
    low, high : inclusive bounds of a number
    choices : allowed words of a choice, in lower case
    refers : table whose ids the cell names
    """

    kind: Kind
    filled: bool = False
    low: float = -np.inf
    high: float = np.inf
    choices: tuple[str, ...] = ()
    refers: str = ""


TEXT, DATE, FLAG = Column("text"), Column("date"), Column("flag")
ID, DAY = Column("text", filled=True), Column("date", filled=True)
MONEY = Column("number", low=0.0)
SHARE = Column("number", low=0.0, high=1.0)
LATITUDE, LONGITUDE = Column("number", low=-90.0, high=90.0), Column("number", low=-180.0, high=180.0)
LEVEL_NAMES = ("company", "region", "territory", "manager", "rep")


def _to(table: str, *, filled: bool = False) -> Column:
    return Column("text", filled=filled, refers=table)


COLUMNS: dict[str, dict[str, Column]] = {
    "opportunities": {
        "id": ID,
        "rep": _to("reps", filled=True),
        "stage": ID,
        "created": DATE,
        "closed": DATE,
        "outcome": Column("choice", filled=True, choices=("open", "won", "lost")),
        "account": _to("accounts"),
        "product": _to("products"),
        "amount": MONEY,
        "won_amount": MONEY,
        "expected_close": DATE,
        "name": TEXT,
        "category": TEXT,
        "currency": TEXT,
        "source": TEXT,
    },
    "stage_history": {
        "opportunity": ID,
        "stage": ID,
        "date": DAY,
        "expected_close": DATE,
        "amount": MONEY,
        "currency": TEXT,
    },
    "bookings": {
        "date": DAY,
        "amount": Column("number", filled=True),
        "rep": _to("reps"),
        "account": _to("accounts"),
        "product": _to("products"),
        "opportunity": _to("opportunities"),
        "cost": Column("number"),
        "territory": _to("territories"),
        "currency": TEXT,
    },
    "accounts": {
        "id": ID,
        "name": TEXT,
        "segment": TEXT,
        "industry": TEXT,
        "size": TEXT,
        "territory": _to("territories"),
        "owner": _to("reps"),
        "parent": TEXT,
        "hours": MONEY,
        "locked": FLAG,
        "location": TEXT,
        "latitude": LATITUDE,
        "longitude": LONGITUDE,
        "visits": MONEY,
        "language": TEXT,
        "skill": TEXT,
        "commission": SHARE,
        "reserved": FLAG,
    },
    "account_owners": {"account": _to("accounts", filled=True), "rep": _to("reps", filled=True), "valid_from": DAY},
    "reps": {
        "id": ID,
        "name": TEXT,
        "start": DATE,
        "end": DATE,
        "fte": Column("number", low=0.0, high=1.0),
        "role": TEXT,
        "manager": TEXT,
        "territory": _to("territories"),
        "ramp": MONEY,
        "latitude": LATITUDE,
        "longitude": LONGITUDE,
        "segments": TEXT,
        "languages": TEXT,
        "skills": TEXT,
        "commission": SHARE,
    },
    "territories": {"id": ID, "name": TEXT, "region": TEXT},
    "products": {"id": ID, "name": TEXT, "list_price": MONEY, "cost": MONEY, "currency": TEXT},
    "quotas": {
        "level": Column("choice", filled=True, choices=LEVEL_NAMES),
        "key": TEXT,
        "start": DAY,
        "end": DAY,
        "amount": Column("number", filled=True, low=0.0),
        "currency": TEXT,
    },
    "rep_forecasts": {
        "rep": _to("reps", filled=True),
        "as_of": DAY,
        "period_start": DAY,
        "amount": Column("number", filled=True),
        "currency": TEXT,
    },
    "leads": {
        "id": ID,
        "created": DAY,
        "source": TEXT,
        "rep": _to("reps"),
        "first_touch": DATE,
        "qualified": DATE,
        "opportunity": _to("opportunities"),
    },
    "activities": {
        "rep": _to("reps", filled=True),
        "date": DAY,
        "type": Column("choice", filled=True, choices=("call", "email", "meeting", "record")),
        "minutes": MONEY,
        "opportunity": _to("opportunities"),
        "account": _to("accounts"),
    },
    "contracts": {
        "account": _to("accounts", filled=True),
        "start": DAY,
        "end": DAY,
        "amount": Column("number", filled=True, low=0.0),
        "rep": _to("reps"),
        "product": _to("products"),
    },
    "rep_hours": {"rep": _to("reps", filled=True), "month": DAY, "paid": MONEY, "selling": MONEY},
    "rates": {"currency": ID, "rate": Column("number", filled=True, low=0.0), "date": DATE},
}
"""By table and column. A creation date may be empty (such deals are named and left out of the models); returns make
bookings negative."""


def empty_values(kind: Kind, index: pd.Index) -> pd.Series:
    """Missing values of a kind: NaN, NaT, missing text, false."""
    if kind == "number":
        return pd.Series(np.nan, index=index, dtype="float64")
    if kind == "date":
        return pd.Series(pd.NaT, index=index, dtype="datetime64[us]")
    if kind == "flag":
        return pd.Series(False, index=index, dtype=bool)
    return pd.Series(np.nan, index=index, dtype="str")
