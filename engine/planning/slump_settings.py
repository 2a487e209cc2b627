"""What the question ``slump`` may be asked."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from engine.config.data import SECTION


class SlumpSettings(BaseModel):
    """A weak month told apart from a lasting slump."""

    model_config = SECTION

    measure: Literal["auto", "wins", "orders"] = "auto"
    """What is counted by rep and month: deals won, or orders; auto: deals where the run has any."""
    months: Annotated[int, Field(strict=True, ge=12, le=120)] = 36
    """Complete months of history to look at, at most."""
    least_months: Annotated[int, Field(strict=True, ge=3, le=24)] = 6
    """Months of history a rep needs to be judged."""
    lasting: Annotated[int, Field(strict=True, ge=1, le=12)] = 3
    """Months up to now that a slump must have gone on to be called lasting."""
    depth: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """What is left of a rep's usual rate in a slump."""
    usual_months: Annotated[float, Field(ge=6.0, le=600.0)] = 60.0
    """Months between two slumps of a rep, on average: the prior."""
    slump_months: Annotated[float, Field(ge=2.0, le=60.0)] = 6.0
    """Length of a slump, on average, months: the prior."""
    false_discovery: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.1
    """Chance that a company without any slump sees a flag; with slumps, the average share of wrong flags."""
    replicates: Annotated[int, Field(strict=True, ge=199, le=20_000)] = 999
    """Histories without a slump per rep and kind, from which false alarms are counted; fewer for hundreds of reps."""
