"""Deal-weeks summed to binomial counts over equal covariates, which loses nothing, and the layout of their effects.

The number of cells is bounded by design: ages and sizes are coarse, and where there would still be more than
``ClosingSettings.max_cells``, the covariate that tells least about the outcome is left out (its effect is zero), one by
one. On the close side age, week and month always stay. On the win side the week goes next, then ages are put into
three classes, then they are left out too. Rep and month stay: the bound there is the larger of ``max_cells`` and reps x
months, since the sum of two effects on a logit cannot be split into two tables.
"""

from dataclasses import dataclass

import numpy as np

from models.calendar import MONTHS_PER_QUARTER, WEEKS_PER_MONTH, WEEKS_PER_QUARTER, week_of_quarter
from models.deal_weeks import DealWeeks, age_bin, has_stages, size_bin
from models.panel import WON, Bools, Floats, Ints, Panel
from models.settings import ClosingSettings
from models.whitening import LogitCells

QUARTER_END_WEEK = WEEKS_PER_QUARTER - WEEKS_PER_MONTH
"""First week of the last month of a quarter."""

KEY_SPACE = 2**22
"""Largest table of combinations that is kept while rows are told apart."""

KEPT = ("age", "age_month", "quarter_end", "week", "rep", "shock")
"""Covariates that are never left out: those of time carry the forecast, and reps are what is asked for."""

AGE_CLASSES = 3
"""Classes of age on the win side where ages as they are would make too many cells; of about equal numbers of rows."""


@dataclass(frozen=True)
class Effects:
    """Where the effects of one side lie in its vector.

    Attributes
    ----------
    sizes : number of effects of each covariate in the model, in order; ``base`` first, ``shock`` last
    cells : counts whose covariates are these
    rows : records before summing
    age_class : [age] effect of every age; None where each has its own
    """

    sizes: dict[str, int]
    cells: LogitCells
    rows: int
    age_class: Ints | None = None

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
        "age_month": age_bin(rows.age, np.array(settings.age_bins))
        + len(settings.age_bins) * (week // WEEKS_PER_MONTH),
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
        "age_month": len(settings.age_bins) * MONTHS_PER_QUARTER,
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
    names = ("age", "age_month", "stage", "quarter_end", "week", "size", "segment", "product", "shock")
    return _effects(_subset(all_rows, names, chosen), rows.closing[chosen].astype(float), settings)


def win_side(all_rows: Covariates, rows: DealWeeks, panel: Panel, settings: ClosingSettings) -> Effects:
    """Binomial counts of winning among the closings."""
    chosen = rows.closing
    won = (panel.deals.outcome[rows.deal[chosen]] == WON).astype(float)
    names = ("age", "stage", "quarter_end", "week", "size", "segment", "product", "territory", "rep", "shock")
    return _effects(_subset(all_rows, names, chosen), won, settings, bounded=True)


def _subset(source: Covariates, names: tuple[str, ...], chosen: Bools) -> Covariates:
    """Some covariates of some rows; one that could take one level only has no effect to learn and is left out."""
    names = tuple(name for name in names if source.sizes[name] > 1 or name == "shock")
    return Covariates(
        {name: source.levels[name][chosen] for name in names}, {name: source.sizes[name] for name in names}
    )


def _effects(rows: Covariates, success: Floats, settings: ClosingSettings, bounded: bool = False) -> Effects:
    """Sum equal rows, leaving covariates out until few enough cells are left, those of time too where ``bounded``."""
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
    age_class = None
    if bounded and len(first) > settings.max_cells:
        age_class = _coarsen(rows, names, settings.max_cells)
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
    return Effects(sizes, cells, len(success), age_class)


def _coarsen(rows: Covariates, names: list[str], bound: int) -> Ints | None:
    """Leave the week out, put ages into classes, leave them out, as far as needed; the classes where they are used."""
    age_class = None
    for name in ("week", "age_class", "age"):
        if len(_distinct(rows, names)[0]) <= bound:
            break
        if name in names:
            names.remove(name)
        elif name == "age_class" and "age" in names:
            age_class = _age_class(rows.levels["age"], rows.sizes["age"])
            rows.levels["age"], rows.sizes["age"] = age_class[rows.levels["age"]], int(age_class.max()) + 1
    return age_class if "age" in names else None


def _age_class(age: Ints, ages: int) -> Ints:
    """Class [age] of every age, ascending from 0: by where the middle of its rows lies among all."""
    number = np.bincount(age, minlength=ages)
    middle = (np.cumsum(number) - number / 2) / max(len(age), 1)
    found = np.minimum((AGE_CLASSES * middle).astype(np.int64), AGE_CLASSES - 1)
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def _scales(names: list[str], settings: ClosingSettings) -> tuple[Floats, Bools]:
    """Prior SD (or its own prior scale, where it is learned) of every covariate, and whether it is learned."""
    fixed = {
        "base": settings.base_scale,
        "age": settings.age_scale,
        "stage": settings.stage_scale,
        "quarter_end": settings.quarter_scale,
        "age_month": settings.age_month_scale,
    }
    learned = {"shock": settings.shock_scale}
    scale = [fixed.get(name, learned.get(name, settings.effect_scale)) for name in names]
    return np.array(scale), np.array([name not in fixed for name in names])


def _distinct(rows: Covariates, names: list[str]) -> tuple[Ints, Ints]:
    """First row of every distinct combination, in the order of the levels, and the combination of every row."""
    key, space = np.zeros(len(next(iter(rows.levels.values()))), dtype=np.int64), 1
    for name in names:
        if space * (rows.sizes[name] + 1) > KEY_SPACE:
            key, space = _compressed(key, space)
        space *= rows.sizes[name] + 1
        key = key * (rows.sizes[name] + 1) + rows.levels[name] + 1
    key, count = _compressed(key, space)
    first = np.empty(count, dtype=np.int64)
    first[key[::-1]] = np.arange(len(key))[::-1]
    return first, key


def _compressed(key: Ints, space: int) -> tuple[Ints, int]:
    """Keys renumbered without gaps, in their order, and how many there are: a table of the space beats sorting."""
    if space > 2 * KEY_SPACE:
        values, inverse = np.unique(key, return_inverse=True)
        return inverse, len(values)
    seen = np.zeros(space, dtype=bool)
    seen[key] = True
    return (np.cumsum(seen) - 1)[key], int(seen.sum())


def _determines(level: Ints, other: Ints) -> bool:
    """Whether rows equal in one covariate are equal in the other."""
    span = int(other.max(initial=0)) + 2
    seen = np.bincount((level + 1) * span + other + 1, minlength=(int(level.max(initial=0)) + 2) * span) > 0
    return bool((seen.reshape(-1, span).sum(axis=1) <= 1).all())


def _information(level: Ints, age: Ints, success: Floats) -> float:
    """How much a covariate tells beyond age: chi-square of observed against expected, per degree of freedom."""
    chance = (np.bincount(age, success) / np.maximum(np.bincount(age), 1))[age]
    excess = np.bincount(level + 1, success - chance)
    spread = np.bincount(level + 1, chance * (1 - chance))
    seen = spread > 0
    return float((excess[seen] ** 2 / spread[seen]).sum() / max(int(seen.sum()) - 1, 1))
