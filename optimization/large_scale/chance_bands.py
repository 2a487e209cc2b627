"""A whole plan near the relaxation of fair books: fairness as one more band of every rep, solved by `solve_banded`.

The relaxation says how wide fairness is at best against what moves cost: its level and what lies beyond the band
around it. These become a band on the scores of every book; the rules are bands already; budgets are charged at their
prices. Where no whole plan is within, the band gives way by bisection to the smallest width that has a plan, and a
budget that a plan exceeds is kept by taking back the moves that are worth least.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from optimization.large_scale.fair_relaxation import FairRelaxation, Lifted
from optimization.large_scale.lift import book_sums, least_per_block
from optimization.large_scale.programs import Effort as ProgramEffort
from optimization.large_scale.programs import choose, whole_part
from optimization.large_scale.settings import BandedSettings
from optimization.large_scale.solve import solve_banded
from optimization.problem import NONE, BandedProblem, Bools, Floats, Ints

ATTEMPTS = 4
"""Most banded problems solved for one plan."""

SECONDS, BLOCKS_PER_SECOND = 2.0, 500.0
"""Most seconds of one banded search, and the blocks for which there is one second more."""

NODES, GROWING = 50, (0, 3, 8)
"""Most branch-and-bound nodes of an integer program near the relaxation, and pairs of the blocks it does not split."""

CLOSE = 0.25
"""Points of width that are not worth another attempt."""

DEARER = 1.3
"""Factor on the price of a budget that a plan exceeded beyond repair."""

SLACK = 1.0
"""Points by which the band gives way first where rules do not hold within it."""


@dataclass(frozen=True)
class Effort:
    """What one plan may cost: candidates per block, rounds of a banded search, the clock, and the seed."""

    candidates: int
    rounds: int
    deadline: float
    seed: int


@dataclass(frozen=True)
class Rounded:
    """A plan [block] that keeps rules and step, None without one; and whether no clock had a part in it."""

    plan: Ints | None
    repeatable: bool


def candidates(lifted: Lifted, relaxed: FairRelaxation, begun: Ints, number: int) -> Bools:
    """[block, rep] pairs of the banded problem: of the relaxation, of the plan ``begun``, and of least reduced cost."""
    near = least_per_block(relaxed.reduced, lifted.allowed, number) | (relaxed.share > 0)
    near[np.arange(len(begun)), begun] = True
    return near & lifted.allowed


def fair_bands(lifted: Lifted, relaxed: FairRelaxation, slack: float) -> tuple[Floats, Floats]:
    """[rep] least and most score within the relaxation's level, wider by ``slack``; others keep their relaxed score."""
    goal = lifted.linear.goal
    level = relaxed.level + np.broadcast_to(goal.offset, relaxed.score.shape)
    low = level - goal.half_band - relaxed.under - slack
    high = level + goal.half_band + relaxed.over + slack
    low = np.where(goal.extreme, low, np.minimum(low, relaxed.score - slack))
    high = np.where(goal.extreme, high, np.maximum(high, relaxed.score + slack))
    return np.where(goal.counted, low, -np.inf), np.where(goal.counted, high, np.inf)


def banded(lifted: Lifted, near: Bools, charge: Floats, fair: tuple[Floats, Floats]) -> BandedProblem:
    """Banded problem over some pairs; ``charge`` [budget] is on the pairs' costs, ``fair`` the band of scores [rep]."""
    linear, bands = lifted.linear, lifted.bands
    block, rep = np.nonzero(near)
    cost = linear.cost[block, rep] + charge @ lifted.budgets.amount[:, block, rep]
    use = np.stack([linear.gain[block, rep], *(amount[block, rep] for amount in bands.amount)], axis=1)
    return BandedProblem(
        account_ids=np.arange(len(near)).astype(np.str_),
        rep_ids=np.arange(near.shape[1]).astype(np.str_),
        metric_ids=("fairness", *(f"{k} {name}" for k, name in enumerate(bands.names))),
        start=np.append(0, np.cumsum(near.sum(axis=1))).astype(np.int64),
        pair_rep=rep.astype(np.int64),
        cost=cost,
        use=use,
        low=np.column_stack([fair[0] - linear.base, bands.low]),
        high=np.column_stack([fair[1] - linear.base, bands.high]),
        owner=np.full(len(near), NONE, dtype=np.int64),
    )


