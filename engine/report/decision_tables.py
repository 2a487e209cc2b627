"""What people decided and what changed because of it: decisions.csv and decision_log.csv."""

import numpy as np
import pandas as pd

from engine.planning.decision_files import COLUMNS
from engine.planning.decisions import ASSIGN, KINDS, REJECT, Decision
from engine.results import Allocation, ForecastResult
from models.panel import NONE
from optimization.plan import TerritoryPlan

LOG_COLUMNS = ("run_id", "account", "account_name", "from_rep", "to_rep", "cause", "decided_by", "date", "why")

ENGINE = "engine"
"""Cause of a change that nobody asked for by name."""


def decisions_table(allocation: Allocation) -> pd.DataFrame:
    """Every decision in force, in the columns of a decisions file."""
    rows = [
        (one.account, one.kind, one.rep, one.decided_by, one.date, one.note)
        for one in allocation.decisions
        if one.kind in KINDS
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)


def words_in_force(allocation: Allocation) -> list[str]:
    """[account] the word that settles where an account is; empty where only rejects, or nobody, spoke of it."""
    said = _settling(allocation)
    return [said[key].kind if key in said else "" for key in allocation.problem.account_ids.tolist()]


def decision_log(result: ForecastResult, allocation: Allocation) -> pd.DataFrame:
    """One row a change of the plan, with who, when and why; those of the runs that it goes on from come first.

    A plan of its own is compared with the present owners, a changed one with the plan it was changed from. A change
    that nobody decided is the engine's: dated by the as-of date, explained by the reason of allocation.csv.
    """
    plan = allocation.answer
    if not isinstance(plan, TerritoryPlan):
        raise TypeError("there is no plan: the rules cannot hold together")
    labels = result.panel.reps.labels
    ids = np.append(labels.ids.astype(object), "")
    before = allocation.old_rep if allocation.earlier is None else allocation.earlier[allocation.accounts]
    after = allocation.reps[plan.rep]
    names = result.panel.accounts.labels.names[allocation.accounts]
    said, rejected = _settling(allocation), _rejects(allocation)
    rows = []
    for i in np.flatnonzero(before != after):
        account, left = str(allocation.problem.account_ids[i]), str(ids[before[i]])
        why = said.get(account) or rejected.get((account, left))
        rows.append(
            {
                "run_id": result.run_id,
                "account": account,
                "account_name": str(names[i]),
                "from_rep": left if before[i] != NONE else "",
                "to_rep": str(ids[after[i]]),
                "cause": ENGINE if why is None else why.kind,
                "decided_by": "" if why is None else why.decided_by,
                "date": str(result.panel.as_of) if why is None else why.date,
                "why": plan.reason[i] if why is None else why.note,
            }
        )
    log = pd.DataFrame(rows, columns=list(LOG_COLUMNS), dtype=object)
    return log if result.history is None else pd.concat([result.history, log], ignore_index=True)


def _settling(allocation: Allocation) -> dict[str, Decision]:
    return {one.account: one for one in allocation.decisions if one.kind != REJECT}


def _rejects(allocation: Allocation) -> dict[tuple[str, str], Decision]:
    return {(one.account, one.rep): one for one in allocation.decisions if one.kind == REJECT}


def assigned_to(allocation: pd.DataFrame) -> pd.Series:
    """[row] rep of the rows of allocation.csv that somebody assigned, empty for others."""
    return allocation["new_rep"].where(allocation["decision"] == ASSIGN, "")
