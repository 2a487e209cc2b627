"""Whether arrays describe a banded problem at all; every fault is listed before any work begins."""

import numpy as np

from optimization.problem import NONE, BandedProblem

NAMED = 5
"""Offenders named in one line."""


def check(problem: BandedProblem) -> None:
    """Check shapes, ids, indices and numbers.

    Raises
    ------
    ValueError
        With every fault found.
    """
    faults = _shape_faults(problem) or _content_faults(problem)
    if faults:
        raise ValueError("not an assignment problem: " + "; ".join(faults))


def _shape_faults(problem: BandedProblem) -> list[str]:
    accounts, reps, metrics = len(problem.account_ids), len(problem.rep_ids), len(problem.metric_ids)
    pairs = len(problem.pair_rep)
    shapes = {
        "start": (accounts + 1,),
        "pair_rep": (pairs,),
        "cost": (pairs,),
        "use": (pairs, metrics),
        "low": (reps, metrics),
        "high": (reps, metrics),
        "owner": (accounts,),
    }
    faults = [
        f"{name} has shape {getattr(problem, name).shape}, not {shape}"
        for name, shape in shapes.items()
        if getattr(problem, name).shape != shape
    ]
    if not faults and (problem.start[0] != 0 or problem.start[-1] != pairs or (np.diff(problem.start) < 0).any()):
        faults.append("start must rise from 0 to the number of pairs")
    return faults + ([] if reps else ["there are no reps"])


def _content_faults(problem: BandedProblem) -> list[str]:
    faults = []
    reps = len(problem.rep_ids)
    for name in ("account_ids", "rep_ids", "metric_ids"):
        ids, count = np.unique(np.asarray(getattr(problem, name), dtype=np.str_), return_counts=True)
        if (count > 1).any():
            faults.append(f"{name} are not unique: {', '.join(str(i) for i in ids[count > 1][:NAMED])}")
    for name in ("cost", "use"):
        if not np.isfinite(getattr(problem, name)).all():
            faults.append(f"{name} has values that are not finite")
    if np.isnan(problem.low).any() or np.isnan(problem.high).any():
        faults.append("low or high has NaN; infinite means no limit")
    elif (problem.low > problem.high).any() or (problem.low == np.inf).any() or (problem.high == -np.inf).any():
        crossed = np.argwhere((problem.low > problem.high) | (problem.low == np.inf) | (problem.high == -np.inf))
        names = [f"{problem.metric_ids[k]} of {problem.rep_ids[r]}" for r, k in crossed[:NAMED]]
        faults.append(f"no amount lies in the band: {', '.join(names)}")
    lonely = np.flatnonzero(np.diff(problem.start) == 0)
    if len(lonely):
        faults.append(f"no candidate rep: {', '.join(str(problem.account_ids[i]) for i in lonely[:NAMED])}")
    if ((problem.pair_rep < 0) | (problem.pair_rep >= reps)).any():
        faults.append("pair_rep must be an index of a rep")
    else:
        key = np.repeat(np.arange(len(problem.account_ids)), np.diff(problem.start)) * reps + problem.pair_rep
        if len(np.unique(key)) != len(key):
            faults.append("an account lists a rep twice")
    if ((problem.owner < NONE) | (problem.owner >= reps)).any():
        faults.append("owner must be an index of a rep, or -1 for nobody")
    return faults
