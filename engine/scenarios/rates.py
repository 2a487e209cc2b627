"""Win rate, cycle, amount, price and crisis: shifts of the posterior's effects.

They hold from the as-of date, or for the whole company in the months asked for, since the posterior knows time by the
week of the quarter.
"""

from dataclasses import replace

import numpy as np

from engine.scenarios.asking import Ask
from engine.scenarios.company import (
    Company,
    added,
    amounts,
    closing,
    columns_of,
    orders,
    with_amounts,
    with_closing,
    with_orders,
    with_panel,
)
from engine.scenarios.groups import Shift, set_apart
from engine.scenarios.pipeline import fewer_arrivals
from engine.scenarios.reference import amount_shift, log_odds, rate, reference_deals, shift_to
from engine.scenarios.settings import Amount, Crisis, Cycle, Price, WinRate
from models.panel import OPEN, Floats, Ints

WIN_SCOPES = ("segment", "stage", "product", "territory", "rep")
CYCLE_SCOPES = ("segment", "stage", "product", "rep")
AMOUNT_SCOPES = ("segment", "stage", "product", "rep")

HISTORY_NEEDED = "a run with stage history: without it deals have no stage"


def win_rate(company: Company, change: WinRate, ask: Ask) -> Company:
    """Shift the log odds of winning so that the mean chance of deals that close moves as stated.

    The mean is over deals of the scope that closed, with their own covariates, and over the posterior.
    """
    ask.leg("closing", "deals")
    if (change.points is None) == (change.relative is None):
        came = "both `points` and `relative`" if change.points is not None else "neither `points` nor `relative`"
        ask.refuse("relative", came, "one of the two", "say how the change is meant")
    scope, members = _members(ask, WIN_SCOPES)
    inside, limited = ask.window(scope)
    weeks = ask.weeks_of_quarter(inside) if limited else None
    ask.done()
    values = log_odds(company, reference_deals(company, _deals(company, scope, members), closed=True), "win")
    before = rate(values)
    after = before + change.points / 100 if change.points is not None else before * (1 + (change.relative or 0.0))
    if not 0 < after < 1:
        key = "points" if change.points is not None else "relative"
        ask.stop(key, f"a win rate of {after:.0%}", f"one above 0 and below 100 % (now {before:.1%})", "correct it")
    return _shifted(company, "win", scope, members, shift_to(values, after), weeks)


def cycle(company: Company, change: Cycle, ask: Ask) -> Company:
    """Shift the log odds of closing so that the mean weekly chance of open deals is divided by 1 + relative."""
    ask.leg("closing", "deals")
    scope, members = _members(ask, CYCLE_SCOPES)
    inside, limited = ask.window(scope)
    weeks = ask.weeks_of_quarter(inside) if limited else None
    ask.done()
    deals = _deals(company, scope, members)
    values = log_odds(company, reference_deals(company, deals, closed=False), "close")
    target = rate(values) / (1 + change.relative)
    if target >= 1:
        ask.stop("relative", f"{change.relative}", "cycles that still take a week", "shorten them less")
    shift = shift_to(values, target)
    if scope != "rep":
        return _shifted(company, "close", scope, members, shift, weeks)
    # The posterior has no closing speed of single reps: the rep's open deals and accounts get effects of their own.
    panel = company.panel
    mine = np.isin(panel.deals.rep, members) & (panel.deals.outcome == OPEN)
    return set_apart(company, mine, np.isin(panel.accounts.owner, members), Shift(close=shift))


def amount(company: Company, change: Amount, ask: Ask) -> Company:
    """Scale won amounts: exactly for the whole company, in the mean for a part of it."""
    scope, members = _members(ask, AMOUNT_SCOPES)
    if scope is not None:
        ask.leg("amounts", "deals")
    ask.done()
    if scope is None:
        return scale_all(company, 1 + change.relative)
    return scale_part(company, scope, members, 1 + change.relative, ask)


def price(company: Company, change: Price, ask: Ask) -> Company:
    """Scale amounts by the price, and the win rate by ``1 + elasticity x relative``."""
    scope, members = _members(ask, ("product",))
    if scope is not None:
        ask.leg("amounts", "deals")
    ask.done()
    factor = 1 + change.relative
    effect = change.elasticity * change.relative
    if effect and company.draws.closing is not None:
        if effect <= -1:
            ask.stop("elasticity", f"{effect:+.0%} of the win rate", "a win rate above 0", "lower the elasticity")
        wins = WinRate(change="win_rate", relative=effect, product=change.product)
        company = win_rate(company, wins, Ask(replace(ask.item, change=wins), company, ask.frame))
    return scale_all(company, factor) if scope is None else scale_part(company, scope, members, factor, ask)


