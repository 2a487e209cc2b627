"""Search on the paths in a large problem: moves and trades of the books farthest from fair, one handful after another.

The descents of `optimization.search` look at every pair of blocks. Here they are given only the pairs that touch a few
books: those farthest above and below their level now, and, of everybody else's blocks, those that could join one.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from optimization.futures import Futures, chances, margins
from optimization.large_scale.lift import least_per_block
from optimization.problem import Bools, Floats, Ints
from optimization.rules import Case
from optimization.scores import Goal, Linear, fair_level, pair_costs
from optimization.search import improve_linear, improve_on_paths

BOOKS = 6
"""Books in a handful."""

STEPS = 25
"""Most steps of one descent."""

HANDFULS = 200
"""Most handfuls."""

FEW, NEAR = 5, 8
"""Handfuls, and pairs of a block by cost, where only the direction of a plan is asked for."""

type State = tuple[Ints, Bools, int]
"""Plan [block], pairs [block, rep] worth a look, and most handfuls."""

type Descend = Callable[[Case, Ints], Ints]
type Score = Callable[[Ints], Floats]


def focused_on_paths(
    case: Case, goal: Goal, futures: Futures, plan: Ints, near: Bools, deadline: float
) -> tuple[Ints, bool]:
    """Improve a plan [block] that keeps the rules, its chances counted on the paths.

    Parameters
    ----------
    near : [block, rep] pairs worth a look
    """
    return _on_paths(case, goal, futures, (plan, near, HANDFULS), deadline)


def a_few_handfuls(case: Case, goal: Goal, futures: Futures, plan: Ints, deadline: float) -> tuple[Ints, bool]:
    """Improve a plan [block] for the chances on some of the paths by little effort; see `optimization.confidence`."""
    near = least_per_block(pair_costs(case), case.blocks.allowed, NEAR)
    return _on_paths(case, goal, futures, (plan, near, FEW), deadline)


def _on_paths(case: Case, goal: Goal, futures: Futures, state: State, deadline: float) -> tuple[Ints, bool]:
    def descend(part: Case, begun: Ints) -> Ints:
        return improve_on_paths(part, goal, futures, begun, deadline, thorough=False)[0]

    return _handfuls(case, goal, lambda one: chances(margins(futures, one)), state, descend, deadline)


def focused_linear(case: Case, linear: Linear, plan: Ints, near: Bools, deadline: float) -> tuple[Ints, bool]:
    """Improve a plan [block] that keeps the rules, its scores linear. Returns as `focused_on_paths`."""

    def descend(part: Case, begun: Ints) -> Ints:
        return improve_linear(part, linear, begun, deadline)[0]

    return _handfuls(case, linear.goal, linear.scores, (plan, near, HANDFULS), descend, deadline)


def _handfuls(
    case: Case, goal: Goal, score: Score, state: State, descend: Descend, deadline: float
) -> tuple[Ints, bool]:
    """Handful after handful until none of the books off the band gains, each book tried once between two gains."""
    plan, near, most = state
    short = replace(
        case, settings=case.settings.model_copy(update={"polish_steps": min(STEPS, case.settings.polish_steps)})
    )
    tried = np.zeros(len(goal.counted), dtype=bool)
    for _ in range(most):
        if time.monotonic() > deadline:
            return plan, False
        books = _farthest(goal, score(plan), tried)
        if not len(books):
            break
        found = descend(replace(short, blocks=replace(case.blocks, allowed=_touching(near, plan, books))), plan)
        tried[books] = True
        if (found != plan).any():
            changed = np.unique(np.concatenate([plan[found != plan], found[found != plan]]))
            plan, tried[changed] = found, False
            tried[books] = True
    return plan, time.monotonic() <= deadline


def _farthest(goal: Goal, score: Floats, tried: Bools) -> Ints:
    """Untried counted reps off the band, the farthest on either side."""
    off = score - goal.offset - fair_level(score, goal)
    open_ = goal.counted & ~tried & (np.abs(off) > goal.half_band)
    order = np.argsort(off, kind="stable")
    order = order[open_[order]]
    return np.unique(np.concatenate([order[: BOOKS // 2], order[::-1][: BOOKS // 2]]))


def _touching(near: Bools, plan: Ints, books: Ints) -> Bools:
    """[block, rep] pairs that leave or join one of the books, and the plan's own."""
    inside = np.zeros(near.shape[1], dtype=bool)
    inside[books] = True
    some = near & (inside | inside[plan][:, None])
    some[np.arange(len(plan)), plan] = True
    return some
