"""What every way to a plan shares: the case with its clock, the goal around a plan, and a plan's worth on paths."""

from dataclasses import dataclass, replace

import numpy as np

from optimization import linearise
from optimization.audit import violations
from optimization.futures import Futures, chances, margins
from optimization.pools import pool_levels, pools_of
from optimization.problem import Floats, Ints
from optimization.pulp_model import Effort, Solution
from optimization.rules import Case
from optimization.scores import Goal, build_goal, pair_costs, unfairness

MODEL_PAIRS = 20_000
"""Allowed pairs of block and rep up to which `allocation.method` auto takes the model: seconds there, minutes above."""

type Interval = tuple[Floats, Floats]
"""[rep] lowest and highest attainable chance, points; see `linearise.attainable`."""


@dataclass(frozen=True)
class Found:
    """A plan [block] and whether no clock had a part in it; the relaxation of its linear problem, where it is known."""

    plan: Ints
    repeatable: bool
    relaxed: Solution | None = None


@dataclass(frozen=True)
class Work:
    """A case, when the work must end, and the seed of the solver."""

    case: Case
    deadline: float
    seed: int

    @property
    def effort(self) -> Effort:
        """Effort of one integer program."""
        settings = self.case.settings
        return Effort(settings.mip_gap, settings.mip_nodes, self.deadline, self.seed)

    @property
    def large(self) -> bool:
        """Whether the large path is taken."""
        method = self.case.settings.method
        return method == "large" or (method == "auto" and int(self.case.blocks.allowed.sum()) > MODEL_PAIRS)


def present(case: Case) -> Ints | None:
    """Present plan [block] if it keeps every rule."""
    owner = case.problem.owner
    broken = violations(case.problem, case.settings, owner)
    return None if broken else case.blocks.to_blocks(owner)


def goal_around(work: Work, futures: Futures, interval: Interval, plan: Ints) -> Goal:
    """Goal around a plan [block]: the level of each pool, and who cannot reach it."""
    goal = build_goal(work.case, np.zeros(len(interval[0]), dtype=bool))
    level = pool_levels(chances(margins(futures, plan)), goal, pools_of(work.case.blocks.allowed))
    goal = build_goal(work.case, linearise.saturated(work.case, interval, level))
    common = float(level[goal.counted].mean()) if goal.counted.any() else 0.0
    return replace(goal, offset=np.where(goal.counted, level - common, 0.0))


def worth(work: Work, futures: Futures, interval: Interval, plan: Ints) -> float:
    """Objective of a plan [block] under the goal around itself, the chances counted on the paths, points."""
    goal = goal_around(work, futures, interval, plan)
    cost = pair_costs(work.case)[np.arange(len(plan)), plan].sum()
    return unfairness(chances(margins(futures, plan)), goal) + float(cost)
