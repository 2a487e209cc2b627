"""Accounts that change rep, with their open deals and orders.

The posterior has no ownership by month, so a book changes hands on the as-of date. An account that changes rep sells
less for a while (Shi et al., Journal of Marketing): deals and orders lose the share ``disruption`` of their amounts.
"""

from dataclasses import replace

import numpy as np

from engine.scenarios.asking import Ask
from engine.scenarios.company import Company, orders, with_orders, with_panel
from engine.scenarios.groups import Shift, set_apart
from engine.scenarios.reference import amount_shift
from models.panel import NONE, OPEN, Bools, Ints


def hand_over(company: Company, target: Ints, lost: float, ask: Ask) -> Company:
    """Give accounts to other reps, with the open deals and orders that their old owner had.

    Parameters
    ----------
    target : [account] owner from now on, NONE for nobody
    lost : share of revenue that accounts lose when they go to another rep
    """
    old = company.panel.accounts.owner
    moved = target != old
    company, follows = with_owners(company, target)
    return disrupted(company, follows, moved & (old != NONE) & (target != NONE), lost, ask)


def with_owners(company: Company, target: Ints, stays: Bools | None = None) -> tuple[Company, Bools]:
    """The company in which accounts belong to other reps, and [deal] the open deals that went with them.

    Parameters
    ----------
    target : [account] owner from now on, NONE for nobody
    stays : [deal] deals that stay with their rep whatever becomes of their account
    """
    panel = company.panel
    old = panel.accounts.owner
    moved = target != old
    of = panel.deals
    known = of.account != NONE
    follows = known & (of.outcome == OPEN) & np.append(moved, False)[of.account]
    follows &= of.rep == np.append(old, NONE)[of.account]
    if stays is not None:
        follows &= ~stays
    if not moved.any():
        return company, follows
    rep = np.where(follows, np.append(target, NONE)[of.account], of.rep)
    company = with_panel(company, deals=replace(of, rep=rep), accounts=replace(panel.accounts, owner=target))
    if company.draws.orders is not None:
        seller = orders(company).seller
        mine = moved & (old != NONE) & (seller == old)
        company = with_orders(company, seller=np.where(mine, target, seller))
    return company, follows


def disrupted(company: Company, deals: Bools, accounts: Bools, lost: float, ask: Ask) -> Company:
    """Deals and orders of accounts that change rep lose a share of their amounts."""
    if lost == 0 or not accounts.any():
        return company
    kept = 1 - lost
    if company.draws.amounts is not None:
        inside = np.flatnonzero(deals) if deals.any() else np.flatnonzero(company.panel.deals.outcome == OPEN)
        shift = amount_shift(company, inside, kept) if len(inside) else float(np.log(kept)) if kept else None
        if shift is None:
            allowed = "a share that wins at exactly the list amount leave room for"
            ask.stop("disruption", f"{lost:.0%} lost", allowed, "set a smaller `disruption`")
        company = set_apart(company, deals, accounts, Shift(amount=shift))
    if company.draws.orders is not None:
        of, step = orders(company), np.log(max(kept, 1e-12))
        known = accounts & (of.orders > 0)
        company = with_orders(
            company, level=np.where(known, of.level + step, of.level), group=np.where(known, of.group + step, of.group)
        )
    return company


def new_customers_go(company: Company, rep: int, to: int) -> Company:
    """First orders that a rep would win are won by another; ``to`` NONE: by the others of each territory."""
    if company.draws.orders is None:
        return company
    of = orders(company)
    mine = of.first_seller == rep
    if to != NONE:
        return with_orders(company, first_seller=np.where(mine, to, of.first_seller))
    share, seller = of.first_seller_share.copy(), of.first_seller.copy()
    for territory in np.unique(of.first_seller_territory[mine]):
        here = of.first_seller_territory == territory
        left = share[:, here & ~mine].sum(axis=1, keepdims=True)
        if (left > 0).all() and (here & ~mine).any():
            share[:, here & ~mine] /= left
            share[:, here & mine] = 0.0
        else:
            seller[here & mine] = NONE
    return with_orders(company, first_seller=seller, first_seller_share=share)


def owned_by(company: Company, rep: int) -> Bools:
    """[account] accounts of a rep."""
    return company.panel.accounts.owner == rep


def loose_deals(company: Company, rep: int) -> Bools:
    """[deal] open deals of a rep that follow none of the rep's accounts."""
    of, owner = company.panel.deals, np.append(company.panel.accounts.owner, NONE)
    return (of.rep == rep) & (of.outcome == OPEN) & ((of.account == NONE) | (owner[of.account] != rep))
