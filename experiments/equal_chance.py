"""How even can chances of quota be? ``python -m experiments.equal_chance RUN [--paths 200000] [--json]``.

Simulates the planning horizon of a finished run on many paths, the even posterior draws to fit plans and the odd ones
to check them, and solves the run's own assignment problem on the first: with the config's move budget, without any
budget on moves, and without a budget and for fairness alone (no weight on money, no band that counts as fair). Each
plan's spread is printed as fitted and as checked, over all reps and within pools (reps who can exchange accounts,
directly or through others: no assignment evens two pools), beside the spread that equal chances would show:
``floor_check`` by the noise of the check alone, ``floor`` by that of fit and check, both from means by posterior draw.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from engine.archive import load
from engine.command import add_machine_options, exit_code, positive
from engine.errors import InputRefusedError, Problem
from engine.finished import DRAWS, FinishedRun, open_run
from engine.planning.books import planned_outcomes
from engine.planning.disruption import moved_factor
from engine.planning.futures import draw_of_path, planning_span, quick
from engine.planning.noise import cluster_means, errors, expected_spread
from engine.planning.verification import EVEN, ODD
from engine.seeds import seed_for
from models.panel import Bools, Floats, Ints
from optimization.fairness import attained, present_owner, spread
from optimization.families import active_reps
from optimization.plan import TerritoryPlan
from optimization.pools import pools_of
from optimization.problem import NONE, TerritoryProblem
from optimization.rules import build_case
from optimization.settings import AllocationSettings
from optimization.solve import solve

BUDGETS = (
    "max_moved_accounts_share",
    "max_moved_value_share",
    "max_move_cost",
    "max_moved_accounts_per_rep",
    "max_moved_value_share_per_rep",
    "max_move_cost_per_rep",
)
"""Settings that limit moves."""

BATCH = 20_000
"""Paths simulated at a time: every path holds all accounts."""


def stored_problem(run: FinishedRun) -> TerritoryProblem:
    """The assignment problem of a run.

    Raises
    ------
    InputRefusedError
        When the run assigned nothing.
    """
    path = run.folder / DRAWS / "territory_problem.nc"
    if not path.is_file():
        came = f"{run.folder} without an assignment problem"
        raise InputRefusedError([Problem("RUN", came, "a run with an allocation", "ask about another run")])
    return load(TerritoryProblem, path)


def batches(
    run: FinishedRun, problem: TerritoryProblem, purpose: str, draws: slice, paths: int, threads: int | None
) -> Iterator[tuple[TerritoryProblem, Ints]]:
    """The problem on other paths, batch by batch, and the draw of each path."""
    asked, root = run.config.allocation, run.config.seed
    months = planning_span(run.config).months
    column = {key: i for i, key in enumerate(run.panel.reps.labels.ids.tolist())}
    reps = np.array([column[key] for key in problem.rep_ids.tolist()])
    numbers = np.arange(run.draws.count)[draws]
    for number, first in enumerate(range(0, paths, BATCH)):
        settings, name = quick(run.config, min(BATCH, paths - first)), f"equal chance {purpose} {number}"
        found = planned_outcomes(run, months, settings, name, threads, draws)
        factor = moved_factor(asked, settings.paths, seed_for(root, f"{name} disruption"))
        part = replace(problem, value=found.account, fixed=found.fixed[:, reps], moved_factor=factor)
        yield part, draw_of_path(settings.paths, settings.paths_per_draw, numbers)


def on_paths(run: FinishedRun, paths: int, threads: int | None) -> tuple[TerritoryProblem, Ints]:
    """The run's problem on fitting paths of the even draws, and the draw of each path."""
    problem = stored_problem(run)
    value = np.empty((paths, len(problem.account_ids)), dtype=np.float32)
    fixed, draw = np.empty((paths, len(problem.rep_ids)), dtype=np.float32), np.empty(paths, dtype=np.int64)
    factor, first = np.empty(paths, dtype=np.float32), 0
    for batch, number in batches(run, problem, "fit", EVEN, paths, threads):
        part = slice(first, first + len(number))
        value[part], fixed[part], draw[part], first = batch.value, batch.fixed, number, part.stop
        if batch.moved_factor is not None:
            factor[part] = batch.moved_factor
    return replace(problem, value=value, fixed=fixed, moved_factor=factor), draw


def settings_of(own: AllocationSettings) -> dict[str, AllocationSettings]:
    """Settings by the name of the plan."""
    own = own.model_copy(update={"confidence_groups": 0, "time_limit": 1e9})
    free = own.model_copy(update=dict.fromkeys(BUDGETS))
    alone = own.weights.model_copy(update={"move_cost": 0.0, "potential": 0.0})
    return {
        "budget of the config": own,
        "no budget": free,
        "no budget, fairness alone": free.model_copy(update={"weights": alone, "attainment_band_points": 0.0}),
    }


