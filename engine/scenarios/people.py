"""Reps who come, go, work part-time or exchange books, and plans of another run."""

from dataclasses import replace

import numpy as np
import pandas as pd

from engine.config.problems import shown
from engine.errors import RunNotFoundError
from engine.runs import find_run
from engine.scenarios.asking import Ask
from engine.scenarios.books import hand_over, loose_deals, new_customers_go, owned_by
from engine.scenarios.company import (
    Company,
    Frame,
    amounts,
    arrivals,
    closing,
    grown,
    orders,
    with_amounts,
    with_arrivals,
    with_closing,
    with_orders,
    with_panel,
)
from engine.scenarios.pipeline import MOST_COPIES, worked_until
from engine.scenarios.settings import Allocation, Hire, Leave, PartTime, Swap
from engine.scenarios.targets import with_target
from engine.seeds import seed_for
from engine.simulation.sellers import DAYS_PER_MONTH, LEAST_TENURE
from models.calendar import week_number
from models.panel import NONE, OPEN, Floats, Ints, Labels

DAY = np.timedelta64(1, "D")


def hire(company: Company, change: Hire, ask: Ask) -> Company:
    """One rep more: a new row of the panel, with effects drawn from the population of reps, draw by draw.

    The rep begins without accounts, and works new deals like everybody at home in the territory.
    """
    ask.leg("arrivals", "new deals")
    panel = company.panel
    territory = ask.member("territory", "territory", panel.territories, change.territory)
    manager = ask.member("manager", "manager", panel.managers, change.manager)
    name = change.id or _free_id(company)
    if (panel.reps.labels.ids == name).any():
        ask.refuse("id", shown(name), "an id that no rep has yet", "take another")
    day = np.datetime64(change.date, "D")
    last = np.datetime64(int(ask.frame.months[-1]) + 1, "M").astype("datetime64[D]")
    if not panel.as_of < day < last:
        ask.refuse("date", str(day), f"a day after {panel.as_of} and before {last}", "correct it")
    ask.done()
    labels = panel.reps.labels
    reps = grown(
        panel.reps,
        labels=Labels(np.append(labels.ids, name), np.append(labels.names, name)),
        manager=manager,
        territory=territory,
        start=day,
        end=np.datetime64("NaT", "D"),
        fte=change.fte,
        active=True,
    )
    company = with_panel(company, reps=reps)
    company = _with_skill(company, np.random.default_rng(seed_for(ask.frame.seed, f"hire {name}")))
    if change.ramp_months is not None:
        company = _ramped(company, change.ramp_months, ask.frame)
    if change.quota is None:
        return company
    return with_target(company, "rep", name, change.quota, ask.frame)


def _free_id(company: Company) -> str:
    """HIRE-1, or the next number that is free."""
    taken, number = set(company.panel.reps.labels.ids.tolist()), 1
    while f"HIRE-{number}" in taken:
        number += 1
    return f"HIRE-{number}"


def _with_skill(company: Company, rng: np.random.Generator) -> Company:
    """One more column in every table of reps: normal with the spread that the reps have within each draw."""

    def column(effects: Floats) -> Floats:
        spread = np.sqrt((effects**2).mean(axis=1)) if effects.shape[1] else np.zeros(len(effects))
        return np.column_stack([effects, spread * rng.standard_normal(len(effects))])

    company = with_arrivals(company, rep=column(arrivals(company).rep))
    if company.draws.closing is not None:
        company = with_closing(company, win_rep=column(closing(company).win_rep))
    if company.draws.amounts is not None:
        company = with_amounts(company, rep=column(amounts(company).rep))
    return company


def _ramped(company: Company, months: float, frame: Frame) -> Company:
    """Give the last rep a ramp of its own: as many new deals over the horizon as with it, spread as with the other.

    The posterior has one ramp for all, so the ratio of the two over the months of the horizon scales the rep's rate.
    """
    hired = company.panel.reps.start[-1]
    starts = frame.simulated.astype("datetime64[M]").astype("datetime64[D]")
    ends = (frame.simulated + 1).astype("datetime64[M]").astype("datetime64[D]")
    there = ((ends - np.maximum(starts, hired)) / np.timedelta64(1, "D")).clip(min=0.0)
    middle = starts + (ends - starts) // 2
    tenure = np.maximum((middle - hired) / np.timedelta64(1, "D") / DAYS_PER_MONTH, LEAST_TENURE)
    old = arrivals(company)
    common = (there * (1 - np.exp(-tenure / old.ramp_months[:, None]))).sum(axis=1)
    own = (there * (1 - np.exp(-tenure / months) if months > 0 else np.ones_like(tenure))).sum()
    rep = old.rep.copy()
    rep[:, -1] += np.log(own / common)
    return with_arrivals(company, rep=rep)


