"""Small panels with deals simulated from known effects, built without the data layer."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from models.calendar import last_complete_week, month_number, week_of_quarter, week_start
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

DAYS = np.timedelta64(4, "D")
"""From the first day of a week to the day on which deals move or close: inside the week even in February."""


@dataclass(frozen=True)
class Truth:
    """Effects a company is simulated from, on the logit.

    Attributes
    ----------
    close_base, close_stage : scalar and [stage]
    win_base, win_rep, win_quarter_end : scalar, [rep], and the effect of a quarter's last month
    shocks : [month, 2] from `first_month` on
    first_month : months since 1970-01
    stage_move : chance a week of moving to the next stage
    never : share of deals that never close
    """

    close_base: float
    close_stage: Floats
    win_base: float
    win_rep: Floats
    win_quarter_end: float
    shocks: Floats
    first_month: int
    stage_move: float
    never: float


def labels(prefix: str, count: int) -> Labels:
    """``count`` members named after a prefix."""
    names = np.array([f"{prefix}{i:02d}" for i in range(count)], dtype=str)
    return Labels(names, names)


def truth(seed: int, reps: int = 20, months: int = 24, win_rep: float = 0.4, shock: float = 0.3) -> Truth:
    """Effects drawn from a seed."""
    rng = np.random.default_rng([seed, 1])
    return Truth(
        close_base=-2.5,
        close_stage=np.array([-0.6, 0.0, 0.6]),
        win_base=0.1,
        win_rep=rng.normal(0, win_rep, reps),
        win_quarter_end=0.8,
        shocks=rng.multivariate_normal([0, 0], shock**2 * np.array([[1, 0.5], [0.5, 1]]), months),
        first_month=int(month_number(np.array(["2024-01"], dtype="datetime64[M]"))[0]),
        stage_move=0.25,
        never=0.1,
    )


def company(effects: Truth, deals: int, seed: int, as_of: str = "2025-12-31") -> Panel:
    """A company whose deals follow the closing hazard with the given effects."""
    rng = np.random.default_rng([seed, 2])
    end = np.datetime64(as_of)
    last = last_complete_week(end)
    reps, products, segments, territories = len(effects.win_rep), 3, 2, 4
    first = effects.first_month * 4
    created = np.sort(rng.integers(first, last + 1, deals))
    rep = rng.integers(0, reps, deals)
    closed_week, outcome, moves = _histories(effects, created, rep, last, rng)
    created_day = week_start(created) + rng.integers(0, 3, deals).astype("timedelta64[D]")
    closed_day = np.where(closed_week >= 0, week_start(np.maximum(closed_week, 0)) + DAYS, np.datetime64("NaT", "D"))
    product = rng.integers(0, products, deals)
    amount = np.exp(rng.normal(np.array([7.0, 8.0, 9.0])[product], 0.5))
    current = np.zeros(deals, dtype=np.int64)
    current[moves.deal] = moves.stage
    ids = np.array([f"D{i:06d}" for i in range(deals)], dtype=str)
    won_amount = np.where(outcome == WON, won_amounts(amount, rep, rng), np.nan)
    return Panel(
        as_of=end,
        first_day=week_start(np.array([first]))[0],
        regions=labels("region", 2),
        territories=labels("territory", territories),
        managers=labels("manager", 1),
        segments=labels("segment", segments),
        industries=labels("industry", 1),
        stages=labels("stage", len(effects.close_stage)),
        territory_region=np.arange(territories) % 2,
        reps=Reps(
            labels=labels("rep", reps),
            manager=np.zeros(reps, dtype=np.int64),
            territory=np.arange(reps) % territories,
            start=np.full(reps, np.datetime64("2020-01-01")),
            end=np.full(reps, np.datetime64("NaT", "D")),
            fte=np.ones(reps),
            active=np.ones(reps, dtype=bool),
        ),
        accounts=no_accounts(),
        products=Products(labels("product", products), np.array([1100.0, 3000.0, 8000.0])),
        deals=Deals(
            ids=ids,
            names=ids,
            account=np.full(deals, NONE),
            rep=rep,
            product=product,
            territory=rep % territories,
            segment=rng.integers(0, segments, deals),
            stage=current,
            created=created_day,
            exposed=created_day,
            closed=closed_day.astype("datetime64[D]"),
            expected_close=np.full(deals, np.datetime64("NaT", "D")),
            pushes=np.zeros(deals, dtype=np.int64),
            outcome=outcome,
            list_amount=amount,
            won_amount=won_amount,
            category=np.full(deals, "", dtype=str),
        ),
        stage_moves=moves,
        orders=no_orders(first // 4),
        quotas=no_quotas(),
        barred=(),
        fiscal_year_start=1,
    )


def without_history(panel: Panel) -> Panel:
    """The same company without stage history: stages are not used."""
    empty = np.empty(0, dtype=np.int64)
    return replace(
        panel,
        stage_moves=StageMoves(empty, empty, np.empty(0, dtype="datetime64[D]")),
        deals=replace(panel.deals, stage=np.zeros(len(panel.deals), dtype=np.int64)),
    )


def won_amounts(listed: Floats, rep: Ints, rng: np.random.Generator) -> Floats:
    """Booked amounts: 5 % nothing, 20 % exactly the list amount, else a discount that depends on the rep."""
    ratio = np.exp(-0.2 + 0.1 * ((rep % 3) - 1) + 0.1 * rng.standard_t(5, len(listed)))
    kind = rng.random(len(listed))
    return listed * np.where(kind < 0.05, 0.0, np.where(kind < 0.25, 1.0, ratio))


def _histories(
    effects: Truth, created: Ints, rep: Ints, last: int, rng: np.random.Generator
) -> tuple[Ints, np.ndarray, StageMoves]:
    """Closing week (-1 while open), outcome and stage moves, week by week as the simulation steps them."""
    deals = len(created)
    stage = np.zeros(deals, dtype=np.int64)
    closed = np.full(deals, -1)
    outcome = np.full(deals, OPEN, dtype=np.int8)
    never = rng.random(deals) < effects.never
    log = [(np.arange(deals), stage.copy(), created)]
    for week in range(int(created.min()), last + 1):
        shock = effects.shocks[week // 4 - effects.first_month]
        quarter_end = week_of_quarter(np.array([week]))[0] >= 8
        open_now = (closed < 0) & (created <= week) & ~never
        chance = expit(effects.close_base + effects.close_stage[stage] + shock[0])
        closing = open_now & (rng.random(deals) < chance)
        win = expit(effects.win_base + effects.win_rep[rep] + effects.win_quarter_end * quarter_end + shock[1])
        closed[closing] = week
        outcome[closing] = np.where(rng.random(deals) < win, WON, LOST)[closing]
        moving = (created <= week) & (closed < 0) & (stage < len(effects.close_stage) - 1)
        moving &= rng.random(deals) < effects.stage_move
        stage[moving] += 1
        log.append((np.flatnonzero(moving), stage[moving], np.full(int(moving.sum()), week)))
    deal, entered, when = (np.concatenate(part) for part in zip(*log, strict=True))
    order = np.lexsort((when, deal))
    return closed, outcome, StageMoves(deal[order], entered[order], week_start(when[order]) + DAYS)


def maven(root: Path, as_of: str = "2017-09-30") -> Panel:
    """Maven's CRM export as of a date: reps, products and dates; accounts are a leak and stay out."""
    table = pd.read_csv(root / "sales_pipeline.csv", parse_dates=["engage_date", "close_date"]).sort_values(
        "opportunity_id"
    )
    end = np.datetime64(as_of)
    created = table["engage_date"].to_numpy().astype("datetime64[D]")
    table, created = table[~(created > end)], created[~(created > end)]
    closed = table["close_date"].to_numpy().astype("datetime64[D]")
    known = closed <= end
    outcome = np.where(known, np.where(table["deal_stage"] == "Won", WON, LOST), OPEN).astype(np.int8)
    rep, rep_names = pd.factorize(table["sales_agent"], sort=True)
    product, product_names = pd.factorize(table["product"].replace("GTXPro", "GTX Pro"), sort=True)
    prices = (
        pd.read_csv(root / "products.csv").set_index("product")["sales_price"].reindex(product_names).to_numpy(float)
    )
    panel = company(truth(1, reps=len(rep_names)), 10, 1)
    ids, count = table["opportunity_id"].to_numpy(str), len(table)
    rep_labels = Labels(rep_names.to_numpy(str), rep_names.to_numpy(str))
    product_labels = Labels(product_names.to_numpy(str), product_names.to_numpy(str))
    none = np.zeros(count, dtype=np.int64)
    deals = Deals(
        ids=ids,
        names=ids,
        account=none + NONE,
        rep=rep.astype(np.int64),
        product=product.astype(np.int64),
        territory=none,
        segment=none,
        stage=none,
        created=created,
        exposed=np.maximum(created, closed[known].min()),
        closed=np.where(known, closed, np.datetime64("NaT", "D")),
        expected_close=np.full(count, np.datetime64("NaT", "D")),
        pushes=none,
        outcome=outcome,
        list_amount=prices[product],
        won_amount=np.where(outcome == WON, table["close_value"].to_numpy(float), np.nan),
        category=np.full(count, "", dtype=str),
    )
    return replace(
        without_history(panel),
        as_of=end,
        first_day=closed[known].min(),
        territories=labels("territory", 1),
        segments=labels("segment", 1),
        reps=replace(panel.reps, labels=rep_labels, territory=np.zeros(len(rep_names), dtype=np.int64)),
        products=Products(product_labels, prices),
        deals=deals,
    )


def no_accounts() -> Accounts:
    """No account at all."""
    empty, no = np.empty(0, dtype=np.int64), np.empty(0, dtype=bool)
    return Accounts(labels("account", 0), empty, empty, empty, empty, no, np.empty(0), no, empty)


def no_orders(first_month: int) -> Orders:
    """No bookings outside deals."""
    empty = np.empty(0, dtype=np.int64)
    return Orders(empty, empty, empty, empty, np.empty(0), first_month)


def no_quotas() -> Quotas:
    """No targets."""
    text, day = np.empty(0, dtype=str), np.empty(0, dtype="datetime64[D]")
    return Quotas(text, text, day, day, np.empty(0))
