"""The story of a run: data, models, simulation, assignment, folder, record.

One set of posterior draws runs through all of it; nothing is collapsed to a mean on the way. Whatever is random takes
its seed from `engine.seeds.seed_for`, so a stage never disturbs another.
"""

import shutil
import time
from collections.abc import Hashable, Mapping, Sized
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.config import RunConfig, RunOptions, hashable, resolved
from engine.data import as_of_date, build_panel, cut, issues_frame, load_tables
from engine.data.suspects import find_suspects, suspect_issues
from engine.deals.previous import EarlierRun, earlier_run
from engine.planning.accepted_plan import accepted_owners, in_force
from engine.planning.decision_files import read_decisions
from engine.planning.decisions import Decisions, check_decisions
from engine.planning.hold_over import check_hold_over
from engine.planning.permissions import check_permissions
from engine.posterior_files import models_digest, resume_or_fit
from engine.progress import StageClock
from engine.report.folder import make_tables, write_folder
from engine.report.terminal import Surroundings, company_row, summary_text
from engine.report.workbook import Passport, write_workbook
from engine.results import ForecastResult
from engine.runs import (
    Manifest,
    Status,
    content_hash,
    file_hash,
    new_run,
    read_manifest,
    run_id,
    write_manifest,
)
from engine.seeds import seed_for
from engine.track_record import TrackRecord, company_hash, digest, newest
from engine.tracking import RunRecord, StageRecord, TrackingReceipt, flatten, flush, open_command, record
from models.draws import Draws
from models.panel import Ints, Panel
from models.settings import ModelSettings
from optimization.plan import Infeasible, TerritoryPlan

if TYPE_CHECKING:
    import pandas as pd

    from engine.data.tables import Tables

STAGES = 5
"""Stages that a run shows: data, models, simulation, assignment, report."""

EXIT_CODES = {"done": 0, "not_converged": 3, "infeasible": 4}
"""Exit code by how a complete run ended."""


@dataclass(frozen=True)
class RunSummary:
    """What the command prints and answers."""

    text: str
    exit_code: int


@dataclass(frozen=True)
class Known:
    """Data as of the date, and the hashes that name the run."""

    panel: Panel
    issues: "pd.DataFrame"
    decisions: Decisions
    as_of: date
    config_hash: str
    data_hash: str
    run_id: str
    track_record: TrackRecord | None
    earlier: EarlierRun | None = None
    tables: "Tables | None" = None
    owners: Ints | None = None


def check(config: RunConfig) -> str:
    """Read config and data as a run would, and say what was found; nothing is written.

    Raises
    ------
    InputRefusedError
        With every problem of the data.
    """
    known = read(config)
    panel, issues = known.panel, known.issues
    sizes: dict[str, Sized] = {
        "reps": panel.reps.labels,
        "accounts": panel.accounts.labels,
        "deals": panel.deals,
        "orders": panel.orders,
    }
    counts = ", ".join(f"{len(part)} {name}" for name, part in sizes.items())
    listed = [_finding(row, config.currency) for row in issues.to_dict("records")]
    return "\n".join([f"{config.name}: config and data can be used, as of {known.as_of}: {counts}", *listed])


def _finding(issue: Mapping[Hashable, Any], currency: str) -> str:
    """One line of a data issue: where, what, whose, how much is at stake, what was done."""
    stake = issue["value_at_stake"]
    worth = "" if stake != stake or not stake else f", {stake:,.0f} {currency} at stake"  # noqa: PLR0124 - NaN
    where = f"{issue['table']}: {issue['rule']} ({issue['owner']}{worth})"
    return f"  {issue['severity']} {where}: {issue['action']}"


@dataclass(frozen=True)
class Origin:
    """What a run goes on from.

    Attributes
    ----------
    kept : where a posterior that is fitted waits until the run is complete
    parent : run_id of the finished run that it goes on from; None for a run of its own
    posterior : of the parent
    plan : [account] rep of the parent's plan, index into the panel's reps, to be changed as little as possible
    history : decision log of the parent
    inherited : tables of the parent that speak of its data alone
    """

    kept: Path
    parent: str | None = None
    posterior: Draws | None = None
    plan: Ints | None = None
    history: "pd.DataFrame | None" = None
    inherited: "dict[str, pd.DataFrame] | None" = None


def run(config: RunConfig, options: RunOptions) -> RunSummary:
    """Forecast, plan, write the run folder and record it; a run with the same inputs is not repeated."""
    clock, started = StageClock(STAGES), time.time()
    with clock.stage("data", "reading and auditing the data"):
        known = read(config)
    kept = config.output / ".resume" / f"{known.run_id.replace('/', '_')}_{models_digest()}"
    summary = complete(config, options, known, Origin(kept), (clock, started))
    shutil.rmtree(kept, ignore_errors=True)
    return summary


