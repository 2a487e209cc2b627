"""A company of any size for growth benchmarks, straight as arrays: see the design in `benchmarks.sampling`."""

import numpy as np
from scipy.special import expit

from models.calendar import last_complete_week, week_of_quarter, week_start
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
MONTHS, SEGMENTS, PRODUCTS, REPS_PER_TERRITORY = 36, 4, 5, 5
WEEKLY_CLOSE, QUARTER_END, REP_SPREAD = 0.06, 0.5, 0.3
"""Chance of closing a week; its rise on the logit in a quarter's last month; SD of reps on the logit of winning."""


def reference_panel(opportunities: int, reps: int, seed: int) -> Panel:
    """Deals that start evenly over 36 months, without accounts, stages and orders."""
    rng = np.random.default_rng([seed, opportunities, reps])
    last = last_complete_week(AS_OF)
    created = np.sort(rng.integers(last - 4 * MONTHS + 1, last + 1, opportunities))
    rep = rng.integers(0, reps, opportunities)
    closed, outcome = _outcomes(created, rng.normal(0, REP_SPREAD, reps)[rep], last, rng)
    day = week_start(created) + rng.integers(0, 3, opportunities).astype("timedelta64[D]")
    product = rng.integers(0, PRODUCTS, opportunities)
    amount = np.exp(rng.normal(7.0 + product, 0.5))
    territories, none = max(reps // REPS_PER_TERRITORY, 1), np.empty(0, dtype=np.int64)
    missing, no_day = np.datetime64("NaT", "D"), np.empty(0, dtype="datetime64[D]")
    names = np.empty(0, dtype=str)
    home = np.arange(reps) % territories
    ids = np.char.add("D", np.arange(opportunities).astype(str))
    blank = np.zeros(opportunities, dtype=np.int64)
    return Panel(
        as_of=AS_OF,
        first_day=week_start(np.array([created.min()]))[0],
        regions=_labels("region", 1),
        territories=_labels("territory", territories),
        managers=_labels("manager", 1),
        segments=_labels("segment", SEGMENTS),
        industries=_labels("industry", 1),
        stages=_labels("stage", 1),
        territory_region=np.zeros(territories, dtype=np.int64),
        reps=Reps(
            labels=_labels("rep", reps),
            manager=np.zeros(reps, dtype=np.int64),
            territory=home,
            start=np.full(reps, np.datetime64("2020-01-01")),
            end=np.full(reps, missing),
            fte=np.ones(reps),
            active=np.ones(reps, dtype=bool),
        ),
        accounts=Accounts(
            _labels("account", 0),
            none,
            none,
            none,
            none,
            none.astype(bool),
            none.astype(float),
            none.astype(bool),
            none,
        ),
        products=Products(_labels("product", PRODUCTS), np.exp(7.0 + np.arange(PRODUCTS))),
        deals=Deals(
            ids=ids,
            names=ids,
            account=blank + NONE,
            rep=rep,
            product=product,
            territory=home[rep],
            segment=rng.integers(0, SEGMENTS, opportunities),
            stage=blank,
            created=day,
            exposed=day,
            closed=np.where(closed >= 0, week_start(np.maximum(closed, 0)) + np.timedelta64(4, "D"), missing),
            expected_close=np.full(opportunities, missing),
            pushes=blank,
            outcome=outcome,
            list_amount=amount,
            won_amount=np.where(outcome == WON, amount, np.nan),
            category=np.full(opportunities, "", dtype=str),
        ),
        stage_moves=StageMoves(none, none, no_day),
        orders=Orders(none, none, none, none, none.astype(float), int(created.min()) // 4),
        quotas=Quotas(names, names, no_day, no_day, none.astype(float)),
        barred=(),
        fiscal_year_start=1,
    )


def _outcomes(created: Ints, skill: Floats, last: int, rng: np.random.Generator) -> tuple[Ints, np.ndarray]:
    """Closing week [deal], -1 while open, and outcome [deal], week by week."""
    closed = np.full(len(created), -1)
    base, going, arrived = np.log(WEEKLY_CLOSE / (1 - WEEKLY_CLOSE)), np.empty(0, dtype=np.int64), 0
    for week in range(int(created[0]), last + 1):
        until = int(np.searchsorted(created, week, side="right"))
        going, arrived = np.concatenate([going, np.arange(arrived, until)]), until
        rush = QUARTER_END * (week_of_quarter(np.array([week]))[0] >= 8)
        closing = rng.random(len(going)) < expit(base + rush)
        closed[going[closing]] = week
        going = going[~closing]
    won = rng.random(len(created)) < expit(skill)
    return closed, np.where(closed < 0, OPEN, np.where(won, WON, LOST)).astype(np.int8)


def _labels(prefix: str, count: int) -> Labels:
    names = np.char.add(prefix, np.arange(count).astype(str))
    return Labels(names, names)
