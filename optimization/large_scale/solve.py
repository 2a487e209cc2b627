"""The way from a banded problem to an audited plan: prices, rounding, passes of chains, integer programs, certificate.

Rounds of passes (each with its own climate and stream of random numbers), merges and integer programs over groups of
reps follow one another; every plan they propose is rechecked before it is kept. With each turn passes grow longer.
After the first plan that holds all bands, accounts are priced for a better bound, or it is proven that no plan exists.
Climates are the same for every problem; only the unit of heat and the reach come from its own reduced costs.
"""

import time
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from optimization.large_scale.account_prices import price_accounts
from optimization.large_scale.certificate import (
    BandedCertificate,
    book_bound,
    certify,
    impossible,
    plan_pairs,
    price_bound,
)
from optimization.large_scale.checks import check
from optimization.large_scale.field import make_field
from optimization.large_scale.pricing import infeasibility_prices, solve_relaxation
from optimization.large_scale.rounds import Best, Search
from optimization.large_scale.settings import BandedSettings
from optimization.problem import BandedProblem, Ints

PRICE_SHARE = 0.3
"""Most of the time that goes into prices."""

BOUND_SHARE = 0.35
"""Most of the time that goes into prices of accounts, after the first rounds."""

PROOF_SHARE = 0.1
"""Most of the time that goes into a proof that there is no plan, where the prices leave a doubt."""

DEARER_PLAN = 0.005
"""What a plan within its bands may cost above one that is not, share; only how far the first steps of a bound go."""

FIRST_ROUNDS = 2
"""Rounds after which accounts are priced even if no plan holds yet."""

BAND_KIND = "Lagrangian value of the bands' prices, over all plans"
BOOK_KIND = "Lagrangian value of the accounts' prices, each rep's cheapest book within its bands, over all plans"
IMPOSSIBLE = "no plan holds all bands: proven by prices, recomputed from raw arrays"
"""What a bound rests on, in words."""

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


def solve_banded(
    problem: BandedProblem, settings: BandedSettings, seed: int = 0, begun: Ints | None = None
) -> BandedPlan:
    """Give every account to one of its candidates within all bands, at least cost.

    Parameters
    ----------
    begun : [account] reps of a plan to begin from: where it holds all bands, integer programs around it come first and
        the answer is never worse; where it does not, it counts as one plan among others

    Raises
    ------
    ValueError
        The arrays do not describe a problem, or ``begun`` no plan over its candidates; every fault is listed.
    """
    began = time.monotonic()
    check(problem)
    if begun is not None and plan_pairs(problem, begun) is None:
        raise ValueError("begun: an account is not with exactly one of its candidate reps")
    deadline = began + settings.seconds - min(RESERVE * settings.seconds, 3.0)
    if not len(problem.account_ids):
        rep = np.zeros(0, dtype=np.int64)
        return BandedPlan(rep, certify(problem, rep, 0.0, (0.0, "nothing to assign")), time.monotonic() - began, True)
    until = began + PRICE_SHARE * settings.seconds
    relaxation = solve_relaxation(problem, until)
    timely = time.monotonic() <= until
    field = make_field(problem, relaxation)
    bound = Bound(price_bound(problem, relaxation.price), relaxation.bound, BAND_KIND)
    best = Best(problem.pair_rep[field.first], np.inf, np.inf)
    best.offer(field, problem.pair_rep[field.first])
    if begun is not None:
        best.offer(field, np.asarray(begun, dtype=np.int64))
    search = Search(field, seed, deadline, settings.seconds, around=begun is not None and best.feasible)
    repeatable, settled = _improve(search, settings, (best, bound))
    certificate = certify(problem, best.rep, bound.value, (bound.solver, bound.kind))
    return BandedPlan(best.rep, certificate, time.monotonic() - began, repeatable and timely, settled)


@dataclass
class Bound:
    """Best recomputed bound so far, the one its search worked with, and what it rests on, in words."""

    value: float
    solver: float
    kind: str

    def offer(self, value: float, solver: float, kind: str) -> None:
        """Take a bound if it is better."""
        if value > self.value:
            self.value, self.solver, self.kind = value, solver, kind


def _improve(search: Search, settings: BandedSettings, state: tuple[Best, Bound]) -> tuple[bool, bool]:
    """Rounds of passes and programs; whether no clock had a part in the result, and whether it is settled."""
    best, bound = state
    timely, priced = True, False
    with ThreadPoolExecutor(settings.threads) as pool:
        for number in range(settings.rounds + 1):
            if not priced and (best.feasible or number == min(FIRST_ROUNDS, settings.rounds)):
                timely, priced = timely & _price_accounts(search, state, pool), True
            if _closed(best, bound, settings) or bound.value == np.inf or number == settings.rounds:
                return timely, False
            if time.monotonic() > search.deadline:
                return False, False
            timely &= search.round(best, pool)
            if search.settled:
                break
    return timely, search.settled


def _price_accounts(search: Search, state: tuple[Best, Bound], pool: Executor) -> bool:
    """A better bound, or the proof that there is no plan; whether no clock had a part in it."""
    best, bound = state
    field, now = search.field, time.monotonic()
    left = max(search.deadline - now, 0.0)
    timely = True
    if field.doubtful and not best.feasible:
        if impossible(field.problem, infeasibility_prices(field.problem, now + PROOF_SHARE * left)):
            bound.offer(np.inf, np.inf, IMPOSSIBLE)
            return True
        timely = time.monotonic() <= now + PROOF_SHARE * left  # with more time there might have been a proof
    until = now + BOUND_SHARE * left
    target = best.cost if best.feasible else best.cost + DEARER_PLAN * abs(best.cost)
    found = price_accounts(field.problem, field.price, target, until, pool)
    value = book_bound(field.problem, found.worth, found.price)
    bound.offer(value, found.bound, IMPOSSIBLE if value == np.inf else BOOK_KIND)
    return timely and found.ended


def _closed(best: Best, bound: Bound, settings: BandedSettings) -> bool:
    return best.feasible and best.cost - bound.value <= max(settings.gap * abs(best.cost), 1e-9)