def complete(
    config: RunConfig, options: RunOptions, known: Known, origin: Origin, timing: tuple[StageClock, float]
) -> RunSummary:
    """Compute, write and record a run whose data are known; one that is there already is pointed to."""
    clock, started = timing
    target = config.output / known.run_id
    done = read_manifest(target)
    if done is not None:
        flush(config.tracking, config.output)
        return RunSummary(
            f"unchanged: the same config and data gave {target} (status {done.status})", EXIT_CODES[done.status]
        )
    with new_run(target) as folder:
        result = compute(config, options, known, clock, origin)
        with clock.stage("report", "writing tables, report and arrays"):
            tables = make_tables(result)
            write_folder(result, tables, resolved(config), folder)
            if config.report.workbook:
                write_workbook(tables, passport(config, known, origin), folder / "plan.xlsx")
        manifest = Manifest(
            known.run_id,
            origin.parent,
            status_of(result),
            known.config_hash,
            known.data_hash,
            config.seed,
            clock.seconds,
        )
        write_manifest(folder, manifest)
    receipt = track(config, result, tables, manifest, started)
    around = Surroundings(target, result.earlier, open_command(config.tracking, config.output))
    text = summary_text(result, tables, around)
    return RunSummary(
        text if receipt.problem is None else f"{text}\nMLflow waits  {receipt.problem}", EXIT_CODES[manifest.status]
    )


def passport(config: RunConfig, known: Known, origin: Origin) -> Passport:
    """Where the numbers of a run come from."""
    return Passport(
        run_id=known.run_id,
        parent_run=origin.parent or "",
        config_hash=known.config_hash,
        data_hash=known.data_hash,
        as_of=str(known.as_of),
        currency=config.currency,
        seed=config.seed,
        names=config.report.names,
    )


def read(config: RunConfig) -> Known:
    """Tables to a panel as of the date, with the run's name and hashes."""
    tables = load_tables(config)
    as_of = as_of_date(tables, config)
    now = cut(tables, as_of)
    day = as_of.item()
    decisions = read_decisions(config.decisions)
    config_hash = content_hash(hashable(config))
    track = newest(config.output, config.name, company_hash(config), day)
    given = given_files(config)
    earlier = earlier_run(config.output, config.name, day, config.horizon)
    learned = [digest(track)] if track else []
    before = [{"before": earlier.digest}] if earlier else []
    data_hash = content_hash([tables.digests, given, *learned, *before])
    name = run_id(config.name, day, config_hash, data_hash)
    panel = build_panel(now, config)
    check_decisions(decisions, panel)
    check_hold_over(panel, config.allocation.hold_over_stages)
    check_permissions(panel, config.allocation)
    owners = None if config.accepted_plan is None else accepted_owners(config.accepted_plan, panel)
    issues = issues_frame((*now.issues, *suspect_issues(find_suspects(now))))
    return Known(panel, issues, decisions, day, config_hash, data_hash, name, track, earlier, now, owners)


def given_files(config: RunConfig) -> dict[str, str]:
    """Hash of every file, besides the data, that a run reads: their contents count, not where they lie."""
    files = {
        "decisions": config.decisions,
        "accepted_plan": config.accepted_plan,
        "territory_associations": config.crm.territory_associations,
    }
    return {name: file_hash(path) for name, path in files.items() if path is not None}


def compute(config: RunConfig, options: RunOptions, known: Known, clock: StageClock, origin: Origin) -> ForecastResult:
    """Fit (or take the posterior that is there), simulate and assign."""
    # Imported late: PyMC, Numba and the solver take seconds, and a refused config or an unchanged run needs none.
    from engine.methods.combined_outcomes import in_the_light_of
    from engine.planning.allocate import plan_territories
    from engine.planning.quotas import propose
    from engine.planning.shares import spread_report
    from engine.planning.skill import rep_skill
    from engine.planning.verification import simulate_run
    from models.fit import fit_all

    panel = known.panel
    with clock.stage("models", "fitting the models" if origin.parent is None else "taking the posterior of the parent"):
        draws = origin.posterior or resume_or_fit(
            origin.kept, lambda: fit_all(panel, model_settings(config, options), seed_for(config.seed, "models"))
        )
    if known.owners is not None:
        panel, draws = in_force(panel, draws, known.owners, config.allocation.hold_over_stages)
    planned = config.allocation.enabled and draws.converged()
    with clock.stage("simulation", "simulating the pipeline and the accounts"):
        outcomes, fresh = simulate_run(_sampling(config, known), panel, draws, options.threads, verify=planned)
        if known.track_record is not None:
            outcomes = in_the_light_of(known.track_record, config, panel, outcomes)
    horizon = config.planning_horizon
    last = horizon.first_month + horizon.months - 1
    quotas = propose(panel, outcomes.levels["company"], horizon.first_month, last)
    allocation = None
    with clock.stage("assignment", "assigning accounts to reps"):
        if outcomes.planning is not None and fresh is not None:
            allocation = plan_territories(
                config, panel, (outcomes.planning, fresh), quotas, known.decisions, origin.plan
            )
    skill = rep_skill(panel, draws)
    spread = spread_report(panel, seed_for(config.seed, "shares"))
    before = None if known.earlier is None else known.earlier.folder
    return ForecastResult(
        config=config,
        panel=panel,
        draws=draws,
        outcomes=outcomes,
        quotas=quotas,
        allocation=allocation,
        skill=skill,
        issues=known.issues,
        track_record=known.track_record,
        spread=spread,
        earlier=before,
        tables=known.tables,
        run_id=known.run_id,
        history=origin.history,
        inherited=origin.inherited,
    )


