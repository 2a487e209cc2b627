"""The parameters of the demo world: what a fitted model should find again."""

import numpy as np
from scipy.special import logit

from engine.demo.accounts import NEW_DISPERSION, SEGMENTS, Accounts, new_season
from engine.demo.clock import KNOWN_MONTHS, MONTHS
from engine.demo.people import People
from engine.demo.truth import AmountTruth, ArrivalTruth, ClosingTruth, HumanTruth, OrderTruth
from models.calendar import month_of_year
from models.panel import NONE, Floats, Ints

STAGES = ("Qualify", "Proposal", "Negotiate")
"""Open stages, in order."""
WON_STAGE, LOST_STAGE = "Won", "Lost"
"""What the CRM calls the stage of a closed deal."""

PRODUCT_IDS = ("P1", "P2", "P3", "P4", "P5")
PRODUCT_NAMES = ("Starter", "Connect", "Insight", "Control", "Platform")
LIST_PRICES = np.array([300.0, 750.0, 1500.0, 4000.0, 9000.0])
COST_SHARES = np.array([0.30, 0.34, 0.28, 0.40, 0.36])
TYPICAL_AMOUNTS = np.array([12_000.0, 18_000.0, 25_000.0, 34_000.0, 52_000.0])
"""Median list amount of a deal by product with a mid-market account."""

DEALS = 10_000
"""Expected number of opportunities up to `clock.TODAY`."""
CYCLES = np.array([1, 2, 3, 6, 12])
CYCLE_SHARES = np.array([0.25, 0.10, 0.35, 0.18, 0.12])


def _contrast(values: Floats) -> Floats:
    """The same values around their mean."""
    return values - values.mean()


def make_closing(rng: np.random.Generator, people: People) -> ClosingTruth:
    """Close and win hazards, with correlated monthly shocks."""
    scale, correlation = np.array([0.25, 0.20]), 0.5
    covariance = np.outer(scale, scale) * np.array([[1.0, correlation], [correlation, 1.0]])
    rush = np.array([-0.2] * 9 + [0.0, 0.45, 0.95])
    return ClosingTruth(
        rep_ids=people.rep_ids,
        territory_ids=people.territory_ids,
        segments=np.array(SEGMENTS),
        product_ids=np.array(PRODUCT_IDS),
        stages=np.array(STAGES),
        months=MONTHS,
        age_bins=np.array([0, 1, 2, 4, 8, 13, 20, 30]),
        size_center=float(np.log(25_000.0)),
        close_size_slope=-0.15,
        win_size_slope=-0.10,
        close_base=float(logit(0.060)),
        close_age=_contrast(np.array([-0.9, 0.1, 0.9, 1.1, 0.8, 0.2, -0.8, -1.4])),
        close_stage=np.array([-0.7, 0.1, 0.6]),
        close_week=_contrast(rush),
        close_segment=np.array([-0.25, 0.0, 0.25]),
        win_base=-1.05,
        win_age=_contrast(np.array([0.1, 0.2, 0.25, 0.2, 0.1, -0.1, -0.3, -0.6])),
        win_stage=np.array([-0.6, 0.1, 0.5]),
        win_week=_contrast(np.array([0.0] * 10 + [0.15, 0.35])),
        win_segment=np.array([-0.10, 0.0, 0.10]),
        win_product=_contrast(0.15 * rng.normal(size=len(PRODUCT_IDS))),
        win_territory=_contrast(0.20 * rng.normal(size=len(people.territory_ids))),
        win_rep=_contrast(0.35 * rng.normal(size=len(people.rep_ids))),
        shock_scale=scale,
        shock_correlation=correlation,
        shocks=rng.multivariate_normal(np.zeros(2), covariance, size=len(MONTHS)),
        stage_move=np.array([[0.89, 0.10, 0.01], [0.02, 0.88, 0.10], [0.005, 0.045, 0.95]]),
        first_stage=np.array([0.75, 0.20, 0.05]),
        never_share=0.04,
    )


def make_amounts(rng: np.random.Generator, people: People) -> AmountTruth:
    """Discounts on the list amount."""
    return AmountTruth(
        rep_ids=people.rep_ids,
        segments=np.array(SEGMENTS),
        product_ids=np.array(PRODUCT_IDS),
        base=-0.10,
        scale=0.18,
        dof=4.0,
        zero=0.01,
        exact=0.15,
        product=_contrast(0.08 * rng.normal(size=len(PRODUCT_IDS))),
        segment=np.array([-0.08, 0.01, 0.07]),
        rep=_contrast(0.05 * rng.normal(size=len(people.rep_ids))),
    )


