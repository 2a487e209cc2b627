"""The section "Rep, territory and luck": what explains the spread of attainment, and what that split rests on."""

import numpy as np
import pandas as pd

from engine.planning.shares import QUOTA, SpreadReport
from engine.report.page import Column, Section, make_table
from engine.report.words import Words
from models.attainment_shares import PARTS

COLUMNS = (
    Column("name", "col.part"),
    Column("share", "col.share_of_variance", "share"),
    Column("low", "col.low", "share"),
    Column("high", "col.high", "share"),
    Column("meaning", "col.meaning", wide=True),
)


def shares_section(report: SpreadReport | None, words: Words) -> Section | None:
    """Shares with 90 % intervals and, where the data cannot tell, the warning; None without a split."""
    if report is None:
        return None
    shares = report.shares
    text = words(
        "text.shares_quota" if report.measure == QUOTA else "text.shares_team",
        reps=shares.reps,
        spread=words.share(shares.spread),
        quarters=shares.quarters,
        movers=shares.movers,
    )
    if report.warning:
        text = f"{text} {words('text.warning', warning=report.warning)}"
    table = make_table(words, "shares", shares_table(report, words), COLUMNS)
    return Section("shares", words("section.shares"), text, (), (table,))


def shares_table(report: SpreadReport, words: Words) -> pd.DataFrame:
    """One row a part: name, posterior mean share, low and high (90 %), meaning."""
    low, high = np.quantile(report.shares.share, [0.05, 0.95], axis=0)
    return pd.DataFrame(
        {
            "name": [words(f"part.{part}") for part in PARTS],
            "share": report.shares.share.mean(axis=0),
            "low": low,
            "high": high,
            "meaning": [words(f"meaning.{part}") for part in PARTS],
        }
    )