def _sampling(config: RunConfig, known: Known) -> RunConfig:
    """The config with enough paths of single cells for the combination, where there is one."""
    from engine.methods.combined_outcomes import MOST_PATHS

    if known.track_record is None:
        return config
    paths = max(MOST_PATHS, config.simulation.sample_paths)
    return config.model_copy(update={"simulation": config.simulation.model_copy(update={"sample_paths": paths})})


def model_settings(config: RunConfig, options: RunOptions) -> ModelSettings:
    """Model settings with the number of processes that the command line allows."""
    if options.threads is None:
        return config.models
    sampler = config.models.sampler.model_copy(update={"cores": options.threads})
    return config.models.model_copy(update={"sampler": sampler})


def status_of(result: ForecastResult) -> Status:
    """How the run ended."""
    if not result.converged:
        return "not_converged"
    infeasible = result.allocation is not None and isinstance(result.allocation.answer, Infeasible)
    return "infeasible" if infeasible else "done"


def track(
    config: RunConfig, result: ForecastResult, tables: Mapping[str, "pd.DataFrame"], manifest: Manifest, started: float
) -> TrackingReceipt:
    """Record the finished run in MLflow: aggregates as metrics, stages as child runs, the folder as artifacts."""
    run_record = RunRecord(
        name=config.name,
        folder=config.output / manifest.run_id,
        started=started,
        seconds=time.time() - started,
        params=flatten(resolved(config)),
        metrics=metrics_of(result, tables),
        tags={
            "run_id": manifest.run_id,
            "as_of": str(result.panel.as_of),
            "status": manifest.status,
            "config_hash": manifest.config_hash,
            "data_hash": manifest.data_hash,
            **({"parent_run": manifest.parent_run} if manifest.parent_run else {}),
        },
        stages=(
            *(StageRecord(name, seconds, {}) for name, seconds in manifest.seconds.items()),
            *frontier_records(result),
        ),
    )
    return record(run_record, config.tracking, config.output)


def frontier_records(result: ForecastResult) -> tuple[StageRecord, ...]:
    """One child run a plan of the frontier."""
    points = () if result.allocation is None else result.allocation.frontier
    names = ("spread", "p_attain_min", "moves", "move_cost", "potential")
    return tuple(
        StageRecord(f"frontier {number}", 0.0, {name: float(getattr(point, name)) for name in names})
        for number, point in enumerate(points, 1)
    )


def metrics_of(result: ForecastResult, tables: Mapping[str, "pd.DataFrame"]) -> dict[str, float]:
    """Aggregates of a run, none about a single rep."""
    row = company_row(tables["forecast"])
    metrics = {name: float(row[name]) for name in ("mean", "p10", "p50", "p90", "booked", "open", "new")}
    metrics |= {"p_goal": float(row["p_attain"]), "goal": float(row["quota"])}
    metrics |= {"data_issues": float(len(result.issues))}
    for item in result.draws.diagnostics:
        metrics |= {f"{item.model}_r_hat": item.r_hat, f"{item.model}_ess": item.ess}
        metrics |= {f"{item.model}_divergences": float(item.divergences)}
    if result.allocation is not None and isinstance(result.allocation.answer, TerritoryPlan):
        plan = result.allocation.answer
        metrics |= {
            "p_attain_spread": plan.certificate.p_attain_spread,
            "p_attain_min": plan.certificate.p_attain_min,
            "gap": plan.certificate.gap,
            "moves": float(len(tables["moves"])),
            "move_cost": float(plan.move_cost.sum()),
        }
    return metrics
