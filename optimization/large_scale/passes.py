"""A pass of annealing: chains from a warm to a cool temperature over the pairs within reach."""

import time
from dataclasses import dataclass

import numpy as np

from optimization.large_scale.chains import run
from optimization.large_scale.field import Field, reach_limit
from optimization.problem import BandedProblem, Floats, Ints

SHORTEST, LONGEST = 1_000, 20_000
"""Steps between two looks at the clock and at the penalties."""

RISE, FALL = 1.15, 0.98
"""Factors of the cost outside a band after each look, where it is broken and where it holds."""

STAGES = 40
"""Temperatures of a long pass."""


@dataclass(frozen=True)
class Climate:
    """How a pass searches.

    Attributes
    ----------
    warm, cool : first and last temperature, in the field's unit of heat
    reach : pairs per account, by reduced cost
    nodes : most looks at an account in the search for one chain
    steps : chains tried per account over the whole pass
    stages : temperatures of the pass
    """

    warm: float
    cool: float
    reach: float
    nodes: int
    steps: float = 100.0
    stages: int = STAGES


@dataclass(frozen=True)
class Outcome:
    """Best plan of a pass [account, as pairs], None if none held all bands; last plan; whether the pass ended."""

    best: Ints | None
    last: Ints
    ended: bool


@dataclass(frozen=True)
class _Active:
    """Accounts with a choice within reach, the others' use taken off the bands.

    Attributes
    ----------
    accounts : [active] index of the account
    pair : [arc] index of the pair
    account : [arc] index among the active
    start : [active + 1]
    low, high : [rep, metric]
    """

    accounts: Ints
    pair: Ints
    account: Ints
    start: Ints
    low: Floats
    high: Floats


def book_loads(problem: BandedProblem, pair: Ints) -> Floats:
    """[rep, metric] sums over the books of a plan of pairs."""
    rep, reps = problem.pair_rep[pair], len(problem.rep_ids)
    sums = [np.bincount(rep, problem.use[pair, k], reps) for k in range(problem.use.shape[1])]
    return np.stack(sums, axis=1) if sums else np.zeros((reps, 0))


def _activate(field: Field, plan: Ints, limit: float) -> _Active:
    problem = field.problem
    within = field.reduced <= limit
    within[plan] = True
    choice = np.add.reduceat(within.astype(np.int64), problem.start[:-1]) > 1
    fixed = book_loads(problem, plan[~choice])
    accounts = np.flatnonzero(choice)
    pair = np.flatnonzero(within & choice[field.account])
    account = np.searchsorted(accounts, field.account[pair])
    start = np.searchsorted(account, np.arange(len(accounts) + 1))
    return _Active(accounts, pair, account, start, problem.low - fixed, problem.high - fixed)


def run_pass(field: Field, climate: Climate, plan: Ints, seed: np.random.SeedSequence, deadline: float) -> Outcome:
    """One pass from a plan of pairs [account]."""
    problem, random = field.problem, seed.generate_state(2, np.uint64) | np.uint64(1)
    active = _activate(field, plan, reach_limit(field, climate.reach))
    if not len(active.accounts):
        return Outcome(None, plan, ended=True)
    arrays = (
        active.start, active.account, problem.pair_rep[active.pair], field.reduced[active.pair],
        np.ascontiguousarray(problem.use[active.pair]), active.low, active.high, field.price,
    )  # fmt: skip
    outside, arc = field.outside.copy(), np.searchsorted(active.pair, plan[active.accounts])
    best, value = arc.copy(), np.array([np.inf, 0.0, 0.0])
    accounts = len(plan)
    chunk = int(np.clip(accounts, SHORTEST, LONGEST))
    chunks = max(1, round(climate.steps * accounts / climate.stages / chunk))
    current = plan.copy()
    ended = True
    for heat in field.heat * np.geomspace(climate.warm, climate.cool, climate.stages):
        for _ in range(chunks):
            run(*arrays, outside, arc, best, value, random, heat, chunk, climate.nodes)
            current[active.accounts] = active.pair[arc]
            _adapt(problem, book_loads(problem, current), outside, field.outside)
            ended = time.monotonic() < deadline
            if not ended:
                break
        if not ended:
            break
    if not np.isfinite(value[0]):
        return Outcome(None, current, ended)
    found = plan.copy()
    found[active.accounts] = active.pair[best]
    return Outcome(found, current, ended)


def _adapt(problem: BandedProblem, load: Floats, outside: Floats, least: Floats) -> None:
    """Make broken bands dearer, in place."""
    slack = 1e-11 * np.abs(load)
    broken = (load > problem.high + slack) | (load < problem.low - slack)
    outside[:] = np.where(broken, outside * RISE, np.maximum(outside * FALL, least))
