"""Weekly hazard of closing and of winning given closing, fitted together: their shocks are a correlated pair.

Both are logits of hierarchical effects on binomial counts. Open deals are right-censored; the last age bin is open and
has a hazard of its own, so deals that never close are its small hazard and need no class of their own. What recurs
within every quarter is given to its last month (fixed wide prior) and its weeks (learned scale) before it is given to
shocks.

References
----------
Singer and Willett (1993), It's about time: using discrete-time survival analysis, doi:10.3102/10769986018002155.
"""

from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from models.calendar import MONTHS_PER_QUARTER, WEEKS_PER_QUARTER
from models.closing_cells import QUARTER_END_WEEK, Effects, close_side, covariates, win_side
from models.deal_weeks import DealWeeks, deal_weeks, first_stages, has_stages, shock_months, size_edges
from models.diagnostics import diagnose
from models.draws import ClosingDraws, Diagnostics
from models.fitting import Trace, half_normal, sample
from models.panel import Floats, Ints, Panel
from models.settings import ModelSettings
from models.whitening import Whitening, joined, whiten

USUAL_CLOSE_LOGIT = float(np.log(0.05 / 0.95))
"""Where the prior of the close side's base is centred: 5 % a week."""


LN2 = float(np.log(2.0))

LIKENESS = 4.0
"""Both parameters of the Beta prior of the shocks' correlation, stretched to -1 to 1: SD 1/3, unlikely to be near 1."""

THINNING = 2
"""Steps per draw kept: a step is cheap here, what follows from a draw (the simulation) is not."""

BLOCKS = (
    ("base", "age", "age_month", "stage"),
    ("quarter_end", "week", "shock"),
    ("size", "segment", "product"),
    ("territory", "rep"),
)
"""Covariates whose effects are summed once per combination: few combinations each."""


@dataclass(frozen=True)
class Problem:
    """All that the model is built from."""

    rows: DealWeeks
    months: Ints
    edges: Floats
    close: Effects
    win: Effects
    white: Whitening


def fit_closing(panel: Panel, settings: ModelSettings, seed: int) -> tuple[ClosingDraws, Diagnostics] | None:
    """Fit the closing hazard.

    Parameters
    ----------
    panel : a company as of a date
    settings : priors, bins and sampler
    seed : of the chains and of the stage moves

    Returns
    -------
    tuple of ClosingDraws and Diagnostics, or None when no deal has closed
    """
    rows = deal_weeks(panel)
    if not panel.has_pipeline or not rows.closing.any():
        return None
    problem = prepare(panel, rows, settings)
    trace = sample(closing_model(problem), settings.sampler, seed, THINNING)
    names = ("beta", "scale", "correlation")
    cells = len(problem.close.cells.count) + len(problem.win.cells.count)
    return (
        _draws(panel, problem, trace, settings, np.random.default_rng([seed, 1])),
        diagnose("closing", trace, names, problem.close.rows + problem.win.rows, cells),
    )


def prepare(panel: Panel, rows: DealWeeks, settings: ModelSettings) -> Problem:
    """Counts of both sides and the coordinates to sample them in."""
    closing = settings.closing
    edges = size_edges(panel, closing.size_bins)
    months = shock_months(rows)
    levels = covariates(panel, rows, closing, edges, months)
    close = close_side(levels, rows, closing)
    win = win_side(levels, rows, panel, closing)
    white = joined([whiten(close.cells, USUAL_CLOSE_LOGIT), whiten(win.cells, 0.0)])
    return Problem(rows, months, edges, close, win, white)


