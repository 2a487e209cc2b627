"""The objective of an assignment, in points, for scores that are linear in the assignment.

Every active rep has a score (points of chance of quota, or percent of a fair share). Scores within a band around a
freely chosen common level are fair. Where pools of reps share no accounts, the level of each pool lies a given offset
off the common one, which is taken from the scores first. With
``excess_r = max(score_r - level - band/2, level - band/2 - score_r, 0)``
and ``h = band/2`` the objective of an assignment is the least value over the level of

    max_r (score_r - level - h)+  +  max_r (level - h - score_r)+      spread beyond the band, reps not saturated
    + mean_weight * mean_r excess_r                                    everybody else, saturated reps included
    + floor_weight * (100 - lowest score)                              pulls the minimum up
    + sum of the costs of the assigned pairs                           moves, potential given up
"""

from dataclasses import dataclass

import numpy as np

from optimization.families import active_reps
from optimization.problem import Bools, Floats, Ints
from optimization.rules import Case


@dataclass(frozen=True)
class Goal:
    """What unfairness is, apart from the scores.

    Attributes
    ----------
    counted : [rep] active reps, who count in the mean deviation
    extreme : [rep] reps who count in the spread: active and not saturated
    half_band : points on either side of the level that are fair
    mean_weight : points per point of deviation of one rep (already divided by the number of reps)
    floor_weight : points per point that the lowest score lacks to ``high``
    low, high : box of the level, points
    offset : [rep] points that a fair score of the rep lies above the common level: what no assignment can even
    """

    counted: Bools
    extreme: Bools
    half_band: float
    mean_weight: float
    floor_weight: float
    low: float
    high: float
    offset: Floats | float = 0.0


@dataclass(frozen=True)
class Linear:
    """An assignment problem whose scores are linear.

    Attributes
    ----------
    goal : what unfairness is
    base : [rep] score of a rep without any block
    gain : [block, rep] points the block adds to the rep's score
    cost : [block, rep] points the pair costs
    step : [block, rep] money of a book that changes if the pair does, and ``around`` [block], the plan it counts from
    step_limit : [rep] most money of a book that may change; infinite where nothing limits it
    """

    goal: Goal
    base: Floats
    gain: Floats
    cost: Floats
    step: Floats
    around: Ints
    step_limit: Floats

    def scores(self, plan: Ints) -> Floats:
        """[rep] linear scores of a plan [block]."""
        held = np.zeros_like(self.base)
        np.add.at(held, plan, self.gain[np.arange(len(plan)), plan])
        return self.base + held

    def value(self, plan: Ints) -> float:
        """Objective of a plan [block], points."""
        return unfairness(self.scores(plan), self.goal) + float(self.cost[np.arange(len(plan)), plan].sum())


def unfairness_at(scores: Floats, level: Floats, goal: Goal) -> Floats:
    """Unfairness of scores [rep] when the common level is ``level`` [...], points."""
    scores = scores - goal.offset
    above = scores - np.asarray(level)[..., None] - goal.half_band
    below = -scores + np.asarray(level)[..., None] - goal.half_band
    over = above[..., goal.extreme].max(axis=-1, initial=0.0)
    under = below[..., goal.extreme].max(axis=-1, initial=0.0)
    deviation = np.maximum(np.maximum(above, below), 0.0)[..., goal.counted].sum(axis=-1)
    floor = np.asarray(level) - goal.half_band - under
    return over + under + goal.mean_weight * deviation + goal.floor_weight * (goal.high - floor)


def fair_level(scores: Floats, goal: Goal) -> float:
    """Level at which `unfairness_at` is least: convex and piecewise linear, so a breakpoint or an end of the box."""
    counted = (scores - goal.offset)[goal.counted]
    breaks = np.concatenate([counted - goal.half_band, counted + goal.half_band, [goal.low, goal.high]])
    breaks = np.unique(breaks.clip(goal.low, goal.high))
    return float(breaks[np.argmin(unfairness_at(scores, breaks, goal))])


def unfairness(scores: Floats, goal: Goal) -> float:
    """Unfairness of scores [rep] at the best common level, points."""
    return float(unfairness_at(scores, np.array(fair_level(scores, goal)), goal))


def pair_costs(case: Case) -> Floats:
    """[block, rep] points a pair costs: money at risk if it is a move, and revenue given up against the best rep."""
    weights, blocks = case.settings.weights, case.blocks
    best = np.where(blocks.allowed, blocks.worth, -np.inf).max(axis=1, keepdims=True)
    given_up = np.where(np.isfinite(best), best, 0.0) - blocks.worth
    money = weights.move_cost * blocks.moved_cost + weights.potential * given_up
    return 100.0 * money / case.problem.quota.sum()


def build_goal(case: Case, saturated: Bools) -> Goal:
    """Unfairness as the settings have it; ``saturated`` [rep] reps stay out of the spread."""
    settings, counted = case.settings, active_reps(case.problem)
    number = max(int(counted.sum()), 1)
    chance = settings.fairness == "attainment"
    return Goal(
        counted=counted,
        extreme=counted & ~saturated,
        half_band=settings.attainment_band_points / 2 if chance else 100.0 * settings.value_band_share,
        mean_weight=settings.weights.mean_deviation / number,
        floor_weight=settings.weights.floor if chance and (counted & ~saturated).any() else 0.0,
        low=0.0,
        high=100.0 if chance else 1000.0,
    )
