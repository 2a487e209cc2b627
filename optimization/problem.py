"""The assignment problem as frozen arrays: what `optimization` is told, and all that it is told."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]
type Bools = NDArray[np.bool_]
type Texts = NDArray[np.str_]
type Paths = NDArray[np.float32]

NONE = -1
"""Index of no rep."""

PERMISSIONS = ("radius", "segment", "language", "skill", "leavers", "reserved")
"""Names that a further permission may have; each is a rule of its own (see `optimization.rules`)."""


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
    permission_ids : [permission] names of further permissions, out of `PERMISSIONS`; None: there are none
    permits : [permission, account, rep] whether each of them lets the rep own the account, beside ``eligible``
    commission : [account, rep] share of an account's revenue that is paid to the rep; None: unknown
    travel : [account, rep] km a month to serve the account from the rep's base, zero where unknown; None: unknown
    hire : [rep] started lately or starts within the horizon; None: nobody
    moved_factor : [path] what an account's revenue under a new rep is to its mean ``value * fit``, as the loss from a
        change of rep varies: it holds for accounts with a ``move_cost`` under any rep but their owner; None: 1
    fresh_moved_factor : [path] the same on the fresh paths
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
    permission_ids: Texts | None = None
    permits: Bools | None = None
    commission: Floats | None = None
    travel: Floats | None = None
    hire: Bools | None = None
    moved_factor: Paths | None = None
    fresh_moved_factor: Paths | None = None


@dataclass(frozen=True)
class BandedProblem:
    """The sparse, linear form of the assignment problem: give every account to one of its few candidate reps.

    Where `TerritoryProblem` speaks of chances over simulated paths and of every pair of account and rep, this form
    lists candidate pairs only and knows one objective, the sum of the costs of the pairs used, and one kind of rule:
    for every rep and metric (money, hours, number of accounts, travel), the sum over the book lies in a band. That
    covers eligibility (a pair is missing), locks (one pair is left), bands on value, capacities in hours and accounts,
    minimum and maximum accounts (a metric that every pair uses by 1) and the generalised assignment problem (one
    metric, no lower end, use that differs by rep). Families are merged by the caller: one account, summed cost and
    use. Rules that couple all reps (a budget over the whole plan) have no place here.

    Attributes
    ----------
    account_ids, rep_ids, metric_ids : [account], [rep], [metric] unique texts
    start : [account + 1] pairs ``start[i]`` to ``start[i + 1] - 1`` are the candidates of account i
    pair_rep : [pair] candidate rep, at most once per account
    cost : [pair] what the pair costs, money or points, any sign
    use : [pair, metric] what the pair adds to the metric of its rep, any sign
    low, high : [rep, metric] least and most of each metric of a book; -inf or inf: no limit
    owner : [account] present rep, NONE where nobody owns it; only where a first plan is sought
    """

    account_ids: NDArray[np.str_]
    rep_ids: NDArray[np.str_]
    metric_ids: tuple[str, ...]
    start: Ints
    pair_rep: Ints
    cost: Floats
    use: Floats
    low: Floats
    high: Floats
    owner: Ints

    @classmethod
    def from_table(cls, cost: Floats, use: Floats, capacity: Floats) -> "BandedProblem":
        """Generalised assignment: every rep is a candidate of every account.

        Parameters
        ----------
        cost, use : [rep, account] cost and resource of each pair
        capacity : [rep] most of the resource
        """
        reps, accounts = cost.shape
        return cls(
            account_ids=np.array([f"account {i + 1}" for i in range(accounts)], dtype=np.str_),
            rep_ids=np.array([f"rep {r + 1}" for r in range(reps)], dtype=np.str_),
            metric_ids=("resource",),
            start=np.arange(accounts + 1, dtype=np.int64) * reps,
            pair_rep=np.tile(np.arange(reps, dtype=np.int64), accounts),
            cost=np.ascontiguousarray(cost.T, dtype=np.float64).ravel(),
            use=np.ascontiguousarray(use.T, dtype=np.float64).reshape(-1, 1),
            low=np.full((reps, 1), -np.inf),
            high=np.asarray(capacity, dtype=np.float64).reshape(-1, 1),
            owner=np.full(accounts, NONE, dtype=np.int64),
        )
