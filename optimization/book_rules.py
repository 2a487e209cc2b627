"""Rules about single books, one row a rep, beside those of `optimization.rules`: least and most, bands, moves, hires.

What leaves or joins a book needs one row only: every account has exactly one rep, so what leaves a book is what it has
today less what it keeps.
"""

from typing import Literal

import numpy as np

from optimization.cases import Case, Row, fair_value
from optimization.families import active_reps, keepable
from optimization.problem import NONE, Bools, Floats, Ints, TerritoryProblem


def minimum_hours(case: Case) -> list[Row]:
    """Accounts of every active rep ask for at least ``min_hours`` hours a month. Relaxed in hours."""
    return _one_limit(case, "minimum hours", ">=", case.settings.min_hours)


def minimum_potential(case: Case) -> list[Row]:
    """Expected revenue of every active rep's book, fixed part included, is at least ``min_potential``.

    Relaxed in money.
    """
    return _one_limit(case, "minimum potential", ">=", case.settings.min_potential)


def maximum_potential(case: Case) -> list[Row]:
    """Expected revenue of every active rep's book, fixed part included, is at most ``max_potential``.

    Relaxed in money.
    """
    return _one_limit(case, "maximum potential", "<=", case.settings.max_potential)


def _one_limit(case: Case, rule: str, sense: Literal["<=", ">="], limit: float | None) -> list[Row]:
    """The same limit for every active rep: on hours, or on revenue, whose fixed part goes to the other side."""
    if limit is None:
        return []
    fixed, rows = case.problem.fixed.mean(axis=0, dtype=np.float64), []
    for r in np.flatnonzero(active_reps(case.problem)):
        money = rule.endswith("potential")
        amount, given = (case.blocks.worth[:, r], fixed[r]) if money else (case.blocks.hours, 0.0)
        rows.append(Row(rule, str(case.problem.rep_ids[r]), int(r), amount, sense, float(limit - given), 1.0))
    return rows


def band_of_revenue(case: Case) -> list[Row]:
    """Expected revenue of every book, fixed part included, lies in ``bands.revenue`` around the share by capacity.

    Relaxed in percent of the fair share, as the other bands are.
    """
    problem, fixed = case.problem, case.problem.fixed.mean(axis=0, dtype=np.float64)
    total = problem.value.mean(axis=0, dtype=np.float64).sum() + fixed[active_reps(problem)].sum()
    return _band(case, "band of revenue", case.settings.bands.revenue, (case.blocks.worth, fixed, float(total)))


def band_of_hours(case: Case) -> list[Row]:
    """Hours of every book lie in ``bands.hours`` around the share of all hours by capacity."""
    hours = np.broadcast_to(case.blocks.hours[:, None], case.blocks.worth.shape)
    parts = hours, np.zeros(hours.shape[1]), float(case.problem.hours.sum())
    return _band(case, "band of hours", case.settings.bands.hours, parts)


def band_of_accounts(case: Case) -> list[Row]:
    """The number of accounts of every book lies in ``bands.accounts`` around the share of all by capacity."""
    accounts = np.broadcast_to(case.blocks.accounts[:, None], case.blocks.worth.shape)
    parts = accounts, np.zeros(accounts.shape[1]), float(case.blocks.accounts.sum())
    return _band(case, "band of accounts", case.settings.bands.accounts, parts)


def band_of_commission(case: Case) -> list[Row]:
    """Expected commission on the accounts of every book lies in ``bands.commission`` around the share by capacity.

    All commission there is to share: what the accounts bring under their present owners, at the mean of the rates of
    the active reps, weighed by capacity. No row where no rate is known.
    """
    problem = case.problem
    if problem.commission is None:
        return []
    mean = problem.value.mean(axis=0, dtype=np.float64)
    # sums instead of matrix products: BLAS may sum in another order on another number of threads
    total = float((mean * (problem.commission * share_by_capacity(problem)).sum(axis=1)).sum())
    amount = case.blocks.sums(problem.commission * problem.fit * mean[:, None])
    parts = amount, np.zeros(amount.shape[1]), total
    return _band(case, "band of commission", case.settings.bands.commission, parts)


def share_by_capacity(problem: TerritoryProblem) -> Floats:
    """[rep] share of the capacity of all active reps; zero for the others."""
    weight = np.where(active_reps(problem), problem.capacity, 0.0)
    return weight / max(weight.sum(), np.finfo(float).tiny)


def _band(case: Case, rule: str, width: float | None, parts: tuple[Floats, Floats, float]) -> list[Row]:
    """Two rows a rep; ``parts`` are the amounts [block, rep], the fixed part [rep], and what there is to share."""
    if width is None:
        return []
    (amount, fixed, total), rows = parts, []
    fair = share_by_capacity(case.problem) * total
    for r in np.flatnonzero(active_reps(case.problem)):
        key, wide, percent = str(case.problem.rep_ids[r]), width * abs(fair[r]), abs(fair[r]) / 100
        high, low = float(fair[r] + wide - fixed[r]), float(fair[r] - wide - fixed[r])
        rows.append(Row(rule, f"{key}_high", int(r), amount[:, r], "<=", high, percent))
        rows.append(Row(rule, f"{key}_low", int(r), amount[:, r], ">=", low, percent))
    return rows


