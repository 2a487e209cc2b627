"""What is wrong with the data although it can be used: the rows of data_issues.csv.

A *problem* (`engine.errors.Problem`) refuses the run; an *issue* is named, valued and worked around.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Literal

import pandas as pd

OPERATIONS = "sales operations"
"""Owner of an issue that no single rep can mend."""


@dataclass(frozen=True)
class DataIssue:
    """One finding of the audit.

    Attributes
    ----------
    table : table it was found in
    row : line of the file, or empty when the finding speaks of many rows (their count is in the action)
    rule : name of the rule
    severity : "warning" when it changes a result, "note" when it is only worth knowing
    owner : who can mend it
    value_at_stake : money on the rows concerned, NaN when no amount is known
    action : how many rows, what was done about them, and how to mend it
    """

    table: str
    row: str
    rule: str
    severity: Literal["warning", "note"]
    owner: str
    value_at_stake: float
    action: str


def issues_frame(issues: Iterable[DataIssue]) -> pd.DataFrame:
    """Data issues as a table: warnings first, then by value at stake, table, rule and row.

    Returns
    -------
    frame with the columns of `DataIssue`; value_at_stake rounded to cents
    """
    columns = [field.name for field in fields(DataIssue)]
    frame = pd.DataFrame([asdict(issue) for issue in issues], columns=columns)
    frame["value_at_stake"] = frame["value_at_stake"].astype("float64").round(2)
    order = frame.assign(_rank=(frame["severity"] != "warning"), _value=-frame["value_at_stake"].fillna(0.0))
    order = order.sort_values(["_rank", "_value", "table", "rule", "row", "action"], kind="stable")
    return order[columns].reset_index(drop=True)


def sample(values: Iterable[object], limit: int = 3) -> str:
    """First few values in words, for the action of an aggregated issue."""
    items = [str(value) for value in values]
    return ", ".join(items[:limit]) + (", ..." if len(items) > limit else "")
