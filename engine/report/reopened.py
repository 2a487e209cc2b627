"""A finished run as a result again, for a page in another language, without names, or with answers found since."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from engine.archive import load
from engine.errors import RunNotFoundError
from engine.finished import DRAWS, FinishedRun
from engine.planning.shares import spread_report
from engine.planning.skill import rep_skill
from engine.report.csv_files import FORMULA_STARTS
from engine.results import Allocation, ForecastResult
from engine.seeds import seed_for
from engine.simulation.outcomes import LEVELS, Cells, DealOutcomes, Outcomes
from engine.track_record import TrackRecord, company_hash, newest
from models.panel import NONE, Ints, Texts
from optimization.plan import Certificate, Infeasible, TerritoryPlan
from optimization.problem import TerritoryProblem

TEXTS = {
    *("account", "rep", "owner", "territory", "key", "level", "period", "row", "table", "rule", "severity", "action"),
    *("opportunity_id", "name", "stage", "status", "forecast_category", "created", "expected_close", "drivers"),
    *("reason", "decision", "method", "as_of", "weeks_in", "accuracy_formula", "step", "measure", "what", "old_rep"),
    *("new_rep", "earlier_rep", "quota_source", "start", "id", "manager", "kpi", "formula", "why"),
}
"""Columns of the CSV files that hold texts whatever they look like; so do those that end in ``_name``."""


WRITTEN = ("forecast", "deals", "data_issues", "backtest")
"""Tables that every run folder of this version has."""


@dataclass(frozen=True)
class Reopened:
    """A result as the page needs it, and its tables; ``result.outcomes`` lacks the sample of paths."""

    result: ForecastResult
    tables: dict[str, pd.DataFrame]


def reopen(run: FinishedRun) -> Reopened:
    """Read what the page is made from.

    Parameters
    ----------
    run : opened with the ``report`` settings that the page should follow

    Raises
    ------
    RunNotFoundError
        When its tables are those of an older version.
    """
    old = [name for name in WRITTEN if not (run.folder / f"{name}.csv").is_file()]
    if not old:
        deals = pd.read_csv(run.folder / "deals.csv", nrows=0).columns
        old = [] if {"share_of_rep_variance", "drivers"} <= set(deals) else ["deals"]
    if old:
        raise RunNotFoundError(f"{run.folder} is of an older version ({', '.join(old)}.csv): run its config once more")
    tables = {path.stem: read_table(path) for path in sorted(run.folder.glob("*.csv"))} | answers(run)
    outcomes, config = _outcomes(run, tables), run.config
    spread = spread_report(run.panel, seed_for(config.seed, "shares"))
    record = _record(run) if len(tables["backtest"]) else None
    earlier = _earlier(tables, run)
    result = ForecastResult(
        config,
        run.panel,
        run.draws,
        outcomes,
        run.quotas(),
        _allocation(run, tables),
        rep_skill(run.panel, run.draws),
        tables["data_issues"],
        record,
        spread,
        earlier,
    )
    return Reopened(result, tables)


def read_table(path: Path) -> pd.DataFrame:
    """A CSV table of a run folder as it was before it was written: texts as texts, formulas without apostrophe."""
    names = pd.read_csv(path, nrows=0).columns
    texts = {name: str for name in names if name in TEXTS or name.endswith("_name")}
    frame = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])
    for name in texts:
        frame[name] = frame[name].fillna("").map(_as_it_was)
    return frame


def _as_it_was(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text


def answers(run: FinishedRun) -> dict[str, pd.DataFrame]:
    """Tables of planning questions that were asked about exactly this run: ``capacity`` so far."""
    found: dict[str, pd.DataFrame] = {}
    pattern = f"{run.config.name}-planning-capacity/*/question.yaml"
    for path in sorted(run.folder.parent.parent.glob(pattern)):
        asked = yaml.safe_load(path.read_text(encoding="utf-8"))
        table = path.parent / "capacity.csv"
        if isinstance(asked, dict) and asked.get("run") == run.manifest.run_id and table.is_file():
            found["capacity"] = read_table(table)
    return found


def _outcomes(run: FinishedRun, tables: dict[str, pd.DataFrame]) -> Outcomes:
    levels = {name: run.level(name) for name in LEVELS}
    company = levels["company"].total
    horizon = run.config.horizon
    months = np.arange(horizon.first_month, horizon.first_month + company.shape[2])
    deals = _deals(run, tables["deals"])
    cells = load(Cells, run.folder / DRAWS / "cells.nc")
    return Outcomes(months, cells, levels, deals, None, np.zeros((0, 0, 0), dtype=np.float32), len(company))


def _deals(run: FinishedRun, table: pd.DataFrame) -> DealOutcomes:
    names = ("p_win", "p_win_in_period", "p_slip", "expected_revenue", "share_of_variance", "share_of_rep_variance")
    columns = {name: table[name].to_numpy(dtype=float) for name in names}
    return DealOutcomes(_found(_positions(run.panel.deals.ids), table["opportunity_id"]), **columns)


def _record(run: FinishedRun) -> TrackRecord | None:
    day = run.panel.as_of.astype("datetime64[D]").item()
    return newest(run.folder.parent.parent, run.config.name, company_hash(run.config), day)


def _earlier(tables: dict[str, pd.DataFrame], run: FinishedRun) -> Path | None:
    """Folder of the run that this one was compared with, by the name in its waterfall."""
    if "waterfall" not in tables:
        return None
    steps = tables["waterfall"]
    first = steps.loc[(steps["measure"] == "mean") & (steps["step"] == "start"), "what"].iloc[0]
    return run.folder.parent / str(first).rsplit(" ", 1)[-1]


def _allocation(run: FinishedRun, tables: dict[str, pd.DataFrame]) -> Allocation | None:
    stored = run.folder / DRAWS / "territory_problem.nc"
    if not stored.is_file():
        return None
    problem, span = load(TerritoryProblem, stored), run.config.planning_horizon
    reps, accounts = run.panel.reps.labels.ids, run.panel.accounts.labels.ids
    known_reps, known_accounts = _positions(reps), _positions(accounts)
    owners = _found(known_reps, problem.rep_ids)
    where = _found(known_accounts, problem.account_ids)
    no_plan = run.folder / "infeasible.json"
    if no_plan.is_file():
        said = json.loads(no_plan.read_text(encoding="utf-8"))
        answer: TerritoryPlan | Infeasible = Infeasible(
            tuple(tuple(names) for names in said["conflicts"]), tuple(said["repairs"]), said["status"]
        )
        old = run.panel.accounts.owner[where]
    else:
        answer = _plan(run, tables, problem)
        old = _found(known_reps, tables["allocation"]["old_rep"])
    last = span.first_month + span.months - 1
    return Allocation(problem, answer, owners, where, old, span.first_month, last)


def _plan(run: FinishedRun, tables: dict[str, pd.DataFrame], problem: TerritoryProblem) -> TerritoryPlan:
    table, books = tables["allocation"], tables["books"]
    rep = _found(_positions(problem.rep_ids), table["new_rep"])
    said = json.loads((run.folder / "certificate.json").read_text(encoding="utf-8"))
    said["saturated"] = np.isin(problem.rep_ids, said["saturated"])
    listed = {key: tuple(said.get(key, ())) for key in ("levels", "violations")}
    known = {field.name for field in fields(Certificate)}
    certificate = Certificate(**({key: said[key] for key in said if key in known} | listed))
    return TerritoryPlan(
        rep,
        books["p_attain_before"].to_numpy(dtype=float),
        books["p_attain"].to_numpy(dtype=float),
        tuple(table["reason"]),
        table["move_cost"].to_numpy(dtype=float),
        table["confidence"].to_numpy(dtype=float),
        certificate,
    )


def _positions(ids: Texts) -> dict[str, int]:
    """Position of every id."""
    return {str(key): i for i, key in enumerate(ids)}


def _found(positions: dict[str, int], ids: Iterable[object]) -> Ints:
    """Positions of ids, NONE for those that are not there."""
    return np.array([positions.get(str(key), NONE) for key in ids], dtype=np.int64)
