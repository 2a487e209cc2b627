"""Made-up companies and posteriors for benchmarks and tests of the simulation. No model is fitted."""

import numpy as np

from models.calendar import MONTHS_PER_QUARTER
from models.draws import AmountDraws, ArrivalDraws, ClosingDraws, Draws, OrderDraws
from models.panel import (
    LOST,
    NONE,
    OPEN,
    WON,
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

AS_OF = np.datetime64("2026-06-30")
NEVER = np.datetime64("NaT", "D")
MONTH = 678
"""July 2026."""

AGES = np.array([0, 1, 2, 4, 8, 13])
STAGES, SIZES, SEGMENTS, PRODUCTS, REGIONS, MANAGERS = 4, 4, 3, 3, 2, 3


def labels(prefix: str, count: int) -> Labels:
    """Ids that are their own names."""
    ids = np.array([f"{prefix}{i:05d}" for i in range(count)] or [], dtype=np.str_)
    return Labels(ids=ids, names=ids)


def make_panel(
    deals: int = 40,
    reps: int = 5,
    accounts: int = 20,
    territories: int = 3,
    as_of: np.datetime64 = AS_OF,
    seed: int = 0,
    orders: bool = True,
) -> Panel:
    """A company with open and closed deals, half of the reps' products and a few orders."""
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, reps, accounts) if accounts else np.zeros(0, dtype=np.int64)
    return Panel(
        as_of=as_of,
        first_day=np.datetime64("2024-01-01"),
        regions=labels("region", REGIONS),
        territories=labels("territory", territories),
        managers=labels("manager", MANAGERS),
        segments=labels("segment", SEGMENTS),
        industries=labels("industry", 1),
        stages=labels("stage", STAGES),
        territory_region=np.arange(territories) % REGIONS,
        reps=Reps(
            labels=labels("rep", reps),
            manager=np.where(np.arange(reps) == 0, NONE, np.arange(reps) % MANAGERS),
            territory=np.arange(reps) % territories,
            start=np.where(np.arange(reps) % 2 == 0, NEVER, np.datetime64("2026-05-15")).astype("datetime64[D]"),
            end=np.where(np.arange(reps) == 1, np.datetime64("2026-08-10"), NEVER).astype("datetime64[D]"),
            fte=np.ones(reps),
            active=np.ones(reps, dtype=bool),
        ),
        accounts=Accounts(
            labels=labels("account", accounts),
            territory=rng.integers(0, territories, accounts),
            segment=rng.integers(0, SEGMENTS, accounts),
            industry=np.zeros(accounts, dtype=np.int64),
            owner=owner,
            inferred_owner=np.zeros(accounts, dtype=bool),
            hours=np.ones(accounts),
            locked=np.zeros(accounts, dtype=bool),
            family=np.arange(accounts),
        ),
        products=Products(labels=labels("product", PRODUCTS), list_price=np.full(PRODUCTS, np.nan)),
        deals=make_deals(rng, deals, owner, reps, accounts, territories, as_of),
        stage_moves=StageMoves(
            deal=np.zeros(1, dtype=np.int64), stage=np.zeros(1, dtype=np.int64), date=np.array([as_of])
        ),
        orders=make_orders(rng, owner, accounts, as_of) if orders else make_orders(rng, owner, 0, as_of),
        quotas=Quotas(
            level=np.zeros(0, dtype=np.str_),
            key=np.zeros(0, dtype=np.str_),
            start=np.zeros(0, dtype="datetime64[D]"),
            end=np.zeros(0, dtype="datetime64[D]"),
            amount=np.zeros(0),
        ),
        barred=(),
        fiscal_year_start=1,
    )


