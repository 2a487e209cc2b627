"""The band that a search aims at: what counts as fair on held-out draws, less what their noise adds to a spread.

A plan whose chances fill the band on the planning paths misses it on others: both sets of paths and of posterior draws
err. The mean spread that equal chances would show by that noise is `fairness.clustered_floor` for one set, and by
independence the square root of two times as much for the difference of two. It is taken off the band, as though the
reps at the edges of the band met the largest errors; a quarter of the band is kept, within which money decides.
"""

from dataclasses import replace

import numpy as np

from optimization.fairness import attained, clustered_floor
from optimization.families import active_reps
from optimization.pools import pools_of
from optimization.problem import Ints
from optimization.work import Work

LEAST_SHARE = 0.25
"""Share of the band that the search always leaves to money."""


def aimed_band(band: float, floor: float) -> float:
    """Band for the planning paths, points; ``floor`` is the noise floor of one set of paths, points."""
    return max(LEAST_SHARE * band, band - float(np.sqrt(2.0)) * floor)


def aimed(work: Work, plan: Ints) -> Work:
    """Work whose band leaves room for noise, counted under a plan [block]; another fairness knows no noise."""
    case, settings = work.case, work.case.settings
    if settings.fairness != "attainment" or settings.attainment_band_points == 0 or not len(plan):
        return work
    active, pool = active_reps(case.problem), pools_of(case.blocks.allowed)
    widest = active & (pool == np.argmax(np.bincount(pool, active)))
    floor = 100.0 * clustered_floor(attained(case.problem, case.blocks.to_accounts(plan), fresh=False), widest)
    band = aimed_band(settings.attainment_band_points, floor)
    return replace(work, case=replace(case, settings=settings.model_copy(update={"attainment_band_points": band})))
