"""Do intervals narrow as they should when data grow? ``python -m experiments.growing_data [--companies N]``.

Companies with effects drawn from the prior have once, twice and four times as many deals; each is fitted with
`fit_closing`, and the 90 % intervals are held against the truth. An effect that deals alone determine narrows with
1 / sqrt(n), and coverage stays. What months determine (the spread of monthly shocks) or reps do (the spread between
reps) cannot narrow like that: there are no more months and no more reps.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from experiments.sbc_closing import design, fit, prior, quantities, simulate_deals
from experiments.sbc_study import DIVERGENCES
from models.settings import SamplerSettings

INTERVAL = (0.05, 0.95)
"""Equal-tailed 90 % interval."""

SAMPLER = SamplerSettings(chains=2, tune=250, draws=300)
LEFT_OUT = ("log likelihood",)
"""A number that grows with the data."""


def grow(company: int, sizes: Sequence[int], deals: int, seed: int) -> pd.DataFrame:
    """Fit one company at every size.

    Parameters
    ----------
    company : number of the company: the same effects at every size
    sizes : multiples of the deals
    deals : at size 1
    seed : root of all random numbers

    Returns
    -------
    frame with a row a size and quantity: company, size, quantity, truth, low, high
    """
    truth = prior(np.random.default_rng([seed, company]))
    rows = []
    for size in sizes:
        rng = np.random.default_rng([seed, company, size])
        data = simulate_deals(design(deals * size), truth, rng)
        draws = fit(data, SAMPLER, int(rng.integers(2**31)))
        draws.pop(DIVERGENCES)
        known, found = quantities(truth, data), quantities(draws, data)
        for name in found:
            if name not in LEFT_OUT:
                low, high = np.quantile(found[name], INTERVAL)
                rows.append((company, size, name, float(known[name][0]), low, high))
    return pd.DataFrame(rows, columns=["company", "size", "quantity", "truth", "low", "high"])


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and size: geometric mean over companies of the width over that at the smallest size, coverage.

    Returns
    -------
    frame with columns quantity, size, n, width (mean), ratio, ideal (square root of the sizes' ratio), coverage
    """
    rows = rows.assign(
        width=rows["high"] - rows["low"],
        covered=(rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"]),
    )
    smallest = rows["size"].min()
    base = rows.loc[rows["size"] == smallest].set_index(["company", "quantity"])["width"]
    at = pd.MultiIndex.from_frame(rows[["company", "quantity"]])
    rows = rows.assign(log_ratio=np.log(rows["width"].to_numpy() / base.reindex(at).to_numpy()))
    table = rows.groupby(["quantity", "size"], sort=False, as_index=False).agg(
        n=("covered", "size"), width=("width", "mean"), ratio=("log_ratio", "mean"), coverage=("covered", "mean")
    )
    return table.assign(ratio=np.exp(table["ratio"]), ideal=np.sqrt(smallest / table["size"])).sort_values(
        ["quantity", "size"], kind="stable"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Fit the companies and print the table."""
    options = argparse.ArgumentParser(prog="python -m experiments.growing_data", description=__doc__)
    options.add_argument("--companies", type=int, default=20, help="with effects of their own")
    options.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4], help="multiples of the deals")
    options.add_argument("--deals", type=int, default=400, help="deals at size 1")
    options.add_argument("--seed", type=int, default=1, help="root of all random numbers")
    options.add_argument("--processes", type=int, default=2, help="companies side by side")
    asked = options.parse_args(argv)
    found = Parallel(n_jobs=asked.processes)(
        delayed(grow)(company, asked.sizes, asked.deals, asked.seed) for company in range(asked.companies)
    )
    rows = pd.concat(found, ignore_index=True)
    columns = ["quantity", "size", "n", "width", "ratio", "ideal", "coverage"]
    print(summary(rows)[columns].to_string(index=False, float_format="{:.3f}".format))
    covered = (rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"])
    for size, share in covered.groupby(rows["size"]).mean().items():
        print(f"size {size}: coverage of the 90 % intervals {share:.3f} over {int((rows['size'] == size).sum())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
