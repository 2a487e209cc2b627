"""The section "Rep, territory and luck": what explains the spread of attainment, and what that split rests on."""

import numpy as np
import pandas as pd

from engine.planning.shares import QUOTA, SpreadReport
from engine.report.page import Column, Section, make_table
from models.attainment_shares import PARTS

MEANING = {
    "rep": "what stays with the rep from quarter to quarter, a book that never changed hands included",
    "territory": "what comes with the territories the rep works",
    "luck": "what does not come again in the next quarter",
}
"""What each part of the spread stands for."""


def shares_section(report: SpreadReport | None) -> Section | None:
    """Shares with 90 % intervals and, where the data cannot tell, the warning; None without a split."""
    if report is None:
        return None
    shares = report.shares
    measured = (
        "attainment (revenue over quota)"
        if report.measure == QUOTA
        else "revenue over the mean of the quarter's reps, since few reps have a quota,"
    )
    text = (
        f"How {shares.reps} reps differ within a quarter: the SD of {measured} is {shares.spread:.0%} "
        f"over {shares.quarters} quarters. {shares.movers} of the reps were seen in two territories or more."
    )
    if report.warning:
        text = f"{text} Warning: {report.warning}"
    columns = (
        Column("name", "Part"),
        Column("share", "Share of the variance", "share"),
        Column("range", "90 % interval"),
        Column("meaning", "What it is"),
    )
    table = make_table("shares-table", "Shares of the spread", shares_table(report), columns)
    return Section("shares", "Rep, territory and luck", text, (), (table,))


def shares_table(report: SpreadReport) -> pd.DataFrame:
    """One row a part: name, posterior mean share, low and high (90 %), range as text, meaning."""
    low, high = np.quantile(report.shares.share, [0.05, 0.95], axis=0)
    return pd.DataFrame(
        {
            "name": [part.capitalize() for part in PARTS],
            "share": report.shares.share.mean(axis=0),
            "low": low,
            "high": high,
            "range": [f"{a:.0%} to {b:.0%}" for a, b in zip(low, high, strict=True)],
            "meaning": [MEANING[part] for part in PARTS],
        }
    )
