"""Conflicts among all the rules there are: truly conflicts, minimal, and repaired by what is offered."""

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from optimization.atoms import spell
from optimization.infeasible import explain
from optimization.problem import Floats, Ints, TerritoryProblem
from optimization.restated import limits
from optimization.rules import RULES, build_case, rows_of
from optimization.settings import AllocationSettings, Bands
from tests.ruled_territories import keeps_rules, ruled_problem

TIGHTER = (
    {"min_accounts": 3},
    {"max_accounts": 1},
    {"max_moved_accounts_per_rep": 0, "min_accounts": 2},
    {"max_move_cost_per_rep": 0.0, "hire_min_accounts": 2},
    {"max_moved_value_share_per_rep": 0.0, "hire_min_share": 0.8},
    {"max_potential": 150.0},
    {"min_potential": 150.0},
    {"min_hours": 8.0},
    {"max_travel_km": 30.0},
    {"hire_min_share": 1.5},
    {"bands": Bands(revenue=0.1, hours=0.3)},
    {"bands": Bands(accounts=0.1)},
    {"bands": Bands(commission=0.1)},
)
"""Settings that many a problem cannot keep."""


def hard_problem(seed: int) -> tuple[TerritoryProblem, AllocationSettings, Ints]:
    """At most 1,024 assignments (families may be split), all of them; some of the rules tightened or dropped."""
    rng = np.random.default_rng(seed)
    number = seed
    while True:
        problem, wanted = ruled_problem(number)
        accounts, reps = problem.fit.shape
        if reps > 1 and reps**accounts <= 1024:
            break
        number += 10_007
    free = dict.fromkeys(("min_potential", "max_potential", "max_moved_value_share", "max_move_cost", "min_hours"))
    wanted = wanted.model_copy(update={**free, "bands": Bands(), "value_band_is_rule": False})
    for which in rng.choice(len(TIGHTER), 2, replace=False):
        wanted = wanted.model_copy(update=TIGHTER[which])
    if rng.uniform() < 0.3:
        assert problem.permits is not None
        problem = replace(problem, permits=problem.permits & (rng.uniform(size=problem.permits.shape) < 0.8))
    return problem, wanted, np.array(list(product(range(reps), repeat=accounts)))


def excess(problem: TerritoryProblem, wanted: AllocationSettings, plans: Ints) -> dict[str, Floats]:
    """[plan] by how much each plan breaks each rule, in the rule's unit, by name and key."""
    accounts = np.arange(len(problem.owner))
    found: dict[str, Floats] = {}
    for name, pairs in permissions_of(problem).items():
        for group in np.unique(pairs, axis=0):
            members = np.flatnonzero((pairs == group).all(axis=1))
            key = f"{name}: {problem.account_ids[members[0]]}"
            found[key] = (~pairs[members, plans[:, members]]).any(axis=1).astype(float)
    for r in np.flatnonzero(problem.capacity <= 0):
        found[f"active reps: {problem.rep_ids[r]}"] = (plans == r).any(axis=1).astype(float)
    for i in np.flatnonzero(problem.locked):
        found[f"locks: {problem.account_ids[i]}"] = (plans[:, i] != problem.owner[i]).astype(float)
    for family in np.unique(problem.family):
        members = np.flatnonzero(problem.family == family)
        found[f"families: {problem.account_ids[members[0]]}"] = np.ptp(plans[:, members], axis=1).astype(float)
    units = {(row.rule, row.key): row.relaxed for row in rows_of(build_case(problem, wanted))}
    for limit in limits(problem, wanted):
        if limit.rep is None:
            used, key = limit.amount[accounts, plans].sum(axis=1), limit.rule
        else:
            used = ((plans == limit.rep) * limit.amount).sum(axis=1)
            key = spell((limit.rule, str(problem.rep_ids[limit.rep])))
        over = np.where(used - limit.most > 1e-6 * max(1.0, abs(limit.most)), used - limit.most, 0.0)
        unit = units[limit.rule, limit.key]
        over = over / unit if unit > 0 else np.where(over > 0, np.inf, 0.0)
        found[key] = np.maximum(found.get(key, 0.0), over)
    return found


def permissions_of(problem: TerritoryProblem) -> dict[str, np.ndarray]:
    assert problem.permission_ids is not None
    assert problem.permits is not None
    return {"eligibility": problem.eligible, **dict(zip(problem.permission_ids.tolist(), problem.permits, strict=True))}


def excused(part: str, problem: TerritoryProblem, plans: Ints, atom: str, amount: Floats) -> np.ndarray:
    """[plan] whether a part of a repair, as people read it, excuses the rule."""
    rule, _, key = atom.partition(": ")
    head, _, only = part.partition(", for ")
    no = np.zeros(len(plans), dtype=bool)
    if only and key not in only.removesuffix(" only").split(", "):
        return no
    text = re.escape(RULES[rule].repair).replace(r"\{amount\}", "(.+)")
    match = re.fullmatch(text, head)
    if match is None:
        return no
    if RULES[rule].rows is not None:
        fine: np.ndarray = amount <= float(match[1]) * (1 + 1e-9) + 1e-6
        return fine
    if rule == "families":
        return ~no
    ids, reps = problem.account_ids, problem.rep_ids
    if rule == "locks":
        return no | (re.search(rf"\b{key}\b", match[1]) is not None)
    if rule == "active reps":
        return no | (key in match[1].split(", "))
    pairs = permissions_of(problem)[rule]
    named = np.array([[f"{i} to {r}" in match[1].split(", ") for r in reps] for i in ids])
    allowed: np.ndarray = (pairs | named)[np.arange(len(ids)), plans]
    group = (pairs == pairs[list(ids).index(key)]).all(axis=1)
    return np.asarray(allowed[:, group].all(axis=1))


@pytest.mark.parametrize(("first", "wanted_number"), [(0, 8), pytest.param(5000, 200, marks=pytest.mark.slow)])
def test_conflicts_of_all_rules_are_conflicts_irreducible_and_repaired(first: int, wanted_number: int) -> None:
    infeasible, named = 0, set[str]()
    for seed in range(first, first + 20 * wanted_number):
        problem, wanted, plans = hard_problem(seed)
        broken = excess(problem, wanted, plans)
        breaks = {name: amount > 1e-9 for name, amount in broken.items()}
        if (~np.any(list(breaks.values()), axis=0)).any():
            assert keeps_rules(problem, wanted, plans)[~np.any(list(breaks.values()), axis=0)].all()
            continue
        infeasible += 1
        answer = explain(problem, wanted)
        assert answer.status == "proven", seed
        assert answer.repairs
        for conflict in answer.conflicts:
            assert set(conflict) <= set(breaks), (seed, conflict)
            assert np.any([breaks[name] for name in conflict], axis=0).all(), (seed, conflict)
            for left_out in conflict:
                rest = [breaks[name] for name in conflict if name != left_out]
                assert not np.any(rest, axis=0).all() if rest else True, (seed, left_out, conflict)
            named |= {name.partition(":")[0] for name in conflict}
        for repair in answer.repairs:
            fine = np.ones(len(plans), dtype=bool)
            for atom, amount in broken.items():
                parts = [excused(part, problem, plans, atom, amount) for part in repair.split(" and ")]
                fine &= ~breaks[atom] | np.any(parts, axis=0)
            assert fine.any(), (seed, repair)
        if infeasible == wanted_number:
            assert len(named) >= min(5, wanted_number), named
            return
    raise AssertionError(f"only {infeasible} infeasible problems")
