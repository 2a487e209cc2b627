"""The `backtest` section: which past dates are replayed, and what is scored there."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from engine.config.data import SECTION

type Rival = Literal[
    "reps_call",
    "reps_call_corrected",
    "stage_weighted",
    "win_probability",
    "conversion",
    "lead_qualification",
    "regression",
    "seasonal_naive",
    "last_year_mean",
    "shape_level",
    "holt_winters",
    "ets",
    "arima",
]
"""Methods that the engine is compared with (`engine.methods.registry`; a test holds the two equal)."""


class Backtest(BaseModel):
    """Rolling origins: horizons like the config's own, stepping back from the last one that ended by the as-of date."""

    model_config = SECTION

    origins: Annotated[int, Field(strict=True, ge=1, le=120)] = 8
    """Number of horizons that are replayed; fewer where history is shorter."""
    step: Literal["horizon", "month", "quarter", "year"] = "horizon"
    """Distance of the horizons' starts; `horizon`: its own length, so that horizons do not overlap."""
    weeks_in: tuple[Annotated[int, Field(strict=True, ge=0, le=240)], ...] = (0,)
    """Weeks of seven days of the horizon that have passed when it is forecast; 0: as of the day before it begins."""
    target: Literal["horizon", "month"] = "horizon"
    """What is scored for every member of a level: the sum over the horizon, or each of its months."""
    fewest_months: Annotated[int, Field(strict=True, ge=1, le=120)] = 6
    """Months that must have been seen before an as-of date is replayed."""
    tier: Literal["laplace", "nuts"] = "laplace"
    """How the engine's models are fitted: `laplace`, the fast tier, or `nuts`, as the main job does."""
    paths: Annotated[int, Field(strict=True, ge=100, le=100_000)] = 1000
    """Sample paths of every method."""
    methods: tuple[Rival, ...] = ()
    """Methods to compare besides the engine's; all of them but `arima`, which takes minutes, when empty."""
