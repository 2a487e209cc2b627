"""The part of a company that a change touches: simulating that part before and after is all a difference needs.

Streams are keyed by entity, so an open deal, rep or account whose own numbers are equal before and after has the same
paths in both, and cancels. It is taken out of both simulations: a deal as closed, a rep with a rate of zero, an account
as one that never ordered, customers to come with a rate of zero. Whether two companies differ in an entity is read off
their arrays, not told by the changes, so no change can forget to say so.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from engine.scenarios.company import Company, arrivals, orders, with_arrivals, with_orders, with_panel
from engine.simulation.clock import Clock
from engine.simulation.sellers import Landing, landing
from models.panel import LOST, OPEN, Bools, Labels

COST = {"new": 0.6, "open": 0.15, "orders": 0.2, "first": 0.05}
"""Rough shares of a simulation's time, to tell whether leaving parts out pays."""

DEAL_EFFECTS = ("segment", "product", "territory", "rep")
"""Effects that belong to a member: another member's deals do not feel them."""

OF_ACCOUNT = ("elapsed", "orders", "level", "weight", "group")
"""Arrays [account] of the orders leg."""


@dataclass(frozen=True)
class Touched:
    """What differs between two companies.

    Attributes
    ----------
    deals : [deal] open in one of the two
    reps : [rep of the changed company] as creators of new deals
    accounts : [account] as buyers that have ordered
    first : customers to come
    """

    deals: Bools
    reps: Bools
    accounts: Bools
    first: bool

    def share(self) -> float:
        """Rough part of a simulation's time that it takes."""
        parts = {"new": self.reps, "open": self.deals, "orders": self.accounts, "first": np.array([self.first])}
        return sum(COST[name] * float(part.mean()) for name, part in parts.items() if part.size)


def only_touched(touched: Touched, company: Company) -> Company:
    """The company without what is not touched."""
    panel, draws = company.panel, company.draws
    outcome = np.where((panel.deals.outcome == OPEN) & ~touched.deals, LOST, panel.deals.outcome)
    company = with_panel(company, deals=replace(panel.deals, outcome=outcome.astype(panel.deals.outcome.dtype)))
    if draws.arrivals is not None and not touched.reps.any():
        company = replace(company, draws=replace(company.draws, arrivals=None))
    elif draws.arrivals is not None:
        rep = arrivals(company).rep
        company = with_arrivals(company, rep=np.where(touched.reps[: rep.shape[1]], rep, -np.inf))
    if draws.orders is not None and not (touched.accounts.any() or touched.first):
        company = replace(company, draws=replace(company.draws, orders=None))
    elif draws.orders is not None:
        of = orders(company)
        company = with_orders(company, elapsed=np.where(touched.accounts, of.elapsed, -1))
        if not touched.first:
            company = with_orders(company, first_rate=np.zeros_like(of.first_rate))
    return company


def touched_parts(before: Company, after: Company, clock: Clock) -> Touched:
    """Compare two companies; the second has the deals and accounts of the first, and may have more reps at the end."""
    reps = _reps(before, after)
    accounts, first = _buyers(before, after)
    return Touched(_deals(before, after, reps), _sellers(before, after, reps, clock), accounts, first)


def _reps(before: Company, after: Company) -> Bools:
    """[rep] whose row in the panel differs, or is new."""
    return _rows_differ(before.panel.reps, after.panel.reps, len(after.panel.reps.labels))


def _deals(before: Company, after: Company, reps: Bools) -> Bools:
    """[deal] open in one of the two, and not the same in both."""
    old, new = before.panel.deals, after.panel.deals
    asked = (old.outcome == OPEN) | (new.outcome == OPEN)
    if after.draws.closing is None:
        return np.zeros(len(new), dtype=bool)
    if _globals_differ(before, after):
        return asked
    differs = _rows_differ(old, new, len(new))
    moved_home = reps[: len(before.panel.reps.labels)]
    differs |= np.append(np.append(moved_home, np.zeros(len(reps) - len(moved_home), dtype=bool)), False)[new.rep]
    for name in DEAL_EFFECTS:
        column = np.append(_member_differs(before, after, name), False)
        differs |= column[getattr(new, name)]
    return asked & differs


def _sellers(before: Company, after: Company, reps: Bools, clock: Clock) -> Bools:
    """[rep] whose new deals are not the same in both."""
    count = len(reps)
    old, new = before.draws.arrivals, after.draws.arrivals
    if new is None or old is None:
        return np.zeros(count, dtype=bool)
    if _globals_differ(before, after, new_deals=True):
        return np.ones(count, dtype=bool)
    names = [field.name for field in fields(new) if field.name not in ("rep", "territory")]
    if not all(np.array_equal(getattr(old, name), getattr(new, name)) for name in names):
        return np.ones(count, dtype=bool)
    differs = reps | _columns_differ(old.rep, new.rep)
    differs |= np.append(_columns_differ(old.territory, new.territory), False)[after.panel.reps.territory]
    differs |= _member_differs(before, after, "rep")
    others = [_member_differs(before, after, name)[: _count(before, name)] for name in DEAL_EFFECTS if name != "rep"]
    if any(column.any() for column in others):
        return np.ones(count, dtype=bool)
    lands = [_landing_rows(company, clock) for company in (before, after)]
    for rep in range(count):
        differs[rep] |= lands[0].get(rep) != lands[1].get(rep)
    return differs


