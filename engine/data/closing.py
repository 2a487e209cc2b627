"""What closing a deal wrote over: its amount and its expected close are taken back from the history.

Salesforce and HubSpot have one amount and one close date: at the closing they become what was booked and when. What
they were before stands in the last row of the history before the closing one.
"""

import pandas as pd

from engine.data.tables import StageOrder, column

type Frames = dict[str, pd.DataFrame]


def before_closing(frames: Frames, stages: StageOrder) -> None:
    """Give closed deals and the last rows of their history what was known before. Changes ``frames``."""
    deals, history = frames.get("opportunities"), frames.get("stage_history")
    if deals is None:
        return
    facts = [name for name in ("expected_close", "amount") if history is not None and name in history]
    if history is not None and facts:
        frames["stage_history"] = history = _without_closing(history, stages, facts)
    if "amount" in deals and "won_amount" not in deals:
        deals["won_amount"] = deals["amount"].where(deals["outcome"] == "won")
    if history is None:
        return
    closed = deals["outcome"].isin(["won", "lost"])
    for name in facts:
        last = history[history[name].notna()].groupby("opportunity", sort=False)[name].last()
        found = deals["id"].map(last)
        deals[name] = column(deals, name).mask(closed & found.notna(), found.astype(column(deals, name).dtype))


def _without_closing(history: pd.DataFrame, stages: StageOrder, facts: list[str]) -> pd.DataFrame:
    """History whose rows in closing stages repeat the row before."""
    ordered = history.sort_values("date", kind="stable")
    ended = ordered["stage"].map(stages.meaning).isin(["won", "lost"])
    filled = ordered[facts].mask(ended).groupby(ordered["opportunity"]).ffill()
    return history.assign(**{name: filled[name] for name in facts})
