"""The assignment problem as frozen arrays: what `optimization` is told, and all that it is told."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]
type Bools = NDArray[np.bool_]
type Paths = NDArray[np.float32]

NONE = -1
"""Index of no rep."""


@dataclass(frozen=True)
class TerritoryProblem:
    """Give every account to exactly one rep.

    Attributes
    ----------
    account_ids, rep_ids : [account], [rep] unique texts
    value : [path, account] simulated revenue of an account over the planning horizon under its present owner, money
    fresh_value : [path, account] the same on other paths and other posterior draws, for verification only
    fit : [account, rep] multiplier of that revenue under each rep: 1 for the owner, below 1 where a move disturbs
    fixed : [path, rep] revenue of the rep that no assignment changes: booked already, deals without account
    fresh_fixed : [path, rep] the same on the fresh paths
    quota : [rep] what the rep is asked over the planning horizon, money, above zero
    capacity : [rep] full-time equivalents available over the horizon, at least zero
    owner : [account] present rep, NONE where nobody (or nobody who stays) owns it
    eligible : [account, rep] may the rep own the account
    locked : [account] stays with ``owner``
    family : [account] accounts of equal number stay together
    hours : [account] selling hours per month the account takes, zero where unknown
    max_hours : [rep] selling hours per month the rep has, infinite where unknown
    move_cost : [account] money at risk when the account changes rep; zero where nobody owns it
    """

    account_ids: NDArray[np.str_]
    rep_ids: NDArray[np.str_]
    value: Paths
    fresh_value: Paths
    fit: Floats
    fixed: Paths
    fresh_fixed: Paths
    quota: Floats
    capacity: Floats
    owner: Ints
    eligible: Bools
    locked: Bools
    family: Ints
    hours: Floats
    max_hours: Floats
    move_cost: Floats
