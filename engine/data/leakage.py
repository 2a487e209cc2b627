"""Finds attributes whose presence gives the outcome away.

An attribute without a time stamp may have been filled in when a deal closed. Then "it is there" means "it has closed",
and a model that may look at it has seen the future. Presence is compared between closed and open deals of comparable
age, and between won and lost ones; an attribute that differs strongly is barred.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from engine.data.issues import OPERATIONS, DataIssue
from engine.data.worth import deal_worth

SUSPECTS = ("account", "product", "amount", "expected_close", "name", "category")
"""Optional attributes of opportunities without a time stamp of their own."""

CHANCE = 1e-6
"""Largest p-value of Fisher's exact test at which a difference is no accident."""

EFFECT = 0.1
"""Smallest difference of the shares (0 to 1) that matters: weaker ones give little away."""

AGES = (0.01, 0.99)
"""Quantiles of the age at closing between which an open deal is of comparable age."""


@dataclass(frozen=True)
class Leak:
    """A barred attribute, two groups of deals, and the share (0 to 1) of each in which it is present."""

    attribute: str
    groups: tuple[str, str]
    shares: tuple[float, float]
    p_value: float


def find_leaks(deals: pd.DataFrame, as_of: np.datetime64) -> list[Leak]:
    """Attributes of opportunities that leak, in the order of `SUSPECTS`.

    Parameters
    ----------
    deals : opportunities, typed
    as_of : day whose open deals are meant, for their age

    References
    ----------
    Kaufman et al. (2012), Leakage in data mining, doi:10.1145/2382577.2382579
    """
    dated = deals[deals["created"].notna()]
    opened = dated["outcome"] == "open"
    age = (dated["closed"].fillna(pd.Timestamp(as_of)) - dated["created"]).dt.days
    low, high = age[~opened].quantile(list(AGES)) if (~opened).any() else (0.0, 0.0)
    peers = opened & age.between(low, high)
    leaks = []
    for name in SUSPECTS:
        if name not in dated:
            continue
        present = dated[name] > 0 if name == "amount" else dated[name].notna()
        contrasts = (
            (("closed", "open"), ~opened, peers if peers.any() else opened),
            (("won", "lost"), dated["outcome"] == "won", dated["outcome"] == "lost"),
        )
        found = [
            leak for groups, one, other in contrasts if (leak := _contrast(name, groups, present[one], present[other]))
        ]
        if found:
            leaks.append(max(found, key=lambda leak: abs(leak.shares[0] - leak.shares[1])))
    return leaks


def _contrast(name: str, groups: tuple[str, str], one: pd.Series, other: pd.Series) -> Leak | None:
    """Leak when presence differs strongly between two groups of deals."""
    if one.empty or other.empty:
        return None
    shares = float(one.mean()), float(other.mean())
    table = [[int(group.sum()), int((~group).sum())] for group in (one, other)]
    p_value = float(stats.fisher_exact(table).pvalue)
    return Leak(name, groups, shares, p_value) if abs(shares[0] - shares[1]) >= EFFECT and p_value < CHANCE else None


def leak_issues(leaks: list[Leak], frames: dict[str, pd.DataFrame]) -> list[DataIssue]:
    """An issue per leak, with the shares over all deals beside those of comparable age."""
    deals = frames["opportunities"]
    worth = deal_worth(frames)
    issues = []
    for leak in leaks:
        present = deals[leak.attribute] > 0 if leak.attribute == "amount" else deals[leak.attribute].notna()
        inside = {
            "closed": deals["outcome"] != "open",
            **{word: deals["outcome"] == word for word in ("open", "won", "lost")},
        }
        everywhere = [100 * float(present[inside[group]].mean()) for group in leak.groups]
        age = " of comparable age" if leak.groups == ("closed", "open") else ""
        action = (
            f"{leak.attribute} present on {everywhere[0]:.0f} % of {leak.groups[0]} and {everywhere[1]:.0f} % of "
            f"{leak.groups[1]} deals ({100 * leak.shares[0]:.0f} and {100 * leak.shares[1]:.0f} %{age}, Fisher's exact "
            f"test p {_p_value(leak.p_value)}): filled in after the outcome; barred from the models, "
            f"{_instead(leak.attribute)}"
        )
        at_stake = float(worth[~present & (deals["outcome"] == "open")].sum(min_count=1))
        issues.append(
            DataIssue("opportunities", "", f"leak: {leak.attribute}", "warning", OPERATIONS, at_stake, action)
        )
    return issues


def _p_value(value: float) -> str:
    return "below 1e-300" if value < 1e-300 else f"{value:.0e}"


def _instead(attribute: str) -> str:
    return {
        "account": "kept for reporting only",
        "amount": "the list price stands in",
    }.get(attribute, "not used")
