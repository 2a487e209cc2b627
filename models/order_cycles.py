"""Which cycle each account buys on: a latent class per account, learned by expectation-maximisation.

Given its cycle length an account orders with a chance that depends on its state (`models.order_history`) only.
The chances of the states and the shares of the lengths are common to all accounts, so an account with one order borrows
the cycle of the others and one with five shows its own. The months of an account enter once, as outcomes; nothing later
than a month explains that month except through the account's one, constant cycle.

References
----------
Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm,
doi:10.1111/j.2517-6161.1977.tb01600.x.
"""

from dataclasses import dataclass

import numpy as np

from models.order_history import MAX_CYCLE, STATES, AccountMonths, order_state
from models.panel import Floats, Ints

PRIOR_CHANCE = np.array([0.03, 0.1, 0.7, 0.2, 0.1, 0.3, 0.2, 0.1, 0.03, 0.01, 0.3, 0.1, 0.02])
"""Chance to order in a month by state, before any data."""

PRIOR_MONTHS = 5.0
"""Account-months that `PRIOR_CHANCE` is worth."""

PRIOR_ACCOUNTS = 0.5
"""Accounts that each cycle length is worth before any data."""

ROUNDS = 200
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Cycles:
    """Cycle lengths 0 to `MAX_CYCLE` of accounts.

    Attributes
    ----------
    log_likelihood : [account, cycle] of the account's months given its cycle, at the fitted chances
    posterior : [account, cycle] chance of each length, rows sum to one
    share : [cycle] accounts (not a share yet) expected to have each length, prior included
    chance : [state] fitted chance to order
    """

    log_likelihood: Floats
    posterior: Floats
    share: Floats
    chance: Floats


def fit_cycles(months: AccountMonths, ordering: Ints) -> Cycles:
    """Fit the latent classes.

    Parameters
    ----------
    months : account-months at risk
    ordering : [account] number of orders; accounts without any keep the prior and count for nothing
    """
    longest = int(months.elapsed.max(initial=1))
    accounts = len(ordering)
    place = months.account * longest + months.elapsed - 1
    at_risk = np.bincount(place, minlength=accounts * longest).reshape(accounts, longest)
    ordered = np.bincount(place, weights=months.ordered, minlength=accounts * longest).reshape(accounts, longest)
    missed = at_risk - ordered
    lengths, elapsed = np.arange(MAX_CYCLE + 1)[:, None], np.arange(1, longest + 1)[None, :]
    state = order_state(lengths, elapsed)  # [cycle, elapsed]
    seen = (ordering > 0)[:, None]
    chance, share = PRIOR_CHANCE, np.full(MAX_CYCLE + 1, PRIOR_ACCOUNTS)
    for _ in range(ROUNDS):
        log_likelihood = ordered @ np.log(chance[state]).T + missed @ np.log1p(-chance[state]).T
        posterior = _normalise(np.log(share) + log_likelihood)
        weights = posterior * seen
        share = weights.sum(axis=0) + PRIOR_ACCOUNTS
        hits = np.bincount(state.ravel(), weights=(weights.T @ ordered).ravel(), minlength=len(STATES))
        trials = np.bincount(state.ravel(), weights=(weights.T @ at_risk).ravel(), minlength=len(STATES))
        updated = (hits + PRIOR_CHANCE * PRIOR_MONTHS) / (trials + PRIOR_MONTHS)
        settled = float(np.abs(updated - chance).max()) < TOLERANCE
        chance = updated
        if settled:
            break
    return Cycles(log_likelihood=log_likelihood, posterior=posterior, share=share, chance=chance)


def draw_cycles(cycles: Cycles, ordering: Ints, draws: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Cycle lengths [draw, account] from each account's posterior, and shares of the lengths [draw, cycle].

    The shares of the population are uncertain too (Dirichlet), which widens the cycles of accounts with few orders.
    Accounts that never ordered get 0.
    """
    shares = rng.dirichlet(cycles.share, size=draws)
    seen = np.flatnonzero(ordering > 0)
    lengths = np.zeros((draws, len(ordering)), dtype=np.int64)
    for draw in range(draws):  # one draw at a time: all at once would need draws x accounts x lengths numbers
        chance = _normalise(np.log(shares[draw] + 1e-300) + cycles.log_likelihood[seen])
        pick = (rng.random(len(seen))[:, None] > np.cumsum(chance, axis=1)).sum(axis=1)
        lengths[draw, seen] = np.minimum(pick, MAX_CYCLE)
    return lengths, shares


def _normalise(log_weight: Floats) -> Floats:
    """Rows of log weights as chances that sum to one."""
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)
