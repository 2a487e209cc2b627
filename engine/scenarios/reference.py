"""How large a shift of log odds or log amounts is "five points" or "ten percent": solved on the company's own deals.

A rate is a mean over deals and posterior draws, so the shift that moves it by a stated part is found numerically, once
for all draws: the posterior keeps its spread.
"""

import numpy as np

from engine.scenarios.company import Company, amounts, closing
from models.calendar import week_number, week_of_quarter
from models.deal_weeks import age_bin, has_stages, size_bin
from models.panel import OPEN, Floats, Ints

MOST_DEALS, MOST_DRAWS = 400, 100
"""Deals and posterior draws that a reference is taken over, evenly spaced."""

NODES = 41
"""Quantiles of the noise of amounts."""

LARGEST_SHIFT = 30.0


def thinned(index: Ints, most: int) -> Ints:
    """At most ``most`` of the indices, evenly spaced."""
    return index if len(index) <= most else index[np.linspace(0, len(index) - 1, most).astype(np.int64)]


def reference_deals(company: Company, scope: Ints, closed: bool) -> Ints:
    """Deals of a scope that are closed (or open); those of the company where the scope has none."""
    wanted = (company.panel.deals.outcome != OPEN) == closed
    inside = scope[wanted[scope]]
    return thinned(inside if len(inside) else np.flatnonzero(wanted), MOST_DEALS)


def log_odds(company: Company, deals: Ints, side: str) -> Floats:
    """[D, deal] log odds of deals to close in a week (``close``) or to be won on closing (``win``).

    Closed deals are seen in the week they closed, open ones at the as-of date; shocks of months are left out.
    """
    panel, posterior = company.panel, closing(company)
    of, draws = panel.deals, thinned(np.arange(company.draws.count), MOST_DRAWS)
    now = np.where(np.isnat(of.closed[deals]), panel.as_of, of.closed[deals]).astype("datetime64[D]")
    week = week_number(now)
    born = np.where(np.isnat(of.created[deals]), now, of.created[deals]).astype("datetime64[D]")
    covariates = {
        "age": age_bin(np.maximum(week - week_number(born), 0), posterior.age_bins),
        "stage": of.stage[deals] if has_stages(panel) else np.zeros(len(deals), dtype=np.int64),
        "week": week_of_quarter(week, panel.fiscal_year_start),
        "size": size_bin(of.list_amount[deals], posterior.size_edges),
        "segment": of.segment[deals],
        "product": of.product[deals],
        "territory": of.territory[deals],
        "rep": of.rep[deals],
    }
    total = getattr(posterior, f"{side}_base")[draws][:, None] + np.zeros((1, len(deals)))
    for name, index in covariates.items():
        effect = getattr(posterior, f"{side}_{name}", None)
        if effect is not None:
            total = total + np.where(index >= 0, effect[np.ix_(draws, np.maximum(index, 0))], 0.0)
    return np.asarray(total)


def rate(log_odds_of: Floats, shift: float = 0.0) -> float:
    """Mean chance over all draws and deals."""
    from scipy.special import expit  # late, as in all of this module: most changes need none of it

    return float(expit(log_odds_of + shift).mean())


def shift_to(values: Floats, target: float) -> float:
    """Shift of log odds with which the mean chance is ``target``, strictly between 0 and 1."""
    from scipy.optimize import brentq

    return float(brentq(lambda shift: rate(values, shift) - target, -LARGEST_SHIFT, LARGEST_SHIFT, xtol=1e-9))


def multiple(company: Company, deals: Ints) -> tuple[Floats, Floats, float]:
    """Parts of the mean won amount over the list amount of deals.

    Returns
    -------
    [D, deal, node] log multiples of wins that differ from the list amount, [D] share of these, and the mean part of
    wins at exactly the list amount
    """
    from scipy.special import stdtrit

    posterior, of = amounts(company), company.panel.deals
    draws = thinned(np.arange(company.draws.count), 40)
    deals = thinned(deals, 100)
    centre = posterior.base[draws][:, None] + np.zeros((1, len(deals)))
    for name in ("product", "segment", "rep"):
        index = getattr(of, name)[deals]
        centre = centre + np.where(index >= 0, getattr(posterior, name)[np.ix_(draws, np.maximum(index, 0))], 0.0)
    at = (np.arange(NODES) + 0.5) / NODES
    noise = posterior.scale[draws][:, None] * stdtrit(np.minimum(posterior.dof[draws], 1e6)[:, None], at)
    share = 1.0 - posterior.zero[draws] - posterior.exact[draws]
    return centre[:, :, None] + noise[:, None, :], share, float(posterior.exact[draws].mean())


def amount_shift(company: Company, deals: Ints, factor: float) -> float | None:
    """Shift of log amounts of wins that differ from the list amount, with which the mean won amount grows by a factor.

    None where wins at exactly the list amount, or the cap, leave no room for it.
    """
    from scipy.optimize import brentq

    logs, share, exact = multiple(company, deals)
    cap = np.log(amounts(company).cap)

    def mean(shift: float) -> float:
        return exact + float((share[:, None, None] * np.exp(np.minimum(logs + shift, cap))).mean())

    target = factor * mean(0.0)
    if not mean(-LARGEST_SHIFT) < target < mean(LARGEST_SHIFT):
        return None
    return float(brentq(lambda shift: mean(shift) - target, -LARGEST_SHIFT, LARGEST_SHIFT, xtol=1e-9))