def nearest(lifted: Lifted, relaxed: FairRelaxation, deadline: float, seed: int) -> Rounded:
    """Plan of the largest shares that keeps the bands of the rules, scores left aside; None where none was found.

    Blocks that the relaxation splits choose first; the others only where that is not enough.
    """
    blocks, timely = np.arange(len(relaxed.share)), True
    split = (relaxed.share > 1e-6).sum(axis=1) > 1
    aside = np.full(len(relaxed.score), np.inf)
    for number in GROWING:
        few = least_per_block(relaxed.reduced, lifted.allowed, max(number, GROWING[1]))
        near = (few & (split | (number > 0))[:, None]) | (relaxed.share > 1e-6)
        near[blocks, relaxed.share.argmax(axis=1)] = True
        near &= lifted.allowed
        free = replace(lifted, bands=lifted.rules, linear=replace(lifted.linear, cost=-relaxed.share))
        problem = banded(free, near, np.zeros(len(lifted.budgets.limit)), (-aside, aside))
        column = np.flatnonzero(problem.pair_rep == np.repeat(relaxed.share.argmax(axis=1), near.sum(axis=1)))
        part = whole_part(problem, np.arange(len(problem.pair_rep)))
        limits = ProgramEffort(max(deadline - time.monotonic(), 0.01), NODES, 0.5, seed % 2**31)
        answer = choose(problem, part, column, limits)
        timely &= not answer.timed_out
        if answer.column is not None:
            plan = within_budgets(lifted, relaxed, problem.pair_rep[answer.column], relaxed.share.argmax(axis=1))
            if lifted.keeps(plan):
                return Rounded(plan, timely)
    return Rounded(None, timely)


def plan_near(lifted: Lifted, relaxed: FairRelaxation, begun: Ints, effort: Effort) -> Rounded:
    """Best plan found by its linear objective among those that keep every rule and the step.

    Parameters
    ----------
    begun : [block] plan to begin from, which need not keep the rules
    """
    near = candidates(lifted, relaxed, begun, effort.candidates)
    begun = np.where(near[np.arange(len(begun)), begun], begun, relaxed.share.argmax(axis=1))
    best, repeatable = (begun if lifted.keeps(begun) else None), True
    charge, slack, widest = relaxed.charge.copy(), _Width(), 0.0
    for number in range(ATTEMPTS):
        left = effort.deadline - time.monotonic()
        if left <= 0:
            return Rounded(best, repeatable=False)
        fair = fair_bands(lifted, relaxed, slack.now)
        full = SECONDS + len(near) / BLOCKS_PER_SECOND
        seconds = min(left / (ATTEMPTS - number), full)
        repeatable &= seconds == full  # the length of passes goes with the seconds
        wanted = BandedSettings(seconds=max(seconds, 0.05), rounds=effort.rounds, gap=1e-3)
        answer = solve_banded(banded(lifted, near, charge, fair), wanted, effort.seed + number, begun)
        repeatable &= answer.repeatable
        plan = within_budgets(lifted, relaxed, answer.rep, begun)
        over, broken = lifted.budgets.excess(plan), lifted.rules.excess(plan).any()
        if not broken and not over.any():
            best = plan if best is None else min((best, plan), key=lifted.linear.value)
            begun = plan
        charge = np.where(over > 0, DEARER * charge + _unit_charge(lifted), charge)
        widest = float(_outside(lifted, fair_bands(lifted, relaxed, 0.0), answer.rep).max(initial=0.0))
        if not slack.next(widest, possible=not broken) and not over.any():
            break
    return Rounded(best, repeatable)


