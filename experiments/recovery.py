"""Does the model find what is true? ``python -m experiments.recovery [--seeds 1 2 3]`` on demo companies.

For each company the posterior's 90 % intervals are held against the truth kept beside the tables. Effects are compared
as contrasts (centred over the members with data), since only contrasts are defined.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.config import DemoData, RunConfig
from engine.data import build_panel, cut, load_tables
from engine.demo.company import demo_company
from engine.demo.truth import DemoTruth
from engine.seeds import seed_for
from models.draws import Draws
from models.fit import fit_all
from models.panel import NONE, OPEN, Bools, Floats, Panel, Texts

INTERVAL = (0.05, 0.95)
"""Equal-tailed 90 % interval."""


@dataclass(frozen=True)
class Pair:
    """Draws of some effects beside their truth.

    Attributes
    ----------
    effect : name
    draws : [D, member]
    truth : [member]
    """

    effect: str
    draws: Floats
    truth: Floats


def recover(seed: int, as_of: str = "2026-06-30") -> pd.DataFrame:
    """Fit one demo company and compare.

    Parameters
    ----------
    seed : which company
    as_of : date up to which the models may look

    Returns
    -------
    frame with a row an effect and member: seed, effect, truth, low, high, covered, error (of the posterior mean)
    """
    config = RunConfig.model_validate(
        {
            "name": "recovery",
            "as_of": as_of,
            "horizon": {"start": "2026-07-01"},
            "data": {"source": "demo", "seed": seed},
        }
    )
    panel = build_panel(cut(load_tables(config), np.datetime64(as_of, "D")), config)
    draws = fit_all(panel, config.models, seed_for(config.seed, "models"))
    assert isinstance(config.data, DemoData)
    rows = [_compare(seed, pair) for pair in pairs(panel, draws, demo_company(seed).truth)]
    return pd.concat(rows, ignore_index=True)


def pairs(panel: Panel, draws: Draws, truth: DemoTruth) -> list[Pair]:
    """Rep, territory and shock effects that the pipeline leg learns, with their truth in the panel's order."""
    closing, arrivals = draws.closing, draws.arrivals
    if closing is None or arrivals is None:
        raise ValueError(
            "recovery needs the pipeline leg: the demo has opportunities, so `models.legs` must not exclude it"
        )
    sold = _present(panel.deals.rep[panel.deals.outcome != OPEN], len(panel.reps.labels))
    worked = _present(panel.deals.rep, len(panel.reps.labels))
    reps, territories = panel.reps.labels.ids, panel.territories.ids
    month = np.searchsorted(truth.closing.months, closing.shock_months)
    win_rep = _ordered(truth.closing.rep_ids, truth.closing.win_rep, reps)
    rate_rep = _ordered(truth.arrivals.rep_ids, truth.arrivals.rep, reps)
    everywhere = np.ones(len(territories), dtype=bool)
    return [
        _contrast("win rep", closing.win_rep, win_rep, sold),
        _contrast(
            "win territory",
            closing.win_territory,
            _ordered(truth.closing.territory_ids, truth.closing.win_territory, territories),
            everywhere,
        ),
        _contrast("arrival rep", arrivals.rep, rate_rep, worked),
        _contrast(
            "arrival territory",
            arrivals.territory,
            _ordered(truth.arrivals.territory_ids, truth.arrivals.territory, territories),
            everywhere,
        ),
        _contrast(
            "close shock", closing.shocks[:, :, 0], truth.closing.shocks[month, 0], np.ones(len(month), dtype=bool)
        ),
        _contrast(
            "win shock", closing.shocks[:, :, 1], truth.closing.shocks[month, 1], np.ones(len(month), dtype=bool)
        ),
    ]


def _contrast(effect: str, draws: Floats, truth: Floats, seen: Bools) -> Pair:
    draws, truth = draws[:, seen], truth[seen]
    return Pair(effect, draws - draws.mean(axis=1, keepdims=True), truth - truth.mean())


def _present(index: np.ndarray, count: int) -> Bools:
    return np.bincount(index[index != NONE], minlength=count) > 0


def _ordered(ids: Texts, values: Floats, wanted: Texts) -> Floats:
    """Truth by id in the order of the panel."""
    return np.asarray(pd.Series(values, index=ids).reindex(wanted), dtype=np.float64)


def _compare(seed: int, pair: Pair) -> pd.DataFrame:
    low, high = np.quantile(pair.draws, INTERVAL, axis=0)
    return pd.DataFrame(
        {
            "seed": seed,
            "effect": pair.effect,
            "truth": pair.truth,
            "low": low,
            "high": high,
            "covered": (low <= pair.truth) & (pair.truth <= high),
            "error": pair.draws.mean(axis=0) - pair.truth,
        }
    )


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Coverage, correlation-free error and width by effect, over all seeds together."""
    grouped = rows.assign(width=rows["high"] - rows["low"], square=rows["error"] ** 2).groupby("effect", sort=False)
    table = grouped.agg(
        n=("covered", "size"),
        coverage=("covered", "mean"),
        width=("width", "mean"),
        rmse=("square", "mean"),
        spread=("truth", "std"),
    )
    return table.assign(rmse=np.sqrt(table["rmse"]))


def main() -> int:
    """Fit the companies asked for and print the table."""
    options = argparse.ArgumentParser(prog="python -m experiments.recovery", description=__doc__)
    options.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="demo companies")
    rows = pd.concat([recover(seed) for seed in options.parse_args().seeds], ignore_index=True)
    print(summary(rows).to_string(float_format="{:.3f}".format))
    print(f"all effects  n {len(rows)}  coverage of the 90 % intervals {rows['covered'].mean():.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
