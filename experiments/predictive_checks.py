"""Could the data have come from the models? ``python -m experiments.predictive_checks RUN [--out DIR] [--json]``.

Opens a finished run, draws the data its models were fitted to anew from the posterior draws, and compares statistics
that the models were not fitted to. A posterior predictive p-value near 0 or 1 says that the models do not make data
like these in that respect. The values are not uniform under a true model but gather around one half, since the data
are used twice: fewer than one check in twenty fails there.

References
----------
Gelman, Meng and Stern (1996), Posterior predictive assessment of model fitness via realized discrepancies,
Statistica Sinica 6(4), 733-760, https://www.jstor.org/stable/24306036.
Meng (1994), Posterior predictive p-values, doi:10.1214/aos/1176325622.
"""

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from engine.errors import EngineError
from engine.finished import open_run
from engine.seeds import seed_for
from experiments.ppc_closing import closing_checks
from experiments.ppc_deals import amount_checks, arrival_checks
from experiments.ppc_orders import order_checks
from experiments.ppc_statistics import Check
from models.draws import Draws
from models.panel import Panel
from models.settings import ModelSettings

REPLICATES = 400


def check(panel: Panel, draws: Draws, settings: ModelSettings, replicates: int, seed: int) -> list[Check]:
    """All checks of the legs that ran.

    Parameters
    ----------
    panel : the company as it was fitted
    draws : posterior of all legs; evenly spaced ones are used
    settings : that it was fitted with
    replicates : replicated data sets, at most the number of draws
    seed : of the replicates
    """
    chosen = np.unique(np.linspace(0, draws.count - 1, min(replicates, draws.count)).round().astype(np.int64))

    def stream(leg: str) -> np.random.Generator:
        return np.random.default_rng(seed_for(seed, f"predictive checks {leg}"))

    found: list[Check] = []
    if draws.closing is not None:
        found += closing_checks(panel, draws.closing, settings, chosen, stream("closing"))
    if draws.amounts is not None:
        found += amount_checks(panel, draws.amounts, settings, chosen, stream("amounts"))
    if draws.arrivals is not None:
        found += arrival_checks(panel, draws.arrivals, settings, chosen, stream("arrivals"))
    if draws.orders is not None:
        found += order_checks(panel, draws.orders, settings, chosen, stream("orders"))
    return found


def table(checks: Sequence[Check]) -> pd.DataFrame:
    """One row a check, in the order of the legs."""
    return pd.DataFrame([asdict(item) | {"fails": item.fails} for item in checks])


def readable(checks: Sequence[Check]) -> str:
    """The table for a terminal, and how many checks fail."""
    shown = table(checks).drop(columns="replicates")
    shown["fails"] = np.where(shown["fails"], "fails", "")
    text = shown.to_string(index=False, float_format="{:.3f}".format)
    failed = sum(item.fails for item in checks)
    return f"{text}\n\n{failed} of {len(checks)} checks fail (outer 5 % of {checks[0].replicates} replicates)"


def main(argv: Sequence[str] | None = None) -> int:
    """Open the run, replicate and print."""
    options = argparse.ArgumentParser(prog="python -m experiments.predictive_checks", description=__doc__)
    options.add_argument("run", metavar="RUN", help="path, NAME, NAME@2026-06-30 or NAME~1")
    options.add_argument("--out", metavar="DIR", type=Path, default=Path("runs"), help="parent folder of all runs")
    options.add_argument("--replicates", metavar="N", type=int, default=REPLICATES, help="replicated data sets")
    options.add_argument("--json", action="store_true", help="one JSON object per line")
    options.add_argument("--debug", action="store_true", help="show tracebacks")
    arguments = options.parse_args(argv)
    if arguments.replicates < 1:
        options.error(f"--replicates must be 1 or more, got {arguments.replicates}")
    try:
        run = open_run(arguments.run, arguments.out)
    except EngineError as error:
        print(traceback.format_exc() if arguments.debug else error, file=sys.stderr)
        return error.exit_code
    checks = check(run.panel, run.draws, run.config.models, arguments.replicates, run.config.seed)
    if arguments.json:
        for row in table(checks).to_dict(orient="records"):
            print(json.dumps(row))
    else:
        print(readable(checks))
    return 0


if __name__ == "__main__":
    sys.exit(main())
