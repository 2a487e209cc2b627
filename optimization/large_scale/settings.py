"""How long and how hard a banded problem is worked on."""

from pydantic import BaseModel, ConfigDict, Field


class BandedSettings(BaseModel):
    """Effort of the search for a banded plan."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    seconds: float = Field(default=60.0, gt=0)
    """Wall-clock time after which the best plan so far is returned, seconds."""
    rounds: int = Field(default=1000, ge=0)
    """Most rounds of passes and integer programs; few rounds keep a result repeatable, rounds."""
    threads: int = Field(default=2, ge=1, le=64)
    """Searches that run side by side; a result does not depend on it unless time cut it off, threads."""
    gap: float = Field(default=1e-6, ge=0)
    """Relative gap to the bound at which the work stops, share."""
