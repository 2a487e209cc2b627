"""Repair and improvement by integer programs over the books of some reps that share candidates.

All accounts of a group of reps are assigned anew among the group, over the pairs of small reduced cost and the present
ones; everybody else stays. Groups grow where the program is solved without a gain and shrink where its limits end it. A
group of all reps over every pair that a better plan could use settles the problem: a pair whose reduced cost is the
whole gap or more is in no better plan.
Source: Pisinger and Ropke (2019), Large neighborhood search, doi:10.1007/978-3-319-91086-4_4.
"""

import time
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from optimization.large_scale.field import Field
from optimization.large_scale.passes import book_loads
from optimization.large_scale.programs import Effort, Part, choose, whole_part
from optimization.problem import Bools, Floats, Ints

FIRST_SIZE = 6
"""Reps of the first groups."""

PER_ACCOUNT = 3.0
"""Pairs per account in a program."""

NODES = 300
"""Most branch-and-bound nodes of one program."""

LARGEST = 4_000
"""Most pairs of one program."""


@dataclass(frozen=True)
class Group:
    """Reps whose books are assigned anew, and the most their accounts can gain.

    Attributes
    ----------
    reps : [member]
    seed : of the solver
    nodes : most branch-and-bound nodes
    elastic : what a unit outside a band costs, in units of its least cost in the search; zero: bands must hold
    """

    reps: Ints
    seed: int
    nodes: int
    elastic: float


@dataclass(frozen=True)
class Gain:
    """What a program did: pairs [account of the group], how it ended, and whether it settled the whole problem."""

    pairs: Ints
    optimal: bool
    timed_out: bool
    whole: bool


def links(field: Field, limit: float) -> Floats:
    """[rep, rep] accounts for which both are within reach, by reduced cost up to ``limit``."""
    near = np.flatnonzero(field.reduced <= limit)
    shape = (len(field.first), len(field.problem.rep_ids))
    table = csr_array((np.ones(len(near)), (field.account[near], field.problem.pair_rep[near])), shape=shape)
    shared = (table.T @ table).toarray()
    np.fill_diagonal(shared, 0.0)
    return shared


def draw_groups(shared: Floats, weight: Floats, size: int, count: int, rng: np.random.Generator) -> list[Ints]:
    """Disjoint groups of reps that share candidates, each grown from a rep drawn by ``weight`` [rep]."""
    free = np.ones(len(shared), dtype=bool)
    groups = []
    for _ in range(count):
        if (seeds := np.where(free, weight, 0.0)).sum() <= 0:
            break
        members = [int(rng.choice(len(shared), p=seeds / seeds.sum()))]
        free[members[0]] = False
        pull = shared[members[0]].copy()
        while len(members) < size and (tie := np.where(free, pull, 0.0)).sum() > 0:
            chosen = int(rng.choice(len(shared), p=tie / tie.sum()))
            members.append(chosen)
            free[chosen] = False
            pull += shared[chosen]
        if len(members) > 1:
            groups.append(np.sort(np.array(members)))
    return groups


def improve_group(field: Field, rep: Ints, group: Group, apart: float, deadline: float) -> Gain:
    """Assign the books of a group anew from a plan ``rep`` [account]; broken bands may stay so, at a cost."""
    whole = len(group.reps) == len(field.problem.rep_ids)
    part, begun, complete = _part(field, rep, group.reps, whole)
    elastic = group.elastic * field.outside[group.reps] if group.elastic else None
    effort = Effort(deadline - time.monotonic(), group.nodes, apart, group.seed, elastic)
    answer = choose(field.problem, part, begun, effort)
    if answer.column is None:
        return Gain(part.pair[:0], False, answer.timed_out, False)
    settled = whole and complete and answer.optimal and not group.elastic
    return Gain(part.pair[answer.column], answer.optimal, answer.timed_out, settled)


