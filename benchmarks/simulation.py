"""Deal-paths per second of the simulation of open deals, beside its NumPy twin and the bare generator.

A deal-path is one open deal on one simulated future: whether, when and for how much it is won, entered into every level
of that path and into the sums per deal. Timed is `engine.simulation.simulate.run_chunks` with two threads after a small
run that compiles it, on a made-up company without new deals or orders; laying out the company is not timed. The twin is
`engine.simulation.reference.open_outcomes`: the same tables, draws and sums on the same company in vectorised NumPy on
one thread, on fewer paths where a whole run would take minutes. The generator's limit is one 53-bit word a deal-path
compared with a threshold, on the same threads. Each case runs in a process of its own, whose peak memory is reported.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import numpy as np

from benchmarks.simulation_company import MONTH, make_draws, make_panel
from engine.simulation import reference
from engine.simulation.clock import SimulationHorizons
from engine.simulation.inputs import build_world
from engine.simulation.settings import SimulationSettings
from engine.simulation.simulate import run_chunks
from engine.simulation.streams import count_below
from engine.simulation.world import World

SLOWER_CLOSING = -2.3
"""Added to the logit of closing in a week: brings the mean chance to be won in the quarter to the demo's tenth."""

REPEATS, ENOUGH_SECONDS = 3, 30.0
"""So many turns, fewer once they have taken that long; rates are those of the best, since other work only adds time."""

WORDS = 400_000_000


@dataclass(frozen=True)
class Size:
    """One case. ``twin_paths`` are the paths the twin runs; its rate does not depend on their number."""

    deals: int
    reps: int
    paths: int
    twin_paths: int
    accounts: int
    territories: int

    @property
    def name(self) -> str:
        """How the case is called."""
        return f"{self.deals:,} deals, {self.reps:,} reps, 3 months, {self.paths:,} paths"


SIZES = (
    Size(2_000, 50, 20_000, 1_000, 500, 10),
    Size(1_000_000, 1_000, 2_000, 10, 100_000, 100),
)


@dataclass(frozen=True)
class Row:
    """Figures of one case; rates are per second of wall time, memory in MiB."""

    case: str
    deal_paths_per_second: float
    ratio_to_numpy: float
    uniforms_per_second: float
    peak_mb: float


