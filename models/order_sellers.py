"""Who books orders: an account's rep of late, who stood in before, or a successor; a new customer's also a newcomer.

Three things are learned from who booked which order: whether a rep who took an order of somebody else's account keeps
the account or only stood in; how often, and how much of, a rep's book changes hands within one cycle of orders; and
who works beside whom. A handover concerns a rep, not an account: all of a book moves, or nearly none of it. Nobody can
foresee it, but intervals that leave it out are too narrow.
"""

from dataclasses import dataclass

import numpy as np

from models.panel import NONE, Floats, Ints, Panel

KEEPS, KEEPS_WORTH = 0.9, 2.0
"""Chance that a rep who took another's account keeps it, before any data, and the number of cases this is worth."""

CHANGES, CASES = 0.5, 10.0
"""Handovers (first orders of newcomers), and orders (first orders) among which, that are added to those seen."""

SUCCESSORS = 3
"""Colleagues a book may go to: the number of accounts and reps to be told apart grows with it."""

ELSEWHERE = 1e-3
"""Weight of a colleague who shares no territory, beside one account that both have there."""


@dataclass(frozen=True)
class Visits:
    """Account-months with orders, sorted by account and month; all [visit]. ``rep`` booked most of the month."""

    account: Ints
    month: Ints
    rep: Ints

    def __len__(self) -> int:
        return len(self.account)


@dataclass(frozen=True)
class Sellers:
    """Who books next; all [account].

    Attributes
    ----------
    likely, other : indices into the reps, NONE nobody
    keeps : chance of ``likely``, else it is ``other``
    """

    likely: Ints
    other: Ints
    keeps: Floats


@dataclass(frozen=True)
class FirstSellers:
    """Who books the first orders of customers to come: entries, territory after territory.

    Attributes
    ----------
    territory, rep : [entry] indices, rep NONE for newcomers
    share : [draw, entry] chances, of every territory summing to one
    """

    territory: Ints
    rep: Ints
    share: Floats


def draw_sellers(
    panel: Panel, visits: Visits, sellers: Sellers, gap: int, draws: int, rng: np.random.Generator
) -> Ints:
    """Who books the orders of every account from now on [draw, account]: indices into the reps, NONE nobody.

    Parameters
    ----------
    panel, visits, sellers : see `rep_visits` and `next_sellers`
    gap : months within which orders are repeated: shares that change hands are counted over as many months
    draws : number of draws; in each of them a handover moves the same rep's accounts together
    """
    moved, orders = handovers(panel, visits, gap)
    colleague, cumulative = successors(panel, sellers.likely)
    accounts, reps = len(sellers.likely), len(panel.reps.labels)
    found = np.empty((draws, accounts), dtype=np.int64)
    for draw in range(draws):
        seller = np.where(rng.random(accounts) < sellers.keeps, sellers.likely, sellers.other)
        leaving = _shares(moved, orders, np.ones(len(orders)), reps, rng)
        place = (rng.random((reps, 1)) >= cumulative).sum(axis=1)
        to = np.append(colleague[np.arange(reps), np.minimum(place, colleague.shape[1] - 1)], NONE)
        goes = (rng.random(accounts) < np.append(leaving, 0.0)[seller]) & (to[seller] != NONE)
        found[draw] = np.where(goes, to[seller], seller)
    return found


def rep_visits(panel: Panel) -> Visits:
    """Account-months with a positive amount by a known rep, each with the rep of the largest amount."""
    orders = panel.orders
    kept = np.flatnonzero((orders.account != NONE) & (orders.rep != NONE))
    keys, place = np.unique(
        np.stack([orders.account[kept], orders.month[kept], orders.rep[kept]], axis=1), axis=0, return_inverse=True
    )
    amount = np.bincount(place.ravel(), weights=orders.amount[kept], minlength=len(keys))
    keys, amount = keys[amount > 0], amount[amount > 0]
    order = np.lexsort((amount, keys[:, 1], keys[:, 0]))
    keys = keys[order]
    largest = np.append((keys[1:, :2] != keys[:-1, :2]).any(axis=1), True)[: len(keys)]
    return Visits(account=keys[largest, 0], month=keys[largest, 1], rep=keys[largest, 2])


def next_sellers(panel: Panel, visits: Visits) -> Sellers:
    """Who booked last, unless that rep only stood in.

    The chance to keep an account taken from another is learned rep by rep, and shrunk to `KEEPS`. Reps who do not sell
    any more give way to the owner.
    """
    owner, account, rep = panel.accounts.owner, visits.account, visits.rep
    likely, other, keeps = owner.copy(), owner.copy(), np.ones(len(owner))
    same = account[1:] == account[:-1]
    taken = np.append(False, same & (rep[1:] != rep[:-1]))[: len(visits)]
    followed = np.append(same, False)[: len(visits)]
    case = np.flatnonzero(taken & followed)
    reps = len(panel.reps.labels)
    cases = np.bincount(rep[case], minlength=reps)
    kept = np.bincount(rep[case], weights=rep[case + 1] == rep[case], minlength=reps)
    chance = (kept + KEEPS * KEEPS_WORTH) / (cases + KEEPS_WORTH)
    last = np.flatnonzero(~followed)
    likely[account[last]] = rep[last]
    other[account[last]] = rep[np.where(taken[last], last - 1, last)]
    keeps[account[last]] = np.where(taken[last], chance[rep[last]], 1.0)
    active = np.append(panel.reps.active, False)
    likely, other = np.where(active[likely], likely, owner), np.where(active[other], other, owner)
    recorded = ~panel.accounts.inferred_owner & (owner != NONE)
    return Sellers(
        likely=np.where(recorded, owner, likely),
        other=np.where(recorded, owner, other),
        keeps=np.where(recorded, 1.0, keeps),
    )


