"""A stand-in for the chance of quota that stays true over large changes of a book: for the first rounds of large plans.

The chance made linear around a plan holds for small changes only, and knows no direction where it is near 0 or 100.
Here a score is the margin over quota in standard deviations that the book *will* have when it is worth its quota:
``40 * (mean - quota) / (s * sqrt(quota / mean))`` with the present mean and deviation ``s`` (variances of independent
accounts add). The deviation is a constant of the rep, so the score is exactly linear in money, at any distance.
"""

import numpy as np

from optimization.futures import Futures, margins
from optimization.linearise import POINTS_PER_DEVIATION, SMALLEST_DEVIATION_SHARE
from optimization.problem import Floats, Ints
from optimization.rules import Case
from optimization.scores import Goal, Linear, pair_costs

MOST_RATIO = 4.0
"""Most that a present book may fall short of quota or go beyond it for its deviation to be scaled."""


def by_target(case: Case, goal: Goal, futures: Futures, plan: Ints) -> Linear:
    """Linear problem of the standardised margin at quota, in points, without a limit on the step."""
    above, quota = margins(futures, plan).astype(np.float64), case.problem.quota
    base = futures.surplus.mean(axis=1, dtype=np.float64)
    unit = POINTS_PER_DEVIATION / _deviation(above, quota)
    free = np.full_like(base, np.inf)
    gain = case.blocks.worth * unit
    return Linear(goal, 50.0 + unit * base, gain, pair_costs(case), np.abs(case.blocks.worth), plan, free)


def _deviation(above: Floats, quota: Floats) -> Floats:
    """[rep] standard deviation of a book when it is worth its quota; pooled for books that are nearly empty."""
    worth = above.mean(axis=1) + quota
    usable = worth > quota / MOST_RATIO
    ratio = np.where(usable, quota / np.where(usable, worth, 1.0), 1.0).clip(1 / MOST_RATIO, MOST_RATIO)
    relative = above.std(axis=1) * np.sqrt(ratio) / quota
    pooled = float(np.median(relative[usable])) if usable.any() else 1.0
    return quota * np.maximum(np.where(usable, relative, pooled), SMALLEST_DEVIATION_SHARE)
