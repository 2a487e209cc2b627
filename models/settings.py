"""What a user may change about the models. Imports nothing heavy: a bad config must be refused at once."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

type Leg = Literal["pipeline", "bookings"]
"""A stream of revenue: deals (opportunities), or orders booked without a deal."""

type Scale = Annotated[float, Field(gt=0, le=10)]


class SamplerSettings(BaseModel):
    """How the posterior of every sub-model is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    method: Literal["nuts", "laplace"] = "nuts"
    """`nuts`: Markov chains, exact. `laplace`: fast tier, a normal approximation at the mode (same model and draws)."""

    chains: int = Field(default=4, ge=2, le=16)
    """Number of chains; at least 2, since R-hat compares them."""

    tune: int = Field(default=300, ge=50, le=10_000)
    """Steps per chain that adapt the sampler and are thrown away."""

    draws: int = Field(default=500, ge=10, le=10_000)
    """Posterior draws kept per chain."""

    target_accept: float = Field(default=0.85, gt=0.5, lt=1)
    """Acceptance rate the step size is tuned for (0.5 to 1); higher is slower and diverges less."""

    cores: int = Field(default=2, ge=1, le=64)
    """Worker processes that fit sub-models side by side (at most 2 are used); the results do not depend on it."""


class ClosingSettings(BaseModel):
    """Hazard of closing and of winning given closing. All scales are standard deviations on the logit."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    age_bins: tuple[int, ...] = (0, 1, 2, 3, 5, 7, 9, 11, 13, 15, 18, 26)
    """First age of every bin in weeks (four to a month), ascending from 0; the last bin is open."""

    size_bins: int = Field(default=4, ge=1, le=10)
    """Number of size classes of deals with a known amount, of equal numbers of deals."""

    max_cells: int = Field(default=10_000, ge=500, le=200_000)
    """Cells of equal covariates on either side above which covariates are left out, least informative first; on the win
    side then weeks and ages too. Reps times months is the least that is left there."""

    base_scale: Scale = 3.0
    """Prior SD of the base rates around an even chance of winning and a weekly chance of closing of 5 %."""

    age_scale: Scale = 1.0
    """Prior SD of the effects of age."""

    age_month_scale: Scale = 2.5
    """Prior SD of what a quarter's months do to deals of different ages; wide: where nothing but young deals closes at
    a quarter's beginning, the old ones that are open are no forecast for it."""

    stage_scale: Scale = 1.0
    """Prior SD of the effects of stage."""

    quarter_scale: Scale = 1.0
    """Prior SD of the effects of a quarter's last month and of its others; wide: a rush is not to pass for shocks."""

    effect_scale: Scale = 0.5
    """Prior scale (half-normal) of the SD of size, segment, product, territory, rep and single-week effects."""

    shock_scale: Scale = 0.5
    """Prior scale (half-normal) of the SD of the monthly shocks."""

    @model_validator(mode="after")
    def _ages_ascend(self) -> Self:
        """Ages must be strictly ascending from 0."""
        if not self.age_bins or self.age_bins[0] != 0:
            raise ValueError(f"age_bins must start at 0, got {self.age_bins}")
        if any(b <= a for a, b in zip(self.age_bins, self.age_bins[1:], strict=False)):
            raise ValueError(f"age_bins must be strictly ascending, got {self.age_bins}")
        return self


class AmountSettings(BaseModel):
    """Won amount over the list amount. All scales are standard deviations of the log ratio."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    effect_scale: Scale = 0.5
    """Prior scale (half-normal) of the SD of product, segment and rep effects."""

    noise_scale: Scale = 1.0
    """Prior scale (half-normal) of the spread of single deals."""

    exact_tolerance: float = Field(default=0.0005, ge=0, lt=0.1)
    """Largest relative distance (a share, not percent) at which a won amount counts as exactly the list amount."""

    recent_months: int = Field(default=12, ge=1, le=120)
    """Months before the as-of date whose deals say what the list amounts of new deals are."""

    cap_quantile: float = Field(default=0.999, gt=0.5, lt=1)
    """Quantile (0.5 to 1) of the observed ratios from which the cap of a simulated win is taken."""

    cap_factor: float = Field(default=3.0, ge=1, le=100)
    """The cap is this many times the quantile."""


class ArrivalSettings(BaseModel):
    """New deals per rep and month. All scales are standard deviations of the log rate."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    recent_months: int = Field(default=36, ge=6, le=120)
    """Complete months before the as-of date that are fitted; older ones are left out."""

    level_scale: Scale = 0.05
    """SD of the monthly step of the company's rate."""

    season_scale: Scale = 0.3
    """Prior scale of the SD of the month-of-year effects when two years or more are seen."""

    short_season_scale: Scale = 0.15
    """SD of the month-of-year effects with less than two years: the months ahead may be ones that were never seen."""

    effect_scale: Scale = 0.4
    """SD of territory effects, and prior scale of the SD of rep effects."""

    shock_scale: Scale = 0.1
    """Prior scale of the SD of the monthly shock that all reps share."""

    ramp_months: float = Field(default=4.0, gt=0, le=60)
    """Prior median of the months in which a new rep reaches 63 % of full speed."""


