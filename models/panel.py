"""What a company knew at one date, as arrays with coordinates.

The rule this module keeps: nothing in a `Panel` was learned after `Panel.as_of`. Whoever builds one (``engine.data``)
cuts first and maps to indices afterwards, so no index, name or count of a later row is ever inside.

Indices point into the coordinate of the same name; -1 means none or unknown. Dates are ``datetime64[D]`` with NaT for
unknown or not yet; months are counted since 1970-01 (see `models.calendar`). Money is in the config's currency.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

OPEN, WON, LOST = 0, 1, 2
"""Outcome codes of a deal."""

NONE = -1
"""Index of no member: no account, no rep, no product."""

type Ints = NDArray[np.int64]
type Floats = NDArray[np.float64]
type Bools = NDArray[np.bool_]
type Dates = NDArray[np.datetime64]
type Texts = NDArray[np.str_]


@dataclass(frozen=True)
class Labels:
    """A coordinate.

    Attributes
    ----------
    ids : [n] unique identifiers, in the order every index refers to
    names : [n] what people read
    """

    ids: Texts
    names: Texts

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Reps:
    """Who sells.

    Attributes
    ----------
    labels : [rep]
    manager : [rep] index into `Panel.managers`
    territory : [rep] home territory: the one on record, else the one where most of the rep's accounts lie
    start, end : [rep] first and last day of employment, NaT when unknown or not ended
    fte : [rep] full-time equivalents, 0 to 1
    active : [rep] sells after `Panel.as_of` and may carry a book
    latitude, longitude : [rep] base in degrees, NaN when unknown; None where no table says
    segments, languages, skills : [rep] what the rep sells to, speaks and knows, in small letters, separated by ``|``;
        empty when nothing is on record; None where no table says
    commission : [rep] share of revenue paid to the rep, NaN when unknown; None where no table says
    """

    labels: Labels
    manager: Ints
    territory: Ints
    start: Dates
    end: Dates
    fte: Floats
    active: Bools
    latitude: Floats | None = None
    longitude: Floats | None = None
    segments: Texts | None = None
    languages: Texts | None = None
    skills: Texts | None = None
    commission: Floats | None = None


@dataclass(frozen=True)
class Accounts:
    """Who buys.

    Attributes
    ----------
    labels : [account]
    territory : [account] index into `Panel.territories`
    segment : [account] index into `Panel.segments`
    industry : [account] index into `Panel.industries`
    owner : [account] rep who owns it at `Panel.as_of`, known future moves not applied
    inferred_owner : [account] true when the owner was inferred from twelve months of value
    hours : [account] selling hours it takes per month, NaN when unknown
    locked : [account] may not change rep
    family : [account] index of the group of accounts that stay together; a group of its own when alone
    latitude, longitude : [account] place in degrees, NaN when unknown; None where no table says
    visits : [account] visits a month, NaN when unknown; None where no table says
    language, skill : [account] what it asks of a rep, in small letters; several skills, all of them asked, separated by
        ``|``; empty when it asks for nothing; None where no table says
    commission : [account] share of its revenue paid to its rep, NaN when the rep's own rate holds; None where no table
        says
    reserved : [account] kept for new hires; None where no table says
    previous_owner : [account] rep who owned it before the present owner; None where no table says
    """

    labels: Labels
    territory: Ints
    segment: Ints
    industry: Ints
    owner: Ints
    inferred_owner: Bools
    hours: Floats
    locked: Bools
    family: Ints
    latitude: Floats | None = None
    longitude: Floats | None = None
    visits: Floats | None = None
    language: Texts | None = None
    skill: Texts | None = None
    commission: Floats | None = None
    reserved: Bools | None = None
    previous_owner: Ints | None = None


@dataclass(frozen=True)
class Products:
    """What is sold: ``labels`` [product], ``list_price`` [product] with NaN when unknown."""

    labels: Labels
    list_price: Floats


@dataclass(frozen=True)
class Deals:
    """Opportunities created at or before the as-of date, in order of id.

    Attributes
    ----------
    ids, names : [deal]
    account, rep, product : [deal] indices; account is NONE for a deal without one
    territory, segment : [deal] covariates of the models: never taken from a barred attribute (then all 0)
    stage : [deal] index into `Panel.stages` as of the date; 0 where stages are not used
    created : [deal] creation
    exposed : [deal] start of exposure: the later of creation and the first recorded closing of the export
    closed : [deal] NaT while open
    expected_close : [deal] NaT when unknown
    pushes : [deal] how often the expected close was moved later, 0 when unknown
    outcome : [deal] OPEN, WON or LOST
    list_amount : [deal] amount the CRM shows while open, else the product's list price; NaN when neither is known
    won_amount : [deal] booked amount of a won deal, NaN otherwise
    category : [deal] forecast category in the CRM's words, empty when unknown
    """

    ids: Texts
    names: Texts
    account: Ints
    rep: Ints
    product: Ints
    territory: Ints
    segment: Ints
    stage: Ints
    created: Dates
    exposed: Dates
    closed: Dates
    expected_close: Dates
    pushes: Ints
    outcome: NDArray[np.int8]
    list_amount: Floats
    won_amount: Floats
    category: Texts

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class StageMoves:
    """Stage history: deal [move] entered stage [move] on date [move], by deal and date. Empty without history."""

    deal: Ints
    stage: Ints
    date: Dates


@dataclass(frozen=True)
class Orders:
    """Revenue booked without a deal, one row an account, rep, product and month; returns are negative.

    Attributes
    ----------
    account, rep, product : [order] indices, NONE where the table has no such column
    month : [order] months since 1970-01
    amount : [order]
    first_month : first month the export covers: accounts that order in its first cycle are not new customers
    """

    account: Ints
    rep: Ints
    product: Ints
    month: Ints
    amount: Floats
    first_month: int

    def __len__(self) -> int:
        return len(self.amount)


@dataclass(frozen=True)
class Quotas:
    """Targets by ``level`` (company, region, territory, manager, rep) and ``key`` (an id; empty for the company)."""

    level: Texts
    key: Texts
    start: Dates
    end: Dates
    amount: Floats


@dataclass(frozen=True)
class Calls:
    """The reps' own forecasts, one row a call, by day.

    Attributes
    ----------
    rep : [call] index
    day : [call] when it was made
    month : [call] first month of the period it speaks of, since 1970-01
    amount : [call] revenue of the whole period, money
    """

    rep: Ints
    day: Dates
    month: Ints
    amount: Floats

    def __len__(self) -> int:
        return len(self.rep)


def no_calls() -> Calls:
    """Where nobody was asked."""
    none = np.zeros(0, dtype=np.int64)
    return Calls(none, np.zeros(0, dtype="datetime64[D]"), none, np.zeros(0))


@dataclass(frozen=True)
class Panel:
    """A company as of a date.

    Attributes
    ----------
    as_of : the date up to which (inclusive) everything is known
    first_day : first day the export covers
    regions, territories, managers, segments, industries, stages : coordinates; stages are the open ones, in order
    territory_region : [territory] index into regions
    reps, accounts, products : entities
    deals, stage_moves : the pipeline; no deals when there is no opportunities table
    orders : bookings that belong to no deal; none when there is no bookings table
    quotas : targets
    barred : names of attributes whose presence goes with the outcome, kept out of the models
    fiscal_year_start : month 1 to 12
    calls : what the reps said; none when there is no rep_forecasts table
    """

    as_of: np.datetime64
    first_day: np.datetime64
    regions: Labels
    territories: Labels
    managers: Labels
    segments: Labels
    industries: Labels
    stages: Labels
    territory_region: Ints
    reps: Reps
    accounts: Accounts
    products: Products
    deals: Deals
    stage_moves: StageMoves
    orders: Orders
    quotas: Quotas
    barred: tuple[str, ...]
    fiscal_year_start: int
    calls: Calls = field(default_factory=no_calls)

    @property
    def has_pipeline(self) -> bool:
        """Whether the deals can carry the pipeline leg: at least one has closed."""
        return bool((self.deals.outcome != OPEN).any())

    @property
    def has_orders(self) -> bool:
        """Whether the bookings leg has anything to learn from: orders whose account is known."""
        return bool((self.orders.account != NONE).any())

    def cell_territory(self, account: Ints, rep: Ints) -> Ints:
        """Territory of (account, rep) pairs: the account's; where no account of the company has one, the rep's home."""
        if (self.accounts.territory != NONE).any():
            return _take(self.accounts.territory, account)
        return _take(self.reps.territory, rep)


def _take(values: Ints, index: Ints) -> Ints:
    """``values[index]`` with NONE where the index is NONE."""
    padded = np.append(values, NONE)
    return padded[index]