@dataclass
class _Width:
    """Bisection for the smallest width that has a plan: ``now`` is tried, ``low`` had none, ``high`` had one."""

    now: float = 0.0
    low: float = 0.0
    high: float = np.inf

    def next(self, needed: float, *, possible: bool) -> bool:
        """Learn what the nearest plan needed; false where no other width is worth an attempt."""
        if possible:
            self.high = min(self.high, needed)
        if needed > self.now or not possible:
            self.low = max(self.low, self.now)
        if not np.isfinite(self.high):
            self.now = max(2 * self.now, SLACK, needed if np.isfinite(needed) else 0.0)
            return True
        if self.high - self.low <= max(CLOSE, 0.1 * self.high):
            return False
        self.now = (self.low + self.high) / 2
        return True


def _outside(lifted: Lifted, fair: tuple[Floats, Floats], plan: Ints) -> Floats:
    """[rep] points by which the scores of a plan [block] lie outside a band."""
    score = lifted.linear.scores(plan)
    return np.maximum(np.maximum(score - fair[1], fair[0] - score), 0.0)


def _unit_charge(lifted: Lifted) -> Floats:
    """[budget] a small first price: what pairs differ in cost, per unit of the budget."""
    spread = np.ptp(lifted.linear.cost[lifted.allowed]) if lifted.allowed.any() else 1.0
    return 0.01 * spread / np.maximum(lifted.budgets.amount.max(axis=(1, 2), initial=0.0), 1e-12)


def within_budgets(lifted: Lifted, relaxed: FairRelaxation, plan: Ints, begun: Ints) -> Ints:
    """Take back moves, the least worth first per amount released, until every budget holds; each keeps all bands.

    A block goes to the allowed rep that the budget does not count, or to where it was begun. The worth of a move is
    what the relaxation's prices say of it.
    """
    plan, bands, budgets = plan.copy(), lifted.bands, lifted.budgets
    blocks, use = np.arange(len(plan)), book_sums(bands.amount, plan, len(bands.low))
    for number in range(len(budgets.limit)):
        for block, back in _returns(lifted, relaxed, plan, begun, number):
            if not budgets.excess(plan)[number]:
                break
            old, after = plan[block], use.copy()
            after[old] -= bands.amount[:, block, old]
            after[back] += bands.amount[:, block, back]
            slack = 1e-9 * (1.0 + np.abs(after))
            both = [old, back]
            if ((after > bands.high + slack) & (after > use))[both].any():
                continue
            if ((after < bands.low - slack) & (after < use))[both].any():
                continue
            plan[block], use = back, after
    assert (plan[blocks] >= 0).all()
    return plan


def _returns(
    lifted: Lifted, relaxed: FairRelaxation, plan: Ints, begun: Ints, number: int
) -> Iterator[tuple[int, int]]:
    """Blocks and where they go back to, by loss at the relaxation's prices per amount the budget gets back."""
    amount, blocks = lifted.budgets.amount[number], np.arange(len(plan))
    least = np.where(lifted.allowed, amount, np.inf)
    home = least.argmin(axis=1)
    same = lifted.allowed[blocks, begun] & (least[blocks, begun] <= least[blocks, home])
    home = np.where(same, begun, home)
    freed = amount[blocks, plan] - amount[blocks, home]
    # the price of the budget is in the reduced costs; without it they say what the move is worth
    worth = relaxed.reduced - relaxed.charge[number] * amount
    loss = worth[blocks, home] - worth[blocks, plan]
    movable = np.flatnonzero(freed > 0)
    order = movable[np.argsort((loss / np.maximum(freed, 1e-300))[movable], kind="stable")]
    return ((int(b), int(home[b])) for b in order)
