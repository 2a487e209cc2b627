"""Small territory problems for tests, and the brute force that knows their best plan."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from optimization.audit import violations
from optimization.problem import NONE, Bools, Floats, Ints, TerritoryProblem
from optimization.rules import Case
from optimization.scores import Linear
from optimization.settings import AllocationSettings

PATHS = 400


def problem_of(
    mean: Floats,
    owner: Ints,
    quota: Floats,
    *,
    seed: int = 0,
    deviation: float = 0.6,
    paths: int = PATHS,
    **changes: Any,
) -> TerritoryProblem:
    """Log-normal accounts of given mean revenue with a shared shock, every pair eligible, nothing locked."""
    rng = np.random.default_rng(seed)
    accounts, reps = len(mean), len(quota)

    def draw() -> Floats:
        shock = rng.normal(0, 0.1, (paths, 1))
        return np.exp(shock + deviation * rng.normal(size=(paths, accounts)) - deviation**2 / 2) * mean

    value, fresh = draw().astype(np.float32), draw().astype(np.float32)
    problem = TerritoryProblem(
        account_ids=np.array([f"A{i}" for i in range(accounts)], dtype=np.str_),
        rep_ids=np.array([f"R{r}" for r in range(reps)], dtype=np.str_),
        value=value,
        fresh_value=fresh,
        fit=np.ones((accounts, reps)),
        fixed=np.zeros((paths, reps), dtype=np.float32),
        fresh_fixed=np.zeros((paths, reps), dtype=np.float32),
        quota=np.asarray(quota, dtype=float),
        capacity=np.ones(reps),
        owner=np.asarray(owner, dtype=np.int64),
        eligible=np.ones((accounts, reps), dtype=bool),
        locked=np.zeros(accounts, dtype=bool),
        family=np.arange(accounts),
        hours=np.ones(accounts),
        max_hours=np.full(reps, np.inf),
        move_cost=0.1 * np.asarray(mean, dtype=float),
    )
    return replace(problem, **changes)


def random_problem(seed: int, accounts: int, reps: int, *, hard: bool = True) -> TerritoryProblem:
    """Problem with unowned, locked, ineligible and related accounts, and now and then a rep without capacity."""
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.normal(0, 1, accounts)) * 100
    owner = rng.integers(0, reps, accounts)
    quota = np.full(reps, mean.sum() / reps) * rng.uniform(0.7, 1.4, reps)
    problem = problem_of(mean, owner, quota, seed=seed, paths=200)
    fixed = (rng.uniform(0, 0.3, (200, reps)) * quota).astype(np.float32)
    fit = np.where(owner[:, None] == np.arange(reps), 1.0, rng.uniform(0.7, 1.1, (accounts, reps)))
    problem = replace(
        problem, fixed=fixed, fresh_fixed=fixed, fit=fit, hours=rng.integers(1, 6, accounts).astype(float)
    )
    if not hard:
        return problem
    eligible = rng.uniform(size=(accounts, reps)) < 0.8
    eligible[np.arange(accounts), owner] = True
    locked = rng.uniform(size=accounts) < 0.15
    family = np.where(rng.uniform(size=accounts) < 0.3, accounts, np.arange(accounts))
    capacity = np.where(rng.uniform(size=reps) < 0.15, 0.0, rng.choice([0.5, 1.0], reps))
    capacity[0] = 1.0
    owner = np.where((rng.uniform(size=accounts) < 0.15) & ~locked, NONE, owner)
    return replace(
        problem,
        eligible=eligible,
        locked=locked,
        family=family,
        capacity=capacity,
        owner=owner,
        max_hours=np.where(rng.uniform(size=reps) < 0.5, np.inf, problem.hours.sum() / reps * 1.6),
    )


def plans(problem: TerritoryProblem, settings: AllocationSettings) -> Iterator[Ints]:
    """Every plan [account] that breaks no rule, by brute force over the families."""
    _, family = np.unique(problem.family, return_inverse=True)
    for choice in product(range(len(problem.rep_ids)), repeat=int(family.max(initial=-1)) + 1):
        rep = np.array(choice, dtype=np.int64)[family]
        if not violations(problem, settings, rep):
            yield rep


def best_value(case: Case, linear: Linear) -> float:
    """Least objective of the linear problem over every plan that breaks no rule and keeps the step."""
    least = np.inf
    for rep in plans(case.problem, case.settings):
        plan = case.blocks.to_blocks(rep)
        if keeps_step(linear, plan):
            least = min(least, linear.value(plan))
    return least


def keeps_step(linear: Linear, plan: Ints) -> bool:
    """Whether a plan [block] changes no book by more than the step."""
    changed = np.zeros(len(linear.base))
    moved: Bools = plan != linear.around
    np.add.at(changed, plan[moved], linear.step[np.arange(len(plan)), plan][moved])
    np.add.at(changed, linear.around[moved], linear.step[np.arange(len(plan)), linear.around][moved])
    return bool((changed <= linear.step_limit * (1 + 1e-9)).all())
