"""Deal-weeks summed to binomial counts over equal covariates, which loses nothing, and the layout of their effects.

The number of cells is bounded by design: ages and sizes are coarse, and where there would still be more than
``ClosingSettings.max_cells``, the covariate that tells least about the outcome is left out (its effect is zero), one by
one. Only age, week and month (and rep, on the win side) always stay.
"""

from dataclasses import dataclass

import numpy as np

from models.calendar import WEEKS_PER_MONTH, WEEKS_PER_QUARTER, week_of_quarter
from models.deal_weeks import DealWeeks, age_bin, has_stages, size_bin
from models.panel import WON, Bools, Floats, Ints, Panel
from models.settings import ClosingSettings
from models.whitening import LogitCells

QUARTER_END_WEEK = WEEKS_PER_QUARTER - WEEKS_PER_MONTH
"""First week of the last month of a quarter."""

KEPT = ("age", "quarter_end", "week", "rep", "shock")
"""Covariates that are never left out: those of time carry the forecast, and reps are what is asked for."""


@dataclass(frozen=True)
class Effects:
    """Where the effects of one side lie in its vector.

    Attributes
    ----------
    sizes : number of effects of each covariate in the model, in order; ``base`` first, ``shock`` last
    cells : counts whose covariates are these
    rows : records before summing
    """

    sizes: dict[str, int]
    cells: LogitCells
    rows: int

    def offsets(self) -> dict[str, int]:
        """First position of every covariate."""
        ends = np.cumsum(list(self.sizes.values()))
        return dict(zip(self.sizes, (ends - list(self.sizes.values())).tolist(), strict=True))


@dataclass(frozen=True)
class Covariates:
    """Levels [row] of every covariate with their numbers of levels, for rows of deal-weeks; NONE is unknown."""

    levels: dict[str, Ints]
    sizes: dict[str, int]


def covariates(panel: Panel, rows: DealWeeks, settings: ClosingSettings, edges: Floats, months: Ints) -> Covariates:
    """Covariates of deal-weeks, rep and territory included."""
    deals = panel.deals
    week = week_of_quarter(rows.week, panel.fiscal_year_start)
    sized = size_bin(deals.list_amount, edges)
    levels = {
        "age": age_bin(rows.age, np.array(settings.age_bins)),
        "stage": rows.stage,
        "quarter_end": (week >= QUARTER_END_WEEK).astype(np.int64),
        "week": week,
        "size": sized[rows.deal],
        "segment": deals.segment[rows.deal],
        "product": deals.product[rows.deal],
        "territory": deals.territory[rows.deal],
        "rep": deals.rep[rows.deal],
        "shock": rows.week // WEEKS_PER_MONTH - months[0],
    }
    sizes = {
        "age": len(settings.age_bins),
        "stage": len(panel.stages) if has_stages(panel) else 1,
        "quarter_end": 2,
        "week": WEEKS_PER_QUARTER,
        "size": len(edges) + 1,
        "segment": len(panel.segments),
        "product": len(panel.products.labels),
        "territory": len(panel.territories),
        "rep": len(panel.reps.labels),
        "shock": len(months),
    }
    return Covariates(levels, sizes)


def close_side(all_rows: Covariates, rows: DealWeeks, settings: ClosingSettings) -> Effects:
    """Binomial counts of closing among the complete deal-weeks."""
    chosen = rows.complete
    names = ("age", "stage", "quarter_end", "week", "size", "segment", "product", "shock")
    return _effects(_subset(all_rows, names, chosen), rows.closing[chosen].astype(float), settings)


def win_side(all_rows: Covariates, rows: DealWeeks, panel: Panel, settings: ClosingSettings) -> Effects:
    """Binomial counts of winning among the closings."""
    chosen = rows.closing
    won = (panel.deals.outcome[rows.deal[chosen]] == WON).astype(float)
    names = ("age", "stage", "quarter_end", "week", "size", "segment", "product", "territory", "rep", "shock")
    return _effects(_subset(all_rows, names, chosen), won, settings)


def _subset(source: Covariates, names: tuple[str, ...], chosen: Bools) -> Covariates:
    """Some covariates of some rows; one that could take one level only has no effect to learn and is left out."""
    names = tuple(name for name in names if source.sizes[name] > 1 or name == "shock")
    return Covariates(
        {name: source.levels[name][chosen] for name in names}, {name: source.sizes[name] for name in names}
    )


def _effects(rows: Covariates, success: Floats, settings: ClosingSettings) -> Effects:
    """Sum equal rows, leaving covariates out until few enough cells are left."""
    if {"size", "product"} <= rows.sizes.keys() and _determines(rows.levels["product"], rows.levels["size"]):
        # List prices: the size says nothing that the product does not.
        del rows.sizes["size"]
    told = {
        name: _information(rows.levels[name], rows.levels["age"], success) for name in rows.sizes if name not in KEPT
    }
    optional = sorted(told, key=lambda name: told[name])
    names = list(rows.sizes)
    first, inverse = _distinct(rows, names)
    while len(first) > settings.max_cells and optional:
        names.remove(optional.pop(0))
        first, inverse = _distinct(rows, names)
    sizes = {"base": 1} | {name: rows.sizes[name] for name in names}
    total = sum(sizes.values())
    index, offset = [np.zeros(len(first), dtype=np.int64)], 1
    for name in names:
        level = rows.levels[name][first]
        index.append(np.where(level >= 0, level + offset, total))
        offset += rows.sizes[name]
    scale, free = _scales(list(sizes), settings)
    cells = LogitCells(
        index=np.stack(index),
        count=np.bincount(inverse, minlength=len(first)).astype(float),
        success=np.bincount(inverse, success, minlength=len(first)),
        group=np.repeat(np.arange(len(sizes)), list(sizes.values())),
        scale=scale,
        free=free,
    )
    return Effects(sizes, cells, len(success))


def _scales(names: list[str], settings: ClosingSettings) -> tuple[Floats, Bools]:
    """Prior SD (or its own prior scale, where it is learned) of every covariate, and whether it is learned."""
    fixed = {
        "base": settings.base_scale,
        "age": settings.age_scale,
        "stage": settings.stage_scale,
        "quarter_end": settings.quarter_scale,
    }
    learned = {"shock": settings.shock_scale}
    scale = [fixed.get(name, learned.get(name, settings.effect_scale)) for name in names]
    return np.array(scale), np.array([name not in fixed for name in names])


def _distinct(rows: Covariates, names: list[str]) -> tuple[Ints, Ints]:
    """First row of every distinct combination, and the combination of every row."""
    key = np.zeros(len(next(iter(rows.levels.values()))), dtype=np.int64)
    for name in names:
        # Compressing as we go keeps the key far from overflow however many covariates there are.
        key = np.unique(key * (rows.sizes[name] + 1) + rows.levels[name] + 1, return_inverse=True)[1]
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return first, inverse


def _determines(level: Ints, other: Ints) -> bool:
    """Whether rows equal in one covariate are equal in the other."""
    pairs = np.unique(np.stack([level, other]), axis=1)
    return len(np.unique(pairs[0])) == pairs.shape[1]


def _information(level: Ints, age: Ints, success: Floats) -> float:
    """How much a covariate tells beyond age: chi-square of observed against expected, per degree of freedom."""
    chance = (np.bincount(age, success) / np.maximum(np.bincount(age), 1))[age]
    excess = np.bincount(level + 1, success - chance)
    spread = np.bincount(level + 1, chance * (1 - chance))
    seen = spread > 0
    return float((excess[seen] ** 2 / spread[seen]).sum() / max(int(seen.sum()) - 1, 1))