@dataclass(frozen=True)
class Facts:
    """What the case was like: classes of deals, mean chance to be won in the quarter, cores that the best run had."""

    classes: int
    chance: float
    cores_busy: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table, or one JSON object per line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sizes", help="other cases: DEALS:REPS:PATHS,...")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    sizes = SIZES if options.sizes is None else tuple(_size(text) for text in options.sizes.split(","))
    if options.case is not None:
        row, facts = measure(_size(options.case), options.threads)
        print(json.dumps([asdict(row), asdict(facts)]))
        return 0
    for number, size in enumerate(sizes):
        text = f"{size.deals}:{size.reps}:{size.paths}"
        command = [sys.executable, "-m", "benchmarks.simulation", "--case", text, "--threads", str(options.threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{size.name} ended with exit code {done.returncode}:\n{done.stderr[-2000:]}", file=sys.stderr)
            return 1
        row, facts = json.loads(done.stdout)
        print(json.dumps(row) if options.json else _text(Row(**row), Facts(**facts), number == 0), flush=True)
    return 0


def _size(text: str) -> Size:
    """A case from ``DEALS:REPS:PATHS``; the two of the issue have a company of their own."""
    deals, reps, paths = (int(part) for part in text.split(":"))
    for size in SIZES:
        if (size.deals, size.reps, size.paths) == (deals, reps, paths):
            return size
    return Size(deals, reps, paths, min(paths, max(10, 2_000_000 // deals)), max(deals // 10, 1), max(reps // 10, 1))


def measure(size: Size, threads: int) -> tuple[Row, Facts]:
    """Time one case in this process."""
    settings = SimulationSettings(paths=size.paths)
    world, draws = company(size, settings)
    blocks = -(-size.paths // settings.paths_per_draw)
    chosen = np.arange(blocks) * draws // blocks
    run_chunks(world, settings.model_copy(update={"paths": 10}), chosen[:1], np.uint64(1), threads, False)
    seconds, ratio, busy, peak = _side_by_side(
        lambda: run_chunks(world, settings, chosen, np.uint64(1), threads, False),
        lambda: reference.open_outcomes(
            world, size.twin_paths, settings.paths_per_draw, chosen, np.random.default_rng(1)
        ),
    )
    deal_paths = size.deals * size.paths
    row = Row(
        case=size.name,
        deal_paths_per_second=deal_paths / seconds,
        ratio_to_numpy=ratio / size.twin_paths * size.paths,
        uniforms_per_second=WORDS / min(_timed(lambda: _words(threads))[0] for _ in range(REPEATS)),
        peak_mb=peak,
    )
    return row, Facts(len(world.pipeline.age), mean_chance(world), busy)


def company(size: Size, settings: SimulationSettings) -> tuple[World, int]:
    """A company with that many open deals of distinct age, stage, size, segment, product, territory and rep.

    Returns
    -------
    the world and its number of posterior draws
    """
    # the made-up company leaves every third deal closed
    panel = make_panel(deals=size.deals * 3 // 2, reps=size.reps, accounts=size.accounts, territories=size.territories)
    draws = make_draws(panel, count=min(200, -(-size.paths // settings.paths_per_draw)), arrivals=False, orders=False)
    assert draws.closing is not None
    slower = replace(draws.closing, close_base=draws.closing.close_base + SLOWER_CLOSING)
    world, _, index = build_world(
        panel, replace(draws, closing=slower), SimulationHorizons(np.arange(MONTH, MONTH + 3)), settings
    )
    assert len(index) == size.deals
    return world, draws.count


def mean_chance(world: World) -> float:
    """Mean chance to be won in the quarter over the deals, at the first draw without monthly shocks."""
    table = reference.outcome_table(world.odds, world.pipeline, world.clock, 0, np.ones((len(world.clock.months), 2)))
    return float(np.average(table[:, 0].sum(axis=1), weights=np.diff(world.pipeline.class_start)))


def _words(threads: int) -> None:
    """Draw words on all threads and do nothing but compare them."""
    with ThreadPoolExecutor(threads) as pool:
        for job in [pool.submit(count_below, np.uint64(i), WORDS // threads, 0.1) for i in range(threads)]:
            job.result()


def _side_by_side(ours: Callable[[], object], twin: Callable[[], object]) -> tuple[float, float, float, float]:
    """Run both in turns, so that other work on the machine weighs on both.

    Returns
    -------
    least seconds of ours, seconds of the twin over ours in all turns, cores of our best run, peak MiB before the twin
    """
    found: list[tuple[float, float]] = []
    theirs: list[float] = []
    peak = 0.0
    while len(found) < REPEATS and sum(theirs) + sum(seconds for seconds, _ in found) < ENOUGH_SECONDS:
        found.append(_timed(ours))
        peak = peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        theirs.append(_timed(twin)[0])
    seconds, cores = min(found)
    return seconds, sum(theirs) / sum(seconds for seconds, _ in found), cores, peak


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds of one run, and how many cores it had."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    seconds = time.perf_counter() - start
    return seconds, (time.process_time() - cpu) / seconds


def _text(row: Row, facts: Facts, header: bool) -> str:
    line = f"{row.case:<52}{row.deal_paths_per_second / 1e6:>14.1f}{row.ratio_to_numpy:>10.1f}"
    line += f"{row.uniforms_per_second / 1e6:>14.0f}{row.peak_mb:>10.0f}"
    line += f"  {facts.classes:,} classes, {facts.chance:.0%} won, {facts.cores_busy:.1f} cores"
    head = f"{'case':<52}{'M deal-paths/s':>14}{'x NumPy':>10}{'M uniforms/s':>14}{'peak MiB':>10}"
    return f"{head}\n{line}" if header else line


if __name__ == "__main__":
    sys.exit(main())
