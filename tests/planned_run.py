"""A finished run in a folder of its own, opened again: what planning questions are asked about in tests."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.config import resolved
from engine.finished import FinishedRun, open_run
from engine.report.folder import make_tables, write_folder
from engine.runs import Manifest, Status, write_manifest
from models.panel import Quotas
from tests.finished import GOOD, finished_result

RUN_ID = "smoke/2026-06-30_0123abcd"


def write_run(
    output: Path, overrides: tuple[str, ...] = (), *, names: str | None = None, converged: bool = True
) -> Path:
    """Write a small run below ``output``; it has a plan and proposed quotas. See `tests.finished.finished_result`."""
    status: Status = "done" if converged else "not_converged"
    result = finished_result(overrides, names, GOOD if converged else replace(GOOD, r_hat=1.2))
    folder = output / RUN_ID
    folder.mkdir(parents=True)
    write_folder(result, make_tables(result), resolved(result.config), folder)
    write_manifest(folder, Manifest(RUN_ID, None, status, "c" * 64, "d" * 64, result.config.seed, {}))
    return folder


def finished_run(output: Path, overrides: tuple[str, ...] = (), *, converged: bool = True) -> FinishedRun:
    """A small run without a page, opened again."""
    write_run(output, ("report.html=false", *overrides), converged=converged)
    return open_run(RUN_ID.split("/")[0], output)


def with_quotas(run: FinishedRun, amounts: dict[str, float]) -> FinishedRun:
    """The run with targets over its planning horizon by rep id; the empty id is the company."""
    horizon, keys = run.config.planning_horizon, list(amounts)
    quotas = Quotas(
        level=np.array(["rep" if key else "company" for key in keys]),
        key=np.array(keys),
        start=np.full(len(keys), np.datetime64(horizon.start, "D")),
        end=np.full(len(keys), np.datetime64(horizon.end, "D")),
        amount=np.array([amounts[key] for key in keys], dtype=float),
    )
    return replace(run, panel=replace(run.panel, quotas=quotas))
