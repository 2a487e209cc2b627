"""What would make a plan possible: every repair was solved on the whole problem before it is offered."""

from typing import Protocol

import numpy as np

from optimization.atoms import Atom, left_out
from optimization.families import permissions
from optimization.problem import NONE, Bools, Ints, TerritoryProblem
from optimization.pulp_model import Solution
from optimization.rounding import Question
from optimization.rules import RULES, Case, atom_of, build_case, rows_of
from optimization.settings import AllocationSettings

NAMED = 5
"""Accounts and reps named in one repair; more are counted."""


class Solver(Protocol):
    """How repairs ask."""

    def ask(self, case: Case, question: Question) -> Solution:
        """Answer of the solver."""

    def feasible(self, case: Case) -> bool:
        """Whether a plan was found."""


def repairs(
    problem: TerritoryProblem, settings: AllocationSettings, conflict: tuple[Atom, ...], solver: Solver
) -> tuple[str, ...]:
    """Repairs that are enough by themselves, in words: of the conflict's rows alone, else of the whole rule.

    Where no rule is enough, all rules of the conflict give way together, by little; empty where not even that helps.
    """
    found = []
    for rule in reversed(tuple(dict.fromkeys(name for name, _ in conflict))):
        text = _one(problem, settings, frozenset(atom for atom in conflict if atom[0] == rule), solver)
        if text is not None:
            found.append(text)
    if not found:
        text = _together(problem, settings, frozenset((name, "") for name, _ in conflict), solver)
        found = [] if text is None else [text]
    return tuple(found)


def of_everything(
    problem: TerritoryProblem, settings: AllocationSettings, atoms: tuple[Atom, ...], solver: Solver
) -> tuple[str, ...]:
    """One repair in which every rule in force may give way, rows by least; empty where the solver found none."""
    text = _together(problem, settings, frozenset((name, "") for name, _ in atoms), solver)
    return () if text is None else (text,)


def _one(problem: TerritoryProblem, settings: AllocationSettings, atoms: frozenset[Atom], solver: Solver) -> str | None:
    """Repair of one rule: for the keys of the conflict, else for all; None where it is not enough."""
    (rule,) = {name for name, _ in atoms}
    whole = frozenset({(rule, "")})
    if RULES[rule].rows is not None:
        case = build_case(problem, settings)
        if {atom_of(case, row) for row in rows_of(case) if row.rule == rule} == atoms:
            atoms = whole
        return _together(problem, settings, atoms, solver) or _together(problem, settings, whole, solver)
    if rule == "families":
        for asked in (atoms, whole):
            if solver.feasible(build_case(problem, settings, asked)):
                return RULES[rule].repair + _only(asked)
        return None
    return _together(problem, settings, whole, solver)


def _together(
    problem: TerritoryProblem, settings: AllocationSettings, relaxed: frozenset[Atom], solver: Solver
) -> str | None:
    """Rows give way by least, permissions by fewest exceptions, all at once; in words, None where that fails."""
    settled = frozenset(atom for atom in relaxed if RULES[atom[0]].rows is None)
    rows = relaxed - settled
    split = frozenset(atom for atom in settled if atom[0] == "families")
    strict, loose = build_case(problem, settings, split), build_case(problem, settings, settled)
    if not loose.blocks.allowed.any(axis=1).all():
        return None
    exception = None
    if settled - split:
        exception = (loose.blocks.allowed & ~strict.blocks.allowed) * loose.blocks.accounts[:, None]
    answer = solver.ask(loose, Question(relaxed=rows, cost=exception))
    if answer.plan is None:
        return None
    words = [_given_way(loose, rule, rows, answer.plan) for rule in sorted({rule for rule, _ in rows})]
    for rule in sorted({rule for rule, _ in settled}):
        words.append(_excepted(problem, loose.blocks.to_accounts(answer.plan), rule))
    return " and ".join(text for text in words if text) or None


def _given_way(case: Case, rule: str, relaxed: frozenset[Atom], plan: Ints) -> str:
    """By how much the rows of a rule gave way, in the rule's own unit, rounded up; empty where they did not."""
    amounts = [0.0]
    for row in rows_of(case):
        if row.rule == rule and row.relaxed > 0 and left_out(relaxed, atom_of(case, row)):
            pairs = row.coefficient[np.arange(len(plan)), plan] if row.rep is None else row.coefficient[plan == row.rep]
            excess = (pairs.sum() - row.limit) * (1 if row.sense == "<=" else -1)
            amounts.append(float(excess / row.relaxed))
    amount = _round_up(max(amounts))
    if amount == 0:
        return ""
    keys = frozenset(atom for atom in relaxed if atom[0] == rule)
    return RULES[rule].repair.format(amount=f"{amount:.4g}") + _only(keys)


def _only(atoms: frozenset[Atom]) -> str:
    """For whom a repair holds, where it is not for all."""
    keys = sorted(key for _, key in atoms if key not in ("", "all"))
    return f", for {_listed(keys)} only" if keys else ""


def _round_up(amount: float) -> float:
    """Up to four significant digits, so that the repair as printed is still enough."""
    if amount <= 0:
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(amount)) - 3)
    return float(np.ceil(amount / unit - 1e-6) * unit)


def _excepted(problem: TerritoryProblem, rep: Ints, rule: str) -> str:
    """Accounts or reps that a plan ``rep`` [account] excepts from a permission, with the new rep where that counts."""
    if rule == "families":
        return RULES[rule].repair
    pairs = np.arange(len(rep)), rep
    if rule == "locks":
        texts = [_lock(problem, int(i)) for i in np.flatnonzero(problem.locked & (rep != problem.owner))]
    elif rule in permissions(problem):
        outside: Bools = ~permissions(problem)[rule][pairs]
        texts = [f"{problem.account_ids[i]} to {problem.rep_ids[rep[i]]}" for i in np.flatnonzero(outside)]
    else:
        texts = [str(problem.rep_ids[r]) for r in np.unique(rep[problem.capacity[rep] <= 0])]
    return RULES[rule].repair.format(amount=_listed(texts)) if texts else ""


def _lock(problem: TerritoryProblem, account: int) -> str:
    text = str(problem.account_ids[account])
    return f"{text} (nobody who stays owns it)" if problem.owner[account] == NONE else text


def _listed(texts: list[str]) -> str:
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more
