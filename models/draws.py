"""Posterior draws of the sub-models, as plain arrays.

``D`` draws, the same number in every sub-model: draw ``d`` of one and draw ``d`` of another form one draw of the joint
posterior (the sub-models share no parameters). A logit or log effect is a contrast around its ``base``.
"""

from dataclasses import dataclass

from models.panel import Floats, Ints


@dataclass(frozen=True)
class Diagnostics:
    """Whether one sub-model's chains can be trusted.

    Attributes
    ----------
    model : name of the sub-model
    r_hat : largest split R-hat over parameters (Vehtari et al. 2021, doi:10.1214/20-BA1221)
    ess : smallest bulk or tail effective sample size over parameters
    divergences : number of divergent transitions after tuning; all draws where the fast tier found no mode
    rows, cells : records before and after rows with equal covariates are summed
    parameters : number of free parameters
    k_hat : Pareto shape of the fast tier's importance ratios, None for chains. Below 0.7 its draws are corrected to the
        posterior; above, they are the normal approximation, which the gate does not refuse (a test holds it to NUTS)
    """

    model: str
    r_hat: float
    ess: float
    divergences: int
    rows: int
    cells: int
    parameters: int
    k_hat: float | None = None

    def converged(self) -> bool:
        """The gate: R-hat below 1.01, ESS above 400, no divergences."""
        return self.r_hat < 1.01 and self.ess > 400 and self.divergences == 0


@dataclass(frozen=True)
class ClosingDraws:
    """Weekly hazard of closing and of winning given closing.

    ``logit P(close | open) = close_base + close_age + close_age_month[month of quarter] + close_stage + close_week +
    close_size + close_segment + close_product + shock[month, 0]`` and ``logit P(win | close)`` likewise with ``win_*``
    (there is no interaction of age and month there) and shock ``[month, 1]``.

    Attributes
    ----------
    age_bins : [age] first age in weeks of every bin, ascending from 0; the last bin is open
    size_edges : [size - 1] inner edges of the size bins on the log of the list amount; unknown amounts are in bin 0
    close_base, win_base : [D]
    close_age, win_age : [D, age]
    close_age_month : [D, month of quarter, age] what the month of a quarter does to deals of an age beyond the two
    close_stage, win_stage : [D, stage]
    close_week, win_week : [D, 12] week of the quarter
    close_size, win_size : [D, size]
    close_segment, win_segment : [D, segment]
    close_product, win_product : [D, product]
    win_territory : [D, territory]
    win_rep : [D, rep]
    shock_scale : [D, 2] SD of the monthly shock to close and to win
    shock_correlation : [D]
    shock_months : [month] months since 1970-01 with data
    shocks : [D, month, 2] shocks of the past; those of the horizon are drawn fresh from scale and correlation
    stage_move : [D, stage, stage] weekly chance that a deal that stays open goes from row to column; rows sum to one
    first_stage : [D, stage] distribution of the stage of a new deal
    """

    age_bins: Ints
    size_edges: Floats
    close_base: Floats
    close_age: Floats
    close_age_month: Floats
    close_stage: Floats
    close_week: Floats
    close_size: Floats
    close_segment: Floats
    close_product: Floats
    win_base: Floats
    win_age: Floats
    win_stage: Floats
    win_week: Floats
    win_size: Floats
    win_segment: Floats
    win_product: Floats
    win_territory: Floats
    win_rep: Floats
    shock_scale: Floats
    shock_correlation: Floats
    shock_months: Ints
    shocks: Floats
    stage_move: Floats
    first_stage: Floats


@dataclass(frozen=True)
class AmountDraws:
    """Won amount over the list amount (over 1 where no list amount is known).

    Zero with chance ``zero``, exactly the list amount with chance ``exact``, else
    ``log(won / list) = base + product + segment + rep + scale * StudentT(dof)``.
    The list amount of a deal not yet created is drawn from the company's own: see `list_log_mean`.

    Attributes
    ----------
    base, scale, dof, zero, exact : [D]
    product : [D, product]
    segment : [D, segment]
    rep : [D, rep]
    list_log_mean, list_log_sd : [product] log of the list amount of recent deals, for deals not yet created
    cap : largest multiple of the list amount (or largest amount without one) that a simulated win may take
    """

    base: Floats
    scale: Floats
    dof: Floats
    zero: Floats
    exact: Floats
    product: Floats
    segment: Floats
    rep: Floats
    list_log_mean: Floats
    list_log_sd: Floats
    cap: float


@dataclass(frozen=True)
class ArrivalDraws:
    """New deals per rep and month.

    Negative binomial with mean
    ``exp(base + level + season[month of year] + territory[home] + rep + shock) * fte * active share * ramp``.

    Attributes
    ----------
    base, level : [D] company rate, and its latest departure (random walk) at the as-of date
    level_scale : [D] SD of the monthly step of the walk, given by the settings
    season : [D, 12] by month of the calendar year
    territory : [D, territory]
    rep : [D, rep]
    ramp_months : [D] ``ramp = 1 - exp(-tenure in months / ramp_months)``; 1 for reps without a start date
    shock_scale : [D] SD of the monthly shock that all reps share
    dispersion : [D] negative binomial alpha: variance = mean + mean^2 / alpha
    """

    base: Floats
    level: Floats
    level_scale: Floats
    season: Floats
    territory: Floats
    rep: Floats
    ramp_months: Floats
    shock_scale: Floats
    dispersion: Floats


