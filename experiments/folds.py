"""One fold of a backtest: the company as of a past date, every method's paths, and what came true.

The rule this module keeps: the methods get a panel cut at the as-of date; the panel with the outcomes is built apart.
"""

import json
import time
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.config import RunConfig
from engine.data import build_panel, cut
from engine.data.tables import Tables
from engine.methods.protocol import (
    Forecast,
    Method,
    MethodUnavailableError,
    Question,
    Refinement,
)
from engine.methods.registry import LEGS, REFINEMENTS
from engine.seeds import seed_for
from experiments.truth import Truth, actuals, save_truth, score_rows, truth_of
from models.panel import Panel

MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class Fold:
    """One as-of date.

    Attributes
    ----------
    as_of : the date up to which the methods may look
    first_month, months : horizon, months since 1970-01
    weeks_in : weeks of the horizon that had passed
    """

    as_of: date
    first_month: int
    months: int
    weeks_in: int

    @property
    def end(self) -> date:
        """Last day of the horizon."""
        after = np.datetime64(self.first_month + self.months, "M").astype("datetime64[D]")
        day: date = (after - np.timedelta64(1, "D")).item()
        return day


def lay_out(config: RunConfig, tables: Tables, known: np.datetime64) -> list[Fold]:
    """Folds in order of their as-of dates; every horizon ended by ``known``, the date of the run.

    A fold is left out when less than ``backtest.fewest_months`` of the export came before it.
    """
    asked, months = config.backtest, config.horizon.months
    step = months if asked.step == "horizon" else MONTHS_OF[asked.step]
    after = int((known + np.timedelta64(1, "D")).astype("datetime64[M]").astype(np.int64))
    last = config.horizon.first_month
    last -= -(-max(last + months - after, 0) // step) * step
    last += max(after - (last + months), 0) // step * step
    begun = _first_event(tables) + asked.fewest_months
    folds = []
    for first in (last - step * back for back in range(asked.origins)):
        for week in asked.weeks_in:
            start = np.datetime64(first, "M").astype("datetime64[D]")
            day = start + np.timedelta64(7 * week - 1, "D")
            if (day + np.timedelta64(1, "D")).astype("datetime64[M]").astype(np.int64) >= begun:
                folds.append(Fold(day.item(), first, months, week))
    return sorted(folds, key=lambda fold: fold.as_of)


def _first_event(tables: Tables) -> int:
    """Month of the first closing or booking: what came before it left no outcome."""
    frames = tables.frames
    stamps = (("opportunities", "closed"), ("bookings", "date"))
    first = [frames[name][column].min() for name, column in stamps if name in frames]
    return int(np.datetime64(min(day for day in first if not pd.isna(day)), "M").astype(np.int64))


@dataclass(frozen=True)
class Answers:
    """What the methods said, by name: ``forecasts``, wall ``seconds``, and why one is ``unavailable``."""

    forecasts: dict[str, Forecast]
    seconds: dict[str, float]
    unavailable: dict[str, str]


@dataclass(frozen=True)
class FoldResult:
    """What a fold leaves.

    Attributes
    ----------
    targets : frame, one row a method, level, member and period with actual, quantiles and PIT
    truth : what came
    answers : of the methods
    new_members : reps with revenue in the horizon that nobody knew: listed, not scored
    """

    targets: pd.DataFrame
    truth: Truth
    answers: Answers
    new_members: list[str]


def run_fold(config: RunConfig, tables: Tables, fold: Fold, methods: dict[str, Method]) -> FoldResult:
    """Ask every method, and score what it says."""
    panel = build_panel(cut(tables, np.datetime64(fold.as_of, "D")), config)
    later = build_panel(cut(tables, np.datetime64(fold.end, "D")), config)
    months = np.arange(fold.first_month, fold.first_month + fold.months)
    answers = ask(config, panel, fold, methods)
    truth = truth_of(panel, later, months)
    frames = [score_rows(name, answer, truth, config.backtest.target) for name, answer in answers.forecasts.items()]
    known = set(truth.reps[truth.sold])
    keys, values = actuals(later, "rep", months)
    new = [str(key) for key, value in zip(keys, values, strict=True) if value.any() and key not in known]
    return FoldResult(labelled(pd.concat(frames, ignore_index=True), fold), truth, answers, new)


def ask(config: RunConfig, panel: Panel, fold: Fold, methods: dict[str, Method]) -> Answers:
    """Every method's answer, then what refines one of them."""
    months = np.arange(fold.first_month, fold.first_month + fold.months)
    answers = Answers({}, {}, {})
    waiting = {name: partial(_once, method) for name, method in methods.items()}
    waiting |= {
        name: partial(_refined, step, source) for name, (source, step) in REFINEMENTS.items() if source in methods
    }
    for name, method in waiting.items():
        question = Question(months, config.backtest.paths, seed_for(config.seed, f"{name} {fold.as_of}"))
        start = time.perf_counter()
        try:
            answers.forecasts[name] = method(panel, question, answers.forecasts)
        except MethodUnavailableError as reason:
            answers.unavailable[name] = str(reason)
        except Exception as error:
            if name == LEGS:
                raise
            # A rival that breaks down on odd data is told of; it must not take the night's other folds with it.
            answers.unavailable[name] = f"failed: {type(error).__name__}: {error}"
        answers.seconds[name] = time.perf_counter() - start
    return answers


def _once(method: Method, panel: Panel, question: Question, _: dict[str, Forecast]) -> Forecast:
    return method(panel, question)


def _refined(step: Refinement, source: str, panel: Panel, question: Question, known: dict[str, Forecast]) -> Forecast:
    if source not in known:
        raise MethodUnavailableError(f"needs {source}")
    return step(panel, question, known[source])


def labelled(rows: pd.DataFrame, fold: Fold) -> pd.DataFrame:
    """Rows with the fold they belong to."""
    return rows.assign(as_of=fold.as_of.isoformat(), weeks_in=fold.weeks_in)


def save_fold(result: FoldResult, folder: Path, fold: Fold) -> None:
    """Write a fold under its as-of date; the frame of targets comes last and says that the fold is whole."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, forecast in result.answers.forecasts.items():
        arrays[f"{name}|total"] = forecast.total.astype(np.float32)
        arrays[f"{name}|rep"], arrays[f"{name}|territory"] = forecast.places.rep, forecast.places.territory
    np.savez(folder / f"paths_{fold.as_of}.npz", allow_pickle=False, **arrays)
    save_truth(result.truth, folder / f"truth_{fold.as_of}.npz")
    notes = {"seconds": result.answers.seconds, "unavailable": result.answers.unavailable, "new": result.new_members}
    (folder / f"notes_{fold.as_of}.json").write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
    unfinished = folder / f".targets_{fold.as_of}.parquet"
    result.targets.to_parquet(unfinished)
    unfinished.rename(folder / f"targets_{fold.as_of}.parquet")
