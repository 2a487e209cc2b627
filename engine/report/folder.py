"""Writes everything a run folder holds but its manifest."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml

from engine.archive import PANEL_DIMS, PROBLEM_DIMS, save
from engine.posterior_files import save_draws
from engine.report.cards import write_cards
from engine.report.changes import change_tables
from engine.report.crm_files import write_crm_files
from engine.report.csv_files import write_csv
from engine.report.decision_tables import decision_log, decisions_table
from engine.report.frontier_section import frontier_table
from engine.report.html import write_report
from engine.report.movement import movement_tables
from engine.report.tables import allocation_table, books_table, deals_table, forecast_table, moves_table
from engine.results import Allocation, ForecastResult
from engine.track_record import read_table
from optimization.plan import Infeasible, TerritoryPlan

INHERITED = ("kpis", "kpis_not_available", "data_quality", "suspects", "suspect_effect")
"""Tables that speak of data and forecast, not of a plan: a plan made once more takes them from its parent."""


def make_tables(result: ForecastResult) -> dict[str, pd.DataFrame]:
    """All CSV tables by file name without ending; those of the plan and of the change only where there is one."""
    # Imported late: the numbers of the trade reach planning and the simulation, and a refused config needs neither.
    from engine.kpis.folder import kpi_tables

    tables = {"forecast": forecast_table(result), "deals": deals_table(result), "data_issues": result.issues}
    tables["backtest"] = read_table(result.track_record)
    tables |= kpi_tables(result, tables) if result.inherited is None else result.inherited
    tables |= movement_tables(result, tables)
    if result.allocation is not None and isinstance(result.allocation.answer, TerritoryPlan):
        allocation = allocation_table(result, result.allocation)
        tables |= {
            "allocation": allocation,
            "moves": moves_table(allocation),
            "books": books_table(result, result.allocation),
            "decisions": decisions_table(result.allocation),
            "decision_log": decision_log(result, result.allocation),
            **change_tables(result),
            **frontier_table(result.allocation),
        }
    return tables


def write_folder(
    result: ForecastResult, tables: dict[str, pd.DataFrame], resolved: dict[str, Any], folder: Path
) -> None:
    """Write tables, certificate, arrays and config into an existing folder.

    Parameters
    ----------
    resolved : the config as it reruns to the same hash
    """
    for name, frame in tables.items():
        write_csv(frame, folder / f"{name}.csv")
    (folder / "config.yaml").write_text(yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True), encoding="utf-8")
    if result.allocation is not None:
        _write_answer(result.allocation, folder)
        if result.config.crm.enabled and isinstance(result.allocation.answer, TerritoryPlan):
            write_crm_files(result, result.allocation, folder / "crm")
    _write_draws(result, folder / "draws")
    if result.config.report.html:
        write_report(result, tables, folder / "report.html")
        if result.config.report.cards:
            write_cards(result, tables, folder / "cards")


def _write_answer(allocation: Allocation, folder: Path) -> None:
    answer = allocation.answer
    if isinstance(answer, Infeasible):
        _write_json(
            {"status": answer.status, "conflicts": answer.conflicts, "repairs": answer.repairs},
            folder / "infeasible.json",
        )
        return
    certificate = asdict(answer.certificate)
    saturated = allocation.problem.rep_ids[certificate.pop("saturated")]
    _write_json(certificate | {"saturated": saturated.tolist()}, folder / "certificate.json")


def _write_draws(result: ForecastResult, folder: Path) -> None:
    folder.mkdir()
    save(result.panel, folder / "panel.nc", PANEL_DIMS)
    save_draws(result.draws, folder)
    outcomes = result.outcomes
    save(outcomes.cells, folder / "cells.nc", dict.fromkeys(("account", "rep", "product", "territory"), ("cell",)))
    kept = outcomes.sample[: result.config.simulation.sample_paths]
    sample = xr.DataArray(kept, {"month": outcomes.months}, ("path", "cell", "month"), "revenue")
    sample.to_netcdf(folder / "sample.nc", engine="h5netcdf", encoding={"revenue": {"zlib": True, "complevel": 1}})
    for level, outcome in outcomes.levels.items():
        dims = {"keys": (level,), "names": (level,), "total": ("path", level, "month")}
        save(
            outcome, folder / f"outcomes_{level}.nc", dims | dict.fromkeys(("booked", "open", "new"), (level, "month"))
        )
    if result.allocation is not None:
        save(result.allocation.problem, folder / "territory_problem.nc", PROBLEM_DIMS)


def _write_json(content: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, default=_plain) + "\n", encoding="utf-8")


def _plain(value: object) -> object:
    """Numbers and arrays of NumPy as JSON knows them."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not go into JSON")