@dataclass(frozen=True)
class OrderDraws:
    """Orders of known accounts and first orders of new ones, by month.

    One month of one account, given its draw of ``cycle``, its ``elapsed`` (months since its last order, counted at the
    month in question, so 1 in the month after an order), ``orders``, ``level`` and ``weight``:

    - ``grade = sum(level >= grade_edges)`` (0 to grade - 1), ``age = min(orders, age classes) - 1``;
    - ``s = order_state(cycle, elapsed)`` (`models.order_history.order_state`); unless it has let a due month pass, it
      orders with ``logit = base + state[s] + season[month of year, grade] + shock``, ``shock`` shared by all accounts
      in a month, normal with ``shock_scale``;
    - where it has (``FIRST_MISSED <= s <= LAST_MISSED``), it orders with ``logit = base + state[s] + missed[month of
      year of (month - elapsed + cycle), grade]``: what counts is the season of the month that it let pass;
    - with chance ``odd_chance[grade]`` the log amount is normal with ``odd_mean``, ``odd_sd`` (an order unlike the
      account), else normal with SD ``amount_scale[grade]`` around ``carry[age] * level + (1 - carry[age]) * group +
      amount_age[age] + amount_grade[grade] + amount_season[month of year] + amount_shock``; never more than ``cap``;
    - after an order of log amount x: ``elapsed = 0``, ``orders += 1``, ``weight = 1 + (1 - decay) * weight``,
      ``level += (x - level) / weight``;
    - ``seller`` books all its orders.

    First orders of accounts not known yet arrive per territory and month, negative binomial with mean
    ``first_rate[territory] * exp(first_season[month of year] + first_shock)``; the amount is
    ``first_pool[random] * exp(first_shift[territory] + first_amount_season[month of year])``, never more than
    ``exp(cap)``. From then on such an account goes on as above with ``cycle`` drawn from ``cycle_share``,
    ``elapsed = 0``, ``orders = 1``, ``level = log amount``, ``weight = 1`` and ``group = first_group[territory]``; one
    of its territory's ``first_seller`` books all its orders.

    Attributes
    ----------
    base : [D]
    state : [D, state]
    season : [D, 12, grade] by month of the calendar year
    missed : [D, 12, grade] by month of the calendar year of the first due month without an order
    shock_scale : [D] SD of the monthly shock to ordering
    cycle : [D, account] int, months between orders, drawn from the account's own posterior; 0 orders without a cycle
    cycle_share : [D, cycle] share of each cycle length 0 to 12 among all accounts, rows sum to one
    elapsed : [account] months since the last order, counted at the as-of month; 0 where it ordered in it; -1 never
        ordered (such an account takes no part: first orders stand for all of them)
    orders : [account] number of order months so far
    level : [account] decayed mean of the log of the amounts of the account's orders; 0 never ordered
    weight : [account] weight behind ``level``; 0 never ordered
    decay : share of the weight that older orders lose at each order
    group : [account] log amount typical of the account's group
    grade_edges : [grade - 1] inner edges of the grades, ascending, on ``level``
    carry : [D, age class] weight of the account's own level, by the number of its orders (1, 2, ... and more)
    amount_age : [D, age class]
    amount_grade, amount_scale, odd_chance : [D, grade]
    odd_mean, odd_sd : [D]
    amount_season : [D, 12]
    amount_shock_scale : [D] SD of the monthly shock to all log amounts
    cap : largest log amount a simulated order may have
    first_rate : [D, territory] first orders per month of an average season
    first_season : [D, 12] log effect by month of the calendar year
    first_shock_scale : [D] SD of the monthly shock to first orders that all territories share
    first_dispersion : [D] negative binomial alpha per territory and month: variance = mean + mean^2 / alpha
    first_pool : [D, pool] amounts of first orders, resampled anew in every draw (Bayesian bootstrap)
    first_shift : [D, territory] log effect on the amount
    first_amount_season : [D, 12] log effect on the amount
    first_group : [territory] log amount typical of a new account
    split_account, split_product, split_share : [split] expected share of each product in an account's orders; shares of
        an account sum to one; account NONE holds the mix of new accounts
    seller : [D, account] rep who books the account's orders from now on, NONE nobody: drawn, since reps stand in for
        each other and hand over books
    first_seller_territory, first_seller : [entry] a territory and a rep who wins new customers there, territory after
        territory; rep NONE for newcomers
    first_seller_share : [D, entry] chances, of every territory summing to one
    """

    base: Floats
    state: Floats
    season: Floats
    missed: Floats
    shock_scale: Floats
    cycle: Ints
    cycle_share: Floats
    elapsed: Ints
    orders: Ints
    level: Floats
    weight: Floats
    decay: float
    group: Floats
    grade_edges: Floats
    carry: Floats
    amount_age: Floats
    amount_grade: Floats
    amount_scale: Floats
    odd_chance: Floats
    odd_mean: Floats
    odd_sd: Floats
    amount_season: Floats
    amount_shock_scale: Floats
    cap: float
    first_rate: Floats
    first_season: Floats
    first_shock_scale: Floats
    first_dispersion: Floats
    first_pool: Floats
    first_shift: Floats
    first_amount_season: Floats
    first_group: Floats
    split_account: Ints
    split_product: Ints
    split_share: Floats
    seller: Ints
    first_seller_territory: Ints
    first_seller: Ints
    first_seller_share: Floats


@dataclass(frozen=True)
class Draws:
    """All legs that ran; a leg without its table is None. ``count`` is D."""

    count: int
    closing: ClosingDraws | None
    amounts: AmountDraws | None
    arrivals: ArrivalDraws | None
    orders: OrderDraws | None
    diagnostics: tuple[Diagnostics, ...]

    def converged(self) -> bool:
        """Whether every sub-model passed the gate."""
        return all(item.converged() for item in self.diagnostics)
