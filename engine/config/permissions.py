"""Who may own an account beyond its region: distance, segment, language, skill, leavers' books, accounts for hires."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from engine.config.data import SECTION

type Trait = Literal["segment", "language", "skill"]


class Permissions(BaseModel):
    """Rules of eligibility beside `allocation.eligibility`; the present owner may keep an account unless said here."""

    model_config = SECTION

    match: tuple[Trait, ...] = ()
    """What a rep must share with an account: `segment` (reps.segments), `language` (reps.languages, accounts.language),
    `skill` (reps.skills, accounts.skill). An account that asks for nothing may go to anybody; a rep without an entry
    has none."""
    max_radius_km: Annotated[float, Field(gt=0)] | None = None
    """Farthest an account may lie from its rep's base, km as the crow flies; none: no limit. Unknown places count
    as near."""
    radius_binds_owner: bool = False
    """Whether the present owner, too, must live within the radius."""
    visits_per_month: Annotated[float, Field(gt=0, le=31)] = 1.0
    """Visits a month to an account whose `visits` are unknown; for `allocation.max_travel_km`, visits."""
    leavers_book: Literal["anyone", "team", "previous_owner"] = "anyone"
    """Who may get the accounts of a rep who has left or leaves within the horizon: any eligible rep, the reps of the
    same manager, or the rep who owned them before; where there is no such rep, any eligible one."""
    hire_months: Annotated[int, Field(ge=0, le=60)] = 6
    """Months before the as-of date within which a rep who started is a new hire; who starts later is one, too. For
    `allocation.hire_min_share`, `allocation.hire_min_accounts` and accounts with `reserved`."""
