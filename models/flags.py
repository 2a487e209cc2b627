"""Which members of a group are said to differ from their team: the one rule behind every flag on a rep or product."""

import numpy as np

from models.panel import Bools, Floats, Ints

LEAST_EFFECT = 0.1
"""Smallest difference from the team that matters: 0.1 on the logit (about 2.5 points of win rate), or 10 % of money."""

CERTAINTY = 0.9
"""Probability from which a difference is said to be there."""


def from_team(draws: Floats, seen: Bools) -> Floats:
    """Effects [D, member] as differences from the mean of the members seen: a common part is in the base anyway."""
    return draws[:, seen] - draws[:, seen].mean(axis=1, keepdims=True)


def flags(draws: Floats) -> Ints:
    """Flag of every member: 1 above the team, -1 below it, 0 not known to differ.

    Parameters
    ----------
    draws : [D, member] posterior differences from the team

    Examples
    --------
    >>> flags(np.array([[0.5, 0.0, -0.3], [0.4, 0.2, -0.2]])).tolist()
    [1, 0, -1]
    """
    above = (draws > LEAST_EFFECT).mean(axis=0) > CERTAINTY
    below = (draws < -LEAST_EFFECT).mean(axis=0) > CERTAINTY
    return above.astype(np.int64) - below.astype(np.int64)
