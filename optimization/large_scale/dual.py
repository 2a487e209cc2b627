"""Prices of the bands by ascent on the smoothed Lagrangian dual: a bound at any size without a linear program.

The dual of the relaxation is concave and piecewise linear in the prices. Replacing the minimum over an account's
candidates by its soft minimum at temperature t makes it smooth; L-BFGS with bounds climbs it, the temperature falls
stage by stage, and the best exact value seen is kept. Prices of upper and lower limits are separate, at least zero, so
the band terms are linear.
Source: Nesterov (2005), Smooth minimization of non-smooth functions, doi:10.1007/s10107-004-0552-5.
"""

import time
from dataclasses import dataclass

import numba
import numpy as np
from scipy.optimize import minimize

from optimization.problem import BandedProblem, Floats, Ints

STAGES = 7
"""Temperatures of the smoothing."""

COOLING = 0.25
"""Factor from one temperature to the next."""

STEPS = 60
"""Most steps of L-BFGS at each temperature."""


@dataclass(frozen=True)
class Dual:
    """Prices and what they bound.

    Attributes
    ----------
    price : [rep, metric] above zero for the upper limit, below for the lower
    bound : value of the dual function, not rounded
    """

    price: Floats
    bound: float


@numba.njit(cache=True, nogil=True)
def _soft_values(
    start: Ints, pair_rep: Ints, cost: Floats, use: Floats, price: Floats, heat: float, load: Floats
) -> tuple[float, float]:  # pragma: no cover
    """Sum of least and of soft least priced costs; ``load`` [rep, metric] gets the expected use."""
    exact, soft = 0.0, 0.0
    metrics = use.shape[1]
    longest = 0
    for i in range(len(start) - 1):
        longest = max(longest, start[i + 1] - start[i])
    weight = np.empty(longest)
    for i in range(len(start) - 1):
        first, last = start[i], start[i + 1]
        least = np.inf
        for a in range(first, last):
            value = cost[a]
            for k in range(metrics):
                value += price[pair_rep[a], k] * use[a, k]
            weight[a - first] = value
            least = min(least, value)
        total = 0.0
        for a in range(first, last):
            distance = (weight[a - first] - least) / heat
            weight[a - first] = np.exp(-distance) if distance < 30.0 else 0.0
            total += weight[a - first]
        for a in range(first, last):
            if weight[a - first] > 0.0:
                share = weight[a - first] / total
                for k in range(metrics):
                    load[pair_rep[a], k] += share * use[a, k]
        exact += least
        soft += least - heat * np.log(total)
    return exact, soft


@numba.njit(cache=True, nogil=True)
def reduced_costs(start: Ints, pair_rep: Ints, cost: Floats, use: Floats, price: Floats) -> Floats:  # pragma: no cover
    """[pair] priced cost above the least of the account."""
    out = np.empty(len(cost))
    for i in range(len(start) - 1):
        least = np.inf
        for a in range(start[i], start[i + 1]):
            value = cost[a]
            for k in range(use.shape[1]):
                value += price[pair_rep[a], k] * use[a, k]
            out[a] = value
            least = min(least, value)
        for a in range(start[i], start[i + 1]):
            out[a] -= least
    return out


def climb(problem: BandedProblem, deadline: float, begun: Floats | None = None) -> Dual:
    """Prices near the best bound of the relaxation.

    Parameters
    ----------
    deadline : on the monotonic clock
    begun : [rep, metric] prices to start from
    """
    shape = problem.low.shape
    upper, lower = np.isfinite(problem.high).ravel(), np.isfinite(problem.low).ravel()
    high, low = problem.high.ravel()[upper], problem.low.ravel()[lower]
    unit = _units(problem)
    scale = np.concatenate([unit[upper], unit[lower]])
    best = [Dual(np.zeros(shape), -np.inf)]

    def prices(point: Floats) -> Floats:
        scaled = point * scale
        flat = np.zeros(shape[0] * shape[1])
        flat[upper] += scaled[: len(high)]
        flat[lower] -= scaled[len(high) :]
        return flat.reshape(shape)

    def negative(point: Floats, heat: float) -> tuple[float, Floats]:
        load, price = np.zeros(shape), prices(point)
        exact, soft = _soft_values(problem.start, problem.pair_rep, problem.cost, problem.use, price, heat, load)
        scaled = point * scale
        band = float(high @ scaled[: len(high)] - low @ scaled[len(high) :])
        if exact - band > best[0].bound:
            best[0] = Dual(price, exact - band)
        flat = load.ravel()
        slope = np.concatenate([flat[upper] - high, low - flat[lower]]) * scale
        return band - soft, -slope

    def stop(_: Floats) -> None:
        if time.monotonic() > deadline:
            raise StopIteration

    point = np.zeros(len(scale))
    if begun is not None:
        flat = begun.ravel()
        point = np.concatenate([flat[upper].clip(min=0), -flat[lower].clip(max=0)]) / scale
    negative(point, 1.0)
    heat = _first_heat(problem)
    for _ in range(STAGES):
        if len(point) == 0 or time.monotonic() > deadline:
            break
        found = minimize(
            negative, point, args=(heat,), jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * len(point),
            callback=stop, options={"maxiter": STEPS, "maxcor": 20},
        )  # fmt: skip
        point = found.x
        heat *= COOLING
    return best[0]


def _units(problem: BandedProblem) -> Floats:
    """[rep * metric] price at which the use of a metric weighs as much as costs differ."""
    spread = max(_first_heat(problem), 1e-12)
    typical = np.abs(problem.use).mean(axis=0)
    return np.tile(spread / np.where(typical > 0, typical, 1.0), len(problem.rep_ids))


def _first_heat(problem: BandedProblem) -> float:
    """Mean over accounts of the distance from the least to the mean cost of the candidates."""
    first = problem.start[:-1]
    count = np.diff(problem.start)
    mean = np.add.reduceat(problem.cost, first) / count
    spread = float((mean - np.minimum.reduceat(problem.cost, first)).mean())
    return spread if spread > 0 else 1.0
