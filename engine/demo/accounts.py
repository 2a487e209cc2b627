"""Accounts of the demo company: who they are, when they appear, and who owned them in which month."""

from dataclasses import dataclass

import numpy as np

from engine.demo.clock import KNOWN_MONTHS, MONTHS
from engine.demo.people import People
from models.calendar import month_of_year
from models.panel import NONE, Bools, Floats, Ints, Texts

SEGMENTS = ("Enterprise", "Mid-market", "Small business")
INDUSTRIES = ("Construction", "Healthcare", "Logistics", "Manufacturing", "Public sector", "Retail")
ACCOUNTS = 500
"""Accounts the CRM knows at `clock.TODAY`."""
NEW_PER_MONTH = 3.3
"""New customers of the whole company in a month of an average season."""
NEW_SEASON = np.array([-0.5, -0.6, -0.4, -0.3, -0.2, -0.1, -0.1, 0.3, 0.9, 0.8, 0.5, -0.3])
"""Log effect on new customers by month of the calendar year: a wave in early autumn."""
NEW_DISPERSION = 3.0
FAMILIES_PER_TERRITORY = 3
LOCKED = 10
OWNER_UNKNOWN = 6
OUT_OF_TERRITORY = 0.12
"""Share of accounts whose owner sits in another territory of the region."""
MONTHLY_MOVES = 0.004
"""Chance per account and month to change rep for no visible reason."""

STARTS = "Ar Bel Cal Den Ev Fjor Gral Hav Ink Jul Kro Lum Mir Nex Ol Pol Quar Riv Sol Tal Um Vel Wyn Xan Zer"
MIDDLES = "a e i o u ando elo ima oro uta"
ENDS = "bion cor dyn fex lon mark nis pax ron sta tec via wick"
SUFFIXES = ("AB", "AG", "BV", "GmbH", "Group", "Ltd", "SA", "SpA")


@dataclass(frozen=True)
class Accounts:
    """Who buys.

    Attributes
    ----------
    ids, names : [account] in order of appearance
    territory, segment, industry : [account] indices
    potential : [account] relative weight, log-normal
    hours : [account] selling hours per month, NaN for a few
    locked, owner_hidden : [account] may not change rep; the CRM does not say who owns it
    family : [account] index of the group of accounts that stay together
    parent : [account] index of the parent account, NONE without
    since : [account] month of the world (from 0) from which the CRM knows it
    first_order : [account] month of the world of a new customer's first order, NONE for accounts there from the start
    owner : [account, month] rep, NONE before ``since``
    new_rate : [territory] new customers per month of an average season
    """

    ids: Texts
    names: Texts
    territory: Ints
    segment: Ints
    industry: Ints
    potential: Floats
    hours: Floats
    locked: Bools
    owner_hidden: Bools
    family: Ints
    parent: Ints
    since: Ints
    first_order: Ints
    owner: Ints
    new_rate: Floats

    def __len__(self) -> int:
        return len(self.ids)


def make_accounts(rng: np.random.Generator, people: People) -> Accounts:
    """Draw the accounts, the wave of new ones, their families and three years (and one to come) of owners."""
    share = rng.dirichlet(np.full(len(people.territory_ids), 20.0))
    territory, since, first_order = _appearances(rng, share)
    count = len(territory)
    size = rng.normal(size=count)
    score = size + 0.6 * rng.normal(size=count)
    parent = _parents(rng, territory, since, size)
    family = np.where(parent == NONE, np.arange(count), parent)
    alone = np.flatnonzero((np.bincount(family, minlength=count)[family] == 1) & (since == 0))
    special = rng.choice(alone, LOCKED + OWNER_UNKNOWN, replace=False)
    locked = np.isin(np.arange(count), special[:LOCKED])
    return Accounts(
        ids=np.array([f"A{i + 1:04d}" for i in range(count)]),
        names=company_names(rng, count),
        territory=territory,
        segment=np.digitize(-score, [-1.1, 0.1]),
        industry=rng.choice(len(INDUSTRIES), count, p=[0.12, 0.15, 0.18, 0.25, 0.1, 0.2]),
        potential=np.exp(0.9 * size),
        hours=_hours(rng, size),
        locked=locked,
        owner_hidden=np.isin(np.arange(count), special[LOCKED:]),
        family=family,
        parent=parent,
        since=since,
        first_order=first_order,
        owner=_owners(rng, people, territory, since, family, locked),
        new_rate=NEW_PER_MONTH * share,
    )


def new_season() -> Floats:
    """[12] log effect on new customers, summing to zero."""
    return NEW_SEASON - NEW_SEASON.mean()


