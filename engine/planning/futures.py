"""Fresh futures of a finished run for planning questions: revenue per rep over a span of months, path by path.

The rule this module keeps: batches are fixed in size and named, so a number depends on the run, its seed and the
purpose, never on threads or memory.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.config import RunConfig, RunOptions
from engine.errors import InputRefusedError, Problem
from engine.finished import FinishedRun
from engine.planning.quotas import capacity
from engine.simulation.clock import SimulationHorizons
from engine.simulation.outcomes import Paths
from engine.simulation.settings import SimulationSettings
from engine.simulation.simulate import simulate
from models.draws import Draws
from models.panel import LOST, OPEN, Ints, Panel

BATCH = 50_000
"""Paths simulated at a time: bounds the memory beside what is kept."""


FAR = 0.02
"""Relative distance of two means beyond which it is said that they are not the same forecast."""


@dataclass(frozen=True)
class Span:
    """Consecutive months since 1970-01: ``first`` to ``last``, both inclusive."""

    first: int
    last: int

    @property
    def months(self) -> Ints:
        """[month]."""
        return np.arange(self.first, self.last + 1)

    def __str__(self) -> str:
        """First and last month, such as 2026-07 to 2026-09."""
        first, last = (str(np.datetime64(month, "M")) for month in (self.first, self.last))
        return first if first == last else f"{first} to {last}"


@dataclass(frozen=True)
class RepFutures:
    """Simulated revenue of a span of months.

    Attributes
    ----------
    rep : [path, rep] money, all of `Panel.reps`
    company : [path] money, with what belongs to nobody
    draw : [path] posterior draw
    """

    rep: Paths
    company: Paths
    draw: Ints


def planning_span(config: RunConfig, months: int | None = None) -> Span:
    """The planning horizon of a run, or as many months from its start."""
    horizon = config.planning_horizon
    return Span(horizon.first_month, horizon.first_month + (months or horizon.months) - 1)


def quick(config: RunConfig, paths: int) -> SimulationSettings:
    """Settings of the simulation for questions that need neither single cells nor late wins."""
    return config.simulation.model_copy(update={"paths": paths, "sample_paths": 0, "ever_draws": 1})


def draw_of_path(paths: int, size: int, draws: Ints) -> Ints:
    """[path] the posterior draw that `simulate` gives each path; ``draws`` to choose from."""
    blocks = -(-paths // size)
    return np.repeat(draws[np.arange(blocks) * len(draws) // blocks], size)[:paths]


def rep_futures(
    run: FinishedRun, span: Span, paths: int, purpose: str, options: RunOptions, draws: slice = slice(None)
) -> RepFutures:
    """Simulate the company as it is, batch by batch.

    Parameters
    ----------
    purpose : names the random streams; another purpose gives independent futures
    draws : posterior draws to use
    """
    horizons = SimulationHorizons(span.months)
    numbers = np.arange(run.draws.count)[draws]
    parts = []
    for number, first in enumerate(range(0, paths, BATCH)):
        settings = quick(run.config, min(BATCH, paths - first))
        found = simulate(
            run.panel,
            run.draws,
            horizons,
            settings,
            run.config.seed,
            options.threads,
            purpose=f"{purpose} {number}",
            draw_slice=draws,
        )
        count = len(run.panel.reps.labels)
        parts.append(
            RepFutures(
                found.levels["rep"].total[:, :count].sum(axis=2),
                found.levels["company"].total.sum(axis=(1, 2)),
                draw_of_path(settings.paths, settings.paths_per_draw, numbers),
            )
        )
    return joined(parts)


def joined(parts: list[RepFutures]) -> RepFutures:
    """Batches one after another."""
    return RepFutures(
        np.concatenate([part.rep for part in parts]),
        np.concatenate([part.company for part in parts]),
        np.concatenate([part.draw for part in parts]),
    )


def without_pipeline(panel: Panel) -> Panel:
    """The company without its open deals; they still count among the recent ones that say where new deals land."""
    deals, still = panel.deals, panel.deals.outcome == OPEN
    outcome, closed = np.where(still, LOST, deals.outcome), np.where(still, panel.as_of, deals.closed)
    return replace(panel, deals=replace(deals, outcome=outcome.astype(deals.outcome.dtype), closed=closed))


def only_open_deals(draws: Draws) -> Draws:
    """The posterior without the legs of deals and orders yet to come."""
    return replace(draws, arrivals=None, orders=None)


def asked_reps(panel: Panel, span: Span) -> Ints:
    """[n] reps who sell within the span."""
    return np.flatnonzero(panel.reps.active & (capacity(panel, span.first, span.last) > 0))


def targets(run: FinishedRun, span: Span, reps: Ints) -> tuple[NDArray[np.float64], list[str]]:
    """[n] targets of reps over the span and where each comes from."""
    book = run.quotas()
    found = [book.target("rep", str(key), span.first, span.last) for key in run.panel.reps.labels.ids[reps]]
    return np.array([amount for amount, _ in found]), [source for _, source in found]


def company_goal(run: FinishedRun, span: Span, asked: float | None, company: Paths) -> tuple[float, str]:
    """Goal over the span, and where it comes from: asked for, given, or the median of the simulated revenue."""
    if asked is not None:
        return asked, "asked for"
    given, _ = run.quotas().target("company", "", span.first, span.last)
    if np.isfinite(given):
        return given, "given"
    return float(np.median(company)), "none given: the median of simulated revenue"


def beside_forecast(run: FinishedRun, span: Span, company: Paths) -> tuple[str, ...]:
    """A caution where the run's forecast of the same months is not these futures: it may listen to other methods."""
    horizon = run.config.horizon
    if (horizon.first_month, horizon.months) != (span.first, len(span.months)):
        return ()
    said = float(run.level("company").total.sum(axis=(1, 2), dtype=np.float64).mean())
    here = float(company.mean(dtype=np.float64))
    if abs(said - here) <= FAR * abs(here):
        return ()
    return (
        f"The run's forecast has a mean of {said:,.0f} in {span}, since it combines the engine with other methods; "
        f"these futures are the engine's own, with a mean of {here:,.0f}.",
    )


def need_pipeline(run: FinishedRun, question: str) -> None:
    """Refuse a question that speaks of deals where the run has none.

    Raises
    ------
    InputRefusedError
        When the run has no posterior of deals.
    """
    if run.draws.closing is None or run.draws.amounts is None:
        came = f"`{question}` on a run without opportunities"
        mend = "ask for quotas, or add an opportunities table"
        raise InputRefusedError([Problem("QUESTION", came, "a run with a pipeline leg", mend)])
