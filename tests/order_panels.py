"""Small panels with orders of accounts, or with new deals, simulated from known numbers."""

from dataclasses import dataclass, replace

import numpy as np

from models.calendar import month_number
from models.panel import (
    LOST,
    NONE,
    Accounts,
    Deals,
    Floats,
    Ints,
    Labels,
    Orders,
    Panel,
    Products,
    Quotas,
    Reps,
    StageMoves,
)

FIRST_MONTH = int(month_number(np.array(["2023-01"], dtype="datetime64[M]"))[0])
MONTHS = 36
TERRITORIES, PRODUCTS = 3, 2


@dataclass(frozen=True)
class BuyingTruth:
    """What accounts are simulated from.

    Attributes
    ----------
    cycle : [account] months between orders
    due, overdue : chance to order in a due month, and in a later one that would be due again
    season : [12] shift of the logit of ordering
    level : [account] mean log amount
    noise, odd : SD of usual log amounts, and chance of an odd order
    first_rate : first orders per territory and month, after the first year
    """

    cycle: Ints
    due: float
    overdue: float
    season: Floats
    level: Floats
    noise: float
    odd: float
    first_rate: float


def buying_truth(seed: int, accounts: int = 240) -> BuyingTruth:
    """Cycles of two, three and six months, and a dip in August."""
    rng = np.random.default_rng([seed, 1])
    season = np.zeros(12)
    season[7] = -1.5
    return BuyingTruth(
        cycle=rng.choice([2, 3, 6], accounts, p=[0.3, 0.5, 0.2]),
        due=0.88,
        overdue=0.35,
        season=season,
        level=rng.normal(8.5, 1.2, accounts),
        noise=0.3,
        odd=0.08,
        first_rate=1.5,
    )


def buyers(effects: BuyingTruth, seed: int, as_of: str = "2025-12-31") -> Panel:
    """A company of accounts that order as `buying_truth` says; half of them ordered before the export begins."""
    rng = np.random.default_rng([seed, 2])
    accounts = len(effects.cycle)
    late = _late_first_orders(effects, rng)
    rows = []
    for account in range(accounts):
        new = account - (accounts - len(late))
        month = int(late[new]) if new >= 0 else int(rng.integers(0, effects.cycle[account]))
        last = None
        while month < MONTHS:
            elapsed = effects.cycle[account] if last is None else month - last
            if elapsed % effects.cycle[account] == 0:
                base = effects.due if elapsed == effects.cycle[account] else effects.overdue
                logit = np.log(base / (1 - base)) + effects.season[month % 12]
                if last is None or rng.random() < 1 / (1 + np.exp(-logit)):
                    odd = rng.random() < effects.odd
                    log_amount = rng.normal(6.0, 1.5) if odd else rng.normal(effects.level[account], effects.noise)
                    rows.append((account, month, np.exp(log_amount)))
                    last = month
            month += 1
    who, when, amount = (np.array(column) for column in zip(*rows, strict=True))
    return with_orders(who, FIRST_MONTH + when, amount, accounts, as_of)


def with_orders(
    account: Ints, month: Ints, amount: Floats, accounts: int, as_of: str, product: Ints | None = None
) -> Panel:
    """A company with exactly these orders; accounts are spread over territories, segments and reps in turn."""
    panel = empty_company(6, as_of)
    number = np.arange(accounts)
    no = np.zeros(accounts, dtype=bool)
    return replace(
        panel,
        accounts=Accounts(
            labels=labels("account", accounts),
            territory=number % TERRITORIES,
            segment=number % 2,
            industry=number * 0,
            owner=number % 6,
            inferred_owner=no,
            hours=np.full(accounts, np.nan),
            locked=no,
            family=number,
        ),
        orders=Orders(
            account=np.asarray(account, dtype=np.int64),
            rep=np.asarray(account, dtype=np.int64) % 6,
            product=np.asarray(account, dtype=np.int64) * 0 if product is None else product,
            month=np.asarray(month, dtype=np.int64),
            amount=np.asarray(amount, dtype=float),
            first_month=FIRST_MONTH,
        ),
    )


