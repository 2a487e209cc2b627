"""New deals: how many each rep may create, and on which accounts and products they land."""

from dataclasses import dataclass

import numpy as np

from engine.simulation.cells import stream_keys
from engine.simulation.clock import Clock
from engine.simulation.odds import with_none
from engine.simulation.world import Arrivals
from models.calendar import month_of_year
from models.draws import ArrivalDraws, Draws
from models.panel import NONE, Floats, Ints, Panel

RECENT_DAYS = 365
"""Deals created within a year before the as-of date say where new deals land."""

ACCOUNT_PRIOR = 0.5
"""Deals added to each account that a rep owns: a customer without recent deals may still have one."""

POOL_PRIOR = 5.0
"""Deals with which a rep's share of deals without account is pulled to the company's."""

MIX_PRIOR = 10.0
"""Deals with which a rep's product mix is pulled to the company's."""

MOST_PRODUCTS = 24
"""Products a rep's new deals may be about, the likeliest first; what the others had is shared out among them."""

DAYS_PER_MONTH = 365.25 / 12
LEAST_TENURE = 0.25
"""Months: a rep hired after the middle of a month is taken to be a week in."""


@dataclass(frozen=True)
class Landing:
    """Who sells, and the chances of (account, product) of each seller's new deals.

    Attributes
    ----------
    rep : [seller]
    account_start : [seller + 1] first entry of every seller's accounts
    account, account_share : [entry] NONE is the pool of deals without account; shares of a seller sum to one
    product, product_share : [seller, slot] likeliest first; shares sum to one
    """

    rep: Ints
    account_start: Ints
    account: Ints
    account_share: Floats
    product: Ints
    product_share: Floats

    def sites(self) -> tuple[Ints, Ints, Ints]:
        """Account, rep and product of every entry and slot, entry after entry."""
        seller = np.repeat(np.arange(len(self.rep)), np.diff(self.account_start))
        slots = self.product.shape[1]
        return np.repeat(self.account, slots), np.repeat(self.rep[seller], slots), self.product[seller].reshape(-1)


def landing(panel: Panel, clock: Clock, draws: ArrivalDraws | None) -> Landing:
    """Build the lists from the accounts each rep owns now and from the deals of the last year."""
    if draws is None:
        nobody = np.zeros(0, dtype=np.int64)
        return Landing(
            nobody, np.zeros(1, dtype=np.int64), nobody, np.zeros(0), np.zeros((0, 1), dtype=np.int64), np.zeros((0, 1))
        )
    # Of a rep with neither a start date nor any deal nothing says that deals are the rep's work (see models.new_deals).
    hunts = ~np.isnat(panel.reps.start) | np.isin(np.arange(len(panel.reps.labels)), panel.deals.rep)
    sellers = np.flatnonzero(panel.reps.active & hunts & (exposure(panel, clock) > 0).any(axis=1))
    recent = np.flatnonzero(panel.deals.created > panel.as_of - np.timedelta64(RECENT_DAYS, "D"))
    starts, account, share = _accounts(panel, sellers, recent)
    product, product_share = _products(panel, sellers, recent)
    return Landing(sellers, starts, account, share, product, product_share)


def _accounts(panel: Panel, sellers: Ints, recent: Ints) -> tuple[Ints, Ints, Floats]:
    """Accounts of every seller after the pool of deals without account, by recent deals.

    An account whose owner does not sell (a leaver's, or nobody's) goes on living: its new deals fall to the sellers at
    home in its territory, in equal parts.
    """
    reps, accounts = len(panel.reps.labels), len(panel.accounts.labels)
    account, rep = panel.deals.account[recent], panel.deals.rep[recent]
    full = np.bincount(account[account != NONE], minlength=accounts) + ACCOUNT_PRIOR
    sold = np.bincount(rep[rep != NONE], minlength=reps)
    alone = np.bincount(rep[(rep != NONE) & (account == NONE)], minlength=reps)
    company = float((account == NONE).mean()) if len(recent) else float(accounts == 0)
    pool = (alone + POOL_PRIOR * company) / (sold + POOL_PRIOR)
    by_owner = np.argsort(panel.accounts.owner, kind="stable")
    first = np.searchsorted(panel.accounts.owner[by_owner], np.arange(reps + 1))
    orphaned = ~np.isin(panel.accounts.owner, sellers)
    home, neighbours = panel.reps.territory, np.bincount(panel.reps.territory[sellers] + 1)
    entries, shares = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for seller in sellers:
        near = orphaned & (panel.accounts.territory == home[seller]) & (home[seller] != NONE)
        weight = full / np.where(near, neighbours[home[seller] + 1], 1)
        owned = np.append(by_owner[first[seller] : first[seller + 1]], np.flatnonzero(near))
        without = pool[seller] if len(owned) else 1.0
        entries.append(np.append(NONE, owned))
        total = max(float(weight[owned].sum()), ACCOUNT_PRIOR)
        shares.append(np.append(without, (1 - without) * weight[owned] / total))
    starts = np.cumsum([len(entry) for entry in entries])
    return starts, np.concatenate(entries), np.concatenate(shares)


