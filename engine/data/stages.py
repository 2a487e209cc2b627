"""Order and meaning of the stages: from the config, or from the data where the config is silent."""

import pandas as pd

from engine.config.schema import MEANING_BY_WORD
from engine.data.tables import StageOrder
from engine.errors import InputRefusedError, Problem


def stage_order(configured: dict[str, str], frames: dict[str, pd.DataFrame]) -> StageOrder:
    """Stages in order.

    Parameters
    ----------
    configured : stage name to meaning as the config has them, in order; empty to take them from the data
    frames : typed tables

    Raises
    ------
    InputRefusedError
        When the meaning of the stages cannot be told.
    """
    deals = frames.get("opportunities")
    if deals is None:
        return StageOrder(configured, next((name for name, word in configured.items() if word == "open"), ""))
    meaning = configured or _from_data(deals, frames.get("stage_history"))
    openings = [name for name, word in meaning.items() if word == "open"]
    if not openings or "won" not in meaning.values():
        came = ", ".join(f"{name} ({word})" for name, word in meaning.items()) or "none"
        allowed = "at least one open stage and one won stage"
        raise InputRefusedError([Problem("config, stages", came, allowed, "list the stages with their meaning")])
    dated = deals.loc[deals["stage"].isin(openings) & deals["created"].notna(), "stage"].value_counts()
    unknown = max(openings, key=lambda name: dated.get(name, 0))
    return StageOrder(meaning, unknown)


def _from_data(deals: pd.DataFrame, history: pd.DataFrame | None) -> dict[str, str]:
    """Stages of the table: open ones in the order deals enter them (by name without a history), then closed ones."""
    names = sorted(deals["stage"].dropna().unique())
    if history is not None:
        names = sorted({*names, *history["stage"].dropna()})
        entered = history.sort_values(["opportunity", "date"], kind="stable")
        rank = entered.groupby("opportunity", sort=False).cumcount().groupby(entered["stage"]).mean()
        names.sort(key=lambda name: (rank.get(name, 0.0), name))
    if "outcome" in deals:
        counts = deals.groupby(["stage", "outcome"]).size().sort_values(kind="stable")
        most = counts.reset_index().drop_duplicates("stage", keep="last").set_index("stage")["outcome"]
        meaning = {name: str(most.get(name, _by_word(name))) for name in names}
    else:
        meaning = {name: _by_word(name) for name in names}
    return dict(sorted(meaning.items(), key=lambda item: item[1] != "open"))


def _by_word(name: str) -> str:
    words = name.casefold().replace("-", " ").replace("_", " ").split()
    return next((MEANING_BY_WORD[word] for word in words if word in MEANING_BY_WORD), "open")
