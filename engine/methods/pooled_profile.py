"""Seasonal profiles of noisy series, shrunk to those of the aggregates above them.

A series' own profile is the mean of its past seasons, older ones with less weight. How far it is shrunk to its parent
is told by its own noise: positive-part James-Stein (James and Stein 1961; Efron and Morris 1975,
doi:10.1080/01621459.1975.10479864), with the variance of a mean over seasons against the distance to the parent. The
parent is the aggregate, of those that contain the series, whose profile lies nearest; it has been shrunk before. So a
bottom series whose noise hides its season takes that of its purpose, region or company, and one of less than a season
takes it whole. The parent of the top is no season at all.
"""

import numpy as np
from numba import njit

from engine.methods.series import Series, filled, first_periods
from models.panel import Bools, Floats, Ints

DECAY = 0.9
"""Weight of a season relative to the one after it."""

SEASONS = 20
"""Seasons looked back at most."""

ONE_SEASON = 0.5
"""How much of the one season that it has seen the top keeps: what is season and what was chance nobody can tell."""


def pooled_profiles(history: Series) -> Floats:
    """Profiles with mean one known at each origin, [period + 1, series, period of the season].

    The last axis counts periods modulo the season since the first period of the history.
    """
    above = _above(history.summing)
    order = np.argsort(-history.summing.sum(axis=1), kind="stable")
    return _all_profiles(filled(history.values), first_periods(history.values), history.season, above, order)


def _above(summing: Floats) -> Bools:
    """[series, series] whether the second holds all bottom series of the first and more."""
    under = summing.sum(axis=1)
    common = summing @ summing.T
    return (common == under[:, None]) & (under[None, :] > under[:, None])


@njit(cache=True, error_model="numpy")
def _all_profiles(values: Floats, first: Ints, season: int, above: Bools, order: Ints) -> Floats:
    count, periods = values.shape
    profiles = np.ones((periods + 1, count, season))
    own = np.ones((count, season))
    noise = np.empty(count)
    level = np.empty(count)
    for now in range(periods + 1):
        for series in range(count):
            seasons = min(SEASONS, max(0, (now - first[series]) // season))
            past = values[series, now - seasons * season : now].copy().reshape(seasons, season)
            level[series], noise[series] = _own_profile(past, own[series])
        for series in order:
            _shrink(series, own, noise[series], level[series], above[series], profiles[now])
        for series in range(count):  # from "steps after now" to "periods modulo season"
            ahead = profiles[now, series].copy()
            for step in range(season):
                profiles[now, series, (now + step) % season] = ahead[step]
    return profiles


@njit(cache=True, error_model="numpy")
def _own_profile(past: Floats, profile: Floats) -> tuple[float, float]:
    """Fill the profile from seasons [season, period]; gives the level and the noise of the mean, summed over periods.

    Noise is infinite below two seasons: one season cannot tell its noise.
    """
    seasons = len(past)
    profile[:] = 1.0
    if seasons == 0:
        return 0.0, np.inf
    weights = DECAY ** np.arange(seasons - 1, -1, -1.0)
    weights /= weights.sum()
    total = weights @ past
    level = total.mean()
    if level > 0:
        profile[:] = total / level
    if seasons == 1:
        return level, np.inf
    effective = 1.0 / (weights**2).sum()
    spread = 0.0
    for year in range(seasons):
        spread += weights[year] * ((past[year] - past[year].mean() * profile) ** 2).sum()
    return level, spread / (effective - 1.0)


@njit(cache=True, error_model="numpy")
def _shrink(series: int, own: Floats, noise: float, level: float, above: Bools, profiles: Floats) -> None:
    """Fill the profile of one series from its own and from its nearest parent, which is there already."""
    nearest, parent = np.inf, -1
    for candidate in range(len(above)):
        if not above[candidate]:
            continue
        distance = ((own[series] - profiles[candidate]) ** 2).sum()
        if distance < nearest:
            nearest, parent = distance, candidate
    if parent < 0:
        signal = level**2 * ((own[series] - 1.0) ** 2).sum()
        keep = ONE_SEASON if np.isinf(noise) else max(0.0, 1.0 - noise / signal) if signal > 0 else 0.0
        profiles[series] = 1.0 + keep * (own[series] - 1.0)
        return
    signal = nearest * level**2
    keep = max(0.0, 1.0 - noise / signal) if signal > 0 else 0.0
    profiles[series] = profiles[parent] + keep * (own[series] - profiles[parent])
