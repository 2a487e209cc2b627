"""Open deals and new ones: win and lose named deals, more or fewer new deals, closings that come later."""

from dataclasses import replace

import numpy as np

from engine.scenarios.asking import Ask
from engine.scenarios.company import (
    Company,
    added,
    arrivals,
    closing,
    columns_of,
    copied,
    orders,
    with_arrivals,
    with_closing,
    with_orders,
    with_panel,
)
from engine.scenarios.settings import Delay, Generation, Lose, Win
from engine.simulation.sellers import RECENT_DAYS
from models.calendar import month_of_year, week_number, week_start
from models.panel import LOST, NONE, OPEN, WON, Bools, Dates, Floats, Ints, Labels, StageMoves

NEVER = -40.0
"""Log odds that amount to never."""

MOST_COPIES = 64
"""Stages times weeks that a chain may have: bounds the memory of its table of moves."""


def lose(company: Company, change: Lose, ask: Ask) -> Company:
    """Deals are lost at once: nothing comes of them any more."""
    index = ask.deals("deals", change.deals)
    ask.done()
    return closed(company, index, LOST)


def closed(company: Company, index: Ints, outcome: int) -> Company:
    """The company with open deals closed at the as-of date."""
    deals = company.panel.deals
    outcomes, days = deals.outcome.copy(), deals.closed.copy()
    outcomes[index], days[index] = outcome, company.panel.as_of
    return with_panel(company, deals=replace(deals, outcome=outcomes, closed=days))


def win(company: Company, change: Win, ask: Ask) -> Company:
    """Deals are won for sure: booked on their day, and simulated no more."""
    index = ask.deals("deals", change.deals)
    panel = company.panel
    tomorrow = panel.as_of.astype("datetime64[D]") + np.timedelta64(1, "D")
    day = tomorrow if change.date is None else np.datetime64(change.date, "D")
    last = np.datetime64(int(ask.frame.months[-1]) + 1, "M").astype("datetime64[D]") - np.timedelta64(1, "D")
    if not tomorrow <= day <= last:
        ask.refuse("date", str(day), f"a day from {tomorrow} to {last}", "correct it")
    deals = panel.deals
    lacking = [] if change.amount is not None else [str(deals.ids[i]) for i in index if not deals.list_amount[i] > 0]
    if lacking:
        ask.refuse("deals", f"no amount for {', '.join(lacking)}", "deals with an amount, or `amount`", "add `amount`")
    ask.done()
    outcomes, days, won = deals.outcome.copy(), deals.closed.copy(), deals.won_amount.copy()
    outcomes[index], days[index] = WON, day
    won[index] = deals.list_amount[index] if change.amount is None else change.amount
    return with_panel(company, deals=replace(deals, outcome=outcomes, closed=days, won_amount=won))


def generation(company: Company, change: Generation, ask: Ask) -> Company:
    """Scale the rates at which reps create deals; what becomes of a deal stays.

    For a segment each rep's rate grows by the segment's part in the rep's new deals; where the additional deals land is
    as with the rep's others.
    """
    ask.leg("arrivals", "new deals")
    scope = ask.one_scope(("territory", "segment", "rep"))
    panel = company.panel
    labels = {"territory": panel.territories, "segment": panel.segments, "rep": panel.reps.labels}
    index = ask.member(scope, scope, labels[scope], getattr(change, scope)) if scope else NONE
    inside, limited = ask.window(scope)
    if limited and len(ask.frame.simulated) > 12:
        ask.refuse("start", "months of a horizon beyond a year", "a horizon of a year at most", "remove the months")
    ask.done()
    step, old = float(np.log1p(change.relative)), arrivals(company)
    if scope is None:
        return fewer_arrivals(company, change.relative, inside, customers=False)
    if scope == "rep":
        return with_arrivals(company, rep=added(old.rep, np.array([index]), step))
    if scope == "territory":
        return with_arrivals(company, territory=added(old.territory, np.array([index]), step))
    part = segment_share(company, columns_of(panel.segments, index))
    return with_arrivals(company, rep=old.rep + np.log1p(change.relative * part))


def segment_share(company: Company, segments: Ints) -> Floats:
    """[rep] part of a segment in the deals of a rep; the company's for a rep without any."""
    deals, reps = company.panel.deals, len(company.panel.reps.labels)
    known = deals.rep != NONE
    inside = np.isin(deals.segment, segments)
    count = np.bincount(deals.rep[known], minlength=reps)
    mine = np.bincount(deals.rep[known & inside], minlength=reps)
    return np.where(count > 0, mine / np.maximum(count, 1), inside.mean() if len(deals) else 0.0)


def fewer_arrivals(company: Company, relative: float, inside: Ints, customers: bool) -> Company:
    """Scale arrivals of new deals, and of new customers if asked, in some months of the year."""
    step, months = float(np.log1p(relative)), np.unique(month_of_year(inside))
    if company.draws.arrivals is not None:
        company = with_arrivals(company, season=added(arrivals(company).season, months, step))
    if customers and company.draws.orders is not None:
        company = with_orders(company, first_season=added(orders(company).first_season, months, step))
    return company


