"""What a scenario file may say: one name and a list of changes, each with its kind under the key ``change``.

Only what can be said about one value is checked here; what needs the company (names, dates, scopes) is checked by the
function that makes the change.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.config.horizon import Day

SETTINGS = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

type Share = Annotated[float, Field(ge=0, le=1)]
type Relative = Annotated[float, Field(gt=-1, le=10)]
"""0.1 is ten percent more, -0.1 ten percent less."""
type Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
"""A month as 2026-08."""


class Hire(BaseModel):
    """One more rep, whose skill is drawn from the population of reps and who ramps up from the first day."""

    model_config = SETTINGS

    change: Literal["hire"]
    date: Day
    """First day of employment, YYYY-MM-DD."""
    territory: str
    """Home territory, id or name."""
    fte: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Full-time equivalents."""
    ramp_months: Annotated[float, Field(ge=0, le=60)] | None = None
    """Months of the ramp 1 - exp(-tenure / ramp); empty takes the company's own, 0 is ramped at once."""
    id: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    """Id and name in the tables; empty gives HIRE-1, HIRE-2 and so on."""
    manager: str | None = None
    """Manager, id or name."""
    quota: Annotated[float, Field(ge=0)] | None = None
    """Target over the horizon in money; empty for none."""


class Leave(BaseModel):
    """A rep leaves."""

    model_config = SETTINGS

    change: Literal["leave"]
    rep: str
    """Who leaves, id or name."""
    date: Day
    """Last day of employment, YYYY-MM-DD."""
    book: Literal["to", "spread", "idle"] = "spread"
    """What happens to accounts, open deals and orders: to one rep, spread over the neighbours, or nobody works them."""
    to: str | None = None
    """Who takes the book when it goes to one rep."""
    disruption: Share | None = None
    """Share of revenue that accounts lose when they change rep; empty takes the run's own."""


class PartTime(BaseModel):
    """A rep works another number of hours from the as-of date on: new deals follow, open deals do not."""

    model_config = SETTINGS

    change: Literal["part_time"]
    rep: str
    """Who, id or name."""
    fte: Share
    """Full-time equivalents from now on."""


class Swap(BaseModel):
    """Two reps exchange home territory, accounts, and the open deals and orders of these accounts."""

    model_config = SETTINGS

    change: Literal["swap"]
    reps: Annotated[list[str], Field(min_length=2, max_length=2)]
    """The two reps, ids or names."""
    disruption: Share | None = None
    """Share of revenue that accounts lose when they change rep; empty takes the run's own."""


class WinRate(BaseModel):
    """The chance that a deal that closes is won."""

    model_config = SETTINGS

    change: Literal["win_rate"]
    points: Annotated[float, Field(gt=-100, lt=100)] | None = None
    """Percentage points: 5 turns 30 % into 35 %."""
    relative: Relative | None = None
    """Share of itself: 0.05 turns 30 % into 31.5 %."""
    segment: str | None = None
    """Only this segment."""
    stage: str | None = None
    """Only deals that close from this stage."""
    product: str | None = None
    """Only this product."""
    territory: str | None = None
    """Only this territory."""
    rep: str | None = None
    """Only this rep."""
    start: Month | None = None
    """First month, for the whole company only; empty holds from the as-of date."""
    end: Month | None = None
    """Last month, for the whole company only; empty holds to the end."""


class Cycle(BaseModel):
    """How long deals take to close: the weekly chance to close is divided by 1 + relative."""

    model_config = SETTINGS

    change: Literal["cycle"]
    relative: Relative
    """0.2 makes cycles a fifth longer."""
    segment: str | None = None
    """Only this segment."""
    stage: str | None = None
    """Only while in this stage."""
    product: str | None = None
    """Only this product."""
    rep: str | None = None
    """Only open deals of this rep, and new deals on accounts the rep owns."""
    start: Month | None = None
    """First month, for the whole company only; empty holds from the as-of date."""
    end: Month | None = None
    """Last month, for the whole company only; empty holds to the end."""


class Amount(BaseModel):
    """Size of what is won from the as-of date on; for the whole company orders too."""

    model_config = SETTINGS

    change: Literal["amount"]
    relative: Relative
    """0.1 makes the mean won amount a tenth larger."""
    segment: str | None = None
    """Only deals of this segment."""
    stage: str | None = None
    """Only deals now open in this stage."""
    product: str | None = None
    """Only deals of this product."""
    rep: str | None = None
    """Only deals of this rep."""


class Lose(BaseModel):
    """Open deals are lost at once."""

    model_config = SETTINGS

    change: Literal["lose"]
    deals: Annotated[list[str], Field(min_length=1)]
    """Ids of open deals."""


