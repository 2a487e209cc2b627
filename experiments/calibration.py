"""Does every sub-model mean what it says? ``python -m experiments.calibration [--models NAME ...] [--fits N]``.

Simulation-based calibration: parameters from the prior, data from the parameters, a production fit of the data, and the
rank of each true value among the draws, which is uniform when prior, likelihood, sampler and names agree. Finished fits
are kept in the folder; the same command goes on where it was interrupted, and begins anew where the code changed.
The fast tier (``--tier laplace``) is an approximation and judged apart.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.sbc_figure import draw
from experiments.sbc_ranks import LEVEL
from experiments.sbc_run import HOMES, RANKED, calibrate, judge, ranks_of


def main(argv: Sequence[str] | None = None) -> int:
    """Fit, print the table, and answer 1 where a quantity is rejected."""
    options = argparse.ArgumentParser(prog="python -m experiments.calibration", description=__doc__)
    options.add_argument("--models", nargs="+", choices=list(HOMES), default=list(HOMES), help="sub-models")
    options.add_argument("--fits", type=int, default=200, help="data sets per sub-model")
    options.add_argument("--tier", choices=["nuts", "laplace"], default="nuts", help="sampler")
    options.add_argument("--processes", type=int, default=2, help="fits side by side")
    options.add_argument("--out", type=Path, default=Path("runs/calibration"), help="folder of the finished fits")
    options.add_argument("--figure", type=Path, help="where the figure goes (.svg or .png)")
    asked = options.parse_args(argv)
    fitted = {
        name: calibrate(
            name, asked.fits, asked.tier, asked.out, asked.processes, lambda line: print(line, file=sys.stderr)
        )
        for name in asked.models
    }
    ranks = {name: ranks_of(items) for name, items in fitted.items()}
    table = judge(ranks)
    print(table.to_string(index=False, float_format="{:.4g}".format))
    for name, items in fitted.items():
        bad = [item.divergences for item in items if item.divergences]
        print(
            f"{name}: {len(items)} fits, {len(bad)} with divergences (fast tier: without a centre), {sum(bad)} in all"
        )
    rejected = int((table["verdict"] != "uniform").sum())
    print(f"{rejected} of {len(table)} quantities rejected at {LEVEL:.0%} after Holm, ranks among {RANKED} draws")
    if asked.figure:
        draw(ranks, table, asked.figure)
    return int(rejected > 0)


if __name__ == "__main__":
    sys.exit(main())
