"""Rolling origins: ``python -m experiments.backtest CONFIG [--set key=value]``.

Every as-of date of the config's `backtest` section is replayed with what was known then: the engine and its rivals
forecast the same horizon, and one table says how far each was off. Finished folds are kept: the same command goes on
where an interrupted one stopped.
"""

import argparse
import json
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed

from engine.config import DemoData, RunConfig, hashable, load_config, resolved
from engine.data import as_of_date
from engine.errors import EngineError
from engine.posterior_files import code_digest
from engine.runs import content_hash
from engine.track_record import FOLDER, PITS, TABLE, TrackRecord, company_hash, store
from engine.tracking import RunRecord, StageRecord, flatten, record
from experiments.backtest_table import ALL, backtest_table, readable, reference
from experiments.folds import Fold, lay_out
from experiments.learned_combination import combine_folds
from experiments.replay import replay, tables_of


@dataclass(frozen=True)
class Job:
    """One company to be replayed.

    Attributes
    ----------
    config : of the company
    folds : what to replay
    folder : where folds are kept
    """

    config: RunConfig
    folds: list[Fold]
    folder: Path


def prepare(config: RunConfig) -> Job:
    """Lay out the folds of a company; nothing is fitted yet.

    Raises
    ------
    InputRefusedError
        With every problem of the data.
    """
    tables = tables_of(config)
    folds = lay_out(config, tables, as_of_date(tables, _open_ended(config)))
    values = hashable(config) | {"backtest": config.backtest.model_dump(mode="json")}
    values.pop("allocation")
    key = content_hash([values, tables.digests, code_digest()])[:8]
    return Job(config, folds, config.output / FOLDER / config.name / key)


def _open_ended(config: RunConfig) -> RunConfig:
    """The config with a horizon that no as-of date can be beyond: a backtest looks back, so that is no mistake here."""
    horizon = config.horizon.model_copy(update={"periods": 60, "frequency": "year"})
    return config.model_copy(update={"horizon": horizon})


def run(jobs: list[Job], processes: int) -> pd.DataFrame:
    """Compute the missing folds of all companies side by side; targets of all folds, the combination's included."""
    missing = []
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
        missing += [(job, fold) for fold in job.folds if not (job.folder / f"targets_{fold.as_of}.parquet").is_file()]
    whole = sum(len(job.folds) for job in jobs)
    print(f"{whole} folds, {whole - len(missing)} of them kept from before", file=sys.stderr)
    work = (delayed(replay)(job.config, fold, job.folder) for job, fold in missing)
    for done, (as_of, seconds) in enumerate(Parallel(n_jobs=processes, return_as="generator_unordered")(work), start=1):
        print(f"[{done}/{len(missing)}] {as_of}: {seconds:.1f} s", file=sys.stderr)
    frames = []
    for job in jobs:
        label = str(job.config.data.seed) if isinstance(job.config.data, DemoData) else job.config.name
        targets = [pd.read_parquet(job.folder / f"targets_{fold.as_of}.parquet") for fold in job.folds]
        combined = combine_folds(job.folds, job.folder, job.config.backtest.target)
        frames.append(pd.concat([combined, *targets], ignore_index=True).assign(company=label))
    return pd.concat(frames, ignore_index=True)


def notes_of(job: Job, fold: Fold) -> dict[str, Any]:
    """What a fold noted beside its numbers: ``seconds`` and ``unavailable`` by method, ``new`` reps."""
    notes: dict[str, Any] = json.loads((job.folder / f"notes_{fold.as_of}.json").read_text(encoding="utf-8"))
    return notes


def silences(jobs: list[Job]) -> str:
    """Which methods did not answer, at how many folds and why; which reps were new and are not scored."""
    reasons: Counter[tuple[str, str]] = Counter()
    new: set[str] = set()
    for job in jobs:
        for fold in job.folds:
            notes = notes_of(job, fold)
            reasons.update((name, reason.splitlines()[0]) for name, reason in notes["unavailable"].items())
            new.update(notes["new"])
    lines = [f"silent  {name} at {count} folds: {reason}" for (name, reason), count in reasons.most_common(12)]
    return "\n".join([*lines, *([f"new reps, not scored  {', '.join(sorted(new))}"] if new else [])])


