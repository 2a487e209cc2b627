"""The combination in a backtest: at every origin, weights learned on folds whose horizon had ended by then."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from engine.methods.combination import FEWEST_ORIGINS, Combination, Lesson, combine, learn, starting_weights
from engine.methods.panel_series import METHODS as SERIES
from engine.methods.protocol import SCORED_LEVELS, Forecast, Places
from engine.methods.registry import CALL, ENGINE, LEGS, LEGS_AND_CALLS
from engine.track_record import NEXT, WEIGHTS
from experiments.folds import Fold, labelled
from experiments.truth import QUANTILE_COLUMNS, load_truth, score_rows

NOT_COMBINED = (CALL,)
"""One number a rep is no distribution."""

ENOUGH = 0.5
"""Share of the origins learned from at which a method must have answered."""

WEEKS_ALIKE = 3.0
"""Distance in weeks at which an origin counts a third of one at the same week."""


def combine_folds(folds: list[Fold], folder: Path, target: str) -> pd.DataFrame:
    """Targets of the engine at every fold, and the weights by origin and for the time to come in `WEIGHTS`."""
    targets = {fold.as_of: pd.read_parquet(folder / f"targets_{fold.as_of}.parquet") for fold in folds}
    frames, learned = [], {}
    for fold in folds:
        known = [past for past in folds if past.end <= fold.as_of]
        forecasts = load_paths(folder, fold)
        combination = _weights(list(forecasts), [targets[past.as_of] for past in known], fold.weeks_in)
        learned[fold.as_of.isoformat()] = _plain(combination)
        answer = combine({name: forecasts[name] for name in combination.weights}, combination)
        truth = load_truth(folder / f"truth_{fold.as_of}.npz")
        frames.append(labelled(score_rows(ENGINE, answer, truth, target), fold))
    everything = list(targets.values())
    for week in sorted({fold.weeks_in for fold in folds}):
        answered = list(load_paths(folder, [fold for fold in folds if fold.weeks_in == week][-1]))
        learned[f"{NEXT}{week}"] = _plain(_weights(answered, everything, week))
    (folder / WEIGHTS).write_text(json.dumps(learned, indent=1) + "\n", encoding="utf-8")
    return pd.concat(frames, ignore_index=True)


def _plain(combination: Combination) -> dict[str, object]:
    return {
        "weights": {name: round(weight, 6) for name, weight in combination.weights.items()},
        "spread": combination.spread,
        "origins": combination.origins,
    }


def load_paths(folder: Path, fold: Fold) -> dict[str, Forecast]:
    """Every method's paths at a fold, in the order they were asked."""
    with np.load(folder / f"paths_{fold.as_of}.npz") as stored:
        names = [key.removesuffix("|total") for key in stored.files if key.endswith("|total")]
        return {
            name: Forecast(Places(stored[f"{name}|rep"], stored[f"{name}|territory"]), stored[f"{name}|total"])
            for name in names
        }


def _weights(answered: list[str], known: list[pd.DataFrame], weeks_in: int) -> Combination:
    """Learned on what is known by then; on too little, the engine's own with a second opinion.

    The second opinion is that of the reps where they call, and the engine's own has heard it; else that of the series
    methods, which know no deal and no account.
    """
    names = _names(answered, known)
    lessons, origins = _lessons(names, known, weeks_in)
    if lessons and origins >= FEWEST_ORIGINS:
        return learn(names, lessons, origins)
    names = _names(answered, [])
    return starting_weights(names, SERIES if names[0] == LEGS else ())


def _names(answered: list[str], known: list[pd.DataFrame]) -> list[str]:
    """Methods to combine, the engine's own first (with calls where there are any): those that answered often enough."""
    counts = {name: sum(bool((frame["method"] == name).any()) for frame in known) for name in answered}
    usual = [name for name in answered if name not in NOT_COMBINED and counts[name] >= ENOUGH * len(known)]
    own = next((name for name in (LEGS_AND_CALLS, LEGS) if name in usual), None)
    return ([own] if own else []) + [name for name in usual if name not in (LEGS, LEGS_AND_CALLS)]


def _lessons(names: list[str], known: list[pd.DataFrame], weeks_in: int) -> tuple[list[Lesson], float]:
    """Lessons of the origins at which all of the methods answered, and how many origins these are worth.

    Those at other weeks of the horizon count less.
    """
    whole = [frame for frame in known if set(names) <= set(frame["method"])]
    likeness = [float(np.exp(-(((frame["weeks_in"].iloc[0] - weeks_in) / WEEKS_ALIKE) ** 2))) for frame in whole]
    lessons = []
    for frame, weight in zip(whole, likeness, strict=True):
        for level in SCORED_LEVELS:
            rows = frame[frame["level"] == level]
            mine = [rows[rows["method"] == name] for name in names]
            quantiles = np.stack([part[QUANTILE_COLUMNS].to_numpy(dtype=float) for part in mine])
            actual = mine[0]["actual"].to_numpy(dtype=float)
            if np.abs(actual).sum() > 0:
                lessons.append(Lesson(quantiles, actual, weight))
    return lessons, sum(likeness)
