"""What the question ``conversion`` may be asked."""

from typing import Annotated

from pydantic import BaseModel, Field

from engine.config.data import SECTION
from engine.config.horizon import Day


class ConversionSettings(BaseModel):
    """Stage conversion of reps."""

    model_config = SECTION

    since: Day | None = None
    """First day of creation of the deals that count, YYYY-MM-DD; null: all."""
    until: Day | None = None
    """Last day of creation of the deals that count, YYYY-MM-DD: an early one leaves fewer deals open; null: all."""
    error_rate: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.05
    """Share of wrong claims accepted among the pairs of rep and step that are called below the team."""
    draws: Annotated[int, Field(strict=True, ge=500, le=100_000)] = 4_000
    """Posterior draws."""
