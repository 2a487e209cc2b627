"""Fits of simulation-based calibration: run side by side, kept one by one, picked up again after an interruption."""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module, util
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from experiments.sbc_ranks import LEVEL, Null, holm, null_of, rank, uniformity
from experiments.sbc_study import DIVERGENCES, Study
from models.panel import Ints
from models.settings import SamplerSettings

type Tier = Literal["nuts", "laplace"]

HOMES = {
    "closing": ("experiments.sbc_closing", "close_hazard", "closing_cells", "deal_weeks", "whitening"),
    "amounts": ("experiments.sbc_amounts", "deal_amount", "pooling"),
    "arrivals": ("experiments.sbc_arrivals", "new_deals", "pooling"),
    "order_timing": ("experiments.sbc_orders", "order_parts", "order_rows", "order_cycles", "pooling"),
    "order_amounts": ("experiments.sbc_orders", "order_parts", "order_rows", "pooling"),
    "first_orders": ("experiments.sbc_orders", "order_parts", "first_orders", "pooling"),
}
"""Module of each study, and the modules of `models` whose change makes its finished fits worthless."""

SHARED = ("models.fitting", "models.density", "models.laplace", "models.settings", "experiments.sbc_study")

SEED = 20220105
"""Root of all random numbers; another root is another sample of data sets."""

SAMPLER = SamplerSettings(chains=2, tune=200, draws=100)
"""Short chains: the models thin on their own, and half of what is left is ranked."""

KEPT = slice(1, None, 2)
"""Draws among which the truth is ranked: every second, so that they are close to independent."""

RANKED = SAMPLER.chains * SAMPLER.draws // 2
"""L, their number."""

Ranks = dict[str, dict[str, Ints]]
"""Ranks [fit] by model and quantity."""


@dataclass(frozen=True)
class Fitted:
    """One fit: its number, ranks by quantity, and divergent transitions (of the fast tier: whether it found none)."""

    index: int
    ranks: dict[str, int]
    divergences: int


@cache
def study(name: str) -> Study:
    """Study of a sub-model by its name."""
    module = import_module(HOMES[name][0])
    found: dict[str, Study] = {item.name: item for item in getattr(module, "STUDIES", None) or (module.STUDY,)}
    return found[name]


def fit_once(name: str, index: int, tier: Tier, seed: int = SEED) -> Fitted:
    """Draw parameters and data, fit, and rank.

    Parameters
    ----------
    name : of the sub-model
    index : of the fit; the same index is the same data set on every tier
    tier : sampler
    seed : root
    """
    wanted = study(name)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), index])
    truth = wanted.prior(rng)
    data = wanted.simulate(truth, rng)
    sampler = SAMPLER.model_copy(update={"method": tier})
    with threadpool_limits(1):
        draws = wanted.fit(data, sampler, int(rng.integers(2**31)))
    divergences = int(draws.pop(DIVERGENCES)[0])
    kept = {key: value[KEPT] for key, value in draws.items()}
    expected, found = wanted.quantities(truth, data), wanted.quantities(kept, data)
    return Fitted(index, {key: rank(float(expected[key][0]), found[key]) for key in found}, divergences)


def calibrate(
    name: str, fits: int, tier: Tier, folder: Path, processes: int, tell: Callable[[str], None] = lambda _: None
) -> list[Fitted]:
    """Finish the fits of a sub-model: those kept in the folder are not run again.

    Parameters
    ----------
    name : of the sub-model
    fits : wanted
    tier : sampler
    folder : one file a sub-model, tier and version of the code, one line a fit
    processes : side by side
    tell : called with a line at the start
    """
    path = folder / f"{name}-{tier}-{_version(name)}.jsonl"
    found = {item.index: item for item in _kept(path) if item.index < fits}
    missing = [index for index in range(fits) if index not in found]
    tell(f"{name} ({tier}): {len(found)} of {fits} fits are kept")
    folder.mkdir(parents=True, exist_ok=True)
    for item in _side_by_side(name, missing, tier, processes):
        found[item.index] = item
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(vars(item)) + "\n")
    return [found[index] for index in range(fits)]


def _side_by_side(name: str, indices: Sequence[int], tier: Tier, processes: int) -> Iterator[Fitted]:
    """Fits as they end."""
    pool = Parallel(n_jobs=processes, return_as="generator_unordered")
    yield from pool(delayed(fit_once)(name, index, tier) for index in indices)


def _kept(path: Path) -> Iterator[Fitted]:
    """Fits of a file; a line that an interruption cut off is none."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            yield Fitted(**json.loads(line))
        except json.JSONDecodeError:
            continue


def _version(name: str) -> str:
    """Hash of the source of everything that a fit depends on."""
    home, *others = HOMES[name]
    digest = hashlib.sha256()
    for module in (home, *(f"models.{other}" for other in others), *SHARED, __name__):
        spec = util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        digest.update(Path(spec.origin).read_bytes())
    return digest.hexdigest()[:8]


def ranks_of(fitted: Sequence[Fitted]) -> dict[str, Ints]:
    """Ranks [fit] by quantity."""
    return {key: np.array([item.ranks[key] for item in fitted]) for key in fitted[0].ranks}


def judge(ranks: Ranks, seed: int = SEED, level: float = LEVEL) -> pd.DataFrame:
    """Test every quantity of every model, with Holm's correction over all of them.

    Returns
    -------
    frame with columns model, quantity, n, statistic, p, p_holm, verdict (``uniform`` or ``REJECTED``)
    """
    nulls: dict[int, Null] = {}
    rows = []
    for model, quantities in ranks.items():
        for quantity, values in quantities.items():
            if len(values) not in nulls:
                nulls[len(values)] = null_of(len(values), RANKED, seed)
            statistic, p = uniformity(values, nulls[len(values)])
            rows.append({"model": model, "quantity": quantity, "n": len(values), "statistic": statistic, "p": p})
    table = pd.DataFrame(rows)
    adjusted = holm(table["p"].to_numpy())
    return table.assign(p_holm=adjusted, verdict=np.where(adjusted <= level, "REJECTED", "uniform"))
