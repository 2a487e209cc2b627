"""Equal chance of quota in a drawn company: `optimization.solve` by the large path or by the model.

The company is no easy one: accounts and reps lie anywhere on a map, each account belongs to one of its three nearest
reps whatever that rep's quota, and quotas follow fte alone, so books are far from fair at first.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimization.problem import TerritoryProblem


@dataclass(frozen=True)
class Row:
    """One method on one company; spreads in points of chance over all active reps.

    Attributes
    ----------
    spread_before, spread_planned, spread_fresh : of the present owners and of the plan on the planning paths, and of
        the plan on the fresh ones; ``noise_floor`` is what equal chances would show there
    moved : share of accounts with another rep
    objective, bound, gap : of the last linearised problem, points
    seconds, peak_mb : wall time of solving, and most memory of the process, MiB
    """

    method: str
    accounts: int
    reps: int
    candidates: int
    seed: int
    spread_before: float
    spread_planned: float
    spread_fresh: float
    noise_floor: float
    moved: float
    objective: float
    bound: float
    gap: float
    feasible: bool
    repeatable: bool
    seconds: float
    peak_mb: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print it; gives the exit code."""
    options = _parser().parse_args(arguments)
    if options.candidates > options.reps or min(options.accounts, options.candidates) < 1:
        print("--candidates must lie between 1 and --reps, and there must be an account", file=sys.stderr)
        return 2
    row = _run(options)
    if row is None:
        print("no plan was found", file=sys.stderr)
        return 4
    values = asdict(row)
    print(json.dumps(values) if options.json else "\n".join(f"{name:15} {_text(one)}" for name, one in values.items()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chances", description=__doc__)
    for name, default in (("accounts", 2000), ("reps", 50), ("candidates", 15), ("paths", 400), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=120.0, help="time limit of the solver")
    parser.add_argument("--method", choices=("auto", "model", "large"), default="large")
    parser.add_argument("--json", action="store_true", help="one JSON row")
    return parser


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def make_company(accounts: int, reps: int, candidates: int, paths: int, seed: int) -> "TerritoryProblem":
    """Draw a company; see the head of this module. Revenue is log-normal with a shock that all accounts share."""
    import numpy as np

    from optimization.problem import TerritoryProblem

    rng = np.random.default_rng(seed)
    distance = np.linalg.norm(rng.random((accounts, 1, 2)) - rng.random((reps, 2)), axis=2)
    near = np.argsort(distance, axis=1)
    eligible = np.zeros((accounts, reps), dtype=bool)
    np.put_along_axis(eligible, near[:, :candidates], values=True, axis=1)
    owner = near[np.arange(accounts), rng.integers(0, min(3, candidates), accounts)].astype(np.int64)
    mean = rng.lognormal(0.0, 1.0, accounts) * 10_000
    mean = np.minimum(mean, 0.3 * mean.sum() / reps)
    fte = np.where(rng.random(reps) < 0.3, 0.5, 1.0)
    fit = np.where(owner[:, None] == np.arange(reps), 1.0, rng.uniform(0.9, 1.0, (accounts, reps)))
    locked = rng.random(accounts) < 0.05

    def draw() -> "np.ndarray":
        shock, own = rng.normal(0.0, 0.08, (paths, 1)), 0.8 * rng.standard_normal((paths, accounts), dtype=np.float32)
        return (np.exp(shock + own - 0.32) * mean).astype(np.float32)

    nothing = np.zeros((paths, reps), dtype=np.float32)
    return TerritoryProblem(
        account_ids=np.array([f"A{i}" for i in range(accounts)], dtype=np.str_),
        rep_ids=np.array([f"R{r}" for r in range(reps)], dtype=np.str_),
        value=draw(), fresh_value=draw(), fit=fit, fixed=nothing, fresh_fixed=nothing,
        quota=fte / fte.sum() * mean.sum(), capacity=fte, owner=owner, eligible=eligible, locked=locked,
        family=np.arange(accounts), hours=2.0 * np.sqrt(mean / 10_000), max_hours=np.full(reps, np.inf),
        move_cost=0.15 * mean,
    )  # fmt: skip


def _run(options: argparse.Namespace) -> Row | None:
    import numpy as np

    from optimization.fairness import p_attain
    from optimization.plan import Infeasible
    from optimization.settings import AllocationSettings
    from optimization.solve import solve

    size = (options.accounts, options.reps, options.candidates)
    wanted = AllocationSettings(method=options.method, time_limit=options.seconds, confidence_groups=0)
    solve(make_company(60, 6, 6, 200, 0), wanted, 0)  # compile first
    problem = make_company(*size, options.paths, options.seed)
    began = time.monotonic()
    plan = solve(problem, wanted, options.seed)
    seconds = time.monotonic() - began
    if isinstance(plan, Infeasible):
        return None
    known, before, after = plan.certificate, *(p_attain(problem, r, fresh=False) for r in (problem.owner, plan.rep))
    return Row(
        options.method, *size, options.seed,
        100 * float(np.ptp(before)), 100 * float(np.ptp(after)), 100 * known.p_attain_spread, 100 * known.noise_floor,
        float((plan.rep != problem.owner).mean()), known.objective, known.bound, known.gap, known.feasible,
        known.repeatable, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