class Win(BaseModel):
    """Open deals are won for sure."""

    model_config = SETTINGS

    change: Literal["win"]
    deals: Annotated[list[str], Field(min_length=1)]
    """Ids of open deals."""
    date: Day | None = None
    """Day of the win, after the as-of date; empty for the day after it."""
    amount: Annotated[float, Field(ge=0)] | None = None
    """Money for each of the deals; empty for the amount that the CRM shows."""


class Price(BaseModel):
    """Prices change from the as-of date on, for open and new deals and, for the whole company, orders."""

    model_config = SETTINGS

    change: Literal["price"]
    relative: Relative
    """0.05 is five percent dearer."""
    elasticity: Annotated[float, Field(ge=-20, le=20)] = 0.0
    """Relative change of the win rate over relative change of the price: -1.5 loses 1.5 % of wins for each percent."""
    product: str | None = None
    """Only this product."""


class Generation(BaseModel):
    """Number of new deals that reps create."""

    model_config = SETTINGS

    change: Literal["generation"]
    relative: Relative
    """0.2 is a fifth more new deals."""
    territory: str | None = None
    """Only reps at home in this territory."""
    segment: str | None = None
    """Each rep as much more as this segment's part in the rep's new deals says."""
    rep: str | None = None
    """Only this rep."""
    start: Month | None = None
    """First month of creation, for the whole company only; empty holds from the as-of date."""
    end: Month | None = None
    """Last month of creation, for the whole company only; empty holds to the end."""


class Delay(BaseModel):
    """Deals stand still for some weeks: no closing, no change of stage; then they go on as they would have."""

    model_config = SETTINGS

    change: Literal["delay"]
    weeks: Annotated[int, Field(strict=True, ge=1, le=13)]
    """Weeks of a quarter month (four to a month)."""
    deals: list[str] | None = None
    """Only these open deals."""
    rep: str | None = None
    """Only open deals of this rep."""
    segment: str | None = None
    """Only open deals of this segment."""
    stage: str | None = None
    """Only deals now open in this stage."""


class Quota(BaseModel):
    """Another target: no revenue changes, the chance to reach it does."""

    model_config = SETTINGS

    change: Literal["quota"]
    level: Literal["company", "region", "territory", "manager", "rep"]
    """Whose target."""
    key: str | None = None
    """Id or name; empty for the company."""
    amount: Annotated[float, Field(ge=0)] | None = None
    """Target over the horizon, money."""
    relative: Relative | None = None
    """Share of itself: 0.1 is a tenth more."""


class Retention(BaseModel):
    """Known accounts let fewer due orders pass; needs the bookings leg."""

    model_config = SETTINGS

    change: Literal["retention"]
    fewer_missed: Annotated[float, Field(gt=0, lt=1)]
    """Share of the missed due orders that come after all: 0.2 is a fifth fewer missed."""


class Crisis(BaseModel):
    """Win rate, cycle and arrivals of new deals and customers together, for the whole company."""

    model_config = SETTINGS

    change: Literal["crisis"]
    win_rate: Relative = 0.0
    """Relative change of the win rate."""
    cycle: Relative = 0.0
    """Relative change of the length of cycles."""
    arrivals: Relative = 0.0
    """Relative change of the number of new deals and of first orders."""
    start: Month | None = None
    """First month; empty holds from the as-of date."""
    end: Month | None = None
    """Last month; empty holds to the end."""


class Allocation(BaseModel):
    """Accounts go to the reps that a run's plan (its allocation.csv) gives them to."""

    model_config = SETTINGS

    change: Literal["allocation"]
    run: str
    """A RUN as on the command line: path, NAME, NAME@2026-06-30 or NAME~1."""
    disruption: Share | None = None
    """Share of revenue that accounts lose when they change rep; empty takes the run's own."""


type Change = (
    Hire
    | Leave
    | PartTime
    | Swap
    | WinRate
    | Cycle
    | Amount
    | Lose
    | Win
    | Price
    | Generation
    | Delay
    | Quota
    | Retention
    | Crisis
    | Allocation
)

KINDS: dict[str, type[BaseModel]] = {
    "hire": Hire,
    "leave": Leave,
    "part_time": PartTime,
    "swap": Swap,
    "win_rate": WinRate,
    "cycle": Cycle,
    "amount": Amount,
    "lose": Lose,
    "win": Win,
    "price": Price,
    "generation": Generation,
    "delay": Delay,
    "quota": Quota,
    "retention": Retention,
    "crisis": Crisis,
    "allocation": Allocation,
}
"""Kinds of change by the word under ``change``."""


class ScenarioHead(BaseModel):
    """A scenario file without its changes, which are read one by one."""

    model_config = SETTINGS

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,59}$")]
    """Name in tables and MLflow: letters, digits, blanks and . _ + -, at most 60."""
    description: str = ""
    """What people should know about it."""
