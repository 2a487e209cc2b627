"""What a config may say: frozen sections, every key documented by the sentence under it. `loading` is the door."""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from engine.config.backtest import Backtest
from engine.config.data import SECTION, Data, DemoData
from engine.config.horizon import Horizon
from engine.config.permissions import Permissions
from engine.simulation.settings import SimulationSettings
from engine.tracking_settings import TrackingSettings
from models.settings import ModelSettings
from optimization.settings import AllocationSettings, AllocationWeights

MEANING_BY_WORD = {"won": "won", "lost": "lost"}
"""What a stage written as a plain text means when this word is in its name; open otherwise."""


def _as_of(value: object) -> object:
    """Read the as-of date, so that one mistake gives one message and not one for every alternative."""
    if isinstance(value, str) and value != "latest":
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError("Input should be a date written as 2026-06-30, or 'latest'") from None
    if not isinstance(value, str | date):
        raise ValueError("Input should be a date written as 2026-06-30, or 'latest'")
    return value


def _timezone(name: str) -> str:
    """Check the name of a time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("Input should be the name of a time zone, e.g. Europe/Amsterdam or UTC") from None
    return name


def _long_form(value: object) -> object:
    """Give a stage written as a plain text its meaning."""
    if not isinstance(value, str):
        return value
    words = value.casefold().replace("-", " ").replace("_", " ").split()
    meanings = [MEANING_BY_WORD[word] for word in words if word in MEANING_BY_WORD]
    return {"name": value, "meaning": meanings[0] if meanings else "open"}


class Stage(BaseModel):
    """One stage of the sales process."""

    model_config = SECTION

    name: Annotated[str, Field(min_length=1)]
    """Name as it stands in the stage column."""
    meaning: Literal["open", "won", "lost"]
    """What a deal in this stage is."""


class Calendar(BaseModel):
    """The company's calendar."""

    model_config = SECTION

    fiscal_year_start: Annotated[int, Field(strict=True, ge=1, le=12)] = 1
    """Month in which the fiscal year begins, 1 to 12."""
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    """Time zone in which a time stamp becomes a day, e.g. Europe/Amsterdam."""


class Allocation(AllocationSettings):
    """Who should own which account, and over which months that is judged."""

    horizon: Horizon | None = None
    """Months over which chances of quota and potential are judged; the forecast's own horizon when null."""
    weights: AllocationWeights = AllocationWeights(move_cost=0.0, potential=0.5)
    """What unfairness, moves and expected revenue are worth against each other. The revenue that a move disturbs counts
    as revenue given up, so the money at risk from moves has no weight of its own unless it is given one."""
    eligibility: Literal["any", "region", "territory"] = "region"
    """Who may own an account: any active rep, or reps who live or own accounts in its region or territory."""
    disruption: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share of its revenue that an account loses in the first year under another rep, on average (13 to 18 % in Shi et
    al. 2017, doi:10.1509/jm.15.0358)."""
    disruption_concentration: Annotated[float, Field(gt=0, le=1e9)] = 50.0
    """How sure the share is: weight of its Beta prior in accounts observed. 50 puts nine draws in ten between 8 and 24
    %, wider than the study, since it is another company's."""
    experience_effect: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Relative gain in revenue of a rep whose past sales are all to accounts like this one (segment, industry,
    products) over one with none of them. Prior mean: accounts that changed rep correct it."""
    hold_over_stages: tuple[str, ...] = ()
    """Open deals in these stages stay with the old rep when their account changes hands."""
    frontier_points: Annotated[int, Field(ge=0, le=40)] = 0
    """Plans from the fewest moves to the fairest to work out besides the plan, some seconds each; 0 for none."""
    hours_per_fte: Annotated[float, Field(gt=0, le=744)] = 120.0
    """Selling hours a month of a full-time rep, hours."""
    permissions: Permissions = Permissions()
    """Who may own an account beyond its region."""
    effective_date: date | None = None
    """Day from which on the new owners book: the first of a month in the planning horizon. What accounts bring before
    stays with their present owners. Null: the start of the planning horizon."""
    prorate_quotas: bool = False
    """Whether a given quota of a rep who starts or leaves inside the planning horizon counts for the days employed only
    (quotas that are proposed always do)."""


class CrmFiles(BaseModel):
    """Import files that bring a plan into the CRM."""

    model_config = SECTION

    enabled: bool = True
    """Write crm/ beside a plan."""
    territories: Literal["keep", "follow_rep"] = "keep"
    """Whether an account stays in its territory and the new owner joins it, or goes to the owner's territory."""
    territory_associations: Path | None = None
    """CSV with Id, ObjectId and Territory2Id of the CRM's associations, which `follow_rep` has to delete; relative to
    the config file."""


class Report(BaseModel):
    """What is written for people."""

    model_config = SECTION

    html: bool = True
    """Write report.html."""
    workbook: bool = True
    """Write plan.xlsx."""
    language: Literal["en", "nl", "de"] = "en"
    """Language of the page and the book cards, with its number formats: English, Dutch or German."""
    cards: bool = True
    """Write a book card per rep, each on one page and about that rep alone; none where names are absent."""
    names: Literal["full", "pseudonymous", "absent"] = "full"
    """How reps appear on the page: by name, numbered, or not at all. The CSV files keep ids and names: they feed
    operations."""


class RunConfig(BaseModel):
    """Everything one run depends on, apart from the data."""

    model_config = SECTION

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
    """Name of the run and of its folder: letters, digits, dot, underscore and hyphen, up to 64 characters."""
    as_of: Annotated[date | Literal["latest"], BeforeValidator(_as_of)] = "latest"
    """Day (inclusive, YYYY-MM-DD) up to which anything may be known; `latest`: the last day the data speak of."""
    horizon: Horizon
    """Months to forecast; the as-of date may lie inside."""
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = 1
    """Root of all random numbers: a whole number; another seed gives another sample of the same posterior."""
    data: Data = DemoData()
    """Where the tables come from."""
    stages: tuple[Annotated[Stage, BeforeValidator(_long_form, json_schema_input_type=str | Stage)], ...] = ()
    """Stages in order, each {name, meaning} or a plain text (won or lost when its name has that word, open otherwise);
    taken from the data when empty."""
    calendar: Calendar = Calendar()
    """Fiscal year and time zone."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    """Currency of every amount, in three letters (ISO 4217)."""
    models: ModelSettings = ModelSettings()
    """Priors, sampler, and which legs run."""
    simulation: SimulationSettings = SimulationSettings()
    """Simulated futures."""
    allocation: Allocation = Allocation()
    """Territory assignment."""
    decisions: Path | None = None
    """File of what people decided about earlier plans; relative to the config file."""
    accepted_plan: Path | None = None
    """Table of a plan that is in force (allocation.csv, plan.xlsx or decisions.csv of a run): the forecast speaks of
    its owners; relative to the config file."""
    backtest: Backtest = Backtest()
    """Past dates to replay with `python -m experiments.backtest`; the main job only reads what it stored."""
    tracking: TrackingSettings = TrackingSettings()
    """Record in MLflow."""
    crm: CrmFiles = CrmFiles()
    """Import files of a plan."""
    report: Report = Report()
    """The page, and the names on it."""
    output: Path = Path("runs")
    """Parent folder of all runs; relative to the working directory."""

    @property
    def planning_horizon(self) -> Horizon:
        """Months over which an allocation is judged."""
        return self.allocation.horizon or self.horizon
