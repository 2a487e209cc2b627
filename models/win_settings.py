"""Settings of the win-probability model of many crossed covariates."""

from pydantic import BaseModel, ConfigDict, Field


class WinSettings(BaseModel):
    """How interactions are found and how long the sampler runs; none of it depends on a data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order: int = Field(default=3, ge=1, le=3)
    """Most covariates in one interaction."""

    resolutions: tuple[int, ...] = (8, 32, 256)
    """Numbers of coarse bins in which an ordered covariate enters beside its finest ones."""

    least_gain: float = Field(default=2.0, ge=0)
    """Gain of the log marginal likelihood (nats) from which an interaction enters."""

    most_kept: int = Field(default=60, ge=1)
    """Most interactions of one order that enter, those of largest gain first."""

    largest_scale: float = Field(default=1.0, gt=0)
    """Standard deviation (logits) of the half-normal prior of every scale."""

    smallest_scale: float = Field(default=0.02, gt=0)
    """Factors whose scale (logits) is learned to be below this are left out."""

    rounds: int = Field(default=10, ge=3)
    """Sweeps towards the mode after each step of the search."""

    warmup: int = Field(default=30, ge=4)
    """Sweeps of the sampler in which the scales are learned."""

    draws: int = Field(default=60, ge=2)
    """Posterior draws kept."""
