"""What came true: ``python -m experiments.actuals RUN`` sets a finished run beside what its data say happened since.

The data of the run's own config are read once more as of their last day. Works on any run whose export, or whose
newer export in the same place, reaches beyond the run's horizon.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from engine.config import RunConfig, load_config
from engine.data import build_panel, cut, load_tables
from engine.runs import find_run
from engine.simulation.cells import booked_revenue
from models.panel import NONE, Floats, Ints, Panel, Texts

TEXTS = {"level": str, "key": str, "key_name": str, "period": str}


def compare(folder: Path) -> pd.DataFrame:
    """Set the whole horizon of a run beside the actual revenue.

    Parameters
    ----------
    folder : a finished run

    Returns
    -------
    frame with level, key, key_name, p10, p50, p90, actual and inside (the 80 % interval), members with either only
    """
    forecast = pd.read_csv(folder / "forecast.csv", dtype=TEXTS, keep_default_na=False, na_values={"quota": [""]})
    period = forecast[forecast["level"] == "company"].iloc[-1]["period"]
    whole = forecast[forecast["period"] == period]
    config = later(folder)
    tables = load_tables(config)
    panel = build_panel(cut(tables, tables.known_until), config)
    first = config.horizon.first_month
    actual = pd.concat(
        [actuals(panel, level, first, config.horizon.months) for level in ("company", "territory", "rep")]
    )
    table = whole.merge(actual, how="inner", on=["level", "key"]).fillna({"actual": 0.0})
    table["inside"] = (table["p10"] <= table["actual"]) & (table["actual"] <= table["p90"])
    return table[["level", "key", "key_name", "p10", "p50", "p90", "actual", "inside"]]


def later(folder: Path) -> RunConfig:
    """Config of a run, as of the last day its data speak of."""
    values = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "config.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return load_config(path, ["as_of=latest"])


def actuals(panel: Panel, level: str, first: int, months: int) -> pd.DataFrame:
    """Booked revenue of every member of a level over the horizon: level, key, actual; zero for members without any."""
    revenue = booked_revenue(panel)
    inside = (revenue.month >= first) & (revenue.month < first + months)
    keys, index = {
        "company": (np.array([""]), np.zeros(len(revenue.amount), dtype=np.int64)),
        "territory": (panel.territories.ids, panel.cell_territory(revenue.account, revenue.rep)),
        "rep": (panel.reps.labels.ids, revenue.rep),
    }[level]
    return pd.DataFrame({"level": level, "key": keys, "actual": _sums(index[inside], revenue.amount[inside], keys)})


def _sums(index: Ints, amount: Floats, keys: Texts) -> Floats:
    known = index != NONE
    return np.bincount(index[known], amount[known], minlength=len(keys))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Coverage of the 80 % interval, WAPE and bias of the median, by level; members that booked or were expected to."""
    seen = table[(table["actual"] != 0) | (table["p90"] > 0)]
    seen = seen.assign(miss=(seen["p50"] - seen["actual"]).abs(), bias=seen["p50"] - seen["actual"])
    grouped = seen.groupby("level", sort=False)
    sums = grouped[["miss", "bias", "actual"]].sum()
    return pd.DataFrame(
        {
            "n": grouped.size(),
            "coverage80": grouped["inside"].mean(),
            "wape": sums["miss"] / sums["actual"].abs(),
            "bias": sums["bias"] / sums["actual"].abs(),
        }
    )


def main() -> int:
    """Print both tables."""
    options = argparse.ArgumentParser(prog="python -m experiments.actuals", description=__doc__)
    options.add_argument("run", metavar="RUN", help="path, NAME, NAME@2026-06-30 or NAME~1")
    options.add_argument("--out", type=Path, default=Path("runs"), help="parent folder of all runs")
    arguments = options.parse_args()
    table = compare(find_run(arguments.run, arguments.out))
    print(table.to_string(index=False, float_format="{:,.0f}".format))
    print()
    print(summary(table).to_string(float_format="{:.3f}".format))
    return 0


if __name__ == "__main__":
    sys.exit(main())
