"""What the question ``leaderboard`` may be asked."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from engine.config.data import SECTION


class LeaderboardSettings(BaseModel):
    """Chance of each rank."""

    model_config = SECTION

    by: Literal["revenue", "attainment"] = "revenue"
    """What reps are ranked by: revenue of the forecast horizon, or revenue over quota (reps without one left out)."""
    top: Annotated[int, Field(strict=True, ge=1, le=1000)] = 3
    """Number of places that count as the top."""
