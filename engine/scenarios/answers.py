"""What a scenario changes, per member and period: differences with interval and Monte Carlo error, and chances."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.planning.quotas import NOT_GIVEN
from engine.report.periods import periods
from engine.scenarios.company import Company
from engine.scenarios.futures import Bench, LevelPair, chosen_draws
from engine.simulation.outcomes import LEVELS
from models.panel import Floats, Ints

COLUMNS = [
    "scenario",
    "level",
    "key",
    "key_name",
    "period",
    "as_of",
    "base_mean",
    "base_p10",
    "base_p50",
    "base_p90",
    "mean",
    "p10",
    "p50",
    "p90",
    "difference_mean",
    "difference_se",
    "difference_p10",
    "difference_p90",
    "quota_before",
    "quota_after",
    "p_attain_before",
    "p_attain_after",
]
"""Columns of scenario.csv. Base and scenario are levels, the difference is path by path; quantiles of the difference
are an 80 % interval over futures; ``difference_se`` is the Monte Carlo error of its mean."""


@dataclass(frozen=True)
class Answer:
    """One scenario: name, what it is about, its rows of scenario.csv, and wall seconds."""

    name: str
    description: str
    rows: pd.DataFrame
    seconds: float

    @property
    def company(self) -> pd.Series:
        """The row of the company over the whole horizon."""
        return self.rows[self.rows["level"] == "company"].iloc[-1]


def batches(bench: Bench) -> Ints:
    """[batch + 1] first path of every group of paths that shares one posterior draw."""
    settings = bench.run.config.simulation
    path = np.arange(bench.paths) // settings.paths_per_draw
    draw = chosen_draws(bench.run, settings)[path]
    return np.append(np.flatnonzero(np.append(True, draw[1:] != draw[:-1])), bench.paths)


def standard_error(values: Floats, starts: Ints) -> Floats:
    """Monte Carlo error of means over paths [path, ...], of which those of a batch share a posterior draw.

    The variance of the mean is that of the batches' sums around their size (a ratio estimator): paths of one draw are
    alike, so their number alone would promise too much.
    """
    sizes = np.diff(starts).astype(float)
    sums = np.add.reduceat(values, starts[:-1], axis=0)
    count = len(sizes)
    if count < 2:
        return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(len(values)))
    shape = (-1, *[1] * (values.ndim - 1))
    off = sums - sizes.reshape(shape) * values.mean(axis=0)
    return np.asarray(np.sqrt((off**2).sum(axis=0) * count / (count - 1)) / len(values))


def answer_rows(name: str, bench: Bench, pairs: dict[str, LevelPair], before: Company, after: Company) -> pd.DataFrame:
    """Rows of one scenario."""
    starts = batches(bench)
    frames = [
        _rows(level, pairs[level], period, bench, starts, (before, after))
        for level in LEVELS
        for period in periods(_months(bench), bench.run.panel.fiscal_year_start)
    ]
    frame = pd.concat(frames, ignore_index=True)
    frame.insert(0, "scenario", name)
    frame["as_of"] = str(bench.run.panel.as_of)
    return frame[COLUMNS]


def _months(bench: Bench) -> Ints:
    horizon = bench.run.config.horizon
    return np.arange(horizon.first_month, horizon.first_month + horizon.months)


def _rows(
    level: str,
    pair: LevelPair,
    period: tuple[str, Ints],
    bench: Bench,
    starts: Ints,
    companies: tuple[Company, Company],
) -> pd.DataFrame:
    """All members of a level in one period."""
    label, columns = period
    months = _months(bench)
    first, last = int(months[columns[0]]), int(months[columns[-1]])
    base, changed = (total[:, :, columns].sum(axis=2, dtype=np.float64) for total in (pair.base, pair.changed))
    difference = changed - base
    moved = difference.any(axis=0)
    low, middle, high = np.quantile(base, [0.1, 0.5, 0.9], axis=0)
    after = np.stack([low, middle, high])
    gap = np.zeros((2, len(moved)))
    if moved.any():
        after[:, moved] = np.quantile(changed[:, moved], [0.1, 0.5, 0.9], axis=0)
        gap[:, moved] = np.quantile(difference[:, moved], [0.1, 0.9], axis=0)
    targets = [[company.quotas.target(level, str(key), first, last) for key in pair.keys] for company in companies]
    chances = [
        [
            float((total[:, i] >= amount).mean()) if source != NOT_GIVEN else np.nan
            for i, (amount, source) in enumerate(found)
        ]
        for total, found in zip((base, changed), targets, strict=True)
    ]
    return pd.DataFrame(
        {
            "level": level,
            "key": pair.keys,
            "key_name": pair.names,
            "period": label,
            "base_mean": base.mean(axis=0),
            "base_p10": low,
            "base_p50": middle,
            "base_p90": high,
            "mean": changed.mean(axis=0),
            "p10": after[0],
            "p50": after[1],
            "p90": after[2],
            "difference_mean": difference.mean(axis=0),
            "difference_se": standard_error(difference, starts),
            "difference_p10": gap[0],
            "difference_p90": gap[1],
            "quota_before": [amount for amount, _ in targets[0]],
            "quota_after": [amount for amount, _ in targets[1]],
            "p_attain_before": chances[0],
            "p_attain_after": chances[1],
        }
    )


def together(answers: Sequence[Answer]) -> pd.DataFrame:
    """scenario.csv."""
    return pd.concat([answer.rows for answer in answers], ignore_index=True)