def sellers(rate: Floats, season: Floats, ramp_months: float, seed: int, months: int = 36) -> Panel:
    """A company whose reps create deals at ``rate`` [rep] a month, with a season [12]; one in three is hired late."""
    rng = np.random.default_rng([seed, 3])
    panel = empty_company(len(rate), "2025-12-31")
    last = int(month_number(np.array([panel.as_of], dtype="datetime64[D]"))[0])
    first = last - months + 1
    starts = np.where(np.arange(len(rate)) % 3 == 0, first + 6 + np.arange(len(rate)) % 18, first - 60)
    rep, month = np.meshgrid(np.arange(len(rate)), np.arange(first, last + 1), indexing="ij")
    tenure = month - starts[rep] + 0.5
    mean = np.where(
        tenure > 0, rate[rep] * np.exp(season[month % 12]) * -np.expm1(-np.maximum(tenure, 0) / ramp_months), 0.0
    )
    count = rng.poisson(mean * rng.gamma(20.0, 1 / 20.0, mean.shape))
    seller, when = np.repeat(rep.ravel(), count.ravel()), np.repeat(month.ravel(), count.ravel())
    day = rng.integers(0, 28, len(when)).astype("timedelta64[D]")
    created = when.astype("datetime64[M]").astype("datetime64[D]") + day
    return replace(
        panel,
        first_day=np.array([first]).astype("datetime64[M]").astype("datetime64[D]")[0],
        reps=replace(panel.reps, start=starts.astype("datetime64[M]").astype("datetime64[D]")),
        deals=lost_deals(seller, created),
    )


def empty_company(reps: int, as_of: str) -> Panel:
    """Reps at home in territories in turn, with nothing sold and nobody to buy."""
    empty, no, text = np.empty(0, dtype=np.int64), np.empty(0, dtype=bool), np.empty(0, dtype=str)
    days = np.empty(0, dtype="datetime64[D]")
    return Panel(
        as_of=np.datetime64(as_of),
        first_day=np.datetime64("2023-01-01"),
        regions=labels("region", 1),
        territories=labels("territory", TERRITORIES),
        managers=labels("manager", 1),
        segments=labels("segment", 2),
        industries=labels("industry", 1),
        stages=labels("stage", 0),
        territory_region=np.zeros(TERRITORIES, dtype=np.int64),
        reps=Reps(
            labels=labels("rep", reps),
            manager=np.zeros(reps, dtype=np.int64),
            territory=np.arange(reps) % TERRITORIES,
            start=np.full(reps, np.datetime64("2020-01-01")),
            end=np.full(reps, np.datetime64("NaT", "D"), dtype="datetime64[D]"),
            fte=np.ones(reps),
            active=np.ones(reps, dtype=bool),
        ),
        accounts=Accounts(labels("account", 0), empty, empty, empty, empty, no, np.empty(0), no, empty),
        products=Products(labels("product", PRODUCTS), np.full(PRODUCTS, np.nan)),
        deals=lost_deals(empty, days),
        stage_moves=StageMoves(empty, empty, days),
        orders=Orders(empty, empty, empty, empty, np.empty(0), FIRST_MONTH),
        quotas=Quotas(text, text, days, days, np.empty(0)),
        barred=(),
        fiscal_year_start=1,
    )


def labels(prefix: str, count: int) -> Labels:
    """``count`` members named after a prefix."""
    names = np.array([f"{prefix}{i:02d}" for i in range(count)], dtype=str)
    return Labels(names, names)


def lost_deals(rep: Ints, created: np.ndarray) -> Deals:
    """Deals that say nothing but who created them and when."""
    size = len(rep)
    text, none, nothing = np.full(size, "", dtype=str), np.zeros(size, dtype=np.int64), np.full(size, np.nan)
    return Deals(
        ids=np.array([f"D{i:06d}" for i in range(size)], dtype=str),
        names=text,
        account=none + NONE,
        rep=np.asarray(rep, dtype=np.int64),
        product=none,
        territory=none,
        segment=none,
        stage=none,
        created=created,
        exposed=created,
        closed=created,
        expected_close=np.full(size, np.datetime64("NaT", "D"), dtype="datetime64[D]"),
        pushes=none,
        outcome=np.full(size, LOST, dtype=np.int8),
        list_amount=nothing,
        won_amount=nothing,
        category=text,
    )


def _late_first_orders(effects: BuyingTruth, rng: np.random.Generator) -> Ints:
    """First months of the accounts that are new customers: Poisson after the first year, at most half of all."""
    counts = rng.poisson(effects.first_rate * TERRITORIES, MONTHS - 12)
    return np.repeat(np.arange(12, MONTHS), counts)[: len(effects.cycle) // 2]
