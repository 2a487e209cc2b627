"""What tables may say of reps and accounts for the rules of an assignment alone; no model ever sees it."""

import pandas as pd

from engine.data.coordinates import index_in, looked_up, texts
from engine.data.tables import Tables
from models.panel import Bools, Floats, Ints, Labels, Texts

ACCOUNT_TRAITS = ("latitude", "longitude", "visits", "language", "skill", "commission", "reserved")
REP_TRAITS = ("latitude", "longitude", "segments", "languages", "skills", "commission")
"""Columns that are read where a table has them."""

WORDS = ("language", "skill", "segments", "languages", "skills")
"""Those that hold words, one or several separated by ``|``."""


def traits(table: pd.DataFrame, names: tuple[str, ...]) -> dict[str, Floats | Texts | Bools]:
    """Arrays of the columns that the table has: numbers, words in small letters, or flags."""
    found: dict[str, Floats | Texts | Bools] = {}
    for name in names:
        if name not in table:
            continue
        if name in WORDS:
            found[name] = texts(table[name].map(_tidy, na_action="ignore"))
        elif name == "reserved":
            found[name] = table[name].eq(True).to_numpy(dtype=bool, copy=True)
        else:
            found[name] = table[name].to_numpy(dtype=float, copy=True)
    return found


def _tidy(words: object) -> str:
    return "|".join(word.strip().casefold() for word in str(words).split("|") if word.strip())


def previous_owners(tables: Tables, accounts: pd.Series, owner: Ints, reps: Labels) -> Ints | None:
    """[account] last rep before the present owner by account_owners, NONE without one; None without that table.

    Parameters
    ----------
    accounts : [account] ids
    owner : [account] index of the present owner
    """
    history = tables.frames.get("account_owners")
    if history is None:
        return None
    history = history[history["valid_from"] <= pd.Timestamp(tables.as_of)].sort_values("valid_from", kind="stable")
    present = pd.Series([reps.ids[r] if r >= 0 else "" for r in owner], index=accounts.to_numpy(), dtype="str")
    others = history[history["rep"].to_numpy() != looked_up(history["account"], present).to_numpy()]
    return index_in(reps, looked_up(accounts, others.groupby("account")["rep"].last()))