def _appearances(rng: np.random.Generator, share: Floats) -> tuple[Ints, Ints, Ints]:
    """Territory, month of appearance and month of the first order of every account, sorted by appearance.

    New customers per territory and month are negative binomial; the CRM knows them one to five months before that.
    """
    mean = NEW_PER_MONTH * np.outer(share, np.exp(new_season())[month_of_year(MONTHS)])  # [territory, month]
    counts = rng.negative_binomial(NEW_DISPERSION, NEW_DISPERSION / (NEW_DISPERSION + mean))
    where, when = np.nonzero(counts)
    territory = np.repeat(where, counts[where, when])
    first_order = np.repeat(when, counts[where, when])
    known = np.maximum(first_order - rng.integers(1, 6, len(first_order)), 0)
    starting = ACCOUNTS - int((known < KNOWN_MONTHS).sum())
    territory = np.concatenate([rng.choice(len(share), starting, p=share), territory])
    since = np.concatenate([np.zeros(starting, int), known])
    order = np.argsort(since, kind="stable")
    return territory[order], since[order], np.concatenate([np.full(starting, NONE), first_order])[order]


def _hours(rng: np.random.Generator, size: Floats) -> Floats:
    """[account] selling hours per month, more for large accounts; unknown for one in fifty."""
    hours = 5.0 * np.exp(0.45 * size) * rng.gamma(12.0, 1.0 / 12.0, len(size))
    return np.where(rng.random(len(size)) < 0.02, np.nan, np.round(hours, 1))


def _parents(rng: np.random.Generator, territory: Ints, since: Ints, size: Floats) -> Ints:
    """[account] parent of every account: in each territory a few of the early accounts have one to three children."""
    parent = np.full(len(territory), NONE)
    for place in range(territory.max() + 1):
        early = rng.permutation(np.flatnonzero((territory == place) & (since == 0)))
        for _ in range(FAMILIES_PER_TERRITORY):
            members, early = np.split(early, [2 + int(rng.integers(0, 3))])
            head = members[np.argmax(size[members])]
            parent[members[members != head]] = head
    return parent


def _owners(
    rng: np.random.Generator, people: People, territory: Ints, since: Ints, family: Ints, locked: Bools
) -> Ints:
    """[account, month] owner of every account: books of unequal size, then leavers, hires and moves for no reason."""
    may_own = people.may_own()
    draw = _OwnerDraw(rng, people, np.exp(0.45 * rng.normal(size=len(people.rep_ids))))
    owner = np.full((len(territory), len(MONTHS)), NONE)
    now = np.full(len(territory), NONE)
    heads = family == np.arange(len(family))
    for month in range(len(MONTHS)):
        active = may_own[:, month]
        hires = active & ~may_own[:, month - 1] if month else np.zeros_like(active)
        orphaned = (now != NONE) & ~active[now]
        moved = (now != NONE) & ~locked & (rng.random(len(now)) < MONTHLY_MOVES)
        for account in np.flatnonzero(heads & ((since == month) | orphaned | moved)):
            now[account] = draw.one(int(territory[account]), active, int(now[account]))
        for rep in np.flatnonzero(hires):
            near = (territory == people.home[rep]) & heads & ~locked & (now != NONE)
            colleagues = (active & (people.home == people.home[rep])).sum()
            now[near & (rng.random(len(now)) < 0.8 / colleagues)] = rep
        now = np.where(since <= month, now[family], NONE)
        owner[:, month] = now
    return owner


@dataclass(frozen=True)
class _OwnerDraw:
    """Picks an owner: mostly a rep of the territory, now and then one of the region, never the one who has it."""

    rng: np.random.Generator
    people: People
    weight: Floats

    def one(self, territory: int, active: Bools, present: int) -> int:
        """A rep for an account in ``territory`` that ``present`` gives up."""
        free = active & (np.arange(len(active)) != present)
        region = self.people.territory_region
        near = free & (self.people.home == territory)
        if not near.any() or self.rng.random() < OUT_OF_TERRITORY:
            near = free & (region[self.people.home] == region[territory])
        chance = np.where(near, self.weight, 0.0)
        return int(self.rng.choice(len(active), p=chance / chance.sum()))


def company_names(rng: np.random.Generator, count: int) -> Texts:
    """Different invented names of companies."""
    stems = [a + b + c for a in STARTS.split() for b in MIDDLES.split() for c in ENDS.split()]
    chosen = rng.choice(stems, count, replace=False)
    return np.array([f"{stem} {suffix}" for stem, suffix in zip(chosen, rng.choice(SUFFIXES, count), strict=True)])
