"""Settings of the simulation."""

from pydantic import BaseModel, ConfigDict, Field


class SimulationSettings(BaseModel):
    """How many futures are simulated, and how the work is cut. ``threads`` never changes a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    paths: int = Field(default=20_000, ge=10, le=2_000_000)
    """Simulated futures."""

    paths_per_draw: int = Field(default=10, ge=1, le=1_000)
    """Futures that share one posterior draw and one set of monthly shocks to closing and winning."""

    chunk_paths: int = Field(default=500, ge=1)
    """Futures worked on by one thread at a time; rounded up to a multiple of `paths_per_draw`."""

    sample_paths: int = Field(default=100, ge=0)
    """Futures whose revenue per cell and month is kept with the run."""

    max_weeks: int = Field(default=156, ge=1, le=1_040)
    """Weeks after the as-of date, four to a month, until which a deal that is won counts as won ever."""

    ever_draws: int = Field(default=100, ge=1)
    """Posterior draws over which the chance to be won after the horizon is averaged."""

    threads: int | None = Field(default=None, ge=1)
    """Threads, all cores when empty. Not part of the config hash: results are the same for any number."""