def delay(company: Company, change: Delay, ask: Ask) -> Company:
    """Stages of standing still, one a week, that a deal passes through before it goes on in its own stage.

    Its age at closing is counted without the weeks of standing still, as far as it is older than them.
    """
    ask.leg("closing", "deals")
    scope = ask.one_scope(("deals", "rep", "segment", "stage"))
    panel = company.panel
    if scope == "deals":
        index = ask.deals("deals", change.deals or [])
    elif scope is not None:
        labels = {"rep": panel.reps.labels, "segment": panel.segments, "stage": panel.stages}[scope]
        member = ask.member(scope, scope, labels, getattr(change, scope))
        if scope == "stage" and not len(panel.stage_moves.deal):
            ask.refuse("stage", f"`{change.stage}`", "a run with stage history", "remove `stage`")
        found = columns_of(labels, member) if member >= 0 else np.zeros(0, dtype=np.int64)
        index = np.flatnonzero(np.isin(getattr(panel.deals, scope), found))
    else:
        index = np.arange(len(panel.deals))
    stages = 1 if company.draws.closing is None else company.draws.closing.close_stage.shape[1]
    if change.weeks * stages > MOST_COPIES:
        ask.refuse("weeks", str(change.weeks), f"at most {MOST_COPIES // stages} with {stages} stages", "shorten it")
    ask.done()
    mask = np.zeros(len(panel.deals), dtype=bool)
    mask[index] = True
    return stood_still(company, mask & (panel.deals.outcome == OPEN), change.weeks, new_deals=scope is None)


def stood_still(company: Company, deals: Bools, weeks: int, new_deals: bool) -> Company:
    """Hold open deals (and, if asked, new ones) for some weeks."""
    old = closing(company)
    count = old.close_stage.shape[1]
    move = np.zeros((len(old.stage_move), count * (weeks + 1), count * (weeks + 1)))
    move[:, :count, :count] = old.stage_move
    for stage in range(count):  # from each copy to the next, from the last to the stage itself
        chain = count + stage * weeks + np.arange(weeks)
        move[:, chain, np.append(chain[1:], stage)] = 1.0
    company = _chained(company, deals, weeks, move)
    still = old.close_stage[:, np.repeat(np.arange(count), weeks)] * 0 + NEVER
    return with_closing(
        with_panel(company, deals=replace(company.panel.deals, created=_younger(company, deals, weeks))),
        close_stage=np.concatenate([old.close_stage, still], axis=1),
        first_stage=_first(old.first_stage, weeks, new_deals),
    )


def worked_until(company: Company, deals: Bools, weeks: int) -> Company:
    """Open deals that go on as they would for some weeks, and are never closed after that."""
    if weeks <= 0 or company.draws.closing is None:
        return closed(company, np.flatnonzero(deals), LOST)
    old = closing(company)
    count = old.close_stage.shape[1]
    total = count * (weeks + 1) + 1
    move = np.zeros((len(old.stage_move), total, total))
    move[:, :count, :count] = old.stage_move
    copies = count + np.arange(count)[:, None] * weeks + np.arange(weeks)  # [stage, week]
    for week in range(weeks - 1):
        move[:, copies[:, week][:, None], copies[:, week + 1][None, :]] = old.stage_move
    move[:, copies[:, -1], -1] = 1.0
    move[:, -1, -1] = 1.0
    company = _chained(company, deals, weeks, move)
    never = np.full((len(old.close_stage), 1), NEVER)
    lively = old.close_stage[:, np.repeat(np.arange(count), weeks)]
    return with_closing(
        company,
        close_stage=np.concatenate([old.close_stage, lively, never], axis=1),
        win_stage=np.concatenate([closing(company).win_stage, never * 0], axis=1),
        first_stage=np.pad(old.first_stage, ((0, 0), (0, total - count))),
    )


def _chained(company: Company, deals: Bools, weeks: int, move: Floats) -> Company:
    """Put deals at the beginning of chains of copies of their stages, one copy a week."""
    panel, old = company.panel, closing(company)
    count = old.close_stage.shape[1]
    staged = len(panel.stage_moves.deal) > 0 and len(panel.stages) > 1
    stage = panel.deals.stage if staged else np.zeros(len(panel.deals), dtype=np.int64)
    sources = np.repeat(np.arange(count), weeks)
    extra = np.zeros(move.shape[1] - count * (weeks + 1), dtype=np.int64)  # a stage that is nobody's copy
    labels = panel.stages if len(panel.stages) else Labels(np.array([""]), np.array([""]))
    company = with_panel(
        company,
        deals=replace(panel.deals, stage=np.where(deals, count + stage * weeks, stage)),
        stages=copied(labels, np.minimum(np.append(sources, extra), len(labels) - 1)),
        # Without a history all deals have stage 0; a history of one row says that stages are to be read.
        stage_moves=panel.stage_moves if staged else _one_move(panel.as_of),
    )
    return with_closing(
        company, stage_move=move, win_stage=np.concatenate([old.win_stage, old.win_stage[:, sources]], axis=1)
    )


def _one_move(day: np.datetime64) -> StageMoves:
    """Just enough of a history."""
    zero = np.zeros(1, dtype=np.int64)
    return StageMoves(zero, zero, np.array([day]))


def _younger(company: Company, deals: Bools, weeks: int) -> Dates:
    """[deal] creation, some weeks later where deals stand still.

    What lies further back than the deals that say where new deals land stays there, or all new deals would land anew.
    """
    created = company.panel.deals.created
    known = deals & ~np.isnat(created)
    later = week_start(week_number(np.where(known, created, company.panel.as_of).astype("datetime64[D]")) + weeks)
    threshold = company.panel.as_of.astype("datetime64[D]") - np.timedelta64(RECENT_DAYS, "D")
    later = np.where(created > threshold, later, np.minimum(later, threshold))
    return np.where(known, later, created).astype("datetime64[D]")


def _first(first: Floats, weeks: int, new_deals: bool) -> Floats:
    """[D, stage] first stages of new deals, at the beginning of the chains if they stand still too."""
    chains = np.zeros((len(first), first.shape[1] * weeks))
    if not new_deals:
        return np.concatenate([first, chains], axis=1)
    chains[:, ::weeks] = first
    return np.concatenate([np.zeros_like(first), chains], axis=1)
