"""Small territory problems on which every rule is in force, and a brute force that knows all their plans."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from optimization.problem import NONE, PERMISSIONS, Bools, Floats, Ints, TerritoryProblem
from optimization.scores import Goal
from optimization.settings import AllocationSettings, Bands
from tests.territories import random_problem

MOST_PLANS = 10**6
SLACK = 1e-6


def ruled_problem(seed: int) -> tuple[TerritoryProblem, AllocationSettings]:
    """Every rule on, with limits that a hidden plan keeps, half of them exactly: so a plan exists.

    Among the accounts are ties, accounts of negative and of no value, and one that is worth more than the others
    together.
    """
    rng = np.random.default_rng(seed)
    reps = int(rng.integers(1, 6))
    accounts = int(rng.integers(2, 1 + min(9, int(np.log(MOST_PLANS) / np.log(max(reps, 2))))))
    base = random_problem(seed, accounts, reps)
    factor = rng.choice([1.0, 1.0, 1.0, -1.0, 0.0], accounts)
    factor[rng.integers(accounts)] *= rng.choice([1.0, 20.0])
    value, fresh = base.value * factor.astype(np.float32), base.fresh_value * factor.astype(np.float32)
    if accounts > 2 and rng.uniform() < 0.5:  # two accounts that differ in nothing but their names
        for array in (value.T, fresh.T, base.fit, base.owner, base.locked, base.hours, base.eligible):
            array[1] = array[0]
        base.family[:2] = accounts + 1 + np.arange(2)
    shape = (len(PERMISSIONS), accounts, reps)
    permits = rng.uniform(size=shape) < rng.choice([0.9, 1.0, 1.0], (len(PERMISSIONS), 1, 1))
    problem = replace(
        base,
        value=value,
        fresh_value=fresh,
        move_cost=np.abs(0.1 * value.mean(axis=0)).astype(float),
        permission_ids=np.array(PERMISSIONS),
        permits=permits,
        commission=rng.choice([0.05, 0.1], (accounts, reps)).astype(float),
        travel=rng.integers(0, 50, (accounts, reps)).astype(float),
        hire=rng.uniform(size=reps) < 0.4,
    )
    hidden = _hidden(problem, rng)
    problem = replace(problem, permits=permits | (hidden[:, None] == np.arange(reps)))
    return _limited(problem, hidden, rng)


def _hidden(problem: TerritoryProblem, rng: np.random.Generator) -> Ints:
    """A plan [account] that keeps locks, families, eligibility and capacities, by mending them where there is none."""
    count = len(problem.rep_ids)
    rep = np.zeros(len(problem.owner), dtype=np.int64)
    for family in np.unique(problem.family):
        members = np.flatnonzero(problem.family == family)
        locked = members[problem.locked[members]]
        open_to = problem.capacity > 0
        if len(locked):
            keep = int(problem.owner[locked[0]])
            problem.locked[locked] = (problem.owner[locked] == keep) & bool(open_to[keep])
            open_to = np.arange(count) == keep if open_to[keep] else open_to
        rep[members] = rng.choice(np.flatnonzero(open_to))
        problem.eligible[members, rep[members]] = True
    return rep


def _limited(
    problem: TerritoryProblem, hidden: Ints, rng: np.random.Generator
) -> tuple[TerritoryProblem, AllocationSettings]:
    """Limits that the hidden plan [account] keeps, exactly or with room; the share of exact ones differs by problem."""
    slacks = [[0.0, 0.2], [0.0, 0.5, 1.0, 3.0, 3.0, 3.0], [1.0, 3.0, 9.0]][rng.choice(3, p=[0.2, 0.3, 0.5])]

    def loose(amount: float, *, least: bool = False) -> float:
        more = float(rng.choice(slacks)) * abs(amount) + SLACK * max(1.0, abs(amount))
        return amount - more if least else amount + more

    def width(deviation: Floats, fair: Floats) -> float | None:
        some = active & (np.abs(fair) > SLACK)
        wide = loose(float((np.abs(deviation[some]) / np.abs(fair[some])).max(initial=0.0)))
        return wide if (np.abs(deviation[active & ~some]) < SLACK).all() and wide <= 10 else None

    used, active = uses(problem, hidden[None]), problem.capacity > 0
    one = {name: use[0] for name, use in used.items()}
    hours = np.where(active, one["hours"] * rng.choice([1.0, 1.2, 2.0, 99.0], len(active)), 0.0)
    hires = active & problem.hire if problem.hire is not None else active & False
    fair = fair_value(problem)
    share = np.where(active, problem.capacity, 0) / problem.capacity[active].sum()
    mean = problem.value.mean(axis=0, dtype=np.float64)
    positive = mean.clip(min=0).sum()
    counts, worth = one["accounts"][active], one["worth"][active]
    band = width(one["worth"] - fair, fair)
    reached = one["worth"][hires] / fair[hires] if hires.any() else np.zeros(1)
    wanted = AllocationSettings.model_construct(
        **AllocationSettings(search_paths=200, confidence_groups=0).model_dump()
        | {
            "weights": AllocationSettings().weights,
            "max_accounts": int(loose(counts.max())),
            "min_accounts": int(max(loose(counts.min(), least=True), 0)),
            "min_hours": max(loose(one["hours"][active].min(), least=True), 0.0),
            "min_potential": loose(worth.min(), least=True),
            "max_potential": loose(worth.max()),
            "max_travel_km": loose((one["travel"] / problem.capacity.clip(min=SLACK))[active].max()),
            "max_moved_accounts_share": min(loose(one["moved accounts"] / len(hidden)), 1.0),
            "max_moved_value_share": max(loose(one["moved value"] / positive), 0.0) if positive > 0 else None,
            "max_move_cost": loose(one["move cost"]),
            "max_moved_accounts_per_rep": int(loose(one["moved accounts per rep"].max() + rng.integers(2))),
            "max_moved_value_share_per_rep": width(one["moved value per rep"].clip(min=0), fair),
            "max_move_cost_per_rep": loose(one["move cost per rep"].max()),
            "value_band_share": 0.0 if band is None else band,
            "value_band_is_rule": band is not None,
            "hire_min_share": loose(reached.min(), least=True)
            if (fair[hires] > 0).all() and reached.min() > SLACK
            else None,
            "hire_min_accounts": int(one["spared"][hires].min()) if hires.any() else None,
            "bands": Bands.model_construct(
                revenue=width(one["worth"] - share * total(problem), share * total(problem)),
                hours=width(one["hours"] - share * problem.hours.sum(), share * problem.hours.sum()),
                accounts=width(one["accounts"] - share * len(hidden), share * len(hidden)),
                commission=width(one["commission"] - share * pot(problem), share * pot(problem)),
            ),
        }
    )
    return replace(problem, max_hours=hours), wanted


def total(problem: TerritoryProblem) -> float:
    """Expected revenue of all accounts and active reps."""
    return float(problem.value.mean(axis=0, dtype=np.float64).sum() + fixed(problem)[problem.capacity > 0].sum())


def fixed(problem: TerritoryProblem) -> Floats:
    """[rep]."""
    return problem.fixed.mean(axis=0, dtype=np.float64)


def fair_value(problem: TerritoryProblem) -> Floats:
    """[rep] share of the total by quota."""
    quota = np.where(problem.capacity > 0, problem.quota, 0.0)
    return quota / quota.sum() * total(problem)


def pot(problem: TerritoryProblem) -> float:
    """Commission there is to share."""
    assert problem.commission is not None
    active = problem.capacity > 0
    rate = np.average(problem.commission[:, active], axis=1, weights=problem.capacity[active])
    return float((problem.value.mean(axis=0, dtype=np.float64) * rate).sum())


def uses(problem: TerritoryProblem, plans: Ints) -> dict[str, Floats]:
    """[plan, rep] what each book uses of every rule, and [plan] what whole plans use, from the words of the rules."""
    mean, owner = problem.value.mean(axis=0, dtype=np.float64), problem.owner
    accounts, reps = np.arange(len(owner)), np.arange(len(problem.rep_ids))
    assert problem.permits is not None
    assert problem.commission is not None
    assert problem.travel is not None
    may = problem.eligible & problem.permits.all(axis=0)
    could_stay = (owner != NONE) & may[accounts, owner] & (problem.capacity[owner] > 0)
    held = plans[:, :, None] == reps  # [plan, account, rep]
    moved = could_stay & (plans != owner)
    joins = held & moved[:, :, None]
    leaves = moved[:, :, None] & (owner[:, None] == reps)
    changed = (joins.astype(float) + leaves).transpose(0, 2, 1)  # [plan, rep, account]
    fair, new = fair_value(problem), (problem.hire if problem.hire is not None else reps < 0) & (problem.capacity > 0)
    book = np.array([mean[owner == r].sum() for r in reps]) + fixed(problem)
    spare = np.array([o == NONE or bool(book[o] > fair[o] and not new[o]) for o in owner])
    worth = (held * (problem.fit * mean[:, None])).sum(axis=1)
    return {
        "accounts": held.sum(axis=1).astype(float),
        "hours": (held * problem.hours[:, None]).sum(axis=1),
        "worth": worth + fixed(problem),
        "commission": (held * (problem.commission * problem.fit * mean[:, None])).sum(axis=1),
        "travel": (held * problem.travel).sum(axis=1),
        "spared": (held * spare[:, None]).sum(axis=1).astype(float),
        "moved accounts per rep": changed.sum(axis=2),
        "moved value per rep": changed @ mean,
        "move cost per rep": changed @ problem.move_cost,
        "moved accounts": moved.sum(axis=1).astype(float),
        "moved value": moved @ mean,
        "move cost": moved @ problem.move_cost,
    }


def every_plan(problem: TerritoryProblem) -> Ints:
    """[plan, account] every assignment of whole families, whether it keeps the rules or not."""
    _, family = np.unique(problem.family, return_inverse=True)
    blocks = int(family.max()) + 1
    choices = np.array(list(product(range(len(problem.rep_ids)), repeat=blocks)), dtype=np.int8)
    return choices[:, family].astype(np.int64)


def keeps_rules(problem: TerritoryProblem, wanted: AllocationSettings, plans: Ints, tolerance: float = 1e-6) -> Bools:
    """[plan] whether each plan keeps every rule; said a third time, in plain terms."""
    accounts, active = np.arange(len(problem.owner)), problem.capacity > 0
    assert problem.permits is not None
    may = problem.eligible & problem.permits.all(axis=0) & active
    may &= ~problem.locked[:, None] | (problem.owner[:, None] == np.arange(len(active)))
    fine: Bools = may[accounts, plans].all(axis=1)
    kept = plans[fine]
    if len(kept):
        fine[np.flatnonzero(fine)] = _keeps_limits(problem, wanted, uses(problem, kept), tolerance)
    return fine


def _keeps_limits(
    problem: TerritoryProblem, wanted: AllocationSettings, used: dict[str, Floats], tolerance: float
) -> Bools:
    active, fair = problem.capacity > 0, fair_value(problem)
    share = np.where(active, problem.capacity, 0) / problem.capacity[active].sum()
    new = active & (problem.hire if problem.hire is not None else False)
    fine = np.ones(len(used["accounts"]), dtype=bool)

    def most(amount: Floats, limit: Floats | float | None, whom: Bools = active) -> None:
        if limit is not None:
            above = amount - limit > tolerance * np.maximum(1.0, np.abs(limit))
            fine[:] &= ~(above[:, whom].any(axis=1) if amount.ndim == 2 else above)

    def least(amount: Floats, limit: Floats | float | None, whom: Bools = active) -> None:
        if limit is not None:
            most(-amount, -np.asarray(limit), whom)

    def band(amount: Floats, centre: Floats, width: float | None) -> None:
        if width is not None:
            most(amount, centre + width * np.abs(centre))
            least(amount, centre - width * np.abs(centre))

    most(used["hours"], problem.max_hours)
    most(used["accounts"], wanted.max_accounts)
    least(used["accounts"], wanted.min_accounts)
    least(used["hours"], wanted.min_hours)
    least(used["worth"], wanted.min_potential)
    most(used["worth"], wanted.max_potential)
    most(used["travel"], None if wanted.max_travel_km is None else wanted.max_travel_km * problem.capacity)
    band(used["worth"], fair, wanted.value_band_share if wanted.value_band_is_rule else None)
    band(used["worth"], share * total(problem), wanted.bands.revenue)
    band(used["hours"], share * problem.hours.sum(), wanted.bands.hours)
    band(used["accounts"], share * len(problem.owner), wanted.bands.accounts)
    band(used["commission"], share * pot(problem), wanted.bands.commission)
    least(used["worth"], None if wanted.hire_min_share is None else wanted.hire_min_share * fair, new)
    least(used["spared"], wanted.hire_min_accounts, new)
    most(used["moved accounts per rep"], wanted.max_moved_accounts_per_rep)
    value = wanted.max_moved_value_share_per_rep
    most(used["moved value per rep"], None if value is None else value * np.abs(fair))
    most(used["move cost per rep"], wanted.max_move_cost_per_rep)
    accounts = wanted.max_moved_accounts_share
    most(used["moved accounts"], None if accounts is None else np.floor(accounts * len(problem.owner) + 1e-9))
    value = wanted.max_moved_value_share
    positive = problem.value.mean(axis=0, dtype=np.float64).clip(min=0).sum()
    most(used["moved value"], None if value is None else value * positive)
    most(used["move cost"], wanted.max_move_cost)
    return fine


@dataclass(frozen=True)
class Scored:
    """What a linear problem says of plans: ``base`` [rep], ``gain`` and ``cost`` [block, rep], and what is fair."""

    base: Floats
    gain: Floats
    cost: Floats
    goal: Goal


def objectives(scored: Scored, plans: Ints) -> Floats:
    """[plan] objective of plans [plan, block], the formula of `optimization.scores` written for many at once."""
    goal, blocks = scored.goal, np.arange(plans.shape[1])
    held = plans[:, :, None] == np.arange(len(scored.base))
    scores = scored.base + (held * scored.gain).sum(axis=1) - goal.offset
    edges = np.full((len(plans), 1), goal.low), np.full((len(plans), 1), goal.high)
    levels = np.concatenate([scores - goal.half_band, scores + goal.half_band, *edges], axis=1)
    levels = levels.clip(goal.low, goal.high)[:, :, None]  # the function is convex with its corners here
    above, below = scores[:, None] - levels - goal.half_band, levels - scores[:, None] - goal.half_band
    over = above[..., goal.extreme].max(axis=-1, initial=0.0)
    under = below[..., goal.extreme].max(axis=-1, initial=0.0)
    off = np.maximum(np.maximum(above, below), 0.0)[..., goal.counted].sum(axis=-1)
    lowest = levels[..., 0] - goal.half_band - under
    unfair = over + under + goal.mean_weight * off + goal.floor_weight * (goal.high - lowest)
    least: Floats = unfair.min(axis=1) + scored.cost[blocks, plans].sum(axis=1)
    return least
