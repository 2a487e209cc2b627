"""A problem to be solved with its rules in force: what the builders of rules are given, and what they answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from optimization.atoms import Atom
from optimization.families import Blocks, active_reps, merge
from optimization.problem import Floats, TerritoryProblem
from optimization.settings import AllocationSettings


@dataclass(frozen=True)
class Case:
    """One problem to be solved.

    Attributes
    ----------
    problem, settings : as given
    blocks : families merged, permissions settled
    without : what is left out
    """

    problem: TerritoryProblem
    settings: AllocationSettings
    blocks: Blocks
    without: frozenset[Atom]


@dataclass(frozen=True)
class Row:
    """``sum of coefficient * assigned (sense) limit``.

    Attributes
    ----------
    rule, key : name of the rule, and the rep (or "all") the row speaks of
    rep : index of the rep whose book the row sums; None sums over all reps
    coefficient : [block] for one rep, [block, rep] for all
    limit : right-hand side
    relaxed : by how much the limit gives way per unit of relaxation, towards more freedom
    """

    rule: str
    key: str
    rep: int | None
    coefficient: Floats
    sense: Literal["<=", ">="]
    limit: float
    relaxed: float


@dataclass(frozen=True)
class Rule:
    """A named rule.

    Attributes
    ----------
    words : what it asks, for people
    repair : what giving way means, with ``{amount}`` for a number; see `optimization.infeasible`
    rows : builder of its rows, None where the rule is settled before solving
    """

    words: str
    repair: str
    rows: Callable[[Case], list[Row]] | None


def build_case(problem: TerritoryProblem, settings: AllocationSettings, without: frozenset[Atom] = frozenset()) -> Case:
    """Merge families and settle permissions, less what ``without`` leaves out."""
    return Case(problem, settings, merge(problem, without), without)


def fair_share(problem: TerritoryProblem) -> Floats:
    """[rep] share of the active reps' quotas; zero for inactive reps."""
    quota = problem.quota * active_reps(problem)
    return quota / max(quota.sum(), np.finfo(float).tiny)


def fair_value(problem: TerritoryProblem) -> Floats:
    """[rep] expected revenue that is the rep's fair share of what all active reps and accounts bring today, money."""
    fixed = problem.fixed.mean(axis=0, dtype=np.float64)[active_reps(problem)].sum()
    return fair_share(problem) * (fixed + problem.value.mean(axis=0, dtype=np.float64).sum())
