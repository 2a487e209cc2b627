"""The story of a what-if: open the run, make the changes, simulate, write a folder of its own, record it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from engine.config import RunConfig, hashable
from engine.errors import InputRefusedError, Problem
from engine.finished import FinishedRun, config_of, open_run
from engine.report.csv_files import write_csv
from engine.runs import Manifest, content_hash, file_hash, find_run, new_run, read_manifest, run_id, write_manifest
from engine.scenarios.answers import Answer, answer_rows, together
from engine.scenarios.applying import apply_all
from engine.scenarios.company import Company, Frame
from engine.scenarios.futures import compare, make_bench
from engine.scenarios.reading import Scenario, read_scenarios
from engine.scenarios.settings import Allocation
from engine.scenarios.terminal import summary
from engine.tracking import RunRecord, StageRecord, flatten, open_command, record

SUFFIX = "-scenario"
"""Scenarios of the run NAME lie under NAME-scenario, so that NAME goes on meaning the forecast."""

OF_THE_RUN = ("name", "as_of", "horizon", "data", "calendar", "models", "simulation", "stages")
"""Sections that a finished run cannot change any more."""

NOT_CONVERGED = 3


@dataclass(frozen=True)
class Request:
    """What the command line asked for."""

    run: str
    files: tuple[Path, ...]
    output: Path
    overrides: tuple[str, ...] = ()
    seed: int | None = None
    threads: int | None = None


def answer(request: Request, say: Callable[[str], None]) -> int:
    """Answer the scenarios; what is said first is the answer, then where it lies.

    Returns
    -------
    exit code: 0, or 3 where the run itself had not converged

    Raises
    ------
    EngineError
        RunNotFoundError for the run, InputRefusedError with every problem of the files.
    """
    started = time.time()
    scenarios, problems = read_scenarios(request.files)
    if problems and not any(scenario.items for scenario in scenarios):
        raise InputRefusedError(problems)
    run = open_run(request.run, request.output)
    config = _changed(request, run)
    base, frame = _base(run, config, request)
    companies = apply_all(base, scenarios, frame, problems)
    hashes = _hashes(run, frame, scenarios)
    name = run_id(f"{run.config.name}{SUFFIX}", run.panel.as_of.item(), *hashes)
    target = request.output / name
    code = NOT_CONVERGED if run.manifest.status == "not_converged" else 0
    if read_manifest(target) is not None:
        say((target / "summary.txt").read_text(encoding="utf-8").rstrip())
        say(f"unchanged: the same run and scenarios gave {target}")
        return code
    answers = _simulated(run, base, companies, scenarios, request.threads)
    text = summary(run, answers)
    say(text)
    with new_run(target) as folder:
        _write(folder, run, answers, scenarios, text)
        status = "not_converged" if code else "done"
        seconds = {item.name: item.seconds for item in answers} | {"all": time.time() - started}
        manifest = Manifest(name, run.manifest.run_id, status, *hashes, run.config.seed, seconds)  # type: ignore[arg-type]
        write_manifest(folder, manifest)
    say(f"Folder       {target}")
    receipt = record(_record(run, manifest, answers, scenarios, target, started), config.tracking, request.output)
    if config.tracking.enabled:
        say(f"MLflow       {open_command(config.tracking, request.output)}")
    if receipt.problem is not None:
        say(f"MLflow waits  {receipt.problem}")
    return code


def _changed(request: Request, run: FinishedRun) -> RunConfig:
    """The run's config with what the command line changes; what the stored paths rest on cannot change any more."""
    if not request.overrides:
        return run.config
    changed = config_of(run.folder, run.config.output, request.overrides)
    differing = [key for key in OF_THE_RUN if getattr(changed, key) != getattr(run.config, key)]
    if differing:
        allowed = "keys that a finished run leaves open, such as allocation.disruption or tracking.enabled"
        mend = "make a new run for it, or say it in a scenario file"
        raise InputRefusedError([Problem("--set", f"a change of `{key}`", allowed, mend) for key in differing])
    return changed