def make_arrivals(rng: np.random.Generator, people: People) -> ArrivalTruth:
    """Deals per rep and month; the base is set so that about `DEALS` arrive up to `clock.TODAY`."""
    season = _contrast(np.array([0.05, 0.05, 0.15, 0.05, 0.0, -0.05, -0.2, -0.3, 0.2, 0.15, 0.1, -0.2]))
    territory = _contrast(0.30 * rng.normal(size=len(people.territory_ids)))
    rep = _contrast(0.30 * rng.normal(size=len(people.rep_ids)))
    level_scale, shock_scale, ramp_months = 0.02, 0.08, 5.0
    steps = np.concatenate([[0.0], level_scale * rng.normal(size=len(MONTHS) - 1)])
    level, shocks = np.cumsum(steps), shock_scale * rng.normal(size=len(MONTHS))
    log_mean = (territory[people.home] + rep)[:, None] + level + season[month_of_year(MONTHS)] + shocks
    ramp = 1.0 - np.exp(-people.tenure() / ramp_months)
    relative = np.exp(log_mean) * people.fte[:, None] * people.employed() * ramp  # [rep, month]
    rate = DEALS / relative[:, :KNOWN_MONTHS].sum()
    return ArrivalTruth(
        rep_ids=people.rep_ids,
        territory_ids=people.territory_ids,
        months=MONTHS,
        base=float(np.log(rate)),
        level=level,
        level_scale=level_scale,
        shock_scale=shock_scale,
        season=season,
        territory=territory,
        rep=rep,
        shocks=shocks,
        ramp_months=ramp_months,
        dispersion=6.0,
        mean=rate * relative,
    )


def make_orders(rng: np.random.Generator, people: People, accounts: Accounts) -> OrderTruth:
    """Purchase cycles of the repeat customers and the level of what they order."""
    count, months = len(accounts), len(MONTHS)
    cycle, phase, lapsed = _cycles(rng, accounts)
    yearly = np.log(42_000.0) + 0.6 * np.log(accounts.potential) + 0.5 * rng.normal(size=count)
    start = yearly + np.log(np.maximum(cycle, 1) / 12.0)
    walk = np.cumsum(0.02 * rng.normal(size=(count, months)), axis=1)
    return OrderTruth(
        account_ids=accounts.ids,
        territory_ids=people.territory_ids,
        months=MONTHS,
        cycle=cycle,
        phase=phase,
        lapsed=lapsed,
        base=float(logit(0.85)),
        season=_contrast(np.array([0.1, 0.0, 0.2, 0.1, 0.0, 0.1, -0.3, -0.5, 0.2, 0.2, 0.2, -0.3])),
        account=0.35 * rng.normal(size=count),
        shock_scale=0.15,
        shocks=0.15 * rng.normal(size=months),
        late=0.3,
        level=np.where(cycle[:, None] > 0, start[:, None] + walk, np.nan),
        level_scale=0.02,
        amount_season=_contrast(np.array([0.0, 0.0, 0.05, 0.0, 0.0, 0.05, -0.1, -0.1, 0.05, 0.0, 0.05, 0.1])),
        amount_scale=0.22,
        amount_dof=5.0,
        amount_shock_scale=0.05,
        amount_shocks=0.05 * rng.normal(size=months),
        first_amount=-0.3,
        first_rate=accounts.new_rate,
        first_season=new_season(),
        first_dispersion=NEW_DISPERSION,
    )


def _cycles(rng: np.random.Generator, accounts: Accounts) -> tuple[Ints, Ints, Ints]:
    """Cycle, first possible order and month of lapse of every account.

    Half of the accounts there from the start are repeat customers, each at a uniform place in its cycle. A new customer
    is one for good with chance 0.8, else its first order stays the only one. Some 0.6 % lapse each month.
    """
    count = len(accounts)
    new = accounts.first_order != NONE
    cycle = rng.choice(CYCLES, count, p=CYCLE_SHARES)
    cycle = np.where(new | (rng.random(count) < 0.5), cycle, 0)
    phase = MONTHS[0] + np.where(new, accounts.first_order, rng.integers(0, np.maximum(cycle, 1)))
    lasting = rng.geometric(0.006, count)
    lasting = np.where(new & (rng.random(count) > 0.8), 1, lasting)
    return cycle, phase, np.minimum(phase + lasting, MONTHS[-1] + 1)


def make_human(rng: np.random.Generator, people: People) -> HumanTruth:
    """Optimists, sandbaggers and a few who see clearly."""
    kind = np.array([1.3, 1.0, 0.75])[rng.choice(3, len(people.rep_ids), p=[0.45, 0.25, 0.30])]
    return HumanTruth(people.rep_ids, kind * np.exp(0.05 * rng.normal(size=len(people.rep_ids))))
