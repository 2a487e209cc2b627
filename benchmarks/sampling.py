"""Smallest bulk ESS per second of the closing model, four ways; with ``--scale``, growth to an ESS of 400.

Reference data: the demo panel of ``configs/q3.yaml`` as of 2026-06-30, close and win side together. Methods, all with
the same likelihood and priors:

1. row level: one Bernoulli row a deal-week, non-centred effects, ``pm.sample(nuts_sampler="pymc")``. It is too slow to
   end: after ``--row-tune`` tuning steps it draws until ``--row-seconds`` are over, at least eight times, and its ESS
   is that of those draws. So few hide how they depend on each other: its ESS a second is overstated;
2. aggregated: the same model on binomial cells under ``pm.sample`` as it comes (its own choice of sampler), with
   ``--chains``, ``--tune`` and ``--draws`` (defaults: its own). Fewer tuning steps understate it;
3. numpyro, the same on cells, where it is installed;
4. engine: `models.close_hazard` as the engine fits it, chains of full length.

Every method runs on one core. ``sample_seconds`` hold tuning and draws, not compilation; the ESS is the smallest over
all effects, scales and the correlation. Scale: a reference company (`benchmarks.reference_panel`) of R reps, R / 5
territories, 4 segments, 5 products and 36 months; deals start evenly and close with 6 % a week (0.5 more on the logit
in the last month of a quarter), half of them are won, reps differ with an SD of 0.3 on the logit.
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import arviz as az
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from benchmarks.reference_panel import reference_panel
from engine.config import load_config
from engine.data import as_of_date, build_panel, cut, load_tables
from models import close_hazard
from models.close_hazard import THINNING, Problem, closing_model, prepare
from models.deal_weeks import deal_weeks
from models.density import density_of
from models.fitting import sample
from models.panel import Floats, Panel
from models.settings import ModelSettings, SamplerSettings
from models.whitening import LogitCells

REFERENCE = ("configs/q3.yaml", "2026-06-30")
GOAL_ESS = 400
SCALES = ((10_000, 40), (100_000, 40), (100_000, 1000), (1_000_000, 1000))
"""Opportunities and reps of ``--scale``."""


@dataclass(frozen=True)
class Budget:
    """How long the methods that are not ours may run."""

    row_tune: int
    row_seconds: float
    chains: int
    tune: int
    draws: int


@dataclass(frozen=True)
class Row:
    """One method; ratios of ``min_ess_per_second`` are None where there is nothing to divide by."""

    method: str
    min_ess_per_second: float
    compile_seconds: float
    sample_seconds: float
    divergences: int
    ratio_to_row_level: float | None = None
    ratio_to_aggregated: float | None = None


@dataclass(frozen=True)
class Growth:
    """One size of the reference company; ``seconds_to_goal`` prepare, sample and reach an ESS of 400, warm."""

    method: str
    opportunities: int
    reps: int
    deal_weeks: int
    cells: int
    prepare_seconds: float
    compile_seconds: float
    sample_seconds: float
    min_ess: float
    divergences: int
    seconds_to_goal: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--scale", action="store_true", help="growth with opportunities and reps")
    parser.add_argument("--sizes", help="of --scale, as OPPORTUNITIES:REPS, separated by commas")
    parser.add_argument("--deals", type=int, help="use a reference company of so many deals instead of the demo")
    parser.add_argument("--row-tune", type=int, default=20, help="tuning steps of the row-level model")
    parser.add_argument("--row-seconds", type=float, default=120.0, help="seconds after which it stops")
    parser.add_argument("--chains", type=int, default=4, help="chains of the aggregated model")
    parser.add_argument("--tune", type=int, default=1000, help="its tuning steps")
    parser.add_argument("--draws", type=int, default=1000, help="its draws a chain")
    asked = parser.parse_args(arguments)
    if asked.scale:
        pairs = [part.split(":") for part in asked.sizes.split(",")] if asked.sizes else SCALES
        _show((growth(int(a), int(b), method) for a, b in pairs for method in ("nuts", "laplace")), asked.json)
        return 0
    panel = demo_panel() if asked.deals is None else reference_panel(asked.deals, 10, 1)
    budget = Budget(asked.row_tune, asked.row_seconds, asked.chains, asked.tune, asked.draws)
    problem = prepare(panel, deal_weeks(panel), ModelSettings())
    rows, cells = sizes(problem)
    if not asked.json:
        print(f"{rows} rows, {cells} cells, compression {rows / cells:.1f}")
        if importlib.util.find_spec("numpyro") is None:
            print("numpyro: not installed")
    _show(compare(problem, budget), asked.json)
    return 0


def demo_panel() -> Panel:
    """The stated reference data."""
    config = load_config(Path(REFERENCE[0]), [])
    tables = load_tables(config)
    config = config.model_copy(update={"as_of": np.datetime64(REFERENCE[1]).item()})
    return build_panel(cut(tables, as_of_date(tables, config)), config)


def sizes(problem: Problem) -> tuple[int, int]:
    """Deal-weeks and cells of both sides."""
    sides = (problem.close, problem.win)
    return sum(side.rows for side in sides), sum(len(side.cells.count) for side in sides)


def compare(problem: Problem, budget: Budget) -> list[Row]:
    """All methods on one problem, ours last."""
    row = row_level(problem, budget)
    aggregated = by_sample("aggregated: pm.sample", plain_model(problem, by_row=False), budget, None)
    others = [row, aggregated]
    if importlib.util.find_spec("numpyro") is not None:
        others.append(by_sample("numpyro", plain_model(problem, by_row=False), budget, "numpyro"))
    ours = engine(problem)
    return [
        replace(
            item,
            ratio_to_row_level=_ratio(item, row),
            ratio_to_aggregated=_ratio(item, aggregated),
        )
        for item in (*others, ours)
    ]


def plain_model(problem: Problem, by_row: bool) -> pm.Model:
    """The closing model as one would write it down: non-centred effects, one sum of gathers a side."""
    with pm.Model() as model:
        likeness = pm.Beta("likeness", close_hazard.LIKENESS, close_hazard.LIKENESS)
        correlation = pm.Deterministic("correlation", 2 * likeness - 1)
        months = len(problem.months)
        first, second = pm.Normal("close_shock_z", shape=months), pm.Normal("win_shock_z", shape=months)
        pair = {"close": first, "win": correlation * first + pt.sqrt(1 - correlation**2) * second}
        for name, side, shift in (
            ("close", problem.close, close_hazard.USUAL_CLOSE_LOGIT),
            ("win", problem.win, 0.0),
        ):
            cells = side.cells
            index, count, success = _rows(cells) if by_row else (cells.index, cells.count, cells.success)
            logit, offsets = shift, side.offsets()
            for i, (covariate, size) in enumerate(side.sizes.items()):
                label = f"{name}_{covariate}"
                z = pair[name] if covariate == "shock" else pm.Normal(f"{label}_z", shape=size)
                scale = pm.HalfNormal(f"{label}_scale", cells.scale[i]) if cells.free[i] else cells.scale[i]
                effect = pm.Deterministic(label, scale * z)
                # Effect number `size` is that of an unknown level: zero.
                level = np.minimum(index[i] - offsets[covariate], size)
                logit = logit + pt.concatenate([effect, pt.zeros(1)])[level]
            if by_row:
                pm.Bernoulli(f"{name}_y", logit_p=logit, observed=success)
            else:
                pm.Binomial(f"{name}_y", n=count.astype(int), logit_p=logit, observed=success.astype(int))
    return model


def _rows(cells: LogitCells) -> tuple[np.ndarray, Floats, Floats]:
    """Cells taken apart into one row a deal-week."""
    count = cells.count.astype(int)
    cell = np.repeat(np.arange(len(count)), count)
    rank = np.arange(len(cell)) - np.repeat(np.cumsum(count) - count, count)
    return cells.index[:, cell], np.ones(len(cell)), (rank < cells.success[cell]).astype(int)


def row_level(problem: Problem, budget: Budget) -> Row:
    """The row-level model for as long as it may run."""
    model = plain_model(problem, by_row=True)
    begin = time.perf_counter()
    first: list[float] = []

    def stop(**_: object) -> None:
        first.append(time.perf_counter())
        if len(first) > budget.row_tune + 8 and first[-1] - first[0] > budget.row_seconds:
            raise KeyboardInterrupt

    with model:
        trace = pm.sample(
            draws=100_000,
            tune=budget.row_tune,
            chains=1,
            cores=1,
            random_seed=1,
            nuts_sampler="pymc",
            progressbar=False,
            compute_convergence_checks=False,
            callback=lambda **known: stop(**known),
        )
    seconds = float(trace.posterior.attrs["sampling_time"])
    compiling = time.perf_counter() - begin - seconds
    ess = smallest_ess(trace.posterior)
    divergences = int(trace.sample_stats["diverging"].sum())
    return Row("row level: pm.sample, nuts_sampler=pymc", ess / seconds, compiling, seconds, divergences)


def by_sample(method: str, model: pm.Model, budget: Budget, sampler: str | None) -> Row:
    """A model under ``pm.sample`` with its default sampler or a named one."""
    begin = time.perf_counter()
    with model:
        trace = pm.sample(
            draws=budget.draws,
            tune=budget.tune,
            chains=budget.chains,
            cores=1,
            random_seed=1,
            nuts_sampler=sampler,
            progressbar=False,
            compute_convergence_checks=False,
        )
    wall = time.perf_counter() - begin
    seconds = float(trace.posterior.attrs.get("sampling_time", wall))
    divergences = int(trace.sample_stats["diverging"].sum())
    return Row(method, smallest_ess(trace.posterior) / seconds, wall - seconds, seconds, divergences)


def engine(problem: Problem) -> Row:
    """The engine's own fit with its default settings, all steps of its chains."""
    begin = time.perf_counter()
    model = closing_model(problem)
    density = density_of(model)
    density(density.origin)
    compiled = time.perf_counter()
    trace = sample(model, SamplerSettings(), 1, THINNING)
    seconds = time.perf_counter() - compiled
    ess = smallest_ess(trace.posterior[["beta", "scale", "correlation"]])
    return Row("engine nuts", ess / seconds, compiled - begin, seconds, trace.divergences)


