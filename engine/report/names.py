"""Whose names a page shows."""

import re
from collections.abc import Mapping

import pandas as pd

SHORTEST = 3
"""Characters from which on a text that names a rep is looked for in sentences: shorter ones would hit anything."""

SENTENCES = ("action", "row", "drivers", "words")
"""Columns whose texts may name a rep among other words."""

PSEUDONYM = "Rep"
"""What a numbered rep is called where no language is asked for."""


def aliases(tables: dict[str, pd.DataFrame], names: str, called: str = PSEUDONYM) -> dict[str, str]:
    """What stands for each rep's id: a number in the order of ids, or nothing; empty for "full" names."""
    if names == "full":
        return {}
    reps = tables["forecast"].query("level == 'rep'")["key"].drop_duplicates().sort_values()
    return {key: f"{called} {i:02d}" if names == "pseudonymous" else "" for i, key in enumerate(reps, 1)}


def anonymous(tables: dict[str, pd.DataFrame], names: str, called: str = PSEUDONYM) -> dict[str, pd.DataFrame]:
    """Tables with rep names as they are ("full"), numbered ("pseudonymous") or blank ("absent").

    Only the page is shortened: the CSV files feed operations and keep their ids.
    """
    if names == "full":
        return tables
    alias = aliases(tables, names, called)
    rows = tables["forecast"].query("level == 'rep'")
    known = {str(name): alias[key] for key, name in zip(rows["key"], rows["key_name"], strict=True)}
    found = {word: text or "…" for word, text in (known | alias).items() if len(word) >= SHORTEST}
    tables = {name: _without_names(frame, found) for name, frame in tables.items()}
    return {name: _aliased(frame.copy(), alias) for name, frame in tables.items()}


def _without_names(frame: pd.DataFrame, found: Mapping[str, str]) -> pd.DataFrame:
    """The table with reps in the middle of sentences called as everywhere else."""
    return frame.assign(**{name: masked(frame[name], found) for name in SENTENCES if name in frame})


def masked(texts: "pd.Series[str]", found: Mapping[str, str]) -> "pd.Series[str]":
    """Texts with every whole word or name of ``found`` replaced."""
    words = sorted((word for word in found if len(word) >= SHORTEST), key=len, reverse=True)
    if not words:
        return texts
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)")
    return texts.map(lambda text: pattern.sub(lambda hit: found[hit[0]], text) if isinstance(text, str) else text)


def _aliased(frame: pd.DataFrame, alias: dict[str, str]) -> pd.DataFrame:
    for column in ("rep", "old_rep", "new_rep", "earlier_rep", "owner"):
        if column in frame:
            hidden = frame[column].map(alias).fillna("")
            frame[column] = hidden
            if f"{column}_name" in frame:
                frame[f"{column}_name"] = hidden
    if {"level", "key"} <= set(frame):
        reps = frame["level"] == "rep"
        frame.loc[reps, "key_name"] = frame.loc[reps, "key"].map(alias).fillna("")
        frame.loc[reps, "key"] = frame.loc[reps, "key_name"]
    return frame