def finish(job: Job, targets: pd.DataFrame, started: float) -> None:
    """Write table and targets of one company, and record them: every origin is a child run."""
    table = backtest_table(targets)
    table.to_csv(job.folder / TABLE, index=False, lineterminator="\n")
    columns = ["method", "level", "as_of", "weeks_in", "period", "actual", "pit"]
    targets[columns].to_csv(job.folder / PITS, index=False, lineterminator="\n")
    known = max(fold.end for fold in job.folds).isoformat()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    store(TrackRecord(str(job.folder), job.config.name, known, company_hash(job.config), code_digest(), now))
    receipt = record(_record(job, table, started), job.config.tracking, job.config.output)
    if receipt.problem:
        print(f"MLflow waits  {receipt.problem}", file=sys.stderr)


def _record(job: Job, table: pd.DataFrame, started: float) -> RunRecord:
    """The backtest as MLflow is told: aggregates of the engine, one stage an origin."""
    mine = table[table["method"] == reference(table)]
    pooled = mine[(mine["as_of"] == ALL) & (mine["weeks_in"] == ALL)]
    names = ("scrps", "wape", "bias", "coverage50", "coverage80", "coverage95")
    metrics = {f"{row['level']}_{name}": float(row[name]) for _, row in pooled.iterrows() for name in names}
    stages = []
    for fold in job.folds:
        seconds = sum(notes_of(job, fold)["seconds"].values())
        rows = mine[mine["as_of"] == fold.as_of.isoformat()]
        values = {f"{row['level']}_{name}": float(row[name]) for _, row in rows.iterrows() for name in names}
        stages.append(StageRecord(fold.as_of.isoformat(), seconds, values))
    return RunRecord(
        name=f"{job.config.name} backtest",
        folder=job.folder,
        started=started,
        seconds=time.time() - started,
        params=flatten(resolved(job.config) | {"backtest": job.config.backtest.model_dump(mode="json")}),
        metrics=metrics,
        tags={"kind": "backtest", "code": code_digest()},
        stages=tuple(stages),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Replay, write and print."""
    options = argparse.ArgumentParser(prog="python -m experiments.backtest", description=__doc__)
    options.add_argument("config", metavar="CONFIG", type=Path, help="YAML file with a `backtest` section")
    options.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change a key; repeatable")
    options.add_argument("--out", metavar="DIR", type=Path, help="parent folder of all runs (config: output)")
    options.add_argument("--seed", metavar="N", type=int, help="root of all random numbers (config: seed)")
    options.add_argument("--processes", metavar="N", type=int, default=2, help="folds computed side by side")
    options.add_argument("--companies", metavar="N", type=int, nargs="+", help="demo companies to pool, by data.seed")
    options.add_argument("--debug", action="store_true", help="show tracebacks")
    arguments = options.parse_args(argv)
    given = {"seed": arguments.seed, "output": arguments.out}
    try:
        config = load_config(arguments.config, arguments.set, {k: v for k, v in given.items() if v is not None})
        started = time.time()
        jobs = [prepare(company) for company in _companies(config, arguments.companies)]
        targets = run(jobs, arguments.processes)
        for job, (_, mine) in zip(jobs, targets.groupby("company", sort=False), strict=True):
            finish(job, mine, started)
        print(readable(backtest_table(targets)))
        print(silences(jobs))
        print("\n".join(f"table  {job.folder / TABLE}" for job in jobs))
    except KeyboardInterrupt:
        print("interrupted: finished folds are kept, the same command goes on", file=sys.stderr)
        return 130
    except EngineError as error:
        print(traceback.format_exc() if arguments.debug else error, file=sys.stderr)
        return error.exit_code
    return 0


def _companies(config: RunConfig, seeds: list[int] | None) -> list[RunConfig]:
    """One config, or one a demo company."""
    if not seeds or not isinstance(config.data, DemoData):
        return [config]
    return [config.model_copy(update={"data": DemoData(seed=seed)}) for seed in seeds]


if __name__ == "__main__":
    sys.exit(main())