def closing_model(problem: Problem) -> pm.Model:
    """Joint model of both sides. Effects: close side, then win side; the shocks are the last of each."""
    close, win, white = problem.close.cells, problem.win.cells, problem.white
    split, total = len(close.group), len(close.group) + len(win.group)
    free = np.concatenate([close.free, win.free])
    prior = np.concatenate([close.scale, win.scale])
    group = np.concatenate([close.group, win.group + len(close.scale)])
    # Learned scales first, then the fixed ones.
    place = np.where(free, np.cumsum(free) - 1, free.sum() + np.cumsum(~free) - 1)
    parts, sums = _nested(problem)
    with pm.Model() as model:
        parts, sums = pm.Data("parts", parts), pm.Data("sums", sums)
        count = pm.Data("count", np.concatenate([close.count, win.count]))
        success = pm.Data("success", np.concatenate([close.success, win.success]))
        shift = pm.Data("shift", np.repeat([USUAL_CLOSE_LOGIT, 0.0], [len(close.count), len(win.count)]))
        scale = half_normal("scale", prior[free], white.scale[free])
        likeness = pm.Beta("likeness", LIKENESS, LIKENESS)
        correlation = pm.Deterministic("correlation", 2 * likeness - 1)
        fixed = pm.Flat("fixed", shape=white.from_fixed.shape[1])
        random = pm.Flat("random", shape=white.from_random.shape[1])

        variance = 1 / (pm.Data("information", white.information) + scale[pm.Data("learned", place[white.group])] ** -2)
        turned = variance * pm.Data("pull", white.pull) + pt.sqrt(variance) * pt.dot(
            pm.Data("factor", white.factor), random
        )
        mixing = pm.Data("mixing", np.hstack([white.from_fixed, white.from_random]))
        core = pm.Data("centre", white.centre) + pt.dot(mixing, pt.concatenate([fixed, turned]))
        own = 1 / (
            pm.Data("leaf_information", white.leaf_information)
            + scale[pm.Data("leaf_learned", place[white.leaf_group])] ** -2
        )
        pull = pm.Data("leaf_pull", white.leaf_pull) - pt.dot(pm.Data("coupling", white.coupling), core)
        leaf = own * pull + pt.sqrt(own) * pm.Flat("leaf", shape=len(white.leaf_group))
        beta = pm.Deterministic("beta", pt.concatenate([core, leaf])[pm.Data("order", white.order)])
        sigma = pt.concatenate([scale, pm.Data("scale_fixed", prior[~free])])[pm.Data("group", place[group])]
        unit = beta / sigma
        months = pm.Data("months", np.array(float(len(problem.months))))
        shocks = pm.Data("shocks", np.stack([np.arange(end - len(problem.months), end) for end in (split, total)]))
        first, second = unit[shocks[0]], unit[shocks[1]]
        # N(0, 1) density of all, corrected to that of a correlated pair for the shocks; plus the Jacobian of the map.
        pair = (first**2 + second**2) - (first**2 - 2 * correlation * first * second + second**2) / (1 - correlation**2)
        log_jacobian = 0.5 * pt.log(variance).sum() + 0.5 * pt.log(own).sum()
        pm.Potential("prior", -0.5 * (unit**2).sum() + log_jacobian - pt.log(sigma).sum())
        pm.Potential("pairs", 0.5 * pair.sum() - 0.5 * months * pt.log1p(-(correlation**2)))
        combined = pt.concatenate([beta, pt.zeros(1)])[parts].sum(axis=0)
        logit = shift + combined[sums].sum(axis=0)
        # log2: PyTensor would turn log(1 + exp) into a log1p, which takes three times as long. Logits are moderate.
        pm.Potential("likelihood", (success * logit - count * (LN2 * pt.log2(1 + pt.exp(logit)))).sum())
    return model


def _nested(problem: Problem) -> tuple[Ints, Ints]:
    """Two small gathers instead of a large one: effects that often occur together are summed once for all their cells.

    Returns
    -------
    parts : [depth, combination] effects of every combination; the number of effects (a zero) where there are fewer
    sums : [block, cell] combinations of every cell
    """
    missing = len(problem.close.cells.group) + len(problem.win.cells.group)
    depth = max(len(block) for block in BLOCKS)
    parts = [np.full((depth, 1), missing)]
    sides = []
    for side, start in ((problem.close, 0), (problem.win, len(problem.close.cells.group))):
        names = list(side.sizes)
        rows = np.where(side.cells.index < len(side.cells.group), side.cells.index + start, missing)
        sums = np.zeros((len(BLOCKS), rows.shape[1]), dtype=np.int64)
        for i, block in enumerate(BLOCKS):
            chosen = rows[[names.index(name) for name in block if name in names]]
            if len(chosen):
                distinct, inverse = np.unique(chosen, axis=1, return_inverse=True)
                sums[i] = inverse + sum(part.shape[1] for part in parts)
                parts.append(np.pad(distinct, ((0, depth - len(chosen)), (0, 0)), constant_values=missing))
        sides.append(sums)
    return np.concatenate(parts, axis=1), np.concatenate(sides, axis=1)