def growth(opportunities: int, reps: int, method: str) -> Growth:
    """Prepare and fit one size of the reference company."""
    panel = reference_panel(opportunities, reps, 1)
    begin = time.perf_counter()
    problem = prepare(panel, deal_weeks(panel), ModelSettings())
    prepared = time.perf_counter()
    model = closing_model(problem)
    density = density_of(model)
    density(density.origin)
    compiled = time.perf_counter()
    trace = sample(model, SamplerSettings.model_validate({"method": method, "draws": 300}), 1)
    seconds = time.perf_counter() - compiled
    ess = smallest_ess(trace.posterior[["beta", "scale", "correlation"]])
    rows, cells = sizes(problem)
    reach = seconds * max(1.0, GOAL_ESS / ess) if method == "nuts" else seconds
    return Growth(
        f"engine {method}",
        opportunities,
        reps,
        rows,
        cells,
        prepared - begin,
        compiled - prepared,
        seconds,
        ess,
        trace.divergences,
        prepared - begin + reach,
    )


def smallest_ess(posterior: xr.Dataset) -> float:
    """Smallest bulk ESS over effects, scales and correlation; auxiliary normals are left out."""
    parts = [
        values.to_numpy().reshape(*values.shape[:2], -1)
        for name, values in posterior.data_vars.items()
        if not str(name).endswith("_z") and name != "likeness"
    ]
    elements = xr.Dataset({"all": (("chain", "draw", "element"), np.concatenate(parts, axis=2))})
    return float(az.ess(elements, method="bulk")["all"].min())


def _ratio(item: Row, base: Row) -> float | None:
    return item.min_ess_per_second / base.min_ess_per_second if base.min_ess_per_second > 0 else None


def _show(rows: Iterable[Row] | Iterable[Growth], as_json: bool) -> None:
    """Print a table, or one JSON object per line, as the rows come."""
    records: Iterable[dict[str, object]] = map(asdict, rows)
    for number, record in enumerate(records):
        if as_json:
            print(json.dumps(record), flush=True)
            continue
        if number == 0:
            print("| " + " | ".join(record) + " |\n|" + "---|" * len(record))
        print("| " + " | ".join(_cell(value) for value in record.values()) + " |", flush=True)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


if __name__ == "__main__":
    raise SystemExit(main())