def handovers(panel: Panel, visits: Visits, gap: int) -> tuple[Floats, Floats]:
    """Repeated orders, and those of them that another rep booked than the one before, by rep and ``gap`` months.

    Returns
    -------
    moved, orders : [rep and stretch of months with any]
    """
    again = np.flatnonzero(visits.account[1:] == visits.account[:-1]) + 1
    if not len(again):
        return np.zeros(0), np.zeros(0)
    before, reps = visits.rep[again - 1], len(panel.reps.labels)
    stretch = (visits.month[again].max() - visits.month[again]) // gap
    place = stretch * reps + before
    orders = np.bincount(place).astype(float)
    moved = np.bincount(place, weights=visits.rep[again] != before)
    return moved[orders > 0], orders[orders > 0]


def successors(panel: Panel, seller: Ints) -> tuple[Ints, Floats]:
    """To whom the book of every rep may go: colleagues [rep, place] and cumulative chances, by the territories shared.

    NONE where there is nobody else.
    """
    reps, territory = len(panel.reps.labels), panel.accounts.territory
    book = np.zeros((reps, len(panel.territories) + 1))
    held = seller != NONE
    np.add.at(book, (seller[held], territory[held]), 1.0)
    weight = book @ book.T + ELSEWHERE
    weight[:, ~panel.reps.active] = 0.0
    np.fill_diagonal(weight, 0.0)
    places = min(SUCCESSORS, reps)
    colleague = np.argsort(-weight, axis=1, kind="stable")[:, :places]
    weight = np.take_along_axis(weight, colleague, axis=1)
    total = weight.sum(axis=1, keepdims=True)
    colleague = np.where(weight > 0, colleague, NONE)
    return colleague, np.cumsum(weight, axis=1) / np.where(total > 0, total, 1.0)


def draw_first_sellers(
    panel: Panel, visits: Visits, sellers: Sellers, gap: int, draws: int, rng: np.random.Generator
) -> FirstSellers:
    """Who books the first orders of a territory's new customers.

    Those who hold its accounts, each by their number (as in Polya's urn, so that the shares are as uncertain as such
    numbers leave them), else those who live there; and newcomers, of whom nothing is known yet but that they come.
    """
    new, first = newcomers(panel, visits, gap)
    territories = len(panel.territories)
    share_of_new = np.stack([_shares(new, first, first, territories, rng) for _ in range(draws)])
    where, who, shares = [], [], []
    for territory in range(territories):
        held = sellers.likely[(panel.accounts.territory == territory) & (sellers.likely != NONE)]
        weight = np.bincount(held, minlength=len(panel.reps.labels)) * panel.reps.active
        if not weight.any():
            weight = ((panel.reps.territory == territory) & panel.reps.active).astype(np.int64)
        reps = np.flatnonzero(weight)
        left = 1 - share_of_new[:, [territory]] if len(reps) else np.zeros((draws, 1))
        split = rng.dirichlet(weight[reps], size=draws) if len(reps) else np.zeros((draws, 0))
        where.append(np.full(len(reps) + 1, territory))
        who.append(np.append(reps, NONE))
        shares.append(np.concatenate([left * split, 1 - left], axis=1))
    if not territories:
        return FirstSellers(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros((draws, 0)))
    return FirstSellers(np.concatenate(where), np.concatenate(who), np.concatenate(shares, axis=1))


def newcomers(panel: Panel, visits: Visits, gap: int) -> tuple[Floats, Floats]:
    """First orders, and those of them booked by reps who had begun to sell within ``gap`` months, by territory.

    Counted by territory and ``gap`` months, since newcomers come to one territory at a time. Whoever is first seen in
    the first ``gap`` months of the export, account or rep, may have been there before.

    Returns
    -------
    new, first : [territory and stretch of months with any]
    """
    account, month, rep = visits.account, visits.month, visits.rep
    start = panel.orders.first_month + gap
    begun = np.full(len(panel.reps.labels), np.iinfo(np.int64).max)
    np.minimum.at(begun, rep, month)
    first = np.append(True, account[1:] != account[:-1])[: len(visits)] & (month >= start)
    is_new = (begun[rep] >= start) & (begun[rep] > month - gap)
    territory = panel.cell_territory(account, rep) - NONE
    place = ((month - start) // gap * (len(panel.territories) + 1) + territory)[first]
    number = np.bincount(place).astype(float)
    return np.bincount(place, weights=is_new[first])[number > 0], number[number > 0]


def _shares(changes: Floats, cases: Floats, weight: Floats, size: int, rng: np.random.Generator) -> Floats:
    """Draw ``size`` shares of change: those of cells of the past, each with its error.

    Cells are taken by ``weight``, reweighted at random (Bayesian bootstrap), since few of them show a change.
    """
    usual = float((changes.sum() + CHANGES) / (cases.sum() + CASES))
    if not len(cases):
        return rng.beta(usual, 1 - usual, size)
    chance = weight * rng.standard_exponential(len(cases))
    cell = rng.choice(len(cases), size=size, p=chance / chance.sum())
    return rng.beta(changes[cell] + usual, cases[cell] - changes[cell] + 1 - usual)