def _draws(
    panel: Panel, problem: Problem, trace: Trace, settings: ModelSettings, rng: np.random.Generator
) -> ClosingDraws:
    """Posterior draws under the names of `ClosingDraws`."""
    beta = trace.draws("beta")
    split = len(problem.close.cells.group)
    sizes = {
        "age": len(settings.closing.age_bins),
        "stage": max(len(panel.stages), 1),
        "size": len(problem.edges) + 1,
        "segment": len(panel.segments),
        "product": len(panel.products.labels),
        "territory": len(panel.territories),
        "rep": len(panel.reps.labels),
    }
    close = _named_effects(beta[:, :split], problem.close, sizes | {"age_month": sizes["age"] * MONTHS_PER_QUARTER})
    win = _named_effects(beta[:, split:], problem.win, sizes)
    learned = trace.draws("scale")
    last_of_close = int(problem.close.cells.free.sum()) - 1
    moves, first = _stage_draws(panel, problem.rows, len(beta), rng)
    return ClosingDraws(
        age_bins=np.array(settings.closing.age_bins),
        size_edges=problem.edges,
        close_base=close["base"] + USUAL_CLOSE_LOGIT,
        close_age_month=close["age_month"].reshape(len(beta), MONTHS_PER_QUARTER, -1),
        **{f"close_{name}": close[name] for name in ("age", "stage", "week", "size", "segment", "product")},
        win_base=win["base"],
        **{
            f"win_{name}": win[name]
            for name in ("age", "stage", "week", "size", "segment", "product", "territory", "rep")
        },
        shock_scale=learned[:, [last_of_close, -1]],
        shock_correlation=trace.draws("correlation"),
        shock_months=problem.months,
        shocks=np.stack([close["shock"], win["shock"]], axis=2),
        stage_move=moves,
        first_stage=first,
    )


def _named_effects(beta: Floats, side: Effects, sizes: dict[str, int]) -> dict[str, Floats]:
    """Effects [D, level] by covariate, zero where left out. The mean over age, stage, week and size is in the base."""
    offsets = side.offsets()
    found = {name: beta[:, start : start + side.sizes[name]] for name, start in offsets.items()}
    if side.age_class is not None:
        found["age"] = found["age"][:, side.age_class]
    count = len(beta)
    effects = {name: found.get(name, np.zeros((count, size))) for name, size in sizes.items()}
    last_month = (np.arange(WEEKS_PER_QUARTER) >= QUARTER_END_WEEK).astype(np.int64)
    effects["week"] = found["quarter_end"][:, last_month] + found.get("week", 0.0)
    effects["shock"] = found["shock"]
    base = found["base"][:, 0].copy()
    for name in ("age", "stage", "week", "size"):
        mean = effects[name].mean(axis=1)
        effects[name] = effects[name] - mean[:, None]
        base += mean
    return effects | {"base": base}


def _stage_draws(panel: Panel, rows: DealWeeks, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Weekly moves between open stages [D, stage, stage] and first stages [D, stage]: conjugate Dirichlet posteriors.

    The prior of a row weighs as much as one deal-week that mostly stays. Without stage history: no moves, stage 0.
    """
    stages = max(len(panel.stages), 1)
    if not has_stages(panel):
        stay = np.broadcast_to(np.eye(stages), (count, stages, stages)).copy()
        return stay, np.broadcast_to(np.eye(stages)[0], (count, stages)).copy()
    kept = rows.complete & ~rows.closing
    pairs = np.bincount(rows.stage[kept] * stages + rows.next_stage[kept], minlength=stages * stages)
    prior = np.full((stages, stages), 0.1 / stages) + 0.9 * np.eye(stages)
    weights = pairs.reshape(stages, stages) + prior
    moves = np.stack([rng.dirichlet(row, size=count) for row in weights], axis=1)
    return moves, rng.dirichlet(first_stages(panel) + 1 / stages, size=count)
