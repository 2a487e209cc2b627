"""Whether arrays describe an assignment problem at all; every fault is listed before any work begins."""

import numpy as np

from optimization.problem import NONE, TerritoryProblem


def check(problem: TerritoryProblem) -> None:
    """Check shapes, ids, indices and numbers.

    Raises
    ------
    ValueError
        With one line per fault.
    """
    faults = _shape_faults(problem) or _content_faults(problem)
    if faults:
        raise ValueError("not an assignment problem: " + "; ".join(faults))


def _shape_faults(problem: TerritoryProblem) -> list[str]:
    accounts, reps = len(problem.account_ids), len(problem.rep_ids)
    paths, fresh = len(problem.value), len(problem.fresh_value)
    shapes = {
        "value": (paths, accounts),
        "fresh_value": (fresh, accounts),
        "fixed": (paths, reps),
        "fresh_fixed": (fresh, reps),
        "fit": (accounts, reps),
        "eligible": (accounts, reps),
        "quota": (reps,),
        "capacity": (reps,),
        "max_hours": (reps,),
        "owner": (accounts,),
        "locked": (accounts,),
        "family": (accounts,),
        "hours": (accounts,),
        "move_cost": (accounts,),
    }
    faults = [
        f"{name} has shape {getattr(problem, name).shape}, not {shape}"
        for name, shape in shapes.items()
        if getattr(problem, name).shape != shape
    ]
    return faults + ([] if reps else ["there are no reps"]) + ([] if paths and fresh else ["there are no paths"])


def _content_faults(problem: TerritoryProblem) -> list[str]:
    faults = []
    for name in ("account_ids", "rep_ids"):
        ids, count = np.unique(getattr(problem, name), return_counts=True)
        if (count > 1).any():
            faults.append(f"{name} are not unique: {', '.join(str(i) for i in ids[count > 1][:5])}")
    for name in ("value", "fresh_value", "fixed", "fresh_fixed", "fit", "quota", "capacity", "hours", "move_cost"):
        if not np.isfinite(getattr(problem, name)).all():
            faults.append(f"{name} has values that are not finite")
    if np.isnan(problem.max_hours).any():
        faults.append("max_hours has NaN; infinite means unknown")
    if not (problem.quota > 0).all():
        faults.append("quota must be above zero for every rep")
    for name in ("capacity", "hours", "move_cost", "max_hours"):
        if (getattr(problem, name) < 0).any():
            faults.append(f"{name} must not be negative")
    if ((problem.owner < NONE) | (problem.owner >= len(problem.rep_ids))).any():
        faults.append("owner must be an index of a rep, or -1 for nobody")
    if not (problem.capacity > 0).any():
        faults.append("no rep has any capacity")
    return faults
