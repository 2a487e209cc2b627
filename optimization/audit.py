"""Rechecks a plan from raw arrays. Knows no solver, no model and no rule builder: `restated` has every rule once more.

The bound is a Lagrangian one. For any prices y >= 0 of the rules that couple accounts, no feasible plan of the linear
problem can cost less than

    (price part) + sum over blocks of  min over reps who may own it of  cost + priced use
                 + sum over the auxiliary quantities (level, over, under, excess) of their least value in their box

so a wrong or malicious price only weakens the bound: the audit trusts nothing that the solver says.
Source: Geoffrion (1974), Lagrangean relaxation for integer programming, doi:10.1007/BFb0120690.
"""

from dataclasses import dataclass

import numpy as np

from optimization.fairness import above_quota, p_attain
from optimization.problem import NONE, Bools, Floats, Ints, TerritoryProblem
from optimization.restated import further, limits, may_by_permission, moves, raw
from optimization.scores import Goal, unfairness
from optimization.settings import AllocationSettings

TOLERANCE = 1e-6
"""Relative violation of a rule that is taken for rounding."""

EARLIER_LEVEL = "earlier level"
"""Name of the rows by which a level keeps what the levels before it achieved (see `optimization.levels`)."""

PAIRS_CHECKED = 200
"""Gains of the linear problem that are recomputed path by path."""


@dataclass(frozen=True)
class Evidence:
    """What a bound rests on.

    Attributes
    ----------
    block : [account] accounts of equal number were assigned together
    goal : what unfairness is
    gain : [block, rep] points a block adds to a score, linear around the plan
    step_share : share of a quota by which one book may change in the linear problem; infinite: no limit
    prices : dual price of each row by (rule, key), any sign and any value
    floors : [rep] least linear score that earlier levels leave the rep, points; -inf where none speaks of it
    """

    block: Ints
    goal: Goal
    gain: Floats
    step_share: float
    prices: dict[tuple[str, str], float]
    floors: Floats | None = None


@dataclass(frozen=True)
class Finding:
    """What the audit found: objective and bound in points, and what does not hold, in words."""

    objective: float
    bound: float
    violations: tuple[str, ...]


def audit(problem: TerritoryProblem, settings: AllocationSettings, rep: Ints, evidence: Evidence) -> Finding:
    """Recheck a plan ``rep`` [account] and the bound its evidence supports."""
    broken = list(violations(problem, settings, rep))
    if broken and any(text.startswith("coverage") for text in broken):
        return Finding(np.inf, -np.inf, tuple(broken))
    scores = raw_scores(problem, settings, rep)
    broken += _check_evidence(problem, settings, rep, evidence)
    cost = _account_costs(problem, settings)
    objective = unfairness(scores, evidence.goal) + float(cost[np.arange(len(rep)), rep].sum())
    return Finding(objective, _bound(problem, settings, rep, evidence, (scores, cost)), tuple(broken))


def violations(problem: TerritoryProblem, settings: AllocationSettings, rep: Ints) -> tuple[str, ...]:
    """What a plan ``rep`` [account] breaks, in words, one text per rule and key; empty when every rule holds."""
    accounts, reps = problem.account_ids, problem.rep_ids
    if len(rep) != len(accounts):
        return (f"coverage: {len(rep)} answers for {len(accounts)} accounts",)
    outside = np.flatnonzero((rep < 0) | (rep >= len(reps)))
    if len(outside):
        return tuple(f"coverage: account {accounts[i]} has no rep" for i in outside)
    broken = [
        f"eligibility: {reps[rep[i]]} may not own {accounts[i]}"
        for i in np.flatnonzero(~problem.eligible[np.arange(len(rep)), rep])
    ]
    for name, pairs in further(problem):
        wrong = np.flatnonzero(~pairs[np.arange(len(rep)), rep])
        broken += [f"{name}: {reps[rep[i]]} may not own {accounts[i]}" for i in wrong]
    broken += [
        f"active reps: {reps[rep[i]]} has no capacity and owns {accounts[i]}"
        for i in np.flatnonzero(problem.capacity[rep] <= 0)
    ]
    broken += [
        f"locks: {accounts[i]} is locked and leaves its owner"
        for i in np.flatnonzero(problem.locked & (rep != problem.owner))
    ]
    for members in _split_families(problem, rep):
        broken.append(f"families: {', '.join(str(accounts[i]) for i in members)} are not together")
    return tuple(broken + _broken_limits(problem, settings, rep))


def _split_families(problem: TerritoryProblem, rep: Ints) -> list[Ints]:
    """Members [account] of each family that has more than one rep."""
    _, family = np.unique(problem.family, return_inverse=True)
    low = np.full(family.max(initial=-1) + 1, len(problem.rep_ids))
    high = np.full(len(low), NONE)
    np.minimum.at(low, family, rep)
    np.maximum.at(high, family, rep)
    return [np.flatnonzero(family == number) for number in np.flatnonzero(low < high)]