def merge(field: Field, plans: list[Ints], nodes: int, apart: float, deadline: float) -> Gain:
    """Best plan over the pairs that some plans [account, as pairs] use; begins from the first.

    Source: Rothberg (2007), An evolutionary algorithm for polishing mixed integer programming solutions,
    doi:10.1287/ijoc.1060.0189.
    """
    pair = np.unique(np.concatenate(plans))
    part = whole_part(field.problem, pair)
    effort = Effort(deadline - time.monotonic(), nodes, apart, 0)
    answer = choose(field.problem, part, np.searchsorted(pair, plans[0]), effort)
    if answer.column is None:
        return Gain(pair[:0], False, answer.timed_out, False)
    return Gain(pair[answer.column], answer.optimal, answer.timed_out, False)


def broken_cost(field: Field, rep: Ints) -> Floats:
    """[rep] what lies outside the bands of a plan ``rep`` [account], at its least cost in the search."""
    problem = field.problem
    load = book_loads(problem, np.flatnonzero(problem.pair_rep == rep[field.account]))
    slack = 1e-11 * np.abs(load)
    over, lack = (load - problem.high - slack).clip(min=0), (problem.low - load - slack).clip(min=0)
    return ((over + lack) * field.outside).sum(axis=1)


def _part(field: Field, rep: Ints, reps: Ints, whole: bool) -> tuple[Part, Ints, bool]:
    """Program over the books of some reps, its present columns, and whether every pair that could gain is in it."""
    problem = field.problem
    inside: Bools = np.zeros(len(problem.rep_ids), dtype=bool)
    inside[reps] = True
    held = inside[rep]
    pair = np.flatnonzero(held[field.account] & inside[problem.pair_rep])
    used = problem.pair_rep[pair] == rep[field.account[pair]]
    reach = _most_gain(field, pair[used], reps) if whole else np.inf
    pair, complete = _shorten(field, pair, used, int(held.sum()), reach)
    accounts = np.flatnonzero(held)
    part = Part(
        pair,
        np.searchsorted(accounts, field.account[pair]),
        np.searchsorted(reps, problem.pair_rep[pair]),
        problem.low[reps],
        problem.high[reps],
        len(accounts),
    )
    return part, np.flatnonzero(problem.pair_rep[pair] == rep[field.account[pair]]), complete


def _most_gain(field: Field, used: Ints, reps: Ints) -> float:
    """What these books lose against the bound: no better plan of theirs has a pair of that reduced cost."""
    return float(book_losses(field, used)[reps].sum() * (1 + 1e-9))


def book_losses(field: Field, used: Ints) -> Floats:
    """[rep] what each book loses against the bound, by reduced costs and by room left at prices."""
    problem = field.problem
    load = book_loads(problem, used)
    end = np.where(field.price > 0, problem.high, np.where(field.price < 0, problem.low, 0.0))
    slack = np.where(field.price != 0, field.price * (end - load), 0.0).sum(axis=1)
    return np.bincount(problem.pair_rep[used], field.reduced[used], len(problem.rep_ids)) + slack


def room_to_settle(field: Field, rep: Ints) -> bool:
    """Whether the pairs that a better plan could use fit one program."""
    used = np.flatnonzero(field.problem.pair_rep == rep[field.account])
    reach = _most_gain(field, used, np.arange(len(field.problem.rep_ids)))
    return int((field.reduced < reach).sum()) <= LARGEST


def _shorten(field: Field, pair: Ints, used: Bools, accounts: int, reach: float) -> tuple[Ints, bool]:
    """The present pairs and the cheapest others; whether every pair that could gain is among them."""
    reduced = field.reduced[pair]
    most = int(min(PER_ACCOUNT * accounts, LARGEST)) if np.isinf(reach) else LARGEST
    limit = reach
    if len(pair) > most:
        limit = min(limit, float(np.partition(reduced, most)[most]))
    keep = used | (reduced < limit)
    return pair[keep], limit >= reach
