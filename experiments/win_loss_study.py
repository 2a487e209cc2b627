"""The win-loss study: every model on opportunities that it was not fitted to, and the scores of the table.

Log loss and area under the ROC curve are over all held-out predictions together. Calibration error: the predictions
are cut at their deciles; the mean over the bins, weighted by their rows, of |mean predicted - share won|. Cells: the
largest |mean predicted - share won| over the cells with enough rows.
"""

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from engine.seeds import seed_for
from experiments.win_loss_data import Opportunities
from experiments.win_loss_models import METHODS, Columns, Part, rows, tuned

BINS = 10
"""Quantile bins of the calibration error."""


@dataclass(frozen=True)
class Score:
    """One line of the table.

    Attributes
    ----------
    columns : which set of columns
    model : name
    log_loss, auc, calibration_error : as the module says
    ratio_to_boosting : log loss over that of gradient boosting with the same columns
    cells : number of cells with enough rows
    largest_gap : over these cells, as the module says
    seconds : fitting and predicting, all folds; those of tuning the boosted trees stand with gradient boosting
    """

    columns: str
    model: str
    log_loss: float
    auc: float
    calibration_error: float
    ratio_to_boosting: float
    cells: int
    largest_gap: float
    seconds: float


def study(data: Opportunities, suspect: tuple[str, ...], folds: int, seed: int, least_rows: int = 200) -> list[Score]:
    """Every model on every set of columns.

    Parameters
    ----------
    data : opportunities
    suspect : columns that the second set of columns leaves out; none: one set only
    folds : number of folds
    seed : of folds and models
    least_rows : of a cell that is checked
    """
    fold = assigned(data, folds, seed)
    sets: dict[str, Columns] = {"all": data.columns}
    if suspect:
        fewer = {name: column for name, column in data.columns.items() if name not in suspect}
        sets = {f"with {', '.join(suspect)}": data.columns, f"without {', '.join(suspect)}": fewer}
    lines = []
    for name, columns in sets.items():
        chances, seconds = held_out(columns, data.won, fold, seed)
        boosting = log_loss(data.won, chances["gradient boosting"])
        for model, chance in chances.items():
            cells, gap = largest_gap(data, chance, least_rows)
            loss = float(log_loss(data.won, chance))
            auc, error = float(roc_auc_score(data.won, chance)), calibration_error(data.won, chance)
            lines.append(Score(name, model, loss, auc, error, loss / boosting, cells, gap, seconds[model]))
    return lines


def assigned(data: Opportunities, folds: int, seed: int) -> np.ndarray:
    """Fold [row], stratified by the outcome of each block's first row; a block is never split."""
    _, first, block = np.unique(data.block, return_index=True, return_inverse=True)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed_for(seed, "folds") % 2**32)
    fold = np.zeros(len(first), dtype=int)
    for number, (_, held) in enumerate(splits.split(first, data.won[first])):
        fold[held] = number
    return fold[block.ravel()]


def held_out(
    columns: Columns, won: np.ndarray, fold: np.ndarray, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Chances [row] of each model from fits to the other folds, and its seconds."""
    chances = {model: np.zeros(len(won)) for model in METHODS}
    seconds = dict.fromkeys(METHODS, 0.0)
    for number in np.unique(fold):
        train, test = fold != number, fold == number
        began, fold_seed = perf_counter(), seed_for(seed, f"fold {number}")
        seen = rows(columns, train)
        part = Part(seen, won[train], rows(columns, test), tuned(seen, won[train], fold_seed), fold_seed)
        seconds["gradient boosting"] += perf_counter() - began
        for model, method in METHODS.items():
            began = perf_counter()
            chances[model][test] = method(part)
            seconds[model] += perf_counter() - began
    return chances, seconds


def calibration_error(won: np.ndarray, chance: np.ndarray) -> float:
    """Weighted mean over decile bins of |mean predicted - share won|; equal predictions share a bin."""
    edges = np.quantile(chance, np.linspace(0, 1, BINS + 1)[1:-1])
    place = np.searchsorted(edges, chance, side="right")
    return float(np.abs(np.bincount(place, chance - won)).sum() / len(won))


def largest_gap(data: Opportunities, chance: np.ndarray, least_rows: int) -> tuple[int, float]:
    """Number of cells with enough rows, and the largest |mean predicted - share won| among them."""
    size = np.bincount(data.cell)
    gap = np.abs(np.bincount(data.cell, chance - data.won))[size >= least_rows] / size[size >= least_rows]
    return len(gap), float(gap.max()) if len(gap) else float("nan")
