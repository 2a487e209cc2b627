"""Whose names a page shows."""

import pandas as pd


def anonymous(tables: dict[str, pd.DataFrame], names: str) -> dict[str, pd.DataFrame]:
    """Tables with rep names as they are ("full"), numbered ("pseudonymous") or blank ("absent").

    Only the page is shortened: the CSV files feed operations and keep their ids.
    """
    if names == "full":
        return tables
    reps = tables["forecast"].query("level == 'rep'")["key"].drop_duplicates().sort_values()
    alias = {key: f"Rep {i:02d}" if names == "pseudonymous" else "" for i, key in enumerate(reps, 1)}
    return {name: _aliased(frame.copy(), alias) for name, frame in tables.items()}


def _aliased(frame: pd.DataFrame, alias: dict[str, str]) -> pd.DataFrame:
    for column in ("rep", "old_rep", "new_rep", "owner"):
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
