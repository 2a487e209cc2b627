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
    SCORED_LEVELS,
    Forecast,
    Method,
    MethodUnavailableError,
    Question,
    Refinement,
    booked_by_place,
    find_places,
    level_total,
    members_of,
)
from engine.methods.registry import LEGS, REFINEMENTS
from engine.scoring import PROBABILITIES, pinball, probability_integral, quantiles
from engine.seeds import seed_for
from engine.simulation.cells import booked_revenue
from models.panel import NONE, Bools, Floats, Panel, Texts

QUANTILE_COLUMNS = [f"q{round(1000 * p):03d}" for p in PROBABILITIES]

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
    answers : of the methods
    new_members : reps with revenue in the horizon that nobody knew: listed, not scored
    """

    targets: pd.DataFrame
    answers: Answers
    new_members: list[str]


def run_fold(config: RunConfig, tables: Tables, fold: Fold, methods: dict[str, Method]) -> FoldResult:
    """Ask every method, and score what it says."""
    panel = build_panel(cut(tables, np.datetime64(fold.as_of, "D")), config)
    later = build_panel(cut(tables, np.datetime64(fold.end, "D")), config)
    months = np.arange(fold.first_month, fold.first_month + fold.months)
    answers = ask(config, panel, fold, methods)
    frames = [
        targets_of(name, fold, forecast, (panel, later), config.backtest.target)
        for name, forecast in answers.forecasts.items()
    ]
    known = set(panel.reps.labels.ids[_active(panel)])
    keys, values = actuals(later, "rep", months)
    new = [str(key) for key, value in zip(keys, values, strict=True) if value.any() and key not in known]
    return FoldResult(pd.concat(frames, ignore_index=True), answers, new)


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


def actuals(later: Panel, level: str, months: np.ndarray) -> tuple[Texts, Floats]:
    """Ids of a level's members and their revenue [member, month], as booked."""
    places = find_places(later)
    keys, member = members_of(later, places, level)
    return keys, level_total(booked_by_place(later, places, months)[None].astype(np.float32), member, len(keys))[0]


def _active(panel: Panel) -> Bools:
    """[rep] had a deal or an order by the as-of date."""
    reps = np.concatenate([panel.deals.rep, booked_revenue(panel).rep])
    return np.bincount(reps[reps != NONE], minlength=len(panel.reps.labels)) > 0


def targets_of(name: str, fold: Fold, forecast: Forecast, panels: tuple[Panel, Panel], target: str) -> pd.DataFrame:
    """Rows of one method: members that were known and had sold by the as-of date, by level and period."""
    panel, later = panels
    months = np.arange(fold.first_month, fold.first_month + fold.months)
    rng = np.random.default_rng(seed_for(0, f"{name} {fold.as_of}"))
    rows = []
    for level in SCORED_LEVELS:
        keys, member = members_of(panel, forecast.places, level)
        paths = level_total(forecast.total, member, len(keys))
        ids, came = actuals(later, level, months)
        actual = pd.DataFrame(came, index=ids).reindex(keys).fillna(0.0).to_numpy()
        scored = _active(panel) if level == "rep" else np.ones(len(keys), dtype=bool)
        rows.append(_level_rows(level, keys[scored], paths[:, scored], actual[scored], target))
    frame = pd.concat([_frame(*row, rng, months) for row in rows], ignore_index=True)
    frame.insert(0, "method", name)
    frame.insert(1, "as_of", fold.as_of.isoformat())
    frame.insert(2, "weeks_in", fold.weeks_in)
    return frame


def _level_rows(
    level: str, keys: Texts, paths: Floats, actual: Floats, target: str
) -> tuple[str, Texts, Floats, Floats]:
    """Level, keys, paths [path, member, period] and actuals [member, period] of what is scored."""
    if target == "horizon":
        return level, keys, paths.sum(axis=2, keepdims=True), actual.sum(axis=1, keepdims=True)
    return level, keys, paths, actual


def _frame(
    level: str, keys: Texts, paths: Floats, actual: Floats, rng: np.random.Generator, months: np.ndarray
) -> pd.DataFrame:
    """One row a member and period."""
    count, periods = actual.shape
    flat, truth = paths.reshape(len(paths), -1).astype(float), actual.reshape(-1)
    quantile = quantiles(flat)
    names = months[:periods].astype("datetime64[M]").astype(str) if periods > 1 else np.array([""])
    frame = pd.DataFrame({"level": level, "key": np.repeat(keys, periods), "period": np.tile(names, count)})
    return frame.assign(
        actual=truth,
        mean=flat.mean(axis=0),
        pit=probability_integral(truth, flat, rng),
        crps=pinball(truth, quantile),
        **dict(zip(QUANTILE_COLUMNS, quantile.T, strict=True)),
    )


def save_fold(result: FoldResult, folder: Path, fold: Fold) -> None:
    """Write a fold under its as-of date; the frame of targets comes last and says that the fold is whole."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, forecast in result.answers.forecasts.items():
        arrays[f"{name}|total"] = forecast.total.astype(np.float32)
        arrays[f"{name}|rep"], arrays[f"{name}|territory"] = forecast.places.rep, forecast.places.territory
    np.savez(folder / f"paths_{fold.as_of}.npz", allow_pickle=False, **arrays)
    notes = {"seconds": result.answers.seconds, "unavailable": result.answers.unavailable, "new": result.new_members}
    (folder / f"notes_{fold.as_of}.json").write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
    unfinished = folder / f".targets_{fold.as_of}.parquet"
    result.targets.to_parquet(unfinished)
    unfinished.rename(folder / f"targets_{fold.as_of}.parquet")
