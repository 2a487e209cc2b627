"""What a change of rep costs, as a draw: the share of first-year revenue that an account loses, unknown beforehand.

One draw a path, shared by all accounts: what is unknown is the company's share. The scatter between accounts averages
out over the moves of a book and is in their simulated revenue already. Source: Shi, Sridhar, Grewal and Lilien (2017),
Sales Representative Departures and Customer Reassignment Strategies in Business-to-Business Markets,
doi:10.1509/jm.15.0358: losses of 13.2 to 17.6 % of annual sales at one distributor.
"""

from dataclasses import replace

import numpy as np

from engine.config.schema import Allocation
from engine.seeds import seed_for
from engine.simulation.outcomes import Paths
from models.panel import Floats
from optimization.problem import TerritoryProblem


def lost_shares(asked: Allocation, paths: int, seed: int) -> Floats:
    """[path] share of revenue lost, Beta with the mean and concentration asked for."""
    mean, weight = asked.disruption, asked.disruption_concentration
    if mean == 0:
        return np.zeros(paths)
    return np.random.default_rng(seed).beta(mean * weight, (1 - mean) * weight, paths)


def moved_factor(asked: Allocation, paths: int, seed: int) -> Paths:
    """[path] revenue of an account that changed rep, relative to its mean: mean 1 over the prior."""
    kept: Paths = ((1.0 - lost_shares(asked, paths, seed)) / (1.0 - asked.disruption)).astype(np.float32)
    return kept


def with_disruption(problem: TerritoryProblem, asked: Allocation, root: int) -> TerritoryProblem:
    """The problem with the loss from a move drawn path by path, on planning and on fresh paths from own streams.

    Parameters
    ----------
    root : root seed of the run
    """
    purposes = ("disruption", "disruption fresh")
    sizes = (len(problem.value), len(problem.fresh_value))
    plan, fresh = (moved_factor(asked, n, seed_for(root, name)) for n, name in zip(sizes, purposes, strict=True))
    return replace(problem, moved_factor=plan, fresh_moved_factor=fresh)
