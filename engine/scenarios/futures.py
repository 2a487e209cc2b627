"""Simulated levels of a scenario beside the stored ones of its run, path by path on common random numbers.

The rule this module keeps: the base is what the run stored, so its numbers are those of forecast.csv. A scenario's path
is the stored path plus what the change does to the simulated legs on it:

    scenario = stored + (legs with the change - legs without)

Sums are linear, so levels still add up, and a member that the change does not touch keeps its stored numbers bit for
bit. Where the run's levels are those legs, this is the simulation of the changed company itself; where a track record
moved them (`engine.methods.combined_outcomes`), the level is the combination's and the change is the legs'.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from engine.finished import FinishedRun
from engine.planning.verification import ALL, EVEN, months
from engine.scenarios.company import Company
from engine.scenarios.touched import only_touched, touched_parts
from engine.simulation.clock import SimulationHorizons, build_clock
from engine.simulation.outcomes import LEVELS, UNASSIGNED, LevelOutcomes, Paths
from engine.simulation.settings import SimulationSettings
from engine.simulation.simulate import simulate
from models.draws import AmountDraws, ArrivalDraws, ClosingDraws, Draws, OrderDraws
from models.panel import Ints, Texts

PROBED = 100
"""Stored paths that are simulated again to see whether the stored levels are the legs."""

WORTH_IT = 0.5
"""Part of a simulation beyond which the changed company is simulated whole, once, instead of its part twice."""

WITHOUT_DRAWS = {
    ClosingDraws: {"age_bins", "size_edges", "shock_months"},
    AmountDraws: {"list_log_mean", "list_log_sd", "cap"},
    ArrivalDraws: set[str](),
    OrderDraws: {
        "elapsed",
        "orders",
        "level",
        "weight",
        "decay",
        "group",
        "grade_edges",
        "cap",
        "first_group",
        "split_account",
        "split_product",
        "split_share",
        "first_seller_territory",
        "first_seller",
    },
}
"""Arrays of the posterior that are the same in all draws."""


@dataclass(frozen=True)
class LevelPair:
    """A level before and after; a member that one of the two lacks is zero there.

    Attributes
    ----------
    keys, names : [member]
    base, changed : [path, member, month] money
    """

    keys: Texts
    names: Texts
    base: Paths
    changed: Paths


@dataclass(frozen=True)
class Bench:
    """A finished run ready for scenarios.

    Attributes
    ----------
    run : as opened
    stored : its levels
    threads : for the simulation
    legs_stored : whether the stored levels are the simulated legs of this code, bit for bit
    """

    run: FinishedRun
    stored: Mapping[str, LevelOutcomes]
    threads: int | None
    legs_stored: bool

    @property
    def paths(self) -> int:
        """Number of stored paths."""
        return len(self.stored["company"].total)


def make_bench(run: FinishedRun, threads: int | None = None) -> Bench:
    """Read the stored levels, and simulate a few paths again to see what they are."""
    stored = {name: run.level(name) for name in LEVELS}
    bench = Bench(run, stored, threads, legs_stored=False)
    paths = min(PROBED, bench.paths)
    again = legs(bench, Company(run.panel, run.draws, run.quotas()), paths)
    same = all(
        np.array_equal(stored[name].keys, level.keys) and np.array_equal(stored[name].total[:paths], level.total)
        for name, level in again.items()
    )
    return replace(bench, legs_stored=same)


def legs(bench: Bench, company: Company, paths: int, purpose: str = "forecast") -> dict[str, LevelOutcomes]:
    """Levels of the first paths of a company, on the random numbers and posterior draws of the run's own simulation.

    Parameters
    ----------
    purpose : another one gives independent random numbers
    """
    config = bench.run.config
    settings = config.simulation.model_copy(
        update={"paths": max(paths, 10), "sample_paths": 0, "ever_draws": 1, "max_weeks": 1}
    )
    horizons = SimulationHorizons(months(config.horizon))
    chosen = chosen_draws(bench.run, config.simulation)
    draws, among = company.draws, planned_draws(bench.run)
    if paths != config.simulation.paths:
        draws, among = taken(draws, chosen[: -(-paths // settings.paths_per_draw)]), ALL
    found = simulate(
        company.panel, draws, horizons, settings, config.seed, bench.threads, purpose=purpose, draw_slice=among
    )
    return {name: replace(level, total=level.total[:paths]) for name, level in found.levels.items()}


def planned_draws(run: FinishedRun) -> slice:
    """Posterior draws that the run forecast with: half of them where the others verified its plan."""
    return EVEN if run.config.allocation.enabled and run.draws.converged() else ALL


def chosen_draws(run: FinishedRun, settings: SimulationSettings) -> Ints:
    """[block] posterior draw of every block of paths of the run, as `simulate` chooses them."""
    numbers = np.arange(run.draws.count)[planned_draws(run)]
    blocks = -(-settings.paths // settings.paths_per_draw)
    return np.asarray(numbers[np.arange(blocks) * len(numbers) // blocks])


def taken(draws: Draws, chosen: Ints) -> Draws:
    """A posterior of some draws, one row for each of ``chosen``."""

    def part(leg: Any) -> Any:
        if leg is None:
            return None
        fixed = WITHOUT_DRAWS[type(leg)]
        return replace(leg, **{f.name: getattr(leg, f.name)[chosen] for f in fields(leg) if f.name not in fixed})

    legs_taken = {name: part(getattr(draws, name)) for name in ("closing", "amounts", "arrivals", "orders")}
    return Draws(len(chosen), diagnostics=draws.diagnostics, **legs_taken)


def compare(bench: Bench, base: Company, changed: Company) -> dict[str, LevelPair]:
    """Every level before and after a change."""
    if changed.panel is base.panel and changed.draws is base.draws:  # targets alone
        return {
            name: LevelPair(level.keys, level.names, level.total, level.total) for name, level in bench.stored.items()
        }
    config = bench.run.config
    clock = build_clock(
        base.panel.as_of, SimulationHorizons(months(config.horizon)), base.panel.fiscal_year_start, max_weeks=1
    )
    touched = touched_parts(base, changed, clock)
    if bench.legs_stored and touched.share() > WORTH_IT:
        after = legs(bench, changed, bench.paths)
        return {name: _direct(bench.stored[name], after[name]) for name in LEVELS}
    before, after = (legs(bench, only_touched(touched, company), bench.paths) for company in (base, changed))
    return {name: _moved(bench.stored[name], before[name], after[name]) for name in LEVELS}


def _direct(stored: LevelOutcomes, after: LevelOutcomes) -> LevelPair:
    keys, names = _union(stored, after)
    return LevelPair(keys, names, _aligned(stored, keys), _aligned(after, keys))


def _moved(stored: LevelOutcomes, before: LevelOutcomes, after: LevelOutcomes) -> LevelPair:
    keys, names = _union(stored, before, after)
    base, old, new = (_aligned(level, keys) for level in (stored, before, after))
    changed = np.where(old == new, base, base + (new.astype(np.float64) - old)).astype(np.float32)
    return LevelPair(keys, names, base, changed)


def _union(*levels: LevelOutcomes) -> tuple[Texts, Texts]:
    """Members of all, in order of appearance, the one for none last."""
    names = {str(key): str(name) for level in levels for key, name in zip(level.keys, level.names, strict=True)}
    if UNASSIGNED in names:
        names[UNASSIGNED] = names.pop(UNASSIGNED)
    return np.array(list(names)), np.array(list(names.values()))


def _aligned(level: LevelOutcomes, keys: Texts) -> Paths:
    """[path, member, month] in the order of ``keys``, zero where the level has no such member."""
    if np.array_equal(level.keys, keys):
        return level.total
    place = {str(key): i for i, key in enumerate(keys)}
    total = np.zeros((len(level.total), len(keys), level.total.shape[2]), dtype=np.float32)
    total[:, [place[str(key)] for key in level.keys]] = level.total
    return total
