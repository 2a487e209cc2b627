"""Why no plan exists: a smallest set of named rules that cannot hold together, and what would make a plan possible.

A rule is a builder and a key: the lock of one account, the minimum of one rep. Sums prove what they can
(`optimization.sums`), cheap checks guess a conflict, whole
rules are left out while the rest still cannot hold (Chinneck and Dravnieks 1991, doi:10.1287/ijoc.3.2.157), and what
remains goes through `optimization.quickxplain` key by key. Every guess is confirmed by the solver on those rules alone.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from optimization.atoms import Atom, spell
from optimization.families import alike, permissions
from optimization.plan import Infeasible
from optimization.problem import Bools, TerritoryProblem
from optimization.pulp_model import Effort, Solution, build, relax, solve_integral
from optimization.quickxplain import irreducible
from optimization.repairs import of_everything, repairs
from optimization.rounding import Question, solve_near_relaxation
from optimization.rules import RULES, Case, atom_of, build_case, rows_of
from optimization.settings import AllocationSettings
from optimization.sums import beyond_reach, counted
from optimization.suspects import suspects

EXPLAIN_SECONDS = 60.0
"""Longest search for a conflict and its repairs."""

CONFLICT_SHARE = 0.6
"""Share of that time for the conflict; the rest is for repairs."""

MOST_CONFLICTS = 3
"""Conflicts without a rule in common that are sought where the repair of one is not enough."""

PRICED = 1e-7
"""Price from which a row counts."""

GAP, NODES = 0.01, 20
"""A repair need only be nearly the cheapest; nodes keep the search short in the same way every time."""

UNKNOWN = "unknown (time)"
"""Status of an answer that the time did not suffice to prove."""


class OutOfTimeError(Exception):
    """The solver could not say in time whether a plan exists."""


@dataclass
class Oracle:
    """Says whether some rules can hold together, and remembers the smallest set that cannot.

    Attributes
    ----------
    problem, settings : the whole problem
    deadline : reading of `time.monotonic`
    atoms : every rule in force
    smallest : of all sets asked so far that are proven not to hold together
    """

    problem: TerritoryProblem
    settings: AllocationSettings
    deadline: float
    atoms: tuple[Atom, ...] = ()
    smallest: tuple[Atom, ...] | None = None
    known: dict[frozenset[Atom], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the rules in force."""
        self.atoms = tuple(atoms_in_force(self.problem, self.settings))

    def cannot_hold(self, rules: Sequence[Atom]) -> bool:
        """Whether these rules alone, with every account having one rep, have no plan.

        Raises
        ------
        OutOfTimeError
            When that cannot be said in time.
        """
        asked = frozenset(rules)
        if asked not in self.known:
            case = build_case(self.problem, self.settings, frozenset(self.atoms) - asked)
            possible = feasible(case, self.deadline)
            if possible is None:
                raise OutOfTimeError
            self.known[asked] = not possible
        if self.known[asked] and (self.smallest is None or len(rules) < len(self.smallest)):
            self.smallest = tuple(rules)
        return self.known[asked]


def explain(problem: TerritoryProblem, settings: AllocationSettings, seconds: float = EXPLAIN_SECONDS) -> Infeasible:
    """Name smallest sets of rules that cannot hold together, and repairs that were solved on the whole problem."""
    started = time.monotonic()
    oracle = Oracle(problem, settings, started + CONFLICT_SHARE * seconds)
    conflicts, proven, excused = list[tuple[Atom, ...]](), True, frozenset[Atom]()
    found: tuple[str, ...] = ()
    while len(conflicts) < MOST_CONFLICTS:
        conflict, smallest = find_conflict(oracle, excused)
        if not conflict:
            proven &= smallest or bool(conflicts)  # what is named stays proven, whether or not there is more
            break
        proven &= smallest
        conflicts.append(conflict)
        named = tuple(atom for one in conflicts for atom in one)
        found = repairs(problem, settings, named, Asker(started + seconds))
        if found or not smallest:
            break
        excused |= frozenset(conflict)
    if not conflicts:
        text = "no plan was found in the time given; it is not proven that there is none"
        return Infeasible((), (text,), UNKNOWN)
    if not found:
        found = of_everything(problem, settings, oracle.atoms, Asker(started + seconds))
    if not found:
        rules = dict.fromkeys(atom[0] for one in conflicts for atom in one)
        found = (f"no repair was found in the time given; these must give way, alone or in part: {', '.join(rules)}",)
    sets = tuple(tuple(spell(atom) for atom in conflict) for conflict in conflicts)
    return Infeasible(sets, found, "proven" if proven else UNKNOWN)


def find_conflict(oracle: Oracle, excused: frozenset[Atom]) -> tuple[tuple[Atom, ...], bool]:
    """Rules that cannot hold together, apart from the excused ones, and whether it is proven that no rule can go.

    Empty where the rest can hold together, or where nothing could be proven in time (then the second is false).
    """
    rest = [atom for atom in oracle.atoms if atom not in excused]
    oracle.smallest = None
    if (proof := counted(oracle.problem, oracle.settings)) and set(proof) <= set(rest):
        return proof, True
    try:
        for guess in suspects(oracle.problem, oracle.settings, rest):
            if oracle.cannot_hold(guess):
                return tuple(irreducible(oracle.cannot_hold, guess)), True
        if not oracle.cannot_hold(rest):
            return (), True
        return tuple(irreducible(oracle.cannot_hold, _support(oracle, _without_whole_rules(oracle, rest)))), True
    except OutOfTimeError:
        return oracle.smallest or (), False


