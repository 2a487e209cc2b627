"""New opportunities of the demo company: when they appear, with whom, and how much the CRM says they are worth."""

from dataclasses import dataclass

import numpy as np

from engine.demo.accounts import Accounts
from engine.demo.clock import MONTHS, pick_day, working_days
from engine.demo.people import People
from engine.demo.truth import ArrivalTruth
from engine.demo.world import LIST_PRICES, TYPICAL_AMOUNTS
from models.calendar import WEEKS_PER_MONTH
from models.panel import NONE, Floats, Ints

WITHOUT_ACCOUNT = 0.06
SEGMENT_SIZE = np.array([1.7, 1.0, 0.6])
"""Multiple of the typical amount by segment."""
PRODUCT_MIX = np.array([[0.10, 0.15, 0.25, 0.25, 0.25], [0.20, 0.25, 0.25, 0.20, 0.10], [0.40, 0.30, 0.18, 0.09, 0.03]])
"""[segment, product] shares; deals without an account have the middle row."""
MIDDLE_SEGMENT = 1


@dataclass(frozen=True)
class NewDeals:
    """Opportunities as they arrive, in order of creation.

    Attributes
    ----------
    rep, account, product : [deal] indices, account NONE without one
    territory, segment : [deal] what the hazards depend on: without an account the rep's home, and NONE
    created : [deal] days since 1970-01-01
    list_amount : [deal] amount in the CRM, list price times quantity
    """

    rep: Ints
    account: Ints
    product: Ints
    territory: Ints
    segment: Ints
    created: Ints
    list_amount: Floats

    def __len__(self) -> int:
        return len(self.rep)


def make_new_deals(rng: np.random.Generator, people: People, accounts: Accounts, truth: ArrivalTruth) -> NewDeals:
    """Counts per rep and month, then day, account, product and amount of each deal."""
    alpha = truth.dispersion
    counts = rng.negative_binomial(alpha, alpha / (alpha + truth.mean))  # [rep, month]
    rep, month = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape))
    created = _creation_days(rng, people.start.astype(np.int64)[rep], month)
    order = np.lexsort((rep, created))
    rep, month, created = rep[order], month[order], created[order]
    account = _choose_accounts(rng, accounts, rep, month)
    known = account != NONE
    segment = np.where(known, accounts.segment[account], NONE)
    row = np.where(known, segment, MIDDLE_SEGMENT)
    product = (rng.random(len(rep))[:, None] > np.cumsum(PRODUCT_MIX, axis=1)[row, :-1]).sum(axis=1)
    typical = TYPICAL_AMOUNTS[product] * SEGMENT_SIZE[row] * np.exp(0.55 * rng.normal(size=len(rep)))
    return NewDeals(
        rep=rep,
        account=account,
        product=product,
        territory=np.where(known, accounts.territory[account], people.home[rep]),
        segment=segment,
        created=created,
        list_amount=LIST_PRICES[product] * np.maximum(np.round(typical / LIST_PRICES[product]), 1.0),
    )


def _creation_days(rng: np.random.Generator, employed: Ints, month: Ints) -> Ints:
    """A uniform working day of the month, not before the first day of employment."""
    weeks = working_days()
    created = np.empty(len(month), dtype=np.int64)
    for number in range(len(MONTHS)):
        days = np.concatenate(weeks[number * WEEKS_PER_MONTH : (number + 1) * WEEKS_PER_MONTH])
        here = month == number
        created[here] = pick_day(days, employed[here], rng.random(int(here.sum())))
    return created


def _choose_accounts(rng: np.random.Generator, accounts: Accounts, rep: Ints, month: Ints) -> Ints:
    """An account of the rep's book in that month, weighted by potential; NONE for some, and where the book is empty."""
    account = np.full(len(rep), NONE)
    with_account = rng.random(len(rep)) >= WITHOUT_ACCOUNT
    uniform = rng.random(len(rep))
    for number in range(len(MONTHS)):
        owner = accounts.owner[:, number]
        by_owner = np.argsort(owner, kind="stable")
        weight = np.append(0.0, np.cumsum(accounts.potential[by_owner]))
        here = np.flatnonzero((month == number) & with_account & np.isin(rep, owner))
        low = weight[np.searchsorted(owner[by_owner], rep[here], side="left")]
        high = weight[np.searchsorted(owner[by_owner], rep[here], side="right")]
        place = np.searchsorted(weight, low + uniform[here] * (high - low), side="right") - 1
        account[here] = by_owner[place]
    return account
