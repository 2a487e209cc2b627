"""The way from a banded problem to an audited plan: prices, rounding, passes of chains, integer programs, certificate.

Rounds of passes (each with its own climate and stream of random numbers), merges and integer programs over groups of
reps follow one another; every plan they propose is rechecked before it is kept. With each turn passes grow longer.
Climates are the same for every problem; only the unit of heat and the reach come from its own reduced costs.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from optimization.large_scale.certificate import BandedCertificate, certify, price_bound
from optimization.large_scale.checks import check
from optimization.large_scale.field import Field, make_field
from optimization.large_scale.pricing import solve_relaxation
from optimization.large_scale.rounds import Best, Search
from optimization.large_scale.settings import BandedSettings
from optimization.problem import BandedProblem, Ints

PRICE_SHARE = 0.3
"""Most of the time that goes into prices."""

RESERVE = 0.03
"""Share of the time, and at most three seconds, kept for the last audit."""


@dataclass(frozen=True)
class BandedPlan:
    """An assignment and how it came about.

    Attributes
    ----------
    rep : [account] index of the rep; where ``certificate.feasible`` is false, the nearest plan that was found
    certificate : recomputed from raw arrays
    seconds : wall-clock time of the work
    repeatable : no clock had a part in the result
    settled : the solver says that no better plan exists; only said, the bound does not rest on it
    """

    rep: Ints
    certificate: BandedCertificate
    seconds: float
    repeatable: bool
    settled: bool = False


def solve_banded(problem: BandedProblem, settings: BandedSettings, seed: int = 0) -> BandedPlan:
    """Give every account to one of its candidates within all bands, at least cost.

    Raises
    ------
    ValueError
        The arrays do not describe a problem; every fault is listed.
    """
    began = time.monotonic()
    check(problem)
    deadline = began + settings.seconds - min(RESERVE * settings.seconds, 3.0)
    if not len(problem.account_ids):
        rep = np.zeros(0, dtype=np.int64)
        return BandedPlan(rep, certify(problem, rep, 0.0, (0.0, "nothing to assign")), time.monotonic() - began, True)
    relaxation = solve_relaxation(problem, began + PRICE_SHARE * settings.seconds)
    field = make_field(problem, relaxation)
    bound = price_bound(problem, relaxation.price)
    best = Best(problem.pair_rep[field.first], np.inf, np.inf)
    best.offer(field, problem.pair_rep[field.first])
    repeatable, settled = _improve(field, settings, (best, bound), seed, deadline)
    kind = "Lagrangian value of the bands' prices, over all plans"
    certificate = certify(problem, best.rep, bound, (relaxation.bound, kind))
    return BandedPlan(best.rep, certificate, time.monotonic() - began, repeatable, settled)


def _improve(
    field: Field, settings: BandedSettings, state: tuple[Best, float], seed: int, deadline: float
) -> tuple[bool, bool]:
    """Rounds of passes and programs; whether no clock had a part in the result, and whether it is settled."""
    best, bound = state
    search = Search(field, seed, deadline)
    timely = True
    with ThreadPoolExecutor(settings.threads) as pool:
        for _ in range(settings.rounds):
            if _closed(best, bound, settings):
                return timely, False
            if time.monotonic() > deadline:
                return False, False
            timely &= search.round(best, pool)
            if search.settled:
                break
    return timely, search.settled


def _closed(best: Best, bound: float, settings: BandedSettings) -> bool:
    return best.feasible and best.cost - bound <= max(settings.gap * abs(best.cost), 1e-9)
