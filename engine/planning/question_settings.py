"""What the questions quotas, coverage, capacity and leads may be asked."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SECTION = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
"""Every class of settings: frozen, unknown keys refused, documented by the sentence under each field."""

type Chance = Annotated[float, Field(gt=0.0, lt=1.0)]


class QuotasSettings(BaseModel):
    """Quotas with the same chance for every rep."""

    model_config = SECTION

    chance: Chance | None = None
    """Chance of quota that every rep gets; null: the one at which the quotas add up to the goal."""
    goal: Annotated[float, Field(gt=0.0)] | None = None
    """Goal of the company over the planning horizon, money; null: the given one, else the median of its revenue."""
    paths: Annotated[int, Field(strict=True, ge=1_000, le=2_000_000)] = 200_000
    """Simulated futures to fit on, and as many again to check on."""
    check: Literal["held_out", "same"] = "same"
    """Posterior draws of the check: those that the fit has not seen, or the same draws with fresh paths."""
    plan: bool = False
    """Quotas of the books of the run's plan rather than of the present owners."""
    round_to: Annotated[float, Field(gt=0.0)] | None = None
    """Quotas are multiples of this amount of money; null: the largest power of ten below a thousandth of the least."""


class CoverageSettings(BaseModel):
    """Pipeline coverage needed."""

    model_config = SECTION

    chance: Chance = 0.8
    """Chance of quota that the coverage is to give."""
    paths: Annotated[int, Field(strict=True, ge=1_000, le=200_000)] = 10_000
    """Simulated futures."""
    most: Annotated[float, Field(ge=1.0, le=100.0)] = 25.0
    """Largest coverage looked at."""
    step: Annotated[float, Field(ge=0.05, le=5.0)] = 0.5
    """Distance of the coverages looked at; between them the chance is interpolated."""
    new_business: bool = True
    """Count what deals and orders yet to come bring in the period."""


class CapacitySettings(BaseModel):
    """Chance of the goal against hires."""

    model_config = SECTION

    chance: Chance = 0.8
    """Chance of the goal that is wanted."""
    hires: Annotated[int, Field(strict=True, ge=1, le=100)] = 8
    """Largest number of hires looked at."""
    starts: tuple[Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")], ...] = ()
    """Months in which all hires begin, such as [2026-08, 2026-10]; empty: every month of the horizon."""
    ramp: tuple[Annotated[float, Field(gt=0.0, le=10.0)], ...] = (1.0,)
    """Length of the ramp as a multiple of what the model believes, one curve each."""
    fte: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Full-time equivalents of every hire."""
    attrition: bool = True
    """Reps and hires may leave, at the rate of the company's own past."""
    months: Annotated[int, Field(strict=True, ge=1, le=60)] | None = None
    """Months from the start of the planning horizon over which the goal is judged; null: the planning horizon."""
    goal: Annotated[float, Field(gt=0.0)] | None = None
    """Goal of the company over these months, money; null: the given one, else the median of its revenue."""
    paths: Annotated[int, Field(strict=True, ge=1_000, le=200_000)] = 10_000
    """Simulated futures."""


class LeadsSettings(BaseModel):
    """Who gets the next leads."""

    model_config = SECTION

    leads: Annotated[int, Field(strict=True, ge=1, le=2_000)] = 40
    """Number of inbound leads to hand out."""
    conversion: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Chance that a lead becomes an opportunity."""
    objective: Literal["even", "at_quota", "revenue"] = "even"
    """even: raise the lowest chances of quota; at_quota: most reps expected at quota; revenue: most money."""
    most: Annotated[float, Field(ge=1.0, le=100.0)] = 2.0
    """Most leads of a rep, as a multiple of the share that the rep's capacity (fte, ramp) would give."""
    paths: Annotated[int, Field(strict=True, ge=1_000, le=200_000)] = 10_000
    """Simulated futures."""
