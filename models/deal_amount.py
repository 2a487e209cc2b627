"""Amount of a won deal relative to the amount the CRM showed: exactly that, nothing, or a heavy-tailed multiple of it.

The rule this module keeps: a multiple is learned only from deals whose list amount is known; where a company records
none at all, the list amount is 1 everywhere and the multiple is the amount itself.

References
----------
Lange, Little and Taylor (1989), Robust statistical modeling using the t distribution,
doi:10.1080/01621459.1989.10478852.
"""

from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from models.calendar import month_number
from models.diagnostics import diagnose
from models.draws import AmountDraws, Diagnostics
from models.fitting import sample
from models.panel import WON, Bools, Floats, Ints, Panel
from models.pooling import Group, Pooled, Working, approximate, predictor
from models.settings import AmountSettings, ModelSettings

USUAL_DOF = 6.0
"""Prior median of the degrees of freedom above `LEAST_DOF`, also used by the approximate fit."""

LEAST_DOF = 1.5
"""Smallest number of degrees of freedom: below it a handful of deals would decide every sum."""

THINNING = 2
"""Steps per draw kept: a step is cheap here, what follows from a draw (the simulation) is not."""

PRODUCT_WEIGHT = 5.0
"""Deals that the list price, or the company's own list amounts, count for in the distribution of a product's."""


@dataclass(frozen=True)
class Multiples:
    """Log of won over list amount, equal rows summed.

    Attributes
    ----------
    log_ratio : [row]
    product, segment, rep : [row] indices, NONE where unknown
    count : [row] deals
    """

    log_ratio: Floats
    product: Ints
    segment: Ints
    rep: Ints
    count: Floats


def fit_amounts(panel: Panel, settings: ModelSettings, seed: int) -> tuple[AmountDraws, Diagnostics] | None:
    """Fit the amounts of won deals.

    Parameters
    ----------
    panel : a company as of a date
    settings : of all models; ``settings.amount`` and ``settings.sampler`` are used
    seed : of the chains and of the shares of zero and exact amounts

    Returns
    -------
    tuple of AmountDraws and Diagnostics, or None when no deal has been won
    """
    asked = settings.amount
    won = (panel.deals.outcome == WON) & np.isfinite(panel.deals.won_amount)
    if not won.any():
        return None
    listed = list_amounts(panel)
    ratio = np.divide(panel.deals.won_amount, listed, out=np.full(len(listed), np.nan), where=listed > 0)
    zero = won & (panel.deals.won_amount <= 0)
    exact = won & ~zero & (np.abs(ratio - 1.0) <= asked.exact_tolerance)
    rows = multiples(panel, ratio, won & ~zero & ~exact & np.isfinite(ratio))
    middle = float(np.median(np.repeat(rows.log_ratio, rows.count.astype(int)))) if len(rows.count) else 0.0
    pooled = _pooled(panel, rows, asked, middle)
    model = _model(rows, pooled, asked)
    trace = sample(model, settings.sampler, seed, THINNING)
    effects = {name: trace.draws("effects")[:, where] for name, where in pooled.slices().items()}
    count = len(effects["base"])
    rng = np.random.default_rng([seed, 1])
    mean, sd = list_distribution(panel, listed, asked, middle)
    # A stick broken twice: won for nothing; else, where a list amount is known, for exactly that.
    nothing = rng.beta(0.5 + zero.sum(), 9.5 + won.sum() - zero.sum(), count)
    listing = rng.beta(0.5 + exact.sum(), 0.5 + (won & ~zero & (listed > 0)).sum() - exact.sum(), count)
    draws = AmountDraws(
        base=effects["base"][:, 0] + middle,
        scale=trace.draws("noise"),
        dof=trace.draws("dof"),
        zero=nothing,
        exact=(1 - nothing) * listing,
        product=effects["product"] * products_with_multiple(panel, rows),
        segment=effects["segment"],
        rep=effects["rep"],
        list_log_mean=mean,
        list_log_sd=sd,
        cap=largest_multiple(rows, asked),
    )
    names = ("effects", "effects_scale", "noise", "dof")
    return draws, diagnose("amounts", trace, names, int(won.sum()), len(rows.count))


def list_amounts(panel: Panel) -> Floats:
    """[deal] list amounts; 1 everywhere when the company records none."""
    listed = panel.deals.list_amount
    return listed if (listed > 0).any() else np.ones(len(listed))


def multiples(panel: Panel, ratio: Floats, kept: Bools) -> Multiples:
    """Sum equal rows, which loses nothing."""
    deals = panel.deals
    table = np.column_stack([np.log(ratio[kept]), deals.product[kept], deals.segment[kept], deals.rep[kept]])
    rows, count = np.unique(table, axis=0, return_counts=True)
    product, segment, rep = rows[:, 1:].astype(np.int64).T
    return Multiples(rows[:, 0], product, segment, rep, count.astype(float))