class OrderSettings(BaseModel):
    """Orders booked without a deal: when accounts order, how much, and who is new."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    decays: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    """Shares of weight (0 to 1) that an account's older orders lose at each order; the best predictor is kept."""

    grades: int = Field(default=4, ge=1, le=10)
    """Number of classes of accounts by the decayed mean of their log amounts, of equal numbers of orders."""

    orders_per_grade: int = Field(default=50, ge=2, le=10_000)
    """Fewest repeated orders a class must have; below that there are fewer classes."""

    age_classes: int = Field(default=3, ge=1, le=10)
    """Classes of accounts by number of orders: 1, 2, ... and this many or more."""

    max_orders: int = Field(default=5000, ge=100, le=1_000_000)
    """Most repeated orders, the latest, that the amounts are learned from."""

    state_scale: Scale = 1.5
    """Prior SD of the logit of ordering in each state around its prior chance."""

    grade_scale: Scale = 1.0
    """Prior scale of the SD of the classes' effects on the logit of ordering."""

    season_scale: Scale = 0.7
    """Prior scale of the SD of the month-of-year effects on the logit of ordering."""

    season_grade_scale: Scale = 0.5
    """Prior scale of the SD of what the seasons of the classes differ by."""

    missed_scale: Scale = 1.0
    """Prior scale of the SD of what the season of a missed order does to the logit of ordering afterwards."""

    shock_scale: Scale = 0.2
    """Prior scale of the SD of the monthly shock to the logit of ordering."""

    amount_effect_scale: Scale = 0.3
    """Prior scale of the SD of the grades' effects on the log amount."""

    amount_age_scale: Scale = 0.05
    """Prior SD of the age classes' effects on the log amount: small, since waves of customers age with the seasons."""

    amount_noise: Scale = 0.5
    """Prior median of the SD of an account's usual log amounts around its level."""

    amount_season_scale: Scale = 0.3
    """Prior scale of the SD of the month-of-year effects on the log amount."""

    amount_shock_scale: Scale = 0.1
    """Prior scale of the SD of the monthly shock to all log amounts."""

    cap_factor: float = Field(default=2.0, ge=1, le=100)
    """Largest simulated order as a multiple of the largest one seen."""

    first_territory_scale: Scale = 0.5
    """Prior scale of the SD of territory effects on the log rate of first orders."""

    first_season_scale: Scale = 0.7
    """Prior scale of the SD of the month-of-year effects on the log rate of first orders."""

    first_shock_scale: Scale = 0.3
    """Prior scale of the SD of the monthly shock to the log rate of first orders."""

    pool: int = Field(default=200, ge=10, le=10_000)
    """Amounts of first orders kept per draw."""

    split_months: int = Field(default=24, ge=1, le=240)
    """Months before the as-of date whose orders say which products an account buys."""

    @model_validator(mode="after")
    def _decays_are_shares(self) -> Self:
        """At least one decay, each a share."""
        if not self.decays or any(not 0 <= decay <= 1 for decay in self.decays):
            raise ValueError(f"decays must be one or more shares from 0 to 1, got {self.decays}")
        return self


class ModelSettings(BaseModel):
    """Which legs run and how they are fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    legs: Literal["auto"] | tuple[Leg, ...] = "auto"
    """Legs to fit: `auto` (every leg whose table exists), or a list of `pipeline` and `bookings`."""

    sampler: SamplerSettings = SamplerSettings()
    """The Markov chains."""

    closing: ClosingSettings = ClosingSettings()
    """Closing hazard."""

    amount: AmountSettings = AmountSettings()
    """Deal amounts."""

    arrivals: ArrivalSettings = ArrivalSettings()
    """New deals."""

    orders: OrderSettings = OrderSettings()
    """Orders booked without a deal."""
