"""Which rep knows accounts like this one, and what that is worth: learned from accounts that changed rep, shrunk.

The expected revenue of an account under a rep is its owner's value times a fit. Experience is the rep's share of past
revenue in the account's segment, its industry and the products it buys, each shrunk to the company's mix by an average
rep's revenue, without what the account itself brought. What a lead in experience is worth is learned from accounts
that moved: the slope of their change of revenue on the gain or loss of experience, under a normal prior around the
config's value. Only such accounts tell reps from their books, and there are few: the effect stays near the prior, and
no rep has an effect of its own. Star performance does not carry over to other accounts, so it is left out on purpose.

Sources: Shi, Sridhar, Grewal and Lilien (2017), doi:10.1509/jm.15.0358 (reps of similar industry experience lose less
of an account that they take over, past performance does not matter); Groysberg, Lee and Nanda (2008), Can They Take It
With Them?, doi:10.1287/mnsc.1070.0809. Shrinkage: Gelman and Hill (2007), section 18.3, normal prior on a slope.
"""

from dataclasses import dataclass

import numpy as np

from models.calendar import month_number
from models.panel import NONE, Bools, Floats, Ints, Panel

WINDOW = 12
"""Months of revenue compared before and after a change of rep."""

TAIL = 1.5
"""Changes of revenue, in logs, beyond which an account that moved counts no more: one big order is no experience."""


@dataclass(frozen=True)
class Sales:
    """Past revenue, one row a won deal with amount or a month of orders.

    Attributes
    ----------
    account, rep, product : [sale] indices; account and rep are known, product may be NONE
    month : [sale] months since 1970-01
    amount : [sale] money, at least zero
    """

    account: Ints
    rep: Ints
    product: Ints
    month: Ints
    amount: Floats


@dataclass(frozen=True)
class Moved:
    """Accounts that changed rep.

    Attributes
    ----------
    account, old, new : [move] indices
    change : [move] log of revenue in the `WINDOW` after the change over that before
    """

    account: Ints
    old: Ints
    new: Ints
    change: Floats


@dataclass(frozen=True)
class Effect:
    """What experience is worth.

    Attributes
    ----------
    value : relative revenue per unit of lead in experience: posterior mean
    deviation : its standard deviation after the moves; before them it is half the prior mean
    moves : accounts that changed rep and told something
    """

    value: float
    deviation: float
    moves: int


def sales_of(panel: Panel) -> Sales:
    """Past revenue whose account and rep are known."""
    deals, orders = panel.deals, panel.orders
    won = np.isfinite(deals.won_amount) & (deals.account != NONE) & (deals.rep != NONE)
    known = (orders.account != NONE) & (orders.rep != NONE)
    return Sales(
        account=np.concatenate([deals.account[won], orders.account[known]]),
        rep=np.concatenate([deals.rep[won], orders.rep[known]]),
        product=np.concatenate([deals.product[won], orders.product[known]]),
        month=np.concatenate([month_number(deals.closed[won]), orders.month[known]]),
        amount=np.concatenate([deals.won_amount[won], orders.amount[known]]).clip(min=0.0),
    )


def leads(panel: Panel) -> Floats:
    """[account, rep] how much more than the average rep each one has sold to accounts like this one, -1 to 1.

    The mean over segment, industry and products of the rep's share of revenue there less the mean share of all reps.
    """
    sales = sales_of(panel)
    accounts, reps = len(panel.accounts.labels), len(panel.reps.labels)
    own = np.zeros((accounts, reps))
    np.add.at(own, (sales.account, sales.rep), sales.amount)
    bought = np.zeros((accounts, len(panel.products.labels)))
    named = sales.product != NONE
    np.add.at(bought, (sales.account[named], sales.product[named]), sales.amount[named])
    total = bought.sum(axis=1, keepdims=True)
    mixes = [
        _one_level(panel.accounts.segment, len(panel.segments)),
        _one_level(panel.accounts.industry, len(panel.industries)),
        np.divide(bought, total, out=np.zeros_like(bought), where=total > 0),
    ]
    parts = [_lead(mix, own) for mix in mixes if mix.shape[1] > 1]
    return np.mean(parts, axis=0) if parts else np.zeros((accounts, reps))


