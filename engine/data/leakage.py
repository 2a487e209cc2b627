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
"""Largest p-value of the test at which a difference is no accident."""

EFFECT = 0.1
"""Smallest difference of the shares (0 to 1) that matters: weaker ones give little away."""

AGE_CLASSES = 10
"""Classes of equal numbers of closed deals by age, within which presence is compared."""


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
    days = (dated["closed"].fillna(pd.Timestamp(as_of)) - dated["created"]).dt.days
    edges = np.unique(days[~opened].quantile(np.linspace(0, 1, AGE_CLASSES + 1)))
    age = pd.Series(np.searchsorted(edges, days, side="right"), index=dated.index).where(days <= edges.max(initial=0))
    leaks = []
    for name in SUSPECTS:
        if name not in dated:
            continue
        present = dated[name] > 0 if name == "amount" else dated[name].notna()
        won_or_lost = dated["outcome"].map({"won": True, "lost": False}).dropna().astype(bool)
        contrasts = {("closed", "open"): ~opened, ("won", "lost"): won_or_lost}
        found = [_contrast(present.loc[first.index], first, age) for first in contrasts.values()]
        strong = [
            Leak(name, groups, shares, p_value)
            for groups, (shares, p_value) in zip(contrasts, found, strict=True)
            if abs(shares[0] - shares[1]) >= EFFECT and p_value < CHANCE
        ]
        leaks += sorted(strong, key=lambda leak: -abs(leak.shares[0] - leak.shares[1]))[:1]
    return leaks


def _contrast(present: pd.Series, first: pd.Series, age: pd.Series) -> tuple[tuple[float, float], float]:
    """Shares of presence in two groups of deals of equal age, and the p-value of their difference.

    The Cochran-Mantel-Haenszel test over the classes of age; the shares are weighted the same in both groups, by the
    classes' harmonic sizes. Both shares are NaN where no class has deals of both groups.

    Parameters
    ----------
    present, first : [deal] whether the attribute is there, and whether the deal is in the first group
    age : [deal] class, NaN for deals older than any that closed

    References
    ----------
    Mantel and Haenszel (1959), doi:10.1093/jnci/22.4.719
    """
    cells = pd.DataFrame({"present": present, "first": first, "age": age.loc[first.index]}).dropna()
    groups = cells.assign(both=cells["present"] & cells["first"]).groupby("age")
    size, ones, there, both = (
        groups[name].agg(how) for name, how in (("age", "size"), ("first", "sum"), ("present", "sum"), ("both", "sum"))
    )
    kept = (ones > 0) & (ones < size)
    n, n1, m1, a = (values[kept].to_numpy(dtype=np.float64) for values in (size, ones, there, both))
    weight = n1 * (n - n1) / n
    if weight.sum() == 0:
        return (np.nan, np.nan), 1.0
    shares = (np.average(a / n1, weights=weight), np.average((m1 - a) / (n - n1), weights=weight))
    variance = (weight * m1 * (n - m1) / (n * np.maximum(n - 1, 1))).sum()
    statistic = (a - n1 * m1 / n).sum() ** 2 / variance if variance > 0 else 0.0
    return (float(shares[0]), float(shares[1])), float(stats.chi2.sf(statistic, 1))


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
        action = (
            f"{leak.attribute} present on {everywhere[0]:.0f} % of {leak.groups[0]} and {everywhere[1]:.0f} % of "
            f"{leak.groups[1]} deals ({100 * leak.shares[0]:.0f} and {100 * leak.shares[1]:.0f} % at equal age, Mantel-"
            f"Haenszel p {_p_value(leak.p_value)}): filled in after the outcome; barred from the models, "
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