def largest_multiple(rows: Multiples, settings: AmountSettings) -> float:
    """Cap of a simulated multiple: some times a high quantile of those seen, at least the largest seen."""
    if not len(rows.count):
        return settings.cap_factor
    ratios = np.repeat(np.exp(rows.log_ratio), rows.count.astype(int))
    return float(max(settings.cap_factor * np.quantile(ratios, settings.cap_quantile), ratios.max(), 1.0))


def products_with_multiple(panel: Panel, rows: Multiples) -> Floats:
    """[product] 1 where deals with a list amount were won; 0 elsewhere: there list amounts are the won ones already."""
    seen = np.bincount(rows.product[rows.product >= 0], minlength=len(panel.products.labels))
    return (seen > 0).astype(float)


def list_distribution(panel: Panel, listed: Floats, settings: AmountSettings, middle: float) -> tuple[Floats, Floats]:
    """Mean and SD [product] of the log of recent list amounts, shrunk to the list price, without one to the company's.

    A won deal without a list amount counts with its won amount over the usual multiple, ``exp(middle)``.
    """
    deals = panel.deals
    worth = np.where(listed > 0, listed, deals.won_amount / np.exp(middle))
    recent = month_number(deals.created) > int(month_number(np.array([panel.as_of]))[0]) - settings.recent_months
    known = np.isfinite(worth) & (worth > 0)
    chosen = known & recent if (known & recent).any() else known
    logs, product = np.log(worth[chosen]), deals.product[chosen]
    products = len(panel.products.labels)
    company_mean = logs.mean() if len(logs) else 0.0
    company_variance = logs.var() if len(logs) else 0.0
    of = product >= 0
    number = np.bincount(product[of], minlength=products)
    total = np.bincount(product[of], logs[of], minlength=products)
    price = panel.products.list_price
    priced = np.isfinite(price) & (price > 0)
    centre = np.where(priced, np.log(np.where(priced, price, 1.0)), company_mean)
    variance = np.where(priced, 0.0, company_variance)
    mean = (total + PRODUCT_WEIGHT * centre) / (number + PRODUCT_WEIGHT)
    square = np.bincount(product[of], (logs[of] - mean[product[of]]) ** 2, minlength=products)
    return mean, np.sqrt((square + PRODUCT_WEIGHT * variance) / (number + PRODUCT_WEIGHT))


def _pooled(panel: Panel, rows: Multiples, settings: AmountSettings, middle: float) -> Pooled:
    groups = (
        Group("base", np.zeros(len(rows.count), dtype=np.int64), 1, 1.0, free=False),
        # Not learned: a handful of products or segments says little about their spread, and much about each of them.
        Group("product", rows.product, len(panel.products.labels), settings.effect_scale, free=False),
        Group("segment", rows.segment, len(panel.segments), settings.effect_scale, free=False),
        Group("rep", rows.rep, len(panel.reps.labels), settings.effect_scale, free=True),
    )
    return Pooled(groups, np.full(len(rows.count), middle))


def _model(rows: Multiples, pooled: Pooled, settings: AmountSettings) -> pm.Model:
    """Student t around a pooled mean."""
    spread = _robust_spread(rows, settings)
    _, white = approximate(pooled, _student_working(rows, spread))
    with pm.Model() as model:
        mean = predictor("effects", pooled, white)
        noise = pm.LogNormal("noise", pm.Data("usual_log_noise", np.log(spread)), 1.0)
        dof = pm.Deterministic("dof", LEAST_DOF + pm.LogNormal("dof_above", np.log(USUAL_DOF), 0.7))
        y, count = pm.Data("log_ratio", rows.log_ratio), pm.Data("count", rows.count)
        density = pt.gammaln((dof + 1) / 2) - pt.gammaln(dof / 2) - 0.5 * pt.log(dof) - pt.log(noise)
        distance = ((y - mean) / noise) ** 2
        pm.Potential("likelihood", count.sum() * density - (dof + 1) / 2 * (count * pt.log1p(distance / dof)).sum())
    return model


def _robust_spread(rows: Multiples, settings: AmountSettings) -> float:
    """SD of the log ratios by their quartiles; the prior's where there are too few or they do not differ."""
    if rows.count.sum() < 10:
        return settings.noise_scale
    low, high = np.quantile(np.repeat(rows.log_ratio, rows.count.astype(int)), [0.25, 0.75])
    return max(float(high - low) / 1.349, 0.01)


def _student_working(rows: Multiples, spread: float) -> Working:
    """Slope and expected curvature of the t density at a plug-in spread."""
    dof = LEAST_DOF + USUAL_DOF

    def working(mean: Floats) -> tuple[Floats, Floats]:
        residual = rows.log_ratio - mean
        weight = rows.count * (dof + 1) / (dof * spread**2 + residual**2)
        return weight * residual, rows.count * (dof + 1) / ((dof + 3) * spread**2)

    return working