def _landing_rows(company: Company, clock: Clock) -> dict[int, bytes]:
    """What a rep's new deals may be about: accounts with their segments, products, and chances."""
    land: Landing = landing(company.panel, clock, company.draws.arrivals)
    segment = np.append(company.panel.accounts.segment, -1)
    rows = {}
    for seller, rep in enumerate(land.rep):
        span = slice(land.account_start[seller], land.account_start[seller + 1])
        account = land.account[span]
        parts = (account, segment[account], land.account_share[span], land.product[seller], land.product_share[seller])
        rows[int(rep)] = b"".join(part.tobytes() for part in parts)
    return rows


def _buyers(before: Company, after: Company) -> tuple[Bools, bool]:
    """[account] known buyers that differ, and whether customers to come do."""
    old, new = before.draws.orders, after.draws.orders
    count = len(after.panel.accounts.labels)
    if new is None or old is None or new is old:
        return np.zeros(count, dtype=bool), False
    shared = [f.name for f in fields(new) if f.name not in (*OF_ACCOUNT, "cycle", "seller")]
    every = [name for name in shared if not name.startswith("first_")]
    if not all(np.array_equal(getattr(old, name), getattr(new, name)) for name in every):
        return np.ones(count, dtype=bool), True
    differs = _columns_differ(old.cycle, new.cycle) | _columns_differ(old.seller, new.seller)
    for name in OF_ACCOUNT:
        differs |= getattr(old, name) != getattr(new, name)
    coming = [name for name in shared if name.startswith("first_")]
    return differs, not all(np.array_equal(getattr(old, name), getattr(new, name)) for name in coming)


def _globals_differ(before: Company, after: Company, new_deals: bool = False) -> bool:
    """Whether an effect differs that every deal feels; columns that only the second has are felt by nobody else."""
    for leg in ("closing", "amounts"):
        old, new = getattr(before.draws, leg), getattr(after.draws, leg)
        if old is new:
            continue
        for field in fields(new):
            name = field.name
            if name.rpartition("_")[2] in DEAL_EFFECTS or (name == "first_stage" and not new_deals):
                continue
            if not _same_head(getattr(old, name), getattr(new, name)):
                return True
    return False


def _same_head(old: Any, new: Any) -> bool:
    """Equal where both have entries; first stages beyond the old ones must be empty for that."""
    if not isinstance(new, np.ndarray) or old.shape == new.shape:
        return bool(np.array_equal(old, new))
    return bool(np.array_equal(old, new[tuple(slice(size) for size in old.shape)]))


def _member_differs(before: Company, after: Company, name: str) -> Bools:
    """[member] whether an effect of a segment, product, territory or rep differs, or is new."""
    differs = np.zeros(_count(after, name), dtype=bool)
    for leg in ("closing", "amounts"):
        old, new = getattr(before.draws, leg), getattr(after.draws, leg)
        if new is None or new is old:
            continue
        for field in fields(new):
            if field.name in (name, f"close_{name}", f"win_{name}"):
                differs |= _columns_differ(getattr(old, field.name), getattr(new, field.name))
    return differs


def _count(company: Company, name: str) -> int:
    panel = company.panel
    labels = {
        "segment": panel.segments,
        "product": panel.products.labels,
        "territory": panel.territories,
        "rep": panel.reps.labels,
    }
    return len(labels[name])


def _columns_differ(old: Any, new: Any) -> Bools:
    """[column] of the second that the first has not, or has otherwise."""
    differs = np.ones(new.shape[1], dtype=bool)
    differs[: old.shape[1]] = (old != new[:, : old.shape[1]]).any(axis=0)
    return differs


def _rows_differ(old: Any, new: Any, count: int) -> Bools:
    """[row] of a dataclass of parallel arrays; rows beyond the first's are new."""
    differs = np.ones(count, dtype=bool)
    size = len(old.labels) if hasattr(old, "labels") else len(old)
    differs[:size] = False
    for field in fields(new):
        a, b = getattr(old, field.name), getattr(new, field.name)
        if isinstance(b, Labels) or b is a or field.name == "closed":
            continue
        b = b[:size]
        missing = np.isnan if b.dtype.kind == "f" else np.isnat if b.dtype.kind == "M" else None
        unequal = a != b
        if missing is not None:
            unequal &= ~(missing(a) & missing(b))
        differs[:size] |= unequal
    return differs