def crisis(company: Company, change: Crisis, ask: Ask) -> Company:
    """Win rate, cycle and arrivals together, each as its own change would do it."""
    if not (change.win_rate or change.cycle or change.arrivals):
        ask.refuse("", "no change", "at least one of win_rate, cycle and arrivals", "say what gets worse")
    inside, limited = ask.window(None)
    if company.draws.closing is not None and limited:
        ask.weeks_of_quarter(inside)
    ask.done()
    if company.draws.closing is not None and change.win_rate:
        wins = WinRate(change="win_rate", relative=change.win_rate, start=change.start, end=change.end)
        company = win_rate(company, wins, Ask(replace(ask.item, change=wins), company, ask.frame))
    if company.draws.closing is not None and change.cycle:
        slower = Cycle(change="cycle", relative=change.cycle, start=change.start, end=change.end)
        company = cycle(company, slower, Ask(replace(ask.item, change=slower), company, ask.frame))
    return fewer_arrivals(company, change.arrivals, inside, customers=True)


def scale_all(company: Company, factor: float) -> Company:
    """Everything that is won or ordered from now on is worth ``factor`` as much; who wins and orders stays.

    Size classes of deals and grades of accounts move along, so that no deal or account counts as another kind.
    """
    step = float(np.log(factor))
    if company.draws.closing is not None and company.draws.amounts is not None:
        deals = company.panel.deals
        company = with_panel(company, deals=replace(deals, list_amount=deals.list_amount * factor))
        company = with_closing(company, size_edges=closing(company).size_edges + step)
        old = amounts(company)
        # A deal without any list amount of its kind has its amount as a multiple of one: see `AmountDraws`.
        company = with_amounts(company, list_log_mean=old.list_log_mean + step)
    if company.draws.orders is not None:
        of = orders(company)
        known = of.orders > 0
        company = with_orders(
            company,
            level=np.where(known, of.level + step, of.level),
            group=of.group + step,
            grade_edges=of.grade_edges + step,
            odd_mean=of.odd_mean + step,
            cap=of.cap + step,
            first_pool=of.first_pool * factor,
            first_group=of.first_group + step,
        )
    return company


def scale_part(company: Company, scope: str, members: Ints, factor: float, ask: Ask) -> Company:
    """Scale the mean won amount of a part of the deals: wins at exactly the list amount stay, the others make up."""
    deals = _deals(company, scope, members)
    now_open = deals[company.panel.deals.outcome[deals] == OPEN]
    reference = now_open if len(now_open) else deals if len(deals) else np.flatnonzero(company.panel.deals.outcome >= 0)
    shift = amount_shift(company, reference, factor)
    if shift is None:
        allowed = "a change that wins at exactly the list amount, which stay as they are, leave room for"
        ask.stop("relative", f"{factor - 1:+.0%}", allowed, "make it smaller, or change the whole company")
    if scope == "stage":
        mask = np.zeros(len(company.panel.deals), dtype=bool)
        mask[now_open] = True
        none = np.zeros(len(company.panel.accounts.labels), dtype=bool)
        return set_apart(company, mask, none, Shift(amount=shift))
    return with_amounts(company, **{scope: added(getattr(amounts(company), scope), members, shift)})


def _members(ask: Ask, scopes: tuple[str, ...]) -> tuple[str | None, Ints]:
    """The scope and the columns of its effects."""
    scope = ask.one_scope(scopes)
    if scope is None:
        return None, np.zeros(0, dtype=np.int64)
    panel, text = ask.company.panel, getattr(ask.item.change, scope)
    labels = {
        "segment": panel.segments,
        "stage": panel.stages,
        "product": panel.products.labels,
        "territory": panel.territories,
        "rep": panel.reps.labels,
    }[scope]
    index = ask.member(scope, scope, labels, text)
    if scope == "stage" and not len(panel.stage_moves.deal):
        ask.refuse(scope, f"`{text}`", HISTORY_NEEDED, "remove `stage`")
    return scope, columns_of(labels, index) if index >= 0 else np.zeros(0, dtype=np.int64)


def _deals(company: Company, scope: str | None, members: Ints) -> Ints:
    """Deals of a scope."""
    deals = company.panel.deals
    return np.arange(len(deals)) if scope is None else np.flatnonzero(np.isin(getattr(deals, scope), members))


def _shifted(
    company: Company, side: str, scope: str | None, members: Ints, shift: float, weeks: Ints | None
) -> Company:
    """Add a shift to the effects of one side."""
    old = closing(company)
    if weeks is not None:
        name = f"{side}_week"
        return with_closing(company, **{name: added(getattr(old, name), weeks, shift)})
    if scope is None:
        base: Floats = getattr(old, f"{side}_base")
        return with_closing(company, **{f"{side}_base": base + shift})
    name = f"{side}_{scope}"
    return with_closing(company, **{name: added(getattr(old, name), members, shift)})