def _products(panel: Panel, sellers: Ints, recent: Ints) -> tuple[Ints, Floats]:
    """Products of every seller; NONE is counted as one of them."""
    count = len(panel.products.labels) + 1
    product, rep = panel.deals.product[recent] % count, panel.deals.rep[recent]  # NONE becomes the last one
    company = np.bincount(product, minlength=count) / max(len(recent), 1)
    if not len(recent):
        company = np.full(count, 1 / count)
    seen = np.zeros((len(panel.reps.labels) + 1, count))
    np.add.at(seen, (rep, product), 1.0)
    mix = seen[sellers] + MIX_PRIOR * company  # [seller, product]
    slots = min(MOST_PRODUCTS, int((company > 0).sum()))
    likeliest = np.argsort(-mix, axis=1, kind="stable")[:, :slots]
    share = np.take_along_axis(mix, likeliest, axis=1)
    return np.where(likeliest == count - 1, NONE, likeliest), share / share.sum(axis=1, keepdims=True)


def exposure(panel: Panel, clock: Clock) -> Floats:
    """[rep, month] full-time equivalents employed in each simulated month, days up to the as-of date left out."""
    start, end = _month_days(clock)
    left = np.maximum(start, (panel.as_of + np.timedelta64(1, "D")).astype("datetime64[D]"))
    hired = np.where(np.isnat(panel.reps.start), left[0], panel.reps.start.astype("datetime64[D]"))
    gone = np.where(np.isnat(panel.reps.end), end[-1], panel.reps.end.astype("datetime64[D]"))
    first, last = np.maximum(hired[:, None], left), np.minimum(gone[:, None], end)
    days = ((last - first).astype(np.int64) + 1).clip(min=0)
    return panel.reps.fte[:, None] * days / ((end - start).astype(np.int64) + 1)


def tenure(panel: Panel, clock: Clock) -> Floats:
    """[rep, month] months since the start at the middle of each simulated month, as `models.new_deals` counts them."""
    middle = _month_days(clock)[0] + np.timedelta64(15, "D")
    hired = panel.reps.start.astype("datetime64[D]")
    months = (middle - np.where(np.isnat(hired), middle[0], hired)[:, None]).astype(np.int64) / DAYS_PER_MONTH
    return np.where(np.isnat(hired)[:, None], np.inf, months.clip(min=LEAST_TENURE))


def _month_days(clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """First and last day of every simulated month."""
    start = clock.months.astype("datetime64[M]").astype("datetime64[D]")
    return start, (clock.months + 1).astype("datetime64[M]").astype("datetime64[D]") - np.timedelta64(1, "D")


def build_arrivals(panel: Panel, posterior: Draws, clock: Clock, landed: Landing, cell: Ints) -> Arrivals:
    """Join rates and landing places. ``cell`` is the cell of every site of ``landed``."""
    draws, count = posterior.arrivals, posterior.count
    months, sellers = len(clock.months), len(landed.rep)
    entries = np.repeat(np.arange(sellers), np.diff(landed.account_start))
    cumulative = np.cumsum(landed.account_share) - np.repeat(np.arange(sellers), np.diff(landed.account_start))
    segment, territory = _covariates(panel, landed.account, landed.rep[entries])
    zeros = np.zeros(count)
    return Arrivals(
        rep=landed.rep,
        key=stream_keys(panel.reps.labels.ids[landed.rep]),
        log_rate=np.zeros((count, sellers)) if draws is None else _log_rate(panel, draws, landed.rep),
        season=np.zeros((count, months)) if draws is None else draws.season[:, month_of_year(clock.months)],
        exposure=exposure(panel, clock)[landed.rep],
        tenure=tenure(panel, clock)[landed.rep],
        steps=clock.months - clock.as_of_month,
        level_scale=zeros if draws is None else draws.level_scale,
        ramp_months=zeros + 1 if draws is None else draws.ramp_months,
        shock_scale=zeros if draws is None else draws.shock_scale,
        dispersion=zeros + 1 if draws is None else draws.dispersion,
        account_start=landed.account_start,
        account_cumulative=cumulative,
        account_segment=segment,
        account_territory=territory,
        product=landed.product,
        product_cumulative=np.cumsum(landed.product_share, axis=1),
        cell=cell.reshape(len(entries), landed.product.shape[1]),
    )


def _log_rate(panel: Panel, draws: ArrivalDraws, sellers: Ints) -> Floats:
    """[D, seller] log of the monthly rate of a ramped rep in an average month."""
    home = with_none(draws.territory)[:, panel.reps.territory[sellers]]
    return (draws.base + draws.level)[:, None] + home + draws.rep[:, sellers]


def _covariates(panel: Panel, account: Ints, rep: Ints) -> tuple[Ints, Ints]:
    """Segment and territory of new deals as the models see them; without an account, the rep's home."""
    home = panel.reps.territory[rep]
    if "account" in panel.barred:
        return np.zeros(len(account), dtype=np.int64), home
    segment = np.append(panel.accounts.segment, NONE)[account]
    place = np.append(panel.accounts.territory, NONE)[account]
    return np.where(segment == NONE, 0, segment), np.where(place == NONE, home, place)
