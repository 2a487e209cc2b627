"""Relinking: children that start between two good plans and are annealed for a short while.

Good plans of one problem agree on most accounts, and where they differ each has something that the other lacks. A child
takes the plan of one parent, gives some of the accounts in dispute to the reps of the other, and is annealed from a
temperature at which the disputed books move and the rest holds. Children compete with their parents for a place among
the plans that are kept, so what all of them agree on is found again and again and the search narrows down on the rest.
Sources: Yagiura, Ibaraki, Glover (2006), A path relinking approach with ejection chains for the generalized assignment
problem, doi:10.1016/j.ejor.2004.06.025; Moscato (1989), On evolution, search, optimization, genetic algorithms and
martial arts.
"""

from dataclasses import dataclass

import numpy as np

from optimization.large_scale.field import Field
from optimization.large_scale.passes import Climate, run_pass
from optimization.problem import Ints

CHILD = Climate(warm=12.0, cool=1.0, reach=2.0, nodes=1000, steps=100.0, stages=10)
"""How a child is annealed."""

CHILDREN = 4
"""Children of one job."""

LEAST, MOST = 0.1, 0.5
"""Shares of the accounts in dispute that the second parent decides."""

FEWEST = 3
"""Accounts in dispute below which two plans are too close to be relinked."""


@dataclass(frozen=True)
class Offspring:
    """Plans [account, as pairs] of the children that hold all bands; whether all of them were annealed to the end."""

    plans: list[Ints]
    ended: bool


def relink(field: Field, parents: list[Ints], seed: np.random.SeedSequence, deadline: float) -> Offspring:
    """Children of parents [account, as pairs] drawn at random, two by two.

    Parameters
    ----------
    parents : at least two plans
    deadline : on the monotonic clock
    """
    rng = np.random.default_rng(seed)
    plans = []
    for stream in seed.spawn(CHILDREN):
        begun = between(parents, rng)
        outcome = run_pass(field, CHILD, begun, stream, deadline)
        if outcome.best is not None:
            plans.append(outcome.best)
        if not outcome.ended:
            return Offspring(plans, False)
    return Offspring(plans, True)


def between(parents: list[Ints], rng: np.random.Generator) -> Ints:
    """One parent's plan with some of the disputed accounts as another parent has them; its own where they agree."""
    first, second = (parents[k] for k in rng.permutation(len(parents))[:2])
    disputed = np.flatnonzero(first != second)
    if len(disputed) < FEWEST:
        return first
    child = first.copy()
    taken = disputed[rng.random(len(disputed)) < rng.uniform(LEAST, MOST)]
    child[taken] = second[taken]
    return child
