"""Why the chance of a deal that stays open moved: its stage, and what the model has learned since."""

from dataclasses import replace

import numpy as np

from engine.deals.chances import month_shocks
from engine.simulation.clock import SimulationHorizons, build_clock
from engine.simulation.inputs import build_pipeline, plain
from engine.simulation.odds import build_odds
from engine.simulation.outcome_kernels import outcome_table
from models.draws import ClosingDraws, Draws
from models.panel import Floats, Ints, Labels, Panel

MOST_DRAWS, FEWEST_DRAWS, CLASS_DRAWS = 500, 50, 600_000
"""Posterior draws on each side, in antithetic pairs of shocks, and classes x draws that are worked out in all."""


type Side = tuple[Panel, ClosingDraws]
"""What a run knew: the company and the posterior of closing."""


def split(
    earlier: Side, later: Side, index: tuple[Ints, Ints], months: Ints, seed: int
) -> tuple[Floats, Floats] | None:
    """What the move to another stage and what the later posterior do to chances to be won in the horizon.

    All sides see the same deals on the later day and the same standard normal shocks: first with the stage of the
    earlier run under the earlier posterior, then with the present stage, then under the later posterior. None when the
    company's stages have changed, so that the earlier posterior does not know what to say.

    Parameters
    ----------
    index : [deal] open deals in the earlier and in the later panel
    months : [month] of the horizon
    seed : of the shocks

    Returns
    -------
    change of the chance by the stage, and by the posterior, [deal]
    """
    panel, closing = later
    old = _known_to(earlier, panel)
    if old is None or len(index[1]) == 0:
        return None
    stage = panel.deals.stage.copy()
    stage[index[1]] = earlier[0].deals.stage[index[0]]
    stayed = replace(panel, deals=replace(panel.deals, stage=stage))
    sides = ((stayed, old), (panel, old), (panel, closing))
    first, second, third = (_chances(*side, index[1], months, seed) for side in sides)
    return second - first, third - second


def _known_to(earlier: Side, panel: Panel) -> ClosingDraws | None:
    """The earlier posterior in the coordinates of the later panel; members it has not seen have no effect."""
    before, closing = earlier
    if not np.array_equal(before.stages.ids, panel.stages.ids):
        return None
    segment, product = (before.segments, panel.segments), (before.products.labels, panel.products.labels)
    return replace(
        closing,
        close_segment=_moved(closing.close_segment, *segment),
        win_segment=_moved(closing.win_segment, *segment),
        close_product=_moved(closing.close_product, *product),
        win_product=_moved(closing.win_product, *product),
        win_territory=_moved(closing.win_territory, before.territories, panel.territories),
        win_rep=_moved(closing.win_rep, before.reps.labels, panel.reps.labels),
    )


def _moved(effect: Floats, before: Labels, now: Labels) -> Floats:
    """Effects [D, member] in another order of members."""
    where = {key: i for i, key in enumerate(before.ids.tolist())}
    index = np.array([where.get(key, len(before)) for key in now.ids.tolist()], dtype=np.int64)
    return np.concatenate([effect, np.zeros((len(effect), 1))], axis=1)[:, index]


def _chances(panel: Panel, closing: ClosingDraws, deal: Ints, months: Ints, seed: int) -> Floats:
    """[deal] mean over draws of the chance to be won in the horizon."""
    clock = plain(build_clock(panel.as_of, SimulationHorizons(months), panel.fiscal_year_start, 1))
    count = len(closing.close_base)
    odds = plain(build_odds(closing, clock, count))
    draws = Draws(count, closing=closing, amounts=None, arrivals=None, orders=None, diagnostics=())
    pipeline = plain(build_pipeline(panel, draws, clock, deal, np.zeros(len(deal), dtype=np.int64)))
    used = int(np.clip(CLASS_DRAWS // len(pipeline.age), FEWEST_DRAWS, MOST_DRAWS)) // 2 * 2
    noise = np.random.default_rng(seed).standard_normal((used // 2, len(clock.months), 2))
    total = np.zeros(len(pipeline.age))
    for number, normal in enumerate(np.stack([noise, -noise], axis=1).reshape(-1, *noise.shape[1:])):
        draw = number * count // used
        table = outcome_table(odds, pipeline, clock, draw, month_shocks(odds, draw, normal))
        total += table[:, 0][:, clock.forecast_slot >= 0].sum(axis=1)
    chance = np.empty(len(deal))
    chance[pipeline.order] = np.repeat(total / used, np.diff(pipeline.class_start))
    return chance
