"""How fair a plan is: chances of quota counted on paths, their spread, and the spread that noise alone would show."""

import numpy as np
from scipy.special import ndtr

from optimization.problem import NONE, Bools, Floats, Ints, Paths, TerritoryProblem


def p_attain(problem: TerritoryProblem, rep: Ints, *, fresh: bool) -> Floats:
    """[rep] chance that the revenue of each book reaches quota.

    Parameters
    ----------
    rep : [account] owner; accounts of NONE count for nobody
    fresh : count on the fresh paths, which played no part in choosing the plan
    """
    value, fixed = (problem.fresh_value, problem.fresh_fixed) if fresh else (problem.value, problem.fixed)
    return np.array([np.mean(revenue >= 0) for revenue in _above_quota(problem, value, fixed, rep)])


def _above_quota(problem: TerritoryProblem, value: Paths, fixed: Paths, rep: Ints) -> list[Paths]:
    surplus = fixed - problem.quota.astype(np.float32)
    rows = []
    for r in range(len(problem.rep_ids)):
        book = np.flatnonzero(rep == r)
        # row sums instead of a matrix product: BLAS may sum in another order on another number of threads
        rows.append(surplus[:, r] + (value[:, book] * problem.fit[book, r].astype(np.float32)).sum(axis=1))
    return rows


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
