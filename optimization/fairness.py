"""How fair a plan is: chances of quota counted on paths, their spread, and the spread that noise alone would show."""

import numpy as np
from scipy.special import ndtr

from optimization.problem import NONE, Bools, Floats, Ints, Paths, TerritoryProblem

BATCHES = 500
"""Batches of neighbouring paths over which standard errors are taken: each holds some whole posterior draws."""

RANGE_SAMPLES = 4000
"""Normal samples of a range: its mean is good to one per cent."""


def p_attain(problem: TerritoryProblem, rep: Ints, *, fresh: bool) -> Floats:
    """[rep] chance that the revenue of each book reaches quota.

    Parameters
    ----------
    rep : [account] owner; accounts of NONE count for nobody
    fresh : count on the fresh paths, which played no part in choosing the plan
    """
    return np.array([np.mean(revenue >= 0) for revenue in _above_quota(problem, rep, fresh=fresh)])


def _above_quota(problem: TerritoryProblem, rep: Ints, *, fresh: bool) -> list[Paths]:
    return [above_quota(problem, np.flatnonzero(rep == r), r, fresh=fresh) for r in range(len(problem.rep_ids))]


def above_quota(problem: TerritoryProblem, book: Ints, r: int, *, fresh: bool) -> Paths:
    """[path] revenue above quota of rep ``r`` with the accounts ``book`` [n]."""
    value, fixed = (problem.fresh_value, problem.fresh_fixed) if fresh else (problem.value, problem.fixed)
    factor = problem.fresh_moved_factor if fresh else problem.moved_factor
    new = disturbed(problem, book, r) if factor is not None else np.zeros(len(book), dtype=bool)
    above: Paths = fixed[:, r] - np.float32(problem.quota[r])
    for part, times in ((book[~new], None), (book[new], factor)):
        if len(part):
            # row sums instead of a matrix product: BLAS may sum in another order on another number of threads
            money = (value[:, part] * problem.fit[part, r].astype(np.float32)).sum(axis=1)
            above = above + (money if times is None else money * times)
    return above


def account_revenue(problem: TerritoryProblem, rep: Ints) -> Paths:
    """[path, account] revenue of every account under its ``rep`` [account] on the planning paths."""
    accounts = np.arange(len(rep))
    money = problem.value * problem.fit[accounts, rep].astype(np.float32)
    if problem.moved_factor is not None:
        new = (problem.move_cost > 0) & (problem.owner != rep)
        money[:, new] *= problem.moved_factor[:, None]
    return money


def disturbed(problem: TerritoryProblem, accounts: Ints, r: int) -> Bools:
    """[n] whether the revenue of the accounts under rep ``r`` is that of a change of rep (see `moved_factor`)."""
    return (problem.move_cost[accounts] > 0) & (problem.owner[accounts] != r)


def attained(problem: TerritoryProblem, rep: Ints, *, fresh: bool) -> Bools:
    """[path, rep] whether the revenue of each book reaches quota; see `p_attain`."""
    return np.column_stack([revenue >= 0 for revenue in _above_quota(problem, rep, fresh=fresh)])


def clustered_floor(reached: Bools, counted: Bools) -> float:
    """Spread that counted reps of one true chance would show on these paths, the finite posterior included.

    Paths of one posterior draw share parameters, so they are not independent. Where they lie side by side, means over
    batches of neighbouring paths are; their covariance gives that of the chances, and normal samples with it the mean
    range. Source: Flegal and Jones (2010), Batch means and spectral variance estimators, doi:10.1214/09-AOS735.

    Parameters
    ----------
    reached : [path, rep]
    counted : [rep]
    """
    batches = min(BATCHES, len(reached) // 2)
    if counted.sum() < 2 or batches < 2:
        return 0.0
    size = len(reached) // batches
    kept = reached[: batches * size, counted].reshape(batches, size, -1).mean(axis=1)
    centred = kept - kept.mean(axis=0)
    # normal multiples of the batches have the covariance of the chances, without a decomposition that threads may alter
    normals = np.random.default_rng(0).standard_normal((RANGE_SAMPLES, batches)) / np.sqrt((batches - 1) * batches)
    return float(np.ptp(np.einsum("sb,br->sr", normals, centred, optimize=False), axis=1).mean())


def present_owner(problem: TerritoryProblem) -> Ints:
    """[account] present rep, NONE where nobody owns the account."""
    return np.where(problem.owner >= 0, problem.owner, NONE)


def spread(chance: Floats, counted: Bools) -> float:
    """Highest less lowest chance over the counted reps; zero for fewer than two."""
    return float(np.ptp(chance[counted])) if counted.sum() > 1 else 0.0


def expected_range(reps: int) -> float:
    """Mean range of ``reps`` independent standard normals, ``integral of 1 - F(x)^n - (1 - F(x))^n``.

    Source: Tippett (1925), On the extreme individuals and the range of samples taken from a normal population,
    doi:10.2307/2332087.

    Examples
    --------
    >>> round(expected_range(40), 2)
    4.32
    """
    grid = np.linspace(-9.0, 9.0, 20001)
    below = ndtr(grid)
    return float(np.trapezoid(1.0 - below**reps - (1.0 - below) ** reps, grid)) if reps > 1 else 0.0


def noise_floor(chance: Floats, counted: Bools, paths: int) -> float:
    """Spread that reps of one and the same chance would show on this many paths, by counting noise alone.

    The mean range of as many independent normals as there are counted reps, in standard errors of the mean chance.
    Reps share shocks, so the truth is somewhat smaller.
    """
    if not counted.any():
        return 0.0
    middle = float(chance[counted].mean())
    return expected_range(int(counted.sum())) * float(np.sqrt(middle * (1.0 - middle) / paths))
