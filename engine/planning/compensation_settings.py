"""A pay plan: what a rep earns for which attainment. Its file is the settings file of the question.

A plan has terms that hold for all reps, roles that change some of them, and reps that have a role or a target of their
own. The panel knows no roles of reps, so the plan says who has which. What contradicts itself in a plan is refused
here, all of it at once; reps that do not exist are refused when the run is open (`plan_problems`).
"""

from collections.abc import Collection
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from engine.config.data import SECTION
from engine.config.problems import nearest, shown
from engine.errors import Problem

type Positive = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class Tier(BaseModel):
    """What attainment earns from a bound on."""

    model_config = SECTION

    start: Positive
    """Attainment from which the rate holds; 1 is the quota."""
    rate: Positive
    """Share of the component's target incentive earned per unit of attainment; 1 pays the target at quota."""


def _rising(tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """Refuse tiers that do not rise from zero."""
    starts = [tier.start for tier in tiers]
    if not starts or starts[0] != 0 or any(b <= a for a, b in zip(starts, starts[1:], strict=False)):
        came = ", ".join(f"{start:g}" for start in starts) or "none"
        raise ValueError(f"starts that rise from 0, each once (these are {came}; rate 0 where nothing is paid)")
    return tiers


type Tiers = Annotated[tuple[Tier, ...], AfterValidator(_rising)]


class Shares(BaseModel):
    """How much of the target incentive follows the rep's own attainment, and how much the team's."""

    model_config = SECTION

    individual: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    """Share that follows the rep's own attainment."""
    team: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Share that follows the team's attainment."""

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        total = self.individual + self.team
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"individual and team shares that add up to 1 (these add up to {total:g})")
        return self


class Business(BaseModel):
    """A number for new and one for existing business."""

    model_config = SECTION

    new: Positive
    """For customers that had not bought before the horizon, and sales without an account."""
    existing: Positive
    """For customers that had bought before the horizon."""


class Advance(BaseModel):
    """A draw: pay that a rep gets in any case."""

    model_config = SECTION

    amount: Positive
    """Pay guaranteed in every payout period, money."""
    recoverable: bool = True
    """Whether what was advanced is taken back from later payouts."""


class Terms(BaseModel):
    """What one group of reps is paid by."""

    model_config = SECTION

    target_incentive: Positive = 0.0
    """Variable pay at exactly quota, money per `per`."""
    shares: Shares = Shares()
    """Individual and team share, such as {individual: 0.5, team: 0.5}; they add up to 1."""
    team: Literal["manager", "territory", "region", "company"] = "manager"
    """Whose attainment the team share follows."""
    tiers: Tiers = (Tier(start=0.0, rate=1.0),)
    """Rates by attainment, rising from 0: above 1 beyond the quota they accelerate, below 1 they slow down."""
    team_tiers: Tiers | None = None
    """Rates of the team share; those of `tiers` when null."""
    tiers_are: Literal["marginal", "retroactive"] = "marginal"
    """Marginal: each tier's rate holds for the attainment inside it. Retroactive: the rate of the tier that was reached
    holds from the first sale on."""
    threshold: Positive = 0.0
    """Attainment below which a component pays nothing."""
    cap: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    """Most that incentive and commission together pay, as a multiple of the target incentive; no cap when null."""
    draw: Advance | None = None
    """Advance in every payout period, {amount, recoverable}; none when null."""
    commission: Business | None = None
    """Money per unit of revenue beside the incentive, {new, existing}; none when null."""
    credit: Business = Business(new=1.0, existing=1.0)
    """How much of new and of existing business counts towards the rep's own attainment."""


class RepTerms(BaseModel):
    """What is special about one rep."""

    model_config = SECTION

    role: str | None = None
    """Role whose terms hold; those of the plan when null."""
    target_incentive: Positive | None = None
    """Variable pay at exactly quota, money per `per`; the role's when null."""