def _one_level(level: Ints, count: int) -> Floats:
    """[account, level] mix of accounts that lie in one level each; zero where it is unknown."""
    mix = np.zeros((len(level), count))
    known = np.flatnonzero(level != NONE)
    mix[known, level[known]] = 1.0
    return mix


def _lead(mix: Floats, own: Floats) -> Floats:
    """[account, rep] expected share of each rep's revenue in an account's levels [account, level], less the mean rep's.

    Both are without the account itself: what it bought from a rep says nothing about accounts like it.
    """
    sold, total = own.T @ mix, own.sum(axis=0)  # [rep, level], [rep]
    company = sold.sum(axis=0) / max(sold.sum(), np.finfo(float).tiny)
    pseudo = max(float(total.sum()) / max(len(total), 1), np.finfo(float).tiny)
    like = mix @ sold.T - own * np.square(mix).sum(axis=1, keepdims=True)
    share = (like + pseudo * (mix @ company)[:, None]) / (total - own + pseudo)
    lead: Floats = share - share.mean(axis=1, keepdims=True)
    return lead


def moved_accounts(panel: Panel) -> Moved:
    """Accounts whose revenue came from one rep for `WINDOW` months and from another in the `WINDOW` after.

    The last change of each account counts. Its first sale by the new rep is what dates the change, so revenue after it
    is too high by the same bias for all; the slope on experience knows only differences between them.
    """
    sales = sales_of(panel)
    order = np.lexsort((sales.month, sales.account))
    account, rep, month, amount = (part[order] for part in (sales.account, sales.rep, sales.month, sales.amount))
    changes = np.flatnonzero((account[1:] == account[:-1]) & (rep[1:] != rep[:-1])) + 1
    last = changes[np.append(account[changes][1:] != account[changes][:-1], np.ones(min(len(changes), 1), dtype=bool))]
    begin, end = np.searchsorted(account, account[last]), np.searchsorted(account, account[last], side="right")
    first_known, today = month.min(initial=0), int(month_number(np.array([panel.as_of]))[0])
    found = []
    for at, start, stop in zip(last, begin, end, strict=True):
        when = month[at]
        if when - WINDOW < first_known or when + WINDOW > today:
            continue
        since, who, money = month[start:stop] - when, rep[start:stop], amount[start:stop]
        before = (since >= -WINDOW) & (since < 0) & (who == rep[at - 1])
        after = (since >= 0) & (since < WINDOW) & (who == rep[at])
        sums = money[before].sum(), money[after].sum()
        if min(sums) > 0:
            found.append((account[at], rep[at - 1], rep[at], np.log(sums[1] / sums[0])))
    rows = np.array(found, dtype=np.float64).reshape(-1, 4)
    who, old, new = rows[:, :3].astype(np.int64).T
    return Moved(who, old, new, rows[:, 3])


def learned(panel: Panel, lead: Floats, prior: float) -> Effect:
    """What a lead [account, rep] is worth: a normal prior around ``prior`` and the accounts that moved.

    The slope of the change of revenue on the change of lead, both centred, has a normal likelihood whose deviation is
    that of the changes; the prior's deviation is half its mean, so that the sign needs much evidence to turn.
    """
    moved = moved_accounts(panel)
    if prior == 0 or len(moved.account) < 3:
        return Effect(prior, prior / 2, len(moved.account))
    change = (moved.change - np.median(moved.change)).clip(-TAIL, TAIL)
    gained = lead[moved.account, moved.new] - lead[moved.account, moved.old]
    gained = gained - gained.mean()
    variance = max(float(change.var(ddof=1)), 0.01)
    precision = 4.0 / prior**2 + float((gained**2).sum()) / variance
    value = (4.0 / prior + float((gained * change).sum()) / variance) / precision
    return Effect(max(value, 0.0), float(precision**-0.5), len(moved.account))


def similarity(lead: Floats, owner: Ints, effect: float) -> Floats:
    """[account, rep] revenue under each rep against the present one, or the average one where nobody owns it.

    Parameters
    ----------
    lead : [account, rep of all]
    owner : [account] rep of all, NONE where nobody
    """
    held: Bools = owner != NONE
    base = np.where(held, lead[np.arange(len(owner)), owner], 0.0)
    ratio: Floats = (1.0 + effect * (lead - base[:, None])).clip(min=0.0)
    return ratio