def _base(run: FinishedRun, config: RunConfig, request: Request) -> tuple[Company, Frame]:
    """The company as it is, and what no scenario changes."""
    first = run.config.horizon.first_month
    months = np.arange(first, first + run.config.horizon.months)
    tomorrow = int(
        (run.panel.as_of.astype("datetime64[D]") + np.timedelta64(1, "D")).astype("datetime64[M]").astype(int)
    )
    seed = run.config.seed if request.seed is None else request.seed
    frame = Frame(months, np.arange(tomorrow, months[-1] + 1), seed, config.allocation.disruption, request.output)
    return Company(run.panel, run.draws, run.quotas()), frame


def _hashes(run: FinishedRun, frame: Frame, scenarios: Sequence[Scenario]) -> tuple[str, str]:
    """What the answer depends on: the files' content and settings, and the run with the plans that the files name."""
    asked = [[item.content() for item in scenarios], frame.seed, frame.disruption]
    changes = [item.change for scenario in scenarios for item in scenario.items]
    named = [change.run for change in changes if isinstance(change, Allocation)]
    plans = [file_hash(find_run(text, frame.output) / "allocation.csv") for text in named]
    known = [run.manifest.run_id, run.manifest.config_hash, run.manifest.data_hash, *plans]
    return content_hash([*asked, hashable(run.config)["name"]]), content_hash(known)


def _simulated(
    run: FinishedRun,
    base: Company,
    companies: Sequence[Company],
    scenarios: Sequence[Scenario],
    threads: int | None,
) -> list[Answer]:
    """One answer a scenario."""
    bench, answers = make_bench(run, threads), []
    for scenario, company in zip(scenarios, companies, strict=True):
        began = time.time()
        rows = answer_rows(scenario.name, bench, compare(bench, base, company), base, company)
        answers.append(Answer(scenario.name, scenario.description, rows, time.time() - began))
    return answers


def _write(folder: Path, run: FinishedRun, answers: list[Answer], scenarios: Sequence[Scenario], text: str) -> None:
    from engine.scenarios.page import write_page  # late: the answer has been said before the page is drawn

    write_csv(together(answers), folder / "scenario.csv")
    content = {"run": run.manifest.run_id, "scenarios": [item.content() for item in scenarios]}
    (folder / "scenarios.yaml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")
    (folder / "summary.txt").write_text(text + "\n", encoding="utf-8")
    write_page(run, answers, folder / "scenario.html")


def _record(
    run: FinishedRun,
    manifest: Manifest,
    answers: Sequence[Answer],
    scenarios: Sequence[Scenario],
    folder: Path,
    started: float,
) -> RunRecord:
    """One parent run, one child run a scenario; numbers of the company only."""
    # Names and kinds only: what a file says about single reps stays in the folder.
    kinds = [", ".join(change["change"] for change in item.content()["changes"]) for item in scenarios]
    params: dict[str, Any] = {
        f"scenario_{n}": {"name": item.name, "changes": kind}
        for n, (item, kind) in enumerate(zip(scenarios, kinds, strict=True), 1)
    }
    tags = {
        "run_id": manifest.run_id,
        "parent_run": run.manifest.run_id,
        "as_of": str(run.panel.as_of),
        "status": manifest.status,
        "config_hash": manifest.config_hash,
        "data_hash": manifest.data_hash,
    }
    first = answers[0].company
    return RunRecord(
        name=f"{run.config.name}{SUFFIX}",
        folder=folder,
        started=started,
        seconds=time.time() - started,
        params=flatten(params),
        metrics={"scenarios": float(len(answers)), "mean": first["base_mean"], "p_goal": first["p_attain_before"]},
        tags=tags,
        stages=tuple(StageRecord(item.name, item.seconds, _metrics(item)) for item in answers),
    )


def _metrics(item: Answer) -> dict[str, float]:
    row = item.company
    names = ("mean", "difference_mean", "difference_se", "difference_p10", "difference_p90")
    found = {name: float(row[name]) for name in names}
    return found | {"p_goal_before": float(row["p_attain_before"]), "p_goal_after": float(row["p_attain_after"])}