def _broken_limits(problem: TerritoryProblem, settings: AllocationSettings, rep: Ints) -> list[str]:
    broken: list[str] = []
    for limit in limits(problem, settings):
        if limit.rep is None:
            held, name = float(limit.amount[np.arange(len(rep)), rep].sum()), "the plan"
        else:
            held, name = float(limit.amount[rep == limit.rep].sum()), str(problem.rep_ids[limit.rep])
        if held > limit.most + TOLERANCE * max(1.0, abs(limit.most)):
            sign, word = (-1.0, "least") if limit.turned else (1.0, "most")
            has, bound = sign * held + limit.given, sign * limit.most + limit.given
            broken.append(f"{limit.rule}: {name} has {has:.6g}, the {word} is {bound:.6g}")
    return broken


def raw_scores(problem: TerritoryProblem, settings: AllocationSettings, rep: Ints) -> Floats:
    """[rep] scores of a plan ``rep`` [account] from raw arrays, points."""
    if settings.fairness == "attainment":
        return 100.0 * p_attain(problem, rep, fresh=False)
    base, gain = _raw_parts(problem, settings)
    return base + np.array([gain[rep == r, r].sum() for r in range(len(base))])


def _raw_parts(problem: TerritoryProblem, settings: AllocationSettings) -> tuple[Floats, Floats]:
    """Score of an empty book [rep] and what each account adds [account, rep], where scores are exactly linear."""
    active = problem.capacity > 0
    if settings.fairness == "potential":
        fair, mean = raw(problem).fair, problem.value.mean(axis=0, dtype=np.float64)
        unit = np.array([100.0 / f if a and f != 0 else 0.0 for f, a in zip(fair, active, strict=True)])
        return unit * problem.fixed.mean(axis=0, dtype=np.float64), problem.fit * mean[:, None] * unit
    known = np.isfinite(problem.max_hours[active]).all() and problem.max_hours[active].sum() > 0
    weight = np.where(active, problem.max_hours if known else problem.capacity, 0.0)
    share = weight / max(weight.sum(), np.finfo(float).tiny) * problem.hours.sum()
    unit = np.array([100.0 / s if s > 0 else 0.0 for s in share])
    return np.zeros(len(unit)), problem.hours[:, None] * unit


def _may_own(problem: TerritoryProblem) -> Bools:
    """[account, rep] permissions of the account and all its family."""
    may = may_by_permission(problem) & (problem.capacity > 0)
    may &= ~problem.locked[:, None] | (problem.owner[:, None] == np.arange(len(problem.rep_ids)))
    _, family = np.unique(problem.family, return_inverse=True)
    together = np.ones((family.max(initial=-1) + 1, len(problem.rep_ids)), dtype=bool)
    np.logical_and.at(together, family, may)
    return together[family]


def _account_costs(problem: TerritoryProblem, settings: AllocationSettings) -> Floats:
    """[account, rep] points each pair costs; what a family gives up is booked on its members in equal parts."""
    weights = settings.weights
    _, family, size = np.unique(problem.family, return_inverse=True, return_counts=True)
    worth = np.zeros((len(size), len(problem.rep_ids)))
    np.add.at(worth, family, problem.fit * problem.value.mean(axis=0, dtype=np.float64)[:, None])
    may = np.zeros_like(worth, dtype=bool)
    may[family] = _may_own(problem)
    best = np.where(may, worth, -np.inf).max(axis=1, keepdims=True)
    given_up = ((best - worth) / size[:, None])[family]
    money = weights.move_cost * moves(problem).away * problem.move_cost[:, None] + weights.potential * given_up
    return 100.0 * money / problem.quota.sum()


def _check_evidence(
    problem: TerritoryProblem, settings: AllocationSettings, rep: Ints, evidence: Evidence
) -> list[str]:
    """Recompute gains from raw arrays, a spread of pairs where each costs a pass over all paths."""
    families, blocks = np.unique(problem.family, return_inverse=True)[1], evidence.block
    pairs = np.unique(np.stack([families, blocks]), axis=1).shape[1]
    if pairs != len(np.unique(families)) or pairs != len(np.unique(blocks)):
        return ["evidence: blocks are not the families"]
    if settings.fairness != "attainment":
        gain = np.zeros_like(evidence.gain)
        np.add.at(gain, blocks, _raw_parts(problem, settings)[1])
        counted = evidence.goal.counted
        same = np.allclose(gain[:, counted], evidence.gain[:, counted], rtol=1e-6, atol=1e-6)
        return [] if same else ["evidence: gains differ from the raw arrays"]
    may = np.argwhere(_may_own(problem))
    before = 100.0 * p_attain(problem, rep, fresh=False)
    wrong = 0
    for account, r in may[np.unique(np.linspace(0, len(may) - 1, min(len(may), PAIRS_CHECKED)).astype(int))]:
        members, sign = np.flatnonzero(families == families[account]), -1.0 if rep[account] == r else 1.0
        after = _one_chance(problem, rep, int(r), members)
        wrong += abs(sign * (after - before[r]) - evidence.gain[blocks[account], r]) > 0.05 + 1e-6
    return [f"evidence: {wrong} gains differ from the raw arrays"] if wrong else []