def leave(company: Company, change: Leave, ask: Ask) -> Company:
    """A rep creates no deals after the date; the book changes hands on the as-of date, or nobody works it.

    Idle: open deals go on until the date and are never closed after it, orders of accounts go on but are nobody's.
    """
    rep = ask.selling_rep("rep", change.rep)
    to = ask.selling_rep("to", change.to)
    day, panel = np.datetime64(change.date, "D"), company.panel
    if day < panel.as_of:
        ask.refuse("date", str(day), f"{panel.as_of} or later", "who has left already is in the data")
    if (change.book == "to") != (change.to is not None):
        ask.refuse("book", f"`{change.book}`", "`book: to` together with `to: REP`", "say both, or none")
    if rep != NONE and rep == to:
        ask.refuse("to", shown(change.to), "another rep", "name who takes the book")
    weeks = _weeks_left(company, day)
    stages = 1 if company.draws.closing is None else company.draws.closing.close_stage.shape[1]
    if change.book == "idle" and weeks * stages > MOST_COPIES:
        ask.refuse("date", str(day), f"at most {MOST_COPIES // stages} weeks off with `book: idle`", "bring it forward")
    ask.done()
    ends = panel.reps.end.copy()
    ends[rep] = day if np.isnat(ends[rep]) else min(ends[rep], day)
    company = with_panel(company, reps=replace(panel.reps, end=ends))
    loose, owned = np.flatnonzero(loose_deals(company, rep)), np.flatnonzero(owned_by(company, rep))
    if change.book == "idle":
        company = worked_until(company, (panel.deals.rep == rep) & (panel.deals.outcome == OPEN), weeks)
        if company.draws.orders is not None:
            seller = orders(company).seller
            company = with_orders(company, seller=np.where(seller == rep, NONE, seller))
        return new_customers_go(company, rep, NONE)
    heirs = np.array([to]) if change.book == "to" else neighbours(company, rep)
    if not len(heirs):
        ask.stop("book", "`spread`", "a company with another rep at work", "say `book: idle`")
    lost = ask.frame.disruption if change.disruption is None else change.disruption
    target = panel.accounts.owner.copy()
    target[owned] = heirs[np.arange(len(owned)) % len(heirs)]
    company = hand_over(company, target, lost, ask)
    deals = company.panel.deals
    whose = deals.rep.copy()
    whose[loose] = heirs[np.arange(len(loose)) % len(heirs)]
    company = with_panel(company, deals=replace(deals, rep=whose))
    if company.draws.orders is not None:  # orders of accounts that others own and the leaver served
        seller = orders(company).seller
        company = with_orders(company, seller=np.where(seller == rep, heirs[0], seller))
    return new_customers_go(company, rep, to)


def _weeks_left(company: Company, last: np.datetime64) -> int:
    """Weeks, four to a month, from the as-of date to the end of a day."""
    first, after = week_number(np.array([company.panel.as_of + DAY, last + DAY], dtype="datetime64[D]"))
    return int(after - first)


def neighbours(company: Company, rep: int) -> Ints:
    """Reps at work in the same territory, else in the same region, else all."""
    panel = company.panel
    end, reps = panel.reps.end, np.arange(len(panel.reps.labels))
    others = panel.reps.active & (reps != rep) & (np.isnat(end) | (end > panel.as_of))
    home = panel.reps.territory
    region = np.append(panel.territory_region, NONE)[home]
    for near in (home == home[rep], region == region[rep]):
        if home[rep] != NONE and (others & near).any():
            return np.flatnonzero(others & near)
    return np.flatnonzero(others)


def part_time(company: Company, change: PartTime, ask: Ask) -> Company:
    """New deals go with full-time equivalents; open deals are won as before."""
    ask.leg("arrivals", "new deals")
    rep = ask.selling_rep("rep", change.rep)
    ask.done()
    fte = company.panel.reps.fte.copy()
    fte[rep] = change.fte
    return with_panel(company, reps=replace(company.panel.reps, fte=fte))


def swap(company: Company, change: Swap, ask: Ask) -> Company:
    """Two reps exchange home territory and accounts; deals without account stay with their rep."""
    first, second = (ask.selling_rep("reps", text) for text in change.reps)
    if first == second != NONE:
        ask.refuse("reps", shown(change.reps), "two different reps", "name another")
    ask.done()
    panel = company.panel
    partner = np.arange(len(panel.reps.labels))
    partner[[first, second]] = second, first
    company = with_panel(company, reps=replace(panel.reps, territory=_exchanged(panel.reps.territory, first, second)))
    if company.draws.orders is not None:
        seller = orders(company).first_seller
        company = with_orders(company, first_seller=np.where(seller == NONE, NONE, partner[seller]))
    lost = ask.frame.disruption if change.disruption is None else change.disruption
    owner = company.panel.accounts.owner
    return hand_over(company, np.where(owner == NONE, NONE, partner[owner]), lost, ask)


def _exchanged(values: Ints, first: int, second: int) -> Ints:
    changed = values.copy()
    changed[[first, second]] = values[[second, first]]
    return changed


def allocation(company: Company, change: Allocation, ask: Ask) -> Company:
    """Every account goes to the rep that another run's plan gives it to; accounts that the plan does not know stay."""
    try:
        folder = find_run(change.run, ask.frame.output)
    except RunNotFoundError as error:
        ask.stop("run", shown(change.run), "a finished run", str(error))
    path = folder / "allocation.csv"
    if not path.is_file():
        ask.stop("run", shown(change.run), "a run with a plan", f"{folder.name} has no allocation.csv")
    plan = pd.read_csv(path, dtype=str, usecols=["account", "new_rep"], keep_default_na=False)
    panel = company.panel
    accounts = {str(key): i for i, key in enumerate(panel.accounts.labels.ids)}
    unknown = [key for key in plan["account"] if key not in accounts]
    if len(unknown) == len(plan):
        ask.stop("run", f"{shown(change.run)}, a plan for other accounts", "a plan for this company", "name another")
    rows = plan[plan["account"].isin(accounts)]
    reps = {key: ask.rep("run", key) for key in rows["new_rep"].unique()}
    ask.done()
    target = panel.accounts.owner.copy()
    target[rows["account"].map(accounts).to_numpy(dtype=np.int64)] = rows["new_rep"].map(reps).to_numpy(dtype=np.int64)
    lost = ask.frame.disruption if change.disruption is None else change.disruption
    return hand_over(company, target, lost, ask)
