"""What a user may change about the models. Imports nothing heavy: a bad config must be refused at once."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

type Leg = Literal["pipeline", "bookings"]
"""A stream of revenue: deals (opportunities), or orders booked without a deal."""

type Scale = Annotated[float, Field(gt=0, le=10)]


class SamplerSettings(BaseModel):
    """The Markov chains of every sub-model."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    chains: int = Field(default=4, ge=2, le=16)
    """Number of chains; at least 2, since R-hat compares them."""

    tune: int = Field(default=300, ge=50, le=10_000)
    """Steps per chain that adapt the sampler and are thrown away."""

    draws: int = Field(default=400, ge=10, le=10_000)
    """Posterior draws kept per chain."""

    target_accept: float = Field(default=0.9, gt=0.5, lt=1)
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

    max_cells: int = Field(default=6000, ge=500, le=200_000)
    """Cells of equal covariates on the close or the win side above which covariates are left out, least informative first."""

    base_scale: Scale = 3.0
    """Prior SD of the base rates around an even chance of winning and a weekly chance of closing of 5 %."""

    age_scale: Scale = 1.0
    """Prior SD of the effects of age."""

    stage_scale: Scale = 1.0
    """Prior SD of the effects of stage."""

    quarter_scale: Scale = 1.0
    """Prior SD of the effects of the three months of a quarter: wide, so that a rush that recurs is not taken for shocks."""

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
