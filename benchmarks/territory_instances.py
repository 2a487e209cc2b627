"""Instances of the band problem: clustered accounts, reps with a home, bands on value and hours, moves that cost."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from optimization.problem import BandedProblem, Floats, Ints

VALUE_BAND, HOURS_BAND = 0.05, 0.20
"""Most deviation of a book from its share by fte, share."""

MOVE_COST = 0.15
"""Part of an account's value that a change of rep puts at risk."""

NEAREST = 3
"""The present rep is one of this many nearest."""

TRAVEL = 0.05
"""Mean travel cost to the nearest rep, as a part of the mean value."""


HALF_TIME = 0.3
"""Part of the reps who work half time."""

LARGEST_ACCOUNT = 0.4
"""Most value of one account, share of a full-time book: an account above a band would make every plan impossible."""


@dataclass(frozen=True)
class Size:
    """Numbers of accounts and reps, and candidates per account."""

    accounts: int
    reps: int
    candidates: int


def make_instance(size: Size, seed: int) -> BandedProblem:
    """Draw one instance.

    Towns are drawn with sizes, accounts lie around them. Value is log-normal with a standard deviation of 1 on the log
    scale, cut off at a part of a book; hours grow with the root of value. Reps live where the business is: in the
    middle of cells that hold value in proportion to fte, so that bands of 5 % around the rep's share by fte of all
    value (20 % of all hours) can be met by somebody near; no plan is built in, and no instance is drawn again.

    Raises
    ------
    ValueError
        The size makes no sense.
    """
    if min(size.accounts, size.reps, size.candidates) < 1 or size.candidates > size.reps:
        raise ValueError("accounts, reps and candidates must be at least 1, and candidates at most the number of reps")
    rng = np.random.default_rng(seed)
    place = _place_accounts(size, rng)
    value = rng.lognormal(0.0, 1.0, size.accounts) * 10_000
    fte = np.where(rng.random(size.reps) < HALF_TIME, 0.5, 1.0)
    value = np.minimum(value, LARGEST_ACCOUNT * value.sum() / fte.sum())
    hours = 2.0 * np.sqrt(value / 10_000) * rng.lognormal(0.0, 0.3, size.accounts)
    home = _place_homes(place, value, fte)
    distance, near = KDTree(home).query(place, k=size.candidates)
    distance, near = distance.reshape(size.accounts, -1), near.reshape(size.accounts, -1)
    present = near[np.arange(size.accounts), rng.integers(0, min(NEAREST, size.candidates), size.accounts)].astype(
        np.int64
    )
    rate = TRAVEL * value.mean() / max(float((distance[:, 0] * hours).mean()), 1e-12)
    travel = rate * distance * hours[:, None]
    moves = (near != present[:, None]) * (MOVE_COST * value)[:, None]
    return _problem(near, travel + moves, (value, hours), (fte, present))


def _place_accounts(size: Size, rng: np.random.Generator) -> Floats:
    """Where accounts are [account, 2]: towns of unequal size and a spread around each."""
    towns = max(3, size.reps // 3)
    centre, weight = rng.random((towns, 2)), rng.gamma(1.0, size=towns) + 0.1
    town = rng.choice(towns, size.accounts, p=weight / weight.sum())
    return centre[town] + rng.normal(0.0, 0.5 / np.sqrt(towns), (size.accounts, 2))


def _place_homes(place: Floats, value: Floats, fte: Floats) -> Floats:
    """Homes [rep, 2]: the middle of the rep's cell when the map is halved again and again by value in ratio of fte."""
    home = np.zeros((len(fte), 2))
    todo = [(np.arange(len(place)), np.arange(len(fte)))]
    while todo:
        accounts, reps = todo.pop()
        if len(reps) == 1 or len(accounts) < 2:
            home[reps] = place[accounts].mean(axis=0) if len(accounts) else place.mean(axis=0)
            continue
        axis = int(np.ptp(place[accounts], axis=0).argmax())
        accounts = accounts[np.argsort(place[accounts, axis])]
        half = len(reps) // 2
        share = fte[reps[:half]].sum() / fte[reps].sum()
        cut = int(np.searchsorted(np.cumsum(value[accounts]), share * value[accounts].sum()))
        todo += [(accounts[:cut], reps[:half]), (accounts[cut:], reps[half:])]
    return home


def _problem(near: Ints, cost: Floats, account: tuple[Floats, Floats], rep: tuple[Floats, Ints]) -> BandedProblem:
    """Arrays of the problem from candidates and costs [account, candidate], (value, hours) and (fte, present rep)."""
    (accounts, candidates), (value, hours), (fte, present) = near.shape, account, rep
    share = fte / fte.sum()
    fair = np.stack([share * value.sum(), share * hours.sum()], axis=1)
    band = np.array([VALUE_BAND, HOURS_BAND])
    return BandedProblem(
        account_ids=np.array([f"A{i}" for i in range(accounts)], dtype=np.str_),
        rep_ids=np.array([f"R{r}" for r in range(len(fte))], dtype=np.str_),
        metric_ids=("value", "hours"),
        start=np.arange(accounts + 1, dtype=np.int64) * candidates,
        pair_rep=near.astype(np.int64).ravel(),
        cost=cost.ravel(),
        use=np.repeat(np.stack([value, hours], axis=1), candidates, axis=0),
        low=fair * (1 - band),
        high=fair * (1 + band),
        owner=present.astype(np.int64),
    )
