"""What a plan changed against the plan it came from, and what every decision cost."""

import numpy as np
import pandas as pd

from engine.results import Allocation, ForecastResult
from models.panel import NONE
from optimization.plan import TerritoryPlan


def change_tables(result: ForecastResult) -> dict[str, pd.DataFrame]:
    """``changes`` and ``decision_costs`` by file name; none for a run of its own."""
    allocation = result.allocation
    if allocation is None or allocation.earlier is None or not isinstance(allocation.answer, TerritoryPlan):
        return {}
    return {"changes": _changes(result, allocation, allocation.answer), "decision_costs": _costs(allocation)}


def _changes(result: ForecastResult, allocation: Allocation, plan: TerritoryPlan) -> pd.DataFrame:
    """One row an account whose rep differs from the earlier plan's."""
    reps, accounts = result.panel.reps.labels, result.panel.accounts.labels
    assert allocation.earlier is not None
    old, new = allocation.earlier, allocation.reps[plan.rep]
    rows = np.flatnonzero(old != new)
    decided = {row.account: row.kind for row in allocation.decisions}
    before = old[rows]
    return pd.DataFrame(
        {
            "account": accounts.ids[rows],
            "account_name": accounts.names[rows],
            "earlier_rep": np.where(before == NONE, "", reps.ids[before]),
            "earlier_rep_name": np.where(before == NONE, "", reps.names[before]),
            "new_rep": reps.ids[new[rows]],
            "new_rep_name": reps.names[new[rows]],
            "decision": [decided.get(str(key), "") for key in accounts.ids[rows]],
            "move_cost": plan.move_cost[rows],
        }
    )


def _costs(allocation: Allocation) -> pd.DataFrame:
    """One row a decision whose cost was worked out."""
    return pd.DataFrame(
        [
            {
                "account": cost.decision.account,
                "decision": cost.decision.kind,
                "rep": cost.decision.rep,
                "changes": cost.changes,
                "spread_points": cost.spread,
                "revenue": cost.revenue,
                "move_cost": cost.move_cost,
            }
            for cost in allocation.costs
        ],
        columns=["account", "decision", "rep", "changes", "spread_points", "revenue", "move_cost"],
    )