def _without_whole_rules(oracle: Oracle, rest: list[Atom]) -> list[Atom]:
    """What is left of a conflict after whole rules that it does not need are left out."""
    for rule in RULES:
        fewer = [atom for atom in rest if atom[0] != rule]
        if len(fewer) < len(rest) and oracle.cannot_hold(fewer):
            rest = fewer
    return rest


def _support(oracle: Oracle, rest: list[Atom]) -> list[Atom]:
    """Those of the rules that the prices of an elastic relaxation need for a conflict; all, where it finds none.

    Rows count where they have a price, permissions where lifting them would make an account cheaper at these prices
    (a Farkas certificate; Chinneck 2008, Feasibility and Infeasibility in Optimization, doi:10.1007/978-0-387-74932-7).
    """
    case = build_case(oracle.problem, oracle.settings, frozenset(oracle.atoms) - frozenset(rest))
    if not case.blocks.allowed.any(axis=1).all():
        return rest
    everything = frozenset((rule, "") for rule in RULES)
    model = build(case, None, case.blocks.allowed, relaxed=everything, apart=True)
    prices = relax(case, model, Effort(GAP, NODES, oracle.deadline)).prices
    priced = np.zeros(case.blocks.allowed.shape)
    needed: set[Atom] = set()
    for row in rows_of(case):
        price = prices.get((row.rule, row.key), 0.0)
        if abs(price) > PRICED:
            needed.add(atom_of(case, row))
            priced[:, slice(None) if row.rep is None else row.rep] -= price * row.coefficient
    worth = np.where(case.blocks.allowed, priced, np.inf).min(axis=1) > priced.min(axis=1) + PRICED
    cheaper = worth[case.blocks.block]
    accounts = set(oracle.problem.account_ids[cheaper].tolist())
    for name in permissions(oracle.problem):
        accounts |= set(alike(oracle.problem, name)[cheaper].tolist())
    kept = [atom for atom in rest if atom in needed or _speaks_of(atom, accounts)]
    return kept if oracle.cannot_hold(kept) else rest


def _speaks_of(atom: Atom, accounts: set[str]) -> bool:
    """Whether a permission may be what keeps one of the accounts from being cheaper."""
    rule, key = atom
    return RULES[rule].rows is None and (rule in ("active reps", "families") or key in accounts)


def atoms_in_force(problem: TerritoryProblem, settings: AllocationSettings) -> list[Atom]:
    """Every rule that asks for anything here, by key."""
    accounts = problem.account_ids
    _, first, count = np.unique(problem.family, return_index=True, return_counts=True)
    keys = {
        **{name: np.unique(alike(problem, name)[~pairs.all(axis=1)]) for name, pairs in permissions(problem).items()},
        "active reps": problem.rep_ids[problem.capacity <= 0],
        "locks": accounts[problem.locked],
        "families": accounts[np.sort(first[count > 1])],
    }
    case = build_case(problem, settings)
    rows = dict.fromkeys(atom_of(case, row) for row in rows_of(case))
    settled = [(rule, str(key)) for rule in RULES for key in keys.get(rule, [])]
    return [*rows, *settled]


@dataclass(frozen=True)
class Asker:
    """Asks the solver until a reading of `time.monotonic`."""

    deadline: float

    def ask(self, case: Case, question: Question) -> Solution:
        """Answer of the solver: exact for small problems, near the relaxation for others; none after the deadline."""
        if time.monotonic() > self.deadline:  # the model of a large problem takes long to build
            return Solution("time", None, None, None, {}, -np.inf)
        return _ask(case, question, self.deadline)

    def feasible(self, case: Case) -> bool:
        """Whether a plan was found."""
        return bool(feasible(case, self.deadline))


def feasible(case: Case, deadline: float) -> bool | None:
    """Whether any plan exists; None when the time is up."""
    if not case.blocks.allowed.any(axis=1).all():
        return False
    if time.monotonic() > deadline:
        return None
    if not rows_of(case):
        return True
    if beyond_reach(case):
        return False
    case = replace(case, blocks=replace(case.blocks, allowed=relevant(case)))
    answer = _ask(case, Question(cost=case.blocks.moved_accounts), deadline)
    if answer.status == "infeasible":
        return False
    return True if answer.plan is not None else None


def relevant(case: Case) -> Bools:
    """[block, rep] pairs that matter for whether a plan exists.

    Reps without a row of their own are alike but for the accounts they own: of those, one is enough for each block.
    """
    blocks = case.blocks
    rowed = np.zeros(blocks.allowed.shape[1], dtype=bool)
    rowed[[row.rep for row in rows_of(case) if row.rep is not None]] = True
    kept = blocks.allowed & (rowed | (blocks.moved_accounts < blocks.moved_accounts.max(axis=1, keepdims=True)))
    others = blocks.allowed & ~kept
    some = np.flatnonzero(others.any(axis=1))
    kept[some, others[some].argmax(axis=1)] = True
    return kept


def _ask(case: Case, question: Question, deadline: float) -> Solution:
    if case.blocks.allowed.sum() <= case.settings.integer_pairs:
        model = question.model(case, case.blocks.allowed)
        return solve_integral(case, model, Effort(1e-6, 2**30, deadline), None)
    return solve_near_relaxation(case, question, Effort(GAP, NODES, deadline), None)
