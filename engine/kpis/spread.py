"""Stage conversion of every rep, shrunk, and what share of the spread of attainment rep, territory and luck explain."""

import numpy as np
import pandas as pd

from engine.kpis.cells import COLUMNS
from engine.results import ForecastResult
from models.attainment_shares import PARTS

UP_TO = "all deals up to "


def stage_conversions(result: ForecastResult, coaching: pd.DataFrame) -> list[pd.DataFrame]:
    """Two rows a step and rep: the shrunk rate with its interval, and the chance to be below the team.

    Parameters
    ----------
    coaching : see `engine.kpis.coaching.coaching_signals`
    """
    if coaching.empty:
        return []
    common = {
        "level": "rep",
        "key": coaching["rep"].to_numpy(),
        "period": f"{UP_TO}{result.panel.as_of}",
        "numerator": coaching["passed"].to_numpy(dtype=float),
        "denominator": coaching["tried"].to_numpy(dtype=float),
    }
    steps = coaching["step"]
    rate = pd.DataFrame(common).assign(
        kpi="stage_conversion",
        value=coaching["shrunk_rate"].to_numpy(),
        low=coaching["p05_rate"].to_numpy(),
        high=coaching["p95_rate"].to_numpy(),
        formula=("deals that went on / deals decided at the step, shrunk (beta-binomial): " + steps).to_numpy(),
    )
    below = pd.DataFrame(common).assign(
        kpi="stage_conversion_below_team",
        value=coaching["p_below"].to_numpy(),
        low=np.nan,
        high=np.nan,
        formula=("posterior chance that the rate is below the rest of the team's: " + steps).to_numpy(),
    )
    return [rate[COLUMNS], below.loc[np.isfinite(below["value"]), COLUMNS]]


def luck(result: ForecastResult) -> list[pd.DataFrame]:
    """One row a part of the spread, with its posterior interval; nothing where there is too little to split."""
    if result.spread is None:
        return []
    shares = result.spread.shares
    low, high = np.quantile(shares.share, [0.05, 0.95], axis=0)
    warned = f"; {result.spread.warning}" if result.spread.warning else ""
    what = f"variance of the part / variance of attainment over rep-quarters (revenue / {result.spread.measure})"
    frame = {
        "kpi": [f"spread_share_of_{part}" for part in PARTS],
        "level": "company",
        "key": "",
        "period": f"{shares.quarters} complete quarters up to {result.panel.as_of}",
        "value": shares.share.mean(axis=0),
        "numerator": np.nan,
        "denominator": float(shares.reps),
        "low": low,
        "high": high,
        "formula": what + warned,
    }
    return [pd.DataFrame(frame)[COLUMNS]]
