"""Whether arrays describe an assignment problem at all; every fault is listed before any work begins."""

import numpy as np
from numpy.typing import NDArray

from optimization.problem import NONE, PERMISSIONS, TerritoryProblem

FINITE = ("value", "fresh_value", "fixed", "fresh_fixed", "fit", "quota", "capacity", "hours", "move_cost")
"""Fields that hold finite numbers."""

LARGEST = 1e37
"""Most revenue of a book on a path, money: a tenth of what single precision holds."""


def check(problem: TerritoryProblem) -> None:
    """Check kinds, shapes, ids, indices and numbers.

    Raises
    ------
    ValueError
        With one line per fault.
    """
    faults = _kind_faults(problem) + _shape_faults(problem) + _content_faults(problem) + _optional_faults(problem)
    if faults:
        raise ValueError("not an assignment problem: " + "; ".join(faults))


def _numbers(problem: TerritoryProblem, name: str) -> NDArray[np.float64]:
    """Array of a field if it holds numbers, else nothing: its kind is a fault of its own."""
    found: NDArray[np.float64] = getattr(problem, name)
    return found if found.dtype.kind in "biuf" else np.zeros(0)


def _kind_faults(problem: TerritoryProblem) -> list[str]:
    def wrong(names: tuple[str, ...], kinds: str) -> list[str]:
        return [name for name in names if getattr(problem, name).dtype.kind not in kinds]

    faults = [f"{name} must hold numbers" for name in wrong((*FINITE, "max_hours"), "biuf")]
    faults += [f"{name} must hold whole numbers" for name in wrong(("owner", "family"), "iu")]
    return faults + [f"{name} must hold true or false" for name in wrong(("eligible", "locked"), "b")]


def _shape_faults(problem: TerritoryProblem) -> list[str]:
    accounts, reps = problem.account_ids.size, problem.rep_ids.size
    paths, fresh = (getattr(problem, name).shape[:1] or (0,) for name in ("value", "fresh_value"))
    shapes = {
        "value": (*paths, accounts),
        "fresh_value": (*fresh, accounts),
        "fixed": (*paths, reps),
        "fresh_fixed": (*fresh, reps),
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
    if problem.moved_factor is not None:
        shapes["moved_factor"] = paths
    if problem.fresh_moved_factor is not None:
        shapes["fresh_moved_factor"] = fresh
    faults = [
        f"{name} has shape {getattr(problem, name).shape}, not {shape}"
        for name, shape in shapes.items()
        if getattr(problem, name).shape != shape
    ]
    return faults + ([] if reps else ["there are no reps"]) + ([] if paths[0] and fresh[0] else ["there are no paths"])


def _content_faults(problem: TerritoryProblem) -> list[str]:
    faults = []
    for name in ("account_ids", "rep_ids"):
        ids, count = np.unique(getattr(problem, name), return_counts=True)
        if (count > 1).any():
            faults.append(f"{name} are not unique: {', '.join(str(i) for i in ids[count > 1][:5])}")
    for name in FINITE:
        if not np.isfinite(_numbers(problem, name)).all():
            faults.append(f"{name} has values that are not finite")
    faults += _vast(problem)
    if np.isnan(_numbers(problem, "max_hours")).any():
        faults.append("max_hours has NaN; infinite means unknown")
    if not (_numbers(problem, "quota") > 0).all():
        faults.append("quota must be above zero for every rep")
    for name in ("capacity", "hours", "move_cost", "max_hours"):
        if (_numbers(problem, name) < 0).any():
            faults.append(f"{name} must not be negative")
    owner = _numbers(problem, "owner")
    if ((owner < NONE) | (owner >= problem.rep_ids.size)).any():
        faults.append("owner must be an index of a rep, or -1 for nobody")
    if not (_numbers(problem, "capacity") > 0).any():
        faults.append("no rep has any capacity")
    return faults


def _optional_faults(problem: TerritoryProblem) -> list[str]:
    """Faults of the arrays that may be missing."""
    accounts, reps = problem.account_ids.size, problem.rep_ids.size
    names = [] if problem.permission_ids is None else [str(name) for name in problem.permission_ids]
    faults = [f"permission_ids has {name!r}, allowed: {', '.join(PERMISSIONS)}" for name in set(names) - {*PERMISSIONS}]
    if len(set(names)) < len(names):
        faults.append("permission_ids are not unique")
    if (problem.permission_ids is None) != (problem.permits is None):
        faults.append("permission_ids and permits must come together")
    for name in ("moved_factor", "fresh_moved_factor"):
        factor = getattr(problem, name)
        if factor is not None and not (factor.dtype.kind == "f" and (np.isfinite(factor) & (factor >= 0)).all()):
            faults.append(f"{name} must be finite and not negative")
    shapes = {
        "permits": ((len(names), accounts, reps), "b"),
        "commission": ((accounts, reps), "f"),
        "travel": ((accounts, reps), "f"),
        "hire": ((reps,), "b"),
    }
    for name, (shape, kind) in shapes.items():
        found = getattr(problem, name)
        if found is None:
            continue
        if found.shape != shape or found.dtype.kind != kind:
            faults.append(f"{name} has shape {found.shape} and kind {found.dtype.kind}, not {shape} and {kind}")
        elif kind == "f" and not (np.isfinite(found) & (found >= 0)).all():
            faults.append(f"{name} must be finite and not negative")
    return faults


def _vast(problem: TerritoryProblem) -> list[str]:
    """Revenue whose sums could leave the range of single precision, in which paths are kept."""

    def most(name: str) -> float:
        found = _numbers(problem, name)
        return float(max(found.max(initial=0.0), -found.min(initial=0.0))) if found.size else 0.0

    sides = (("value", "fixed"), ("fresh_value", "fresh_fixed"))
    with np.errstate(over="ignore"):
        total = max(most(v) * max(most("fit"), 1.0) * problem.account_ids.size + most(f) for v, f in sides)
    return ["value or fit is too large"] if np.isfinite(total) and total > LARGEST else []
