"""An answer of ``python -m engine.planning`` on its way out: run folder, terminal, MLflow."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel

from engine.config import RunOptions, hashable
from engine.finished import FinishedRun
from engine.planning.questions import Answer, answering
from engine.report.csv_files import write_csv
from engine.runs import Manifest, Status, content_hash, new_run, read_manifest, run_id, write_manifest
from engine.tracking import RunRecord, flatten, open_command, record

ROWS_SHOWN = 60
"""Most rows of a table that the terminal prints; the file has all."""

NOT_CONVERGED = 3
"""Exit code."""

BANNER = "NOT CONVERGED: the chains of the run missed the gate, read every number with suspicion"

SHARES = ("chance", "share", "rate", "attainment")
"""Columns whose name begins or ends with one of these words hold shares of one."""


@dataclass(frozen=True)
class Place:
    """Where an answer goes.

    Attributes
    ----------
    question : word of the command line
    settings : as read
    target : the run folder it becomes
    manifest : without files and seconds
    """

    question: str
    settings: BaseModel
    target: Path
    manifest: Manifest


def keep_answer(run: FinishedRun, question: str, settings: BaseModel, options: RunOptions) -> tuple[str, int]:
    """Answer, write the run folder, record it in MLflow; the same question on the same run is not answered twice.

    Returns
    -------
    what the terminal shows, and the exit code: that of the run asked about, where its chains did not converge
    """
    place, started = _place(run, question, settings), time.time()
    code = NOT_CONVERGED if place.manifest.status == "not_converged" else 0
    if read_manifest(place.target) is not None:
        said = (place.target / "answer.txt").read_text(encoding="utf-8")
        return f"{said}Folder  {place.target} (unchanged)", code
    with new_run(place.target) as folder:
        found = answering(question)(run, settings, options)
        text = answer_text(found if code == 0 else replace(found, lines=(BANNER, *found.lines)))
        for name, table in found.tables.items():
            write_csv(table, folder / f"{name}.csv")
        (folder / "answer.txt").write_text(text, encoding="utf-8")
        asked = {"question": question, "run": run.manifest.run_id, "settings": settings.model_dump(mode="json")}
        (folder / "question.yaml").write_text(yaml.safe_dump(asked, sort_keys=False), encoding="utf-8")
        manifest = _with_seconds(place.manifest, question, time.time() - started)
        write_manifest(folder, manifest)
    problem = _track(run, place, found, started)
    tracked = open_command(run.config.tracking, run.config.output) if problem is None else f"waits: {problem}"
    return f"{text}Folder  {place.target}\nMLflow  {tracked}", code


def answer_text(answer: Answer) -> str:
    """Title, lines, tables and notes as the terminal shows them."""
    parts = [answer.title, *answer.lines]
    for name in answer.shown:
        parts += ["", table_text(answer.tables[name])]
    parts += ["", *(f"Note: {note}" for note in answer.notes)] if answer.notes else [""]
    return "\n".join(parts) + "\n"


def table_text(table: pd.DataFrame) -> str:
    """A table in fixed columns: shares in per cent, money without decimals, small numbers with three digits."""
    head = table.head(ROWS_SHOWN)
    texts = {str(name): [_cell(str(name), value) for value in head[name]] for name in head.columns}
    widths = {name: max([len(name), *(len(text) for text in column)]) for name, column in texts.items()}
    left = {str(name) for name in head.columns if not pd.api.types.is_numeric_dtype(head[name].dtype)}

    def line(cells: dict[str, str]) -> str:
        padded = (t.ljust(widths[n]) if n in left else t.rjust(widths[n]) for n, t in cells.items())
        return "  ".join(padded).rstrip()

    rows = [line({name: column[i] for name, column in texts.items()}) for i in range(len(head))]
    more = [f"... {len(table) - len(head)} more in the file"] if len(table) > len(head) else []
    return "\n".join([line({name: name for name in texts}), *rows, *more])


def _cell(column: str, value: object) -> str:
    """One value."""
    if isinstance(value, float | np.floating):
        if not np.isfinite(value):
            return ""
        words = column.split("_")
        if column.startswith("p_") or words[0] in SHARES or words[-1] in SHARES:
            return f"{value:.1%}"
        return f"{value:,.0f}" if abs(float(value)) >= 1000 else f"{value:.3g}"
    return str(value)


def _place(run: FinishedRun, question: str, settings: BaseModel) -> Place:
    """Name of the answer: the same inputs give the same folder."""
    parent = run.manifest
    asked = [parent.run_id, hashable(run.config), question, settings.model_dump(mode="json")]
    config_hash = content_hash(asked)
    day = run.panel.as_of.astype("datetime64[D]").item()
    name = run_id(f"{run.config.name}-planning-{question}", day, config_hash, parent.data_hash)
    status: Status = "not_converged" if parent.status == "not_converged" else "done"
    manifest = Manifest(name, parent.run_id, status, config_hash, parent.data_hash, run.config.seed, {})
    return Place(question, settings, run.config.output / name, manifest)


def _with_seconds(manifest: Manifest, question: str, seconds: float) -> Manifest:
    return replace(manifest, seconds={question: seconds})


def _track(run: FinishedRun, place: Place, answer: Answer, started: float) -> str | None:
    """One MLflow run with aggregates; what keeps it waiting, None when it has arrived."""
    manifest = place.manifest
    tags = {"run_id": manifest.run_id, "parent_run": str(manifest.parent_run), "as_of": str(run.panel.as_of)}
    tags |= {"question": place.question, "config_hash": manifest.config_hash, "data_hash": manifest.data_hash}
    entry = RunRecord(
        name=manifest.run_id.split("/")[0],
        folder=place.target,
        started=started,
        seconds=time.time() - started,
        params=flatten({"question": place.question, "settings": _plain_settings(place.settings)}),
        metrics=dict(answer.metrics),
        tags=tags,
    )
    return record(entry, run.config.tracking, run.config.output).problem


def _plain_settings(settings: BaseModel) -> dict[str, object]:
    """Settings that are one value: lists and mappings may speak of single reps, and parameters go to any server."""
    values = settings.model_dump(mode="json")
    return {key: value for key, value in values.items() if not isinstance(value, dict | list)}