def moved_accounts_per_rep(case: Case) -> list[Row]:
    """Accounts that leave or join a book are at most ``max_moved_accounts_per_rep``. Relaxed in accounts."""
    limit = case.settings.max_moved_accounts_per_rep
    ones = np.ones(len(case.problem.account_ids))
    limits = None if limit is None else np.full(len(case.problem.rep_ids), float(limit))
    return _changes(case, "moved accounts per rep", ones, limits, np.ones(len(case.problem.rep_ids)))


def moved_value_per_rep(case: Case) -> list[Row]:
    """Revenue that leaves or joins a book is at most a share of the rep's fair share of revenue.

    The share is ``max_moved_value_share_per_rep``, of the fair share by quota and not of the present book, so that a
    new hire's empty book may be filled. Relaxed in percent of the fair share.
    """
    share, fair = case.settings.max_moved_value_share_per_rep, np.abs(fair_value(case.problem))
    mean = case.problem.value.mean(axis=0, dtype=np.float64)
    return _changes(case, "moved value per rep", mean, None if share is None else share * fair, fair / 100)


def move_cost_per_rep(case: Case) -> list[Row]:
    """Money at risk from accounts that leave or join a book is at most ``max_move_cost_per_rep``. Relaxed in money."""
    limit, count = case.settings.max_move_cost_per_rep, len(case.problem.rep_ids)
    limits = None if limit is None else np.full(count, float(limit))
    return _changes(case, "move cost per rep", case.problem.move_cost, limits, np.ones(count))


def _changes(case: Case, rule: str, amount: Floats, limits: Floats | None, relaxed: Floats) -> list[Row]:
    """Joined less kept is at most the limit [rep] less what the book has today; ``amount`` [account]."""
    if limits is None:
        return []
    problem, rows = case.problem, []
    stays = keepable(problem) * amount
    for r in np.flatnonzero(active_reps(problem)):
        owned = problem.owner == r
        coefficient = case.blocks.sums(np.where(owned, -stays, stays))
        limit = float(limits[r] - stays[owned].sum())
        rows.append(Row(rule, str(problem.rep_ids[r]), int(r), coefficient, "<=", limit, float(relaxed[r])))
    return rows


def travel(case: Case) -> list[Row]:
    """Km a month to the accounts of a book are at most ``max_travel_km`` times the rep's capacity.

    Relaxed in percent of the rep's limit. No row where no distance is known.
    """
    problem, most = case.problem, case.settings.max_travel_km
    if most is None or problem.travel is None:
        return []
    km = case.blocks.sums(problem.travel)
    limits = most * problem.capacity
    return [
        Row("travel", str(problem.rep_ids[r]), int(r), km[:, r], "<=", float(limits[r]), float(limits[r]) / 100)
        for r in np.flatnonzero(active_reps(problem))
    ]


def share_for_hires(case: Case) -> list[Row]:
    """Expected revenue of a new hire's book is at least ``hire_min_share`` of the rep's fair share by quota.

    Relaxed in percent of the fair share.
    """
    share, fair = case.settings.hire_min_share, fair_value(case.problem)
    if share is None:
        return []
    fixed, ids, worth = case.problem.fixed.mean(axis=0, dtype=np.float64), case.problem.rep_ids, case.blocks.worth
    rows = []
    for r in hires(case.problem):
        least = float(share * fair[r] - fixed[r])
        rows.append(Row("share for hires", str(ids[r]), int(r), worth[:, r], ">=", least, abs(fair[r]) / 100))
    return rows


def accounts_for_hires(case: Case) -> list[Row]:
    """A new hire gets at least ``hire_min_accounts`` accounts that others can spare (see `spared`).

    Relaxed in accounts.
    """
    least = case.settings.hire_min_accounts
    if least is None:
        return []
    count, ids = case.blocks.sums(spared(case.problem).astype(np.float64)), case.problem.rep_ids
    return [Row("accounts for hires", str(ids[r]), int(r), count, ">=", float(least), 1.0) for r in hires(case.problem)]


def hires(problem: TerritoryProblem) -> Ints:
    """[n] active reps who are new."""
    none = np.zeros(len(problem.rep_ids), dtype=bool)
    return np.flatnonzero(active_reps(problem) & (none if problem.hire is None else problem.hire))


def spared(problem: TerritoryProblem) -> Bools:
    """[account] whether nobody owns it, or a rep who is not new and whose book today is above the fair share."""
    owner, count = problem.owner, len(problem.rep_ids)
    held = owner != NONE
    mean = problem.value.mean(axis=0, dtype=np.float64)
    book = np.bincount(owner[held], mean[held], count) + problem.fixed.mean(axis=0, dtype=np.float64)
    rich = book > fair_value(problem)
    rich[hires(problem)] = False
    return ~held | rich[owner]
