"""What is true about the demo company, on the scale of `models.draws`, each array with the ids it belongs to.

Every logit or log effect of a category is a contrast that sums to zero over the ids stored beside it.
"""

from dataclasses import dataclass

from models.panel import Floats, Ints, Texts


@dataclass(frozen=True)
class ClosingTruth:
    """The weekly hazard of closing and of winning given closing (compare `models.draws.ClosingDraws`).

    A deal without an account has the territory effect of its rep's home and a segment effect of zero.

    Attributes
    ----------
    rep_ids, territory_ids, segments, product_ids, stages : coordinates; stages are the open ones, in order
    months : [month] months since 1970-01
    age_bins : [age] first age in weeks of every bin; the last bin is open
    size_center : log of the list amount at which the size effect is zero
    close_size_slope, win_size_slope : logits per unit of the log of the list amount
    close_base, win_base : logits
    close_age, win_age : [age]
    close_stage, win_stage : [stage]
    close_week, win_week : [12] week of the quarter
    close_segment, win_segment : [segment]
    win_product : [product]; products do not change how fast deals close
    win_territory : [territory]
    win_rep : [rep]
    shock_scale : [2] SD of the monthly shock to close and to win
    shock_correlation : correlation of the pair
    shocks : [month, 2]
    stage_move : [stage, stage] weekly chance that a deal that stays open goes from row to column
    first_stage : [stage] distribution of the stage of a new deal
    never_share : share of deals that never close
    """

    rep_ids: Texts
    territory_ids: Texts
    segments: Texts
    product_ids: Texts
    stages: Texts
    months: Ints
    age_bins: Ints
    size_center: float
    close_size_slope: float
    win_size_slope: float
    close_base: float
    close_age: Floats
    close_stage: Floats
    close_week: Floats
    close_segment: Floats
    win_base: float
    win_age: Floats
    win_stage: Floats
    win_week: Floats
    win_segment: Floats
    win_product: Floats
    win_territory: Floats
    win_rep: Floats
    shock_scale: Floats
    shock_correlation: float
    shocks: Floats
    stage_move: Floats
    first_stage: Floats
    never_share: float


@dataclass(frozen=True)
class AmountTruth:
    """Won amount over list amount (compare `models.draws.AmountDraws`).

    Attributes
    ----------
    rep_ids, segments, product_ids : coordinates
    base, scale, dof, zero, exact : as in the draws
    product, segment, rep : log effects, [product], [segment], [rep]
    """

    rep_ids: Texts
    segments: Texts
    product_ids: Texts
    base: float
    scale: float
    dof: float
    zero: float
    exact: float
    product: Floats
    segment: Floats
    rep: Floats


@dataclass(frozen=True)
class ArrivalTruth:
    """New deals per rep and month (compare `models.draws.ArrivalDraws`).

    Attributes
    ----------
    rep_ids, territory_ids : coordinates
    months : [month] months since 1970-01
    base : log of the deals per month of a full-time, ramped rep
    level : [month] random walk, zero in the first month
    level_scale, shock_scale : SD of its step and of the shock that all reps share
    season : [12] by month of the calendar year
    territory, rep : log effects, [territory], [rep]
    shocks : [month]
    ramp_months : ``ramp = 1 - exp(-tenure / ramp_months)``, tenure in months at the middle of the month
    dispersion : negative binomial alpha: variance = mean + mean^2 / alpha
    mean : [rep, month] expected number of deals given everything above
    """

    rep_ids: Texts
    territory_ids: Texts
    months: Ints
    base: float
    level: Floats
    level_scale: float
    shock_scale: float
    season: Floats
    territory: Floats
    rep: Floats
    shocks: Floats
    ramp_months: float
    dispersion: float
    mean: Floats


@dataclass(frozen=True)
class OrderTruth:
    """Orders without a deal (compare `models.draws.OrderDraws`).

    An account orders in the months ``phase, phase + cycle, ...`` (since 1970-01) with
    ``logit = base + season + account + shock``; a missed order comes a month late with chance ``late``.

    Attributes
    ----------
    account_ids, territory_ids : coordinates
    months : [month] months since 1970-01
    cycle : [account] months between orders, 0 for accounts that never order
    phase : [account] month since 1970-01 of the first possible order
    lapsed : [account] month from which the account no longer orders; a month after the world's last one if never
    base : logit of ordering when due
    season : [12] its season by month of the calendar year
    account : [account] logit departure
    shock_scale, shocks : SD and [month] shocks to ordering
    late : chance that a missed order is placed a month late
    level : [account, month] log of a typical order
    level_scale : SD of its monthly step
    amount_season : [12]
    amount_scale, amount_dof : noise of the log of the amount, Student t
    amount_shock_scale, amount_shocks : SD and [month] shocks to the log of the amount
    first_amount : log effect of an account's first order ever
    first_rate : [territory] first orders of new accounts per month of an average season
    first_season : [12] log effects
    first_dispersion : negative binomial alpha of the company's new accounts per territory and month
    """

    account_ids: Texts
    territory_ids: Texts
    months: Ints
    cycle: Ints
    phase: Ints
    lapsed: Ints
    base: float
    season: Floats
    account: Floats
    shock_scale: float
    shocks: Floats
    late: float
    level: Floats
    level_scale: float
    amount_season: Floats
    amount_scale: float
    amount_dof: float
    amount_shock_scale: float
    amount_shocks: Floats
    first_amount: float
    first_rate: Floats
    first_season: Floats
    first_dispersion: float


@dataclass(frozen=True)
class HumanTruth:
    """The reps' own calls: ``bias`` [rep] multiplies what a rep expects of the rest of the quarter; 1 is honest."""

    rep_ids: Texts
    bias: Floats


@dataclass(frozen=True)
class DemoTruth:
    """Everything that is true, and which deals never close.

    Attributes
    ----------
    closing, amounts, arrivals, orders, human : by part of the world
    never_closing : [deal] ids of the deals that never close, sorted
    """

    closing: ClosingTruth
    amounts: AmountTruth
    arrivals: ArrivalTruth
    orders: OrderTruth
    human: HumanTruth
    never_closing: Texts