def make_deals(
    rng: np.random.Generator,
    count: int,
    owner: Ints,
    reps: int,
    accounts: int,
    territories: int,
    as_of: np.datetime64,
) -> Deals:
    """Two deals in three are open; one in five has no account, one in ten no amount."""
    account = (
        np.where(rng.random(count) < 0.2, NONE, rng.integers(0, accounts, count)) if accounts else np.full(count, NONE)
    )
    outcome = np.where(np.arange(count) % 3 == 2, rng.choice([WON, LOST], count), OPEN).astype(np.int8)
    amount = np.where(rng.random(count) < 0.1, np.nan, np.exp(rng.normal(9, 1, count)))
    age = rng.integers(1, 120, count).astype("timedelta64[D]")
    closed = np.where(outcome == OPEN, NEVER, as_of - rng.integers(0, 90, count).astype("timedelta64[D]")).astype(
        "datetime64[D]"
    )
    return Deals(
        ids=np.array([f"deal{i:06d}" for i in range(count)] or [], dtype=np.str_),
        names=np.array([f"deal{i:06d}" for i in range(count)] or [], dtype=np.str_),
        account=account,
        rep=np.where(account == NONE, rng.integers(0, reps, count), np.append(owner, NONE)[account]),
        product=rng.integers(0, PRODUCTS, count),
        territory=rng.integers(0, territories, count),
        segment=rng.integers(0, SEGMENTS, count),
        stage=rng.integers(0, STAGES, count),
        created=(as_of - age).astype("datetime64[D]"),
        exposed=(as_of - age).astype("datetime64[D]"),
        closed=closed,
        expected_close=np.full(count, NEVER, dtype="datetime64[D]"),
        pushes=np.zeros(count, dtype=np.int64),
        outcome=outcome,
        list_amount=amount,
        won_amount=np.where(outcome == WON, np.nan_to_num(amount, nan=1000.0), np.nan),
        category=np.full(count, "", dtype=np.str_),
    )


def make_orders(rng: np.random.Generator, owner: Ints, accounts: int, as_of: np.datetime64) -> Orders:
    """Three orders of each account in the last year, the last month included."""
    account = np.repeat(np.arange(accounts), 3)
    month = int(as_of.astype("datetime64[M]").astype(np.int64)) - rng.integers(0, 12, len(account))
    return Orders(
        account=account,
        rep=owner[account],
        product=rng.integers(0, PRODUCTS, len(account)),
        month=month,
        amount=np.exp(rng.normal(8, 0.5, len(account))),
        first_month=MONTH - 30,
    )


def make_draws(
    panel: Panel,
    count: int = 50,
    seed: int = 1,
    closing: bool = True,
    arrivals: bool = True,
    orders: bool = True,
) -> Draws:
    """A posterior with visible effects and spread in every part."""
    rng = np.random.default_rng(seed)
    return Draws(
        count=count,
        closing=make_closing(rng, panel, count) if closing else None,
        amounts=make_amounts(rng, panel, count) if closing else None,
        arrivals=make_arrivals(rng, panel, count) if arrivals else None,
        orders=make_order_draws(rng, panel, count) if orders else None,
        diagnostics=(),
    )


def make_closing(rng: np.random.Generator, panel: Panel, count: int) -> ClosingDraws:
    """Closing and winning: effects of every covariate, moves between stages, shocks of a year."""

    def effect(size: int, scale: float = 0.3) -> Floats:
        return rng.normal(0, scale, size) + rng.normal(0, 0.05, (count, size))

    stages = len(panel.stages)
    move = np.triu(np.full((stages, stages), 0.1))
    move[np.arange(stages), np.arange(stages)] = 0.0
    move[np.arange(stages), np.arange(stages)] = 1 - move.sum(axis=1)
    first = np.zeros((count, stages))
    first[:, 0], first[:, -1] = 0.8, 0.2
    return ClosingDraws(
        age_bins=AGES,
        size_edges=np.append(-np.inf, np.linspace(8, 10, SIZES - 2)),
        close_base=rng.normal(-2.2, 0.1, count),
        close_age=effect(len(AGES)),
        close_age_month=rng.normal(0, 0.5, (count, MONTHS_PER_QUARTER, len(AGES))),
        close_stage=effect(stages) + np.linspace(-0.5, 0.5, stages),
        close_week=effect(12),
        close_size=effect(SIZES),
        close_segment=effect(len(panel.segments)),
        close_product=effect(len(panel.products.labels)),
        win_base=rng.normal(-0.3, 0.1, count),
        win_age=effect(len(AGES)),
        win_stage=effect(stages),
        win_week=effect(12),
        win_size=effect(SIZES),
        win_segment=effect(len(panel.segments)),
        win_product=effect(len(panel.products.labels)),
        win_territory=effect(len(panel.territories)),
        win_rep=effect(len(panel.reps.labels)),
        shock_scale=np.abs(rng.normal(0.3, 0.05, (count, 2))),
        shock_correlation=np.full(count, 0.4),
        shock_months=np.arange(MONTH - 12, MONTH),
        shocks=rng.normal(0, 0.3, (count, 12, 2)),
        stage_move=np.broadcast_to(move, (count, stages, stages)).copy(),
        first_stage=first,
    )


