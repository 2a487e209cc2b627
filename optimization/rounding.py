"""A plan near the linear relaxation: most blocks have one rep there, the others are chosen so that all rules hold."""

from dataclasses import dataclass, replace

import numpy as np

from optimization.atoms import Atom
from optimization.problem import Bools, Floats, Ints
from optimization.pulp_model import Effort, Model, Solution, build, relax, solve_integral
from optimization.rules import Case
from optimization.scores import Linear

SHARE_OF_NOTHING = 1e-9
"""Share of a block in the relaxation below which it is none."""

PAIRS_PER_BLOCK = (0, 3, 8)
"""Pairs of a block besides those of the relaxation in the first, second and third attempt; the last takes all."""

GIVING_WAY = ((1.01, 0.0), (1.02, 0.5), (1.05, 1.0), (1.1, 2.0), (1.2, 5.0), (1.5, 10.0), (2.0, 20.0))
"""Attempts at a repair: multiple of what the relaxation gives way, and what is added, in units of the rule."""


@dataclass(frozen=True)
class Question:
    """What a plan is sought for; see `optimization.pulp_model.build`."""

    linear: Linear | None = None
    relaxed: frozenset[Atom] = frozenset()
    cost: Floats | None = None
    most: float | None = None

    def model(self, case: Case, arcs: Bools) -> Model:
        """Model of the question over some pairs [block, rep]."""
        return build(case, self.linear, arcs, relaxed=self.relaxed, cost=self.cost, most=self.most)


def solve_near_relaxation(case: Case, question: Question, effort: Effort, start: Ints | None) -> Solution:
    """Solve the relaxation over all pairs, then integer programs over more and more pairs until one has a plan.

    The integer programs seek the plan nearest to the relaxation. Where a rule may give way, they let it give way by
    little more than in the relaxation, then by more. Infeasible is said only when the relaxation, or the program over
    all pairs and without a limit on giving way, is.
    """
    allowed = case.blocks.allowed
    relaxed = relax(case, question.model(case, allowed), effort)
    if relaxed.share is None or relaxed.reduced is None:
        return relaxed
    nearest = Question(relaxed=question.relaxed, cost=-relaxed.share)
    attempts: list[tuple[int, float | None]] = [(pairs, None) for pairs in PAIRS_PER_BLOCK]
    if question.relaxed:
        attempts = [(PAIRS_PER_BLOCK[1], factor * max(relaxed.bound, 0.0) + more) for factor, more in GIVING_WAY]
    for pairs, most in attempts:
        arcs = _near(relaxed.share, relaxed.reduced, allowed, pairs)
        if start is not None:
            arcs[np.arange(len(start)), start] = True
        answer = solve_integral(case, replace(nearest, most=most).model(case, arcs), effort, start)
        if answer.plan is not None:
            return answer
    last = question if question.relaxed else nearest
    return solve_integral(case, last.model(case, allowed), replace(effort, nodes=2**30), start)


def _near(share: Floats, reduced: Floats, allowed: Bools, pairs: int) -> Bools:
    """[block, rep] pairs of the relaxation and the cheapest others of each block; equal ones are spread over reps."""
    blocks, reps = np.indices(share.shape)
    price = np.where(allowed & (share <= SHARE_OF_NOTHING), np.abs(reduced).round(9), np.inf)
    order = np.lexsort(((reps - blocks) % share.shape[1], price), axis=1)[:, :pairs]
    arcs = share > SHARE_OF_NOTHING
    np.put_along_axis(arcs, order, values=True, axis=1)
    return arcs & allowed
