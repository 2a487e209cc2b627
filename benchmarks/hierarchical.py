"""Scaled CRPS on hierarchies of series: the engine, simple methods, and statsforecast with hierarchicalforecast.

Reads every NAME_data.csv[.gz] of a folder with NAME_agg_mat.csv[.gz] (and NAME_tags.csv[.gz] where there is one), holds
out the last periods, lets every method forecast them from what came before, and scores 19 quantiles, 0.05 to 0.95.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import EngineError

if TYPE_CHECKING:
    from benchmarks.hierarchical_data import Dataset
    from engine.methods.series import Series, SeriesMethod
    from models.panel import Floats, Ints

PATHS = 1000
"""Sample paths of every method."""

OVERALL = "overall"
"""Name of the mean over levels."""


@dataclass(frozen=True)
class Row:
    """One score.

    Attributes
    ----------
    method, dataset : what was scored on what; the method of this project begins with ``engine``
    level : of the hierarchy, or `OVERALL`
    scrps : sum over series and periods of the mean over quantiles of 2 x pinball, over the sum of absolute actuals;
        None where all actuals of the level are zero
    seconds : of the method on the data set, fit included
    """

    method: str
    dataset: str
    level: str
    scrps: float | None
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print it; gives the exit code."""
    options = _parser().parse_args(arguments)
    try:
        from benchmarks.hierarchical_data import read_folder

        for dataset in read_folder(options.folder, options.horizon, options.season):
            rows = _rows(dataset, options)
            if options.json:
                for row in rows:
                    print(json.dumps(asdict(row)), flush=True)
            else:
                _print_table(dataset, rows)
    except EngineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def scaled_crps(paths: "Floats", actual: "Floats", levels: "Ints") -> "Floats":
    """Scaled CRPS per level, [level]; NaN where all actuals of a level are zero.

    Parameters
    ----------
    paths : [path, series, period]
    actual : [series, period]
    levels : [series] index of the level
    """
    import numpy as np

    grid = np.arange(1, 20) / 20
    quantiles = np.quantile(paths, grid, axis=0)
    gap = actual - quantiles  # [quantile, series, period]
    share = grid[:, None, None]
    loss = 2 * np.maximum(share * gap, (share - 1) * gap).mean(axis=0).sum(axis=1)  # [series]
    size = np.bincount(levels, np.abs(actual).sum(axis=1))
    return np.where(size > 0, np.bincount(levels, loss) / np.where(size > 0, size, 1.0), np.nan)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hierarchical", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with the data sets")
    parser.add_argument("--horizon", type=_positive, default=12, help="periods held out (default: %(default)s)")
    parser.add_argument("--season", type=_positive, default=12, help="periods in a year (default: %(default)s)")
    parser.add_argument("--arima", action="store_true", help="AutoARIMA among the peers too (slow)")
    parser.add_argument("--seed", type=int, default=1, help="of everything random (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {number}")
    return number


def _own_methods() -> "dict[str, SeriesMethod]":
    """The engine first, then the simple ones."""
    from engine.methods import holt_winters, last_year_mean, seasonal_naive, series_combination, shape_level

    return {
        "engine": series_combination.draw,
        "damped Holt-Winters WLS": holt_winters.draw,
        "three-season shape x level WLS": shape_level.draw,
        "seasonal naive": seasonal_naive.draw,
        "last-year mean": last_year_mean.draw,
    }


def _rows(dataset: "Dataset", options: argparse.Namespace) -> Iterator[Row]:
    """Scores of every method on one data set."""
    from engine.methods.ets import StatsforecastMissingError
    from engine.methods.series import at_all_levels

    history = dataset.series.until(dataset.series.periods - options.horizon)
    actual = dataset.series.values[:, history.periods :]

    def scores(method: str, paths: "Floats", seconds: float) -> Iterator[Row]:
        per_level = scaled_crps(paths, actual, dataset.levels)
        known = [float(value) for value in per_level if value == value]
        overall = sum(known) / len(known) if known else None
        names = [*dataset.level_names, OVERALL]
        for level, value in zip(names, [*per_level.tolist(), overall], strict=True):
            shown = None if value is None or value != value else round(value, 6)
            yield Row(method, dataset.name, level, shown, round(seconds, 2))

    for method, draw in _own_methods().items():
        paths, seconds = _timed(draw, history, options)
        yield from scores(method, at_all_levels(paths, history.summing), seconds)
    try:
        yield from _peer_rows(history, options, scores)
    except StatsforecastMissingError as error:
        print(f"peers left out: {error}", file=sys.stderr)


def _timed(draw: "SeriesMethod", history: "Series", options: argparse.Namespace) -> "tuple[Floats, float]":
    """Paths and the seconds they took."""
    start = time.perf_counter()
    paths = draw(history, options.horizon, PATHS, options.seed)
    return paths, time.perf_counter() - start


def _peer_rows(
    history: "Series", options: argparse.Namespace, scores: "Callable[[str, Floats, float], Iterator[Row]]"
) -> Iterator[Row]:
    """Scores of the peers; one that failed is named on standard error."""
    from benchmarks.hierarchical_peers import peers

    for model in ("AutoETS", "AutoARIMA") if options.arima else ("AutoETS",):
        for peer in peers(model, history, options.horizon, PATHS, options.seed):
            if peer.paths is None:
                print(f"{peer.method} failed: {peer.failure}", file=sys.stderr)
            else:
                yield from scores(peer.method, peer.paths, peer.seconds)


def _print_table(dataset: "Dataset", rows: Iterator[Row]) -> None:
    """A line a method, a column a level."""
    names = [*dataset.level_names, OVERALL]
    first = dataset.series.periods
    print(f"\n{dataset.name}: {len(dataset.levels)} series, {first} periods, scaled CRPS on 19 quantiles\n")
    print(f"| method | {' | '.join(names)} | seconds |")
    print(f"|---|{'---|' * (len(names) + 1)}")
    cells: list[str] = []
    for row in rows:
        cells.append("-" if row.scrps is None else f"{row.scrps:.4f}")
        if row.level == OVERALL:
            print(f"| {row.method} | {' | '.join(cells)} | {row.seconds:.1f} |", flush=True)
            cells = []


if __name__ == "__main__":
    sys.exit(main())