def make_amounts(rng: np.random.Generator, panel: Panel, count: int) -> AmountDraws:
    """Amounts: heavy tails, mass at zero and at the list amount."""
    products = len(panel.products.labels)
    return AmountDraws(
        base=rng.normal(-0.1, 0.02, count),
        scale=np.full(count, 0.3),
        dof=np.full(count, 4.0),
        zero=np.full(count, 0.05),
        exact=np.full(count, 0.2),
        product=rng.normal(0, 0.1, (count, products)),
        segment=rng.normal(0, 0.1, (count, len(panel.segments))),
        rep=rng.normal(0, 0.1, (count, len(panel.reps.labels))),
        list_log_mean=np.full(products, 9.0),
        list_log_sd=np.full(products, 0.8),
        cap=4.0,
    )


def make_arrivals(rng: np.random.Generator, panel: Panel, count: int) -> ArrivalDraws:
    """New deals: a handful per rep and month."""
    return ArrivalDraws(
        base=rng.normal(1.2, 0.05, count),
        level=rng.normal(0, 0.05, count),
        level_scale=np.full(count, 0.05),
        season=rng.normal(0, 0.2, 12) + np.zeros((count, 12)),
        territory=rng.normal(0, 0.1, (count, len(panel.territories))),
        rep=rng.normal(0, 0.2, (count, len(panel.reps.labels))),
        ramp_months=np.full(count, 4.0),
        shock_scale=np.full(count, 0.15),
        dispersion=np.full(count, 5.0),
    )


def make_order_draws(rng: np.random.Generator, panel: Panel, count: int) -> OrderDraws:
    """Orders: known accounts in all states, and customers to come."""
    accounts, territories, grades, ages = len(panel.accounts.labels), len(panel.territories), 2, 3
    elapsed = rng.integers(-1, 7, accounts)
    buyers = np.flatnonzero(elapsed >= 0)
    return OrderDraws(
        base=rng.normal(-1.5, 0.1, count),
        state=np.linspace(-0.5, 1.5, 13) + rng.normal(0, 0.1, (count, 13)),
        season=rng.normal(0, 0.2, (12, grades)) + np.zeros((count, 12, grades)),
        missed=rng.normal(0, 0.2, (12, grades)) + np.zeros((count, 12, grades)),
        shock_scale=np.full(count, 0.2),
        cycle=rng.integers(0, 7, (count, accounts)),
        cycle_share=rng.dirichlet(np.ones(13), count),
        elapsed=elapsed,
        orders=np.where(elapsed >= 0, rng.integers(1, 6, accounts), 0),
        level=np.where(elapsed >= 0, rng.normal(8, 0.5, accounts), 0.0),
        weight=np.where(elapsed >= 0, 1.5, 0.0),
        decay=0.5,
        group=np.full(accounts, 8.0),
        grade_edges=np.array([8.0]),
        carry=np.sort(rng.uniform(0.3, 0.9, (count, ages)), axis=1),
        amount_age=rng.normal(0, 0.1, (count, ages)),
        amount_grade=rng.normal(0, 0.1, (count, grades)),
        amount_scale=rng.uniform(0.3, 0.5, (count, grades)),
        odd_chance=np.full((count, grades), 0.1),
        odd_mean=np.full(count, 7.0),
        odd_sd=np.full(count, 0.7),
        amount_season=rng.normal(0, 0.1, (count, 12)),
        amount_shock_scale=np.full(count, 0.1),
        cap=11.0,
        first_rate=rng.uniform(0.5, 1.5, (count, territories)),
        first_season=rng.normal(0, 0.3, (count, 12)),
        first_shock_scale=np.full(count, 0.2),
        first_dispersion=np.full(count, 3.0),
        first_pool=np.exp(rng.normal(8, 0.5, (count, 30))),
        first_shift=rng.normal(0, 0.1, (count, territories)),
        first_amount_season=rng.normal(0, 0.1, (count, 12)),
        first_group=np.full(territories, 8.0),
        split_account=np.concatenate([np.repeat(buyers, 2), [NONE, NONE]]),
        split_product=np.concatenate([np.tile([0, 1], len(buyers)), [0, 2]]),
        split_share=np.concatenate([np.tile([0.7, 0.3], len(buyers)), [0.5, 0.5]]),
        seller=rng.integers(0, len(panel.reps.labels), (count, accounts)),
        first_seller_territory=np.repeat(np.arange(territories), 2),
        first_seller=np.tile([0, 1], territories),
        first_seller_share=np.tile([0.8, 0.2], territories) + np.zeros((count, 2 * territories)),
    )
