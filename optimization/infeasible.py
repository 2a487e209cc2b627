"""Why no plan exists: a smallest set of named rules that cannot hold together, and what would make a plan possible."""

import time

import numpy as np

from optimization.plan import Infeasible
from optimization.problem import NONE, Bools, Ints, TerritoryProblem
from optimization.pulp_model import Effort, Solution, solve_integral
from optimization.rounding import Question, solve_near_relaxation
from optimization.rules import RULES, Case, build_case, rows_of
from optimization.settings import AllocationSettings

EXPLAIN_SECONDS = 60.0
"""Longest search for a conflict and its repairs."""

REPAIR_GAP, REPAIR_NODES = 0.01, 20
"""A repair need only be nearly the cheapest; nodes keep the search short in the same way every time."""

NAMED = 5
"""Accounts and reps named in one repair; more are counted."""


def explain(problem: TerritoryProblem, settings: AllocationSettings) -> Infeasible:
    """Find one minimal conflict by a deletion filter, and the repair of each of its rules.

    A rule is left out for good when the others still cannot hold together; what remains is a set that cannot hold, of
    which every proper subset can. Source: Chinneck and Dravnieks (1991), Locating minimal infeasible constraint sets in
    linear programs, doi:10.1287/ijoc.3.2.157; the filter is applied to named rules of an integer program.
    Each repair was solved on the whole problem; where a rule's giving way does not suffice, it is not offered.
    """
    deadline = time.monotonic() + EXPLAIN_SECONDS
    unknown = Infeasible((), ("no plan was found in the time given; it is not proven that there is none",))
    if _feasible(build_case(problem, settings), deadline) is not False:
        return unknown
    without: frozenset[str] = frozenset(name for name in RULES if not _in_force(problem, settings, name))
    conflict = []
    for name in RULES:
        if name in without:
            continue
        answer = _feasible(build_case(problem, settings, without | {name}), deadline)
        if answer is None:
            return unknown
        if answer:
            conflict.append(name)
        else:
            without |= {name}
    return Infeasible((tuple(conflict),), _repairs(problem, settings, tuple(conflict), deadline))


def _in_force(problem: TerritoryProblem, settings: AllocationSettings, name: str) -> bool:
    """Whether the rule asks for anything at all here."""
    rows = RULES[name].rows
    if rows is not None:
        return bool(rows(build_case(problem, settings)))
    permissions = {
        "eligibility": not problem.eligible.all(),
        "active reps": bool((problem.capacity <= 0).any()),
        "locks": bool(problem.locked.any()),
        "families": len(np.unique(problem.family)) < len(problem.family),
    }
    return permissions[name]


def _feasible(case: Case, deadline: float) -> bool | None:
    """Whether any plan exists; None when the time is up."""
    if not case.blocks.allowed.any(axis=1).all():
        return False
    answer = _ask(case, Question(cost=case.blocks.moved_accounts), deadline)
    if answer.status == "infeasible":
        return False
    return True if answer.plan is not None else None


def _ask(case: Case, question: Question, deadline: float) -> Solution:
    """Answer of the solver: exact for small problems, near the relaxation for others."""
    if case.blocks.allowed.sum() <= case.settings.integer_pairs:
        model = question.model(case, case.blocks.allowed)
        return solve_integral(case, model, Effort(1e-6, 2**30, deadline), None)
    return solve_near_relaxation(case, question, Effort(REPAIR_GAP, REPAIR_NODES, deadline), None)


def _repairs(
    problem: TerritoryProblem, settings: AllocationSettings, conflict: tuple[str, ...], deadline: float
) -> tuple[str, ...]:
    """One repair per rule of the conflict that is enough by itself, in words; rules of settings first."""
    found = []
    for name in reversed(conflict):
        rule = RULES[name]
        if rule.rows is not None:
            amount = _give_way(build_case(problem, settings), name, deadline)
            if amount is not None:
                found.append(rule.repair.format(amount=f"{amount:.4g}"))
        elif name == "families":
            if _feasible(build_case(problem, settings, frozenset({name})), deadline):
                found.append(rule.repair)
        else:
            pairs = _fewest_exceptions(problem, settings, name, deadline)
            if pairs is not None:
                found.append(rule.repair.format(amount=pairs))
    if not found:
        found.append(f"no single rule is enough; these must give way together or in part: {', '.join(conflict)}")
    return tuple(found)


def _give_way(case: Case, name: str, deadline: float) -> float | None:
    """Small relaxation of the rule (in its own unit, rounded up) with which a plan exists; None if none is enough."""
    if not case.blocks.allowed.any(axis=1).all():
        return None
    answer = _ask(case, Question(relaxed=name), deadline)
    if answer.plan is None:
        return None
    plan = answer.plan
    amounts = [0.0]
    for row in rows_of(case):
        if row.rule == name and row.relaxed > 0:
            pairs = row.coefficient[np.arange(len(plan)), plan] if row.rep is None else row.coefficient[plan == row.rep]
            excess = (pairs.sum() - row.limit) * (1 if row.sense == "<=" else -1)
            amounts.append(float(excess / row.relaxed))
    return _round_up(max(amounts))


def _round_up(amount: float) -> float:
    """Up to four significant digits, so that the repair as printed is still enough."""
    if amount <= 0:
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(amount)) - 3)
    return float(np.ceil(amount / unit - 1e-6) * unit)


def _fewest_exceptions(
    problem: TerritoryProblem, settings: AllocationSettings, name: str, deadline: float
) -> str | None:
    """Name few accounts (or reps) that must be excepted from a permission; None if that is not enough."""
    strict, loose = build_case(problem, settings), build_case(problem, settings, frozenset({name}))
    if not loose.blocks.allowed.any(axis=1).all():
        return None
    exception = (loose.blocks.allowed & ~strict.blocks.allowed) * loose.blocks.accounts[:, None]
    answer = _ask(loose, Question(cost=exception), deadline)
    if answer.plan is None:
        return None
    return _names(problem, loose, answer.plan, exception > 0, name)


def _names(problem: TerritoryProblem, case: Case, plan: Ints, exception: Bools, name: str) -> str:
    """Excepted accounts in words, with their new rep where that is the point."""
    rep = case.blocks.to_accounts(plan)
    excepted = exception[case.blocks.block, rep]
    if name == "locks":
        excepted &= problem.locked & (rep != problem.owner)
        texts = [str(problem.account_ids[i]) for i in np.flatnonzero(excepted)]
        texts = [
            f"{t} (nobody who stays owns it)" if problem.owner[i] == NONE else t
            for t, i in zip(texts, np.flatnonzero(excepted), strict=True)
        ]
    elif name == "eligibility":
        excepted &= ~problem.eligible[np.arange(len(rep)), rep]
        texts = [f"{problem.account_ids[i]} to {problem.rep_ids[rep[i]]}" for i in np.flatnonzero(excepted)]
    else:
        texts = [str(problem.rep_ids[r]) for r in np.unique(rep[excepted & (problem.capacity[rep] <= 0)])]
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more