def _long_form(value: object) -> object:
    """Write out a rep: a text is the rep's role, a number the target incentive."""
    if isinstance(value, str):
        return {"role": value}
    return {"target_incentive": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class CompensationSettings(Terms):
    """A pay plan."""

    name: str = "plan"
    """What the plan is called in tables."""
    per: Literal["year", "quarter", "month", "horizon"] = "year"
    """Time that target incentives speak of; `horizon` is the run's whole forecast horizon."""
    payout: Literal["horizon", "quarter", "month"] = "horizon"
    """How often attainment is measured and paid; draws are per such period."""
    roles: dict[str, Terms] = {}
    """Roles by name: what they do not say is as in the plan."""
    reps: dict[
        str, Annotated[RepTerms, BeforeValidator(_long_form, json_schema_input_type=str | float | RepTerms)]
    ] = {}
    """Reps by id, each a role's name, a target incentive, or {role, target_incentive}."""
    split_paths: Annotated[int, Field(strict=True, ge=100, le=20_000)] = 2_000
    """Futures simulated to tell new from existing business, where the plan treats them differently."""

    @field_validator("reps", mode="after")
    @classmethod
    def _roles_exist(cls, reps: dict[str, RepTerms], info: ValidationInfo) -> dict[str, RepTerms]:
        roles = list(info.data.get("roles", [special.role for special in reps.values()]))
        wrong = [rep for rep, special in reps.items() if special.role is not None and special.role not in roles]
        if wrong:
            said = "; ".join(f"`{reps[rep].role}` of {rep}{_meant(str(reps[rep].role), roles)}" for rep in wrong)
            known = ", ".join(roles) or "no role, since `roles` has none"
            raise ValueError(f"roles of `roles` ({known}); unknown: {said}")
        return reps

    def terms(self, role: str | None = None) -> Terms:
        """Terms of a role, those of the plan without one."""
        own = {name: getattr(self, name) for name in Terms.model_fields}
        if role is not None:
            own |= {name: getattr(self.roles[role], name) for name in self.roles[role].model_fields_set}
        return Terms(**own)

    def terms_of(self, rep: str) -> tuple[str, Terms]:
        """Role (empty for none) and terms of a rep."""
        special = self.reps.get(rep, RepTerms())
        terms = self.terms(special.role)
        if special.target_incentive is not None:
            terms = terms.model_copy(update={"target_incentive": special.target_incentive})
        return special.role or "", terms

    def all_terms(self) -> list[Terms]:
        """Terms of the plan and of every role and rep that has its own."""
        return [self.terms(), *(self.terms(role) for role in self.roles), *(self.terms_of(rep)[1] for rep in self.reps)]

    @property
    def tells_apart(self) -> bool:
        """Whether new and existing business are treated differently anywhere."""
        pairs = [pair for terms in self.all_terms() for pair in (terms.credit, terms.commission)]
        return any(pair is not None and (pair.new != pair.existing) for pair in pairs) or any(
            terms.commission is not None for terms in self.all_terms()
        )


def plan_problems(plan: CompensationSettings, reps: Collection[str]) -> list[Problem]:
    """What only the whole plan and the reps of the run can tell: reps that do not exist, caps of nothing, no pay."""
    known = sorted(reps)
    some = ", ".join(known[:8]) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
    found = [
        Problem(f"reps.{rep}", f"the unknown rep {shown(rep)}", some, _meant(rep, known).strip(" ()") or "remove it")
        for rep in plan.reps
        if rep not in reps
    ]
    named = {"": plan.terms()} | {f"roles.{role}.": plan.terms(role) for role in plan.roles}
    for where, terms in named.items():
        payers = [
            t for rep in plan.reps for role, t in (plan.terms_of(rep),) if f"roles.{role}." == where or role == where
        ]
        if terms.cap is not None and not any(t.target_incentive > 0 for t in (terms, *payers)):
            allowed = "a multiple of a target incentive above 0"
            found.append(Problem(f"{where}cap", "a cap without a target incentive", allowed, "add target_incentive"))
    if not any(t.target_incentive > 0 or t.commission is not None or t.draw is not None for t in plan.all_terms()):
        allowed = "target_incentive, commission or draw; docs/compensation.md has an example"
        found.append(Problem("compensation", "a plan that pays nothing", allowed, "give a plan by --file plan.yaml"))
    return found


def _meant(word: str, known: list[str]) -> str:
    suggestion = nearest(word, known)
    return f" (did you mean `{suggestion}`?)" if suggestion else ""
