"""What one forecast run knows when its computing is done: the report layer writes it down."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.planning.decision_costs import DecisionCost
from engine.planning.decisions import Decisions
from engine.planning.quotas import QuotaBook
from engine.planning.shares import SpreadReport
from engine.simulation.outcomes import Outcomes
from engine.track_record import TrackRecord
from models.draws import Draws
from models.panel import Floats, Ints, Panel
from optimization.frontier import FrontierPoint
from optimization.plan import Infeasible, TerritoryPlan
from optimization.problem import TerritoryProblem

if TYPE_CHECKING:
    import pandas as pd

    from engine.config import RunConfig
    from engine.data.tables import Tables


@dataclass(frozen=True)
class Allocation:
    """The assignment with what links it back to the panel.

    Attributes
    ----------
    problem : what was asked
    answer : the plan, or why there is none
    reps : [problem rep] index into `Panel.reps`
    accounts : [problem account] index into `Panel.accounts`
    old_rep : [problem account] owner at the as-of date, index into `Panel.reps`, even one who has left; NONE for nobody
    start, end : first and last month of the planning horizon, since 1970-01
    earlier : [account] rep of the plan this one was changed from, index into `Panel.reps`; None for a plan of its own
    decisions, costs : what people decided, and what each decision cost
    frontier : plans from the fewest moves to the fairest; empty where none was asked for
    """

    problem: TerritoryProblem
    answer: TerritoryPlan | Infeasible
    reps: Ints
    accounts: Ints
    old_rep: Ints
    start: int
    end: int
    earlier: Ints | None = None
    decisions: Decisions = ()
    costs: tuple[DecisionCost, ...] = ()
    frontier: tuple[FrontierPoint, ...] = ()


@dataclass(frozen=True)
class RepSkill:
    """How far the model believes that reps differ in winning, beside what the raw rates say.

    Attributes
    ----------
    p_win : [rep] posterior mean chance to win a deal that closes, at average covariates
    p_win_low, p_win_high : [rep] 90 % interval
    raw : [rep] won / (won + lost), NaN without a closed deal
    closed : [rep] number of closed deals
    quarter_end : [D] win probability in the last month of a quarter minus the one in other months
    """

    p_win: Floats
    p_win_low: Floats
    p_win_high: Floats
    raw: Floats
    closed: Ints
    quarter_end: Floats


@dataclass(frozen=True)
class ForecastResult:
    """Everything a run folder is written from.

    Attributes
    ----------
    config : as loaded
    panel, draws, outcomes : data as of the date, posterior, simulation
    quotas : targets over the forecast horizon
    allocation : None when switched off, or when the chains did not converge
    skill : None without a pipeline leg
    issues : data_issues.csv
    track_record : the newest backtest that the run may know
    spread : what rep, territory and luck explain; None where there is too little to split
    earlier : folder of the run that this one is compared with; None for the first
    run_id : name, date and hash of the run
    history : decision log of the runs that the plan goes on from; None for a plan of its own
    tables : as cut at the as-of date, for the numbers of the trade; None where only the panel is known
    inherited : tables of the run folder that speak of the data alone, from a parent with the same; None without one
    """

    config: "RunConfig"
    panel: Panel
    draws: Draws
    outcomes: Outcomes
    quotas: QuotaBook
    allocation: Allocation | None
    skill: RepSkill | None
    issues: "pd.DataFrame"
    track_record: TrackRecord | None = None
    spread: SpreadReport | None = None
    earlier: Path | None = None
    tables: "Tables | None" = None
    run_id: str = ""
    history: "pd.DataFrame | None" = None
    inherited: "dict[str, pd.DataFrame] | None" = None

    @property
    def converged(self) -> bool:
        """Whether the chains passed the gate; a run that did not has no plan and says so everywhere."""
        return self.draws.converged()