def _one_chance(problem: TerritoryProblem, rep: Ints, r: int, members: Ints) -> float:
    """Points of chance of rep ``r`` when these accounts change sides: they leave the rep if held, else they join."""
    book = np.flatnonzero(np.isin(np.arange(len(rep)), members) ^ (rep == r))
    return 100.0 * float(np.mean(above_quota(problem, book, r, fresh=False) >= 0))


def _bound(
    problem: TerritoryProblem, settings: AllocationSettings, rep: Ints, evidence: Evidence, raw: tuple[Floats, Floats]
) -> float:
    """Lagrangian bound of the linear problem around the plan, points; see the head of this module."""
    scores, cost = raw
    gain = evidence.gain[evidence.block]  # [account, rep], equal within a block
    size = np.bincount(evidence.block)[evidence.block][:, None]
    held = np.bincount(rep, (gain / size)[np.arange(len(rep)), rep], len(scores))
    fair, slope = _fairness_prices(scores - held - evidence.goal.offset, evidence)
    constant, priced = _rule_prices(problem, settings, rep, evidence)
    lost, promised = _level_prices(problem, scores - held, evidence)
    constant += promised
    reduced = cost + (slope - lost) * gain / size + priced
    total = np.zeros((evidence.block.max(initial=-1) + 1, len(scores)))
    np.add.at(total, evidence.block, reduced)
    may = np.zeros_like(total, dtype=bool)
    may[evidence.block] = _may_own(problem)
    least = np.where(may, total, np.inf).min(axis=1).sum()
    bound = fair + constant + float(least)
    # rounding of the sums is covered by rounding down
    return float(bound - 1e-9 * (1.0 + abs(bound) + np.abs(reduced).sum() * 1e-3)) if np.isfinite(bound) else -np.inf


def _level_prices(problem: TerritoryProblem, base: Floats, evidence: Evidence) -> tuple[Floats, float]:
    """Price of one point of each rep's score [rep] that earlier levels ask for, and what they ask for, priced."""
    if evidence.floors is None:
        return np.zeros(len(base)), 0.0
    asked = np.isfinite(evidence.floors)
    price = np.array([abs(evidence.prices.get((EARLIER_LEVEL, str(key)), 0.0)) for key in problem.rep_ids]) * asked
    least = np.where(asked, evidence.floors, 0.0)
    return price, float((price * (least - base)).sum())


def _fairness_prices(base: Floats, evidence: Evidence) -> tuple[float, Floats]:
    """Least value of all that is not an assignment, and the price of one point of each rep's score [rep]."""
    goal, prices = evidence.goal, evidence.prices
    keys = [str(r) for r in range(len(base))]

    def price(name: str, counted: Bools) -> Floats:
        raw = np.array([prices.get((name, key), 0.0) for key in keys])
        return np.where(counted, raw, 0.0).clip(min=0.0)

    over, under = price("over", goal.extreme), price("under", goal.extreme)
    high, low = price("meanover", goal.counted), price("meanunder", goal.counted)
    slope = over - under + high - low
    span = float(
        goal.high - goal.low + np.abs(base).max(initial=0.0) + np.abs(evidence.gain).sum(axis=0).max(initial=0.0)
    )
    level = -slope.sum() - goal.floor_weight
    least = goal.floor_weight * (goal.high + goal.half_band) - goal.half_band * (over + under + high + low).sum()
    least += float((slope * base).sum()) + min(level * goal.low, level * goal.high)
    least += span * min(1.0 - over.sum(), 0.0) + span * min(1.0 + goal.floor_weight - under.sum(), 0.0)
    least += span * float(np.minimum(goal.mean_weight - high - low, 0.0)[goal.counted].sum())
    return least, slope


def _rule_prices(
    problem: TerritoryProblem, settings: AllocationSettings, rep: Ints, evidence: Evidence
) -> tuple[float, Floats]:
    """Constant part of the priced rules, and priced use of each pair [account, rep]; every rule from raw arrays."""
    use, constant = np.zeros_like(problem.fit), 0.0
    for limit in limits(problem, settings):
        price = abs(evidence.prices.get((limit.rule, limit.key), 0.0))
        constant -= price * limit.most
        use[:, slice(None) if limit.rep is None else limit.rep] += price * limit.amount
    for r in np.flatnonzero(problem.capacity > 0):
        price = abs(evidence.prices.get(("round step", str(problem.rep_ids[r])), 0.0))
        amount, most = _step(problem, rep, evidence, int(r))
        if price and np.isfinite(most):
            use[:, r] += price * amount
            constant -= price * most
    return constant, use


def _step(problem: TerritoryProblem, rep: Ints, evidence: Evidence, r: int) -> tuple[Floats, float]:
    """Money of the book of rep ``r`` that each account changes, and the limit, counted from the plan."""
    block = evidence.block
    money = np.bincount(block, problem.fit[:, r] * problem.value.mean(axis=0, dtype=np.float64))
    money = (np.abs(money) / np.bincount(block))[block]
    signed = np.where(rep == r, -money, money)
    return signed, evidence.step_share * abs(problem.quota[r]) - float(money[rep == r].sum())
