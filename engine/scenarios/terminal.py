"""What the analyst reads in the terminal: the company under every scenario, and who it moves most."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from engine.finished import FinishedRun
from engine.scenarios.answers import Answer

MOST_MOVED = 5
"""Reps, and territories, that are shown of a scenario."""


def summary(run: FinishedRun, answers: Sequence[Answer]) -> str:
    """Text of the answers."""
    first, currency = answers[0].company, run.config.currency
    goal = "no goal given" if np.isnan(first["quota_before"]) else f"goal {first['quota_before']:,.0f} {currency}"
    lines = [
        f"{run.config.name} {first['period']} as of {first['as_of']}, run {run.manifest.run_id}",
        f"Base         mean {first['base_mean']:,.0f} {currency}   P10 {first['base_p10']:,.0f}   "
        f"P50 {first['base_p50']:,.0f}   P90 {first['base_p90']:,.0f}   ({goal})",
        "",
        *_table(answers),
    ]
    for answer in answers:
        lines += _moved(answer, currency)
    if run.manifest.status == "not_converged":
        lines.insert(0, "NOT CONVERGED: the run's chains missed the gate, read every number with suspicion")
    return "\n".join(lines)


def _table(answers: Sequence[Answer]) -> list[str]:
    """One line a scenario: difference of the company over the horizon, and chance of the goal."""
    width = max(12, *(len(answer.name) for answer in answers))
    head = f"{'Scenario':<{width}}  {'difference':>14}  {'+-':>9}  {'80 % of futures':>31}  chance of goal"
    lines = [head]
    for answer in answers:
        row = answer.company
        span = f"{row['difference_p10']:+,.0f} to {row['difference_p90']:+,.0f}"
        lines.append(
            f"{answer.name:<{width}}  {row['difference_mean']:>+14,.0f}  {row['difference_se']:>9,.0f}  {span:>31}  "
            f"{_chances(row)}"
        )
    return [*lines, "+-: standard error of the mean difference (Monte Carlo)"]


def _chances(row: pd.Series) -> str:
    if np.isnan(row["p_attain_before"]) and np.isnan(row["p_attain_after"]):
        return "no target"
    return " -> ".join("none" if np.isnan(row[name]) else f"{row[name]:.1%}" for name in _CHANCES)


_CHANCES = ("p_attain_before", "p_attain_after")


def _moved(answer: Answer, currency: str) -> list[str]:
    """Members that a scenario moves most."""
    lines = []
    period = answer.company["period"]
    for level in ("territory", "rep"):
        rows = answer.rows[(answer.rows["level"] == level) & (answer.rows["period"] == period)]
        gone = rows["p_attain_before"].fillna(-1) != rows["p_attain_after"].fillna(-1)
        rows = rows[(rows["difference_mean"] != 0) | gone]
        order = rows["difference_mean"].abs().sort_values(ascending=False, kind="stable").index
        for row in rows.loc[order].head(MOST_MOVED).to_dict("records"):
            name = row["key_name"] if row["key_name"] == row["key"] else f"{row['key']} {row['key_name']}"
            change = f"{row['difference_mean']:+,.0f} {currency}"
            lines.append(f"  {level:<9}  {name[:34]:<34}  {change:>18}  {_chances(row)}")
        if len(rows) > MOST_MOVED:
            lines.append(f"  {level:<9}  and {len(rows) - MOST_MOVED} more in scenario.csv")
    return ["", f"{answer.name}: most moved", *lines] if lines else []