def study(run: FinishedRun, paths: int, threads: int | None) -> pd.DataFrame:
    """One row a plan: spreads in points, their noise floors, moves and saturated reps."""
    problem, draw = on_paths(run, paths, threads)
    seed = seed_for(run.config.seed, "equal chance")
    plans: dict[str, tuple[Ints, Bools]] = {
        "present": (present_owner(problem), np.zeros(len(problem.rep_ids), dtype=bool))
    }
    for name, settings in settings_of(run.config.allocation).items():
        answer = solve(problem, settings, seed)
        if isinstance(answer, TerritoryPlan):
            plans[name] = answer.rep, answer.certificate.saturated
    pool = pools_of(build_case(problem, run.config.allocation).blocks.allowed)
    clusters: dict[str, list[tuple[Bools, Ints]]] = {name: [] for name in plans}
    for batch, number in batches(run, problem, "check", ODD, paths, threads):
        for name, (rep, _) in plans.items():
            clusters[name].append((attained(batch, rep, fresh=False), number))
    rows = []
    for name, (rep, saturated) in plans.items():
        fitted = attained(problem, rep, fresh=False)
        checked = np.concatenate([part for part, _ in clusters[name]])
        numbers = np.concatenate([number for _, number in clusters[name]])
        means = cluster_means(fitted, draw), cluster_means(checked, numbers)
        moved = (rep != problem.owner) & (problem.owner != NONE)
        row = {"plan": name, "moves": int(moved.sum()), "move_cost": float(problem.move_cost[moved].sum())}
        rows.append(row | _spreads(problem, (fitted, checked), means, (pool, saturated), seed))
    return pd.DataFrame(rows)


def _spreads(
    problem: TerritoryProblem,
    paths: tuple[Bools, Bools],
    means: tuple[Floats, Floats],
    groups: tuple[Ints, Bools],
    seed: int,
) -> dict[str, float]:
    """Spreads and floors in points, fitted and checked."""
    active, (pool, saturated) = active_reps(problem), groups
    fitted, checked = (100.0 * part.mean(axis=0) for part in paths)
    pools = [active & (pool == number) for number in np.unique(pool[active])]
    free = active & ~saturated

    def floor(whom: Bools, fit: Floats) -> float:
        error = errors(fit[:, whom], means[1][:, whom], paired=False, seed=seed)
        return 100.0 * expected_spread(error)

    widest = max(pools, key=lambda whom: int(whom.sum()), default=active)
    return {
        "chance_min": float(checked[active].min(initial=100.0)),
        "chance_max": float(checked[active].max(initial=0.0)),
        "fitted": spread(fitted, active),
        "checked": spread(checked, active),
        "fitted_within_pools": max((spread(fitted, whom) for whom in pools), default=0.0),
        "checked_within_pools": max((spread(checked, whom) for whom in pools), default=0.0),
        "fitted_not_saturated": spread(fitted, free),
        "checked_not_saturated": spread(checked, free),
        "floor_check": floor(active, np.zeros_like(means[0])),
        "floor": floor(active, means[0]),
        "floor_largest_pool": floor(widest, means[0]),
        "floor_not_saturated": floor(free, means[0]),
        "pools": float(len(pools)),
        "saturated": float(saturated.sum()),
    }


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    options = argparse.ArgumentParser(
        prog="python -m experiments.equal_chance",
        description="Fit plans on some posterior draws, check their spread of the chance of quota on others.",
    )
    options.add_argument("run", metavar="RUN", help="a path, NAME, NAME@2026-06-30 or NAME~1")
    options.add_argument("--out", metavar="DIR", type=Path, default=Path("runs"), help="parent of all runs")
    options.add_argument(
        "--paths", metavar="N", type=positive, default=200_000, help="paths of the fit and of the check"
    )
    options.add_argument("--json", action="store_true", help="print one JSON object a line")
    add_machine_options(options)
    return options


def answer(arguments: argparse.Namespace) -> int:
    """Run and print."""
    run = open_run(arguments.run, arguments.out)
    table = study(run, arguments.paths, arguments.threads)
    if arguments.json:
        for row in table.to_dict("records"):
            print(json.dumps(row))
        return 0
    print(f"{run.manifest.run_id}, {arguments.paths:,} paths each; spreads and floors in points of chance")
    print(table.round(2).set_index("plan").T.to_string())
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    return exit_code(answer, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
