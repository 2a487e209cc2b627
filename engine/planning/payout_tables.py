"""Tables of what a pay plan costs over simulated futures: per rep, in total, by attainment, by accelerator."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.planning.compensation_settings import CompensationSettings, Terms
from engine.planning.payout import Earned, Payout, accelerated, earned_multiple, pay
from models.panel import NONE, Floats, Ints, Labels, Texts

REPS_AT_ONCE = 25
"""Reps whose payouts are held in memory together."""

ACCELERATORS = (0.0, 0.5, 1.0, 1.5, 2.0)
"""Strengths of the accelerator that are tried, as multiples of the plan's."""

QUANTILES = {"p10": 0.10, "p50": 0.50, "p90": 0.90, "p95": 0.95}

CURVE = np.round(np.arange(0.0, 2.01, 0.1), 10)
"""Attainments of the payout curve; starts of tiers are added."""


@dataclass(frozen=True)
class Team:
    """Teams of one kind.

    Attributes
    ----------
    attainment : [path, team, period] NaN where a team has no quota
    member : [rep] team of every rep, NONE without one
    """

    attainment: Floats
    member: Ints


@dataclass(frozen=True)
class SalesToPay:
    """What is sold by the reps who are paid, by payout period.

    Attributes
    ----------
    reps, managers : coordinates
    manager : [rep] NONE without one
    revenue : [path, rep, period]
    new_share : [path, rep, period] share of revenue with new customers; all NaN where the plan treats both alike
    quota : [rep, period] NaN where there is none
    quota_source : [rep]
    years : [rep, period] length of the period in years, as far as the rep is employed
    horizon_years : length of the whole horizon
    teams : by level name, for the levels that the plan's terms name
    """

    reps: Labels
    managers: Labels
    manager: Ints
    revenue: Floats
    new_share: Floats
    quota: Floats
    quota_source: Texts
    years: Floats
    horizon_years: float
    teams: dict[str, Team]


@dataclass(frozen=True)
class CostPaths:
    """What a plan costs on every path.

    Attributes
    ----------
    reps : one row a rep
    paid : [path] cash of the horizon
    by_manager : [path, manager + 1] the same by team, the last for reps without a manager
    revenue : [path, manager + 1] revenue of the reps who are paid
    of_mean : [manager + 1] payout of the mean path
    """

    reps: pd.DataFrame
    paid: Floats
    by_manager: Floats
    revenue: Floats
    of_mean: Floats


def compensation(plan: CompensationSettings, sales: SalesToPay) -> tuple[dict[str, pd.DataFrame], dict[str, float]]:
    """Tables and aggregates of a plan.

    Returns
    -------
    tables ``payouts`` (one row a rep), ``payout_cost`` (company and managers), ``payout_curve`` and
    ``payout_accelerator``; and aggregates without any rep: expected cost, its 95th percentile, shares of revenue
    """
    cost = cost_paths(plan, sales)
    total = cost_table(plan, sales, cost)
    tables = {
        "payouts": cost.reps,
        "payout_cost": total,
        "payout_curve": curve_table(plan),
        "payout_accelerator": accelerator_table(plan, sales),
    }
    company = total.iloc[0]
    names = ("target_incentive", "cost_mean", "cost_p50", "cost_p95", "cost_of_mean_path", "cost_share_of_revenue")
    return tables, {name: float(company[name]) for name in names} | {"p_over_target": float(company["p_over_target"])}


def cost_paths(plan: CompensationSettings, sales: SalesToPay) -> CostPaths:
    """Pay all reps, group by group of equal terms."""
    paths, managers = len(sales.revenue), len(sales.managers) + 1
    by_manager, revenue, of_mean = np.zeros((paths, managers)), np.zeros((paths, managers)), np.zeros(managers)
    rows: dict[int, dict[str, object]] = {}
    for role, terms, members in groups(plan, sales):
        earned = earned_by(plan, sales, members)
        payout, mean_payout = pay(terms, earned), pay(terms, mean_path(earned))
        cash, at_mean = payout.paid.sum(axis=2), mean_payout.paid.sum(axis=(0, 2))
        np.add.at(by_manager.T, sales.manager[members], cash.T)
        np.add.at(revenue.T, sales.manager[members], sales.revenue[:, members].sum(axis=2).T)
        np.add.at(of_mean, sales.manager[members], at_mean)
        described = rep_columns(sales, members, (earned, payout), terms.cap is not None) | {"payout_of_mean": at_mean}
        for i, rep in enumerate(members):
            rows[int(rep)] = {"role": role} | {name: values[i] for name, values in described.items()}
    frame = pd.DataFrame([rows[rep] for rep in range(len(sales.reps))])
    return CostPaths(_rep_frame(sales, frame), by_manager.sum(axis=1), by_manager, revenue, of_mean)


def total_paid(plan: CompensationSettings, sales: SalesToPay) -> Floats:
    """Cash [path] of the horizon for all reps."""
    total = np.zeros(len(sales.revenue))
    for _, terms, members in groups(plan, sales):
        total += pay(terms, earned_by(plan, sales, members)).paid.sum(axis=(1, 2))
    return total


def groups(plan: CompensationSettings, sales: SalesToPay) -> Iterator[tuple[str, Terms, Ints]]:
    """Role, terms and members of blocks of reps whose terms differ in nothing but the target incentive."""
    roles = [plan.terms_of(str(rep))[0] for rep in sales.reps.ids]
    for role in dict.fromkeys(roles):
        members = np.array([i for i, own in enumerate(roles) if own == role])
        for first in range(0, len(members), REPS_AT_ONCE):
            yield role, plan.terms(role or None), members[first : first + REPS_AT_ONCE]


def earned_by(plan: CompensationSettings, sales: SalesToPay, members: Ints) -> Earned:
    """What some reps bring in; their target incentives by period of payout."""
    terms = plan.terms_of(str(sales.reps.ids[members[0]]))[1]
    years = {"year": 1.0, "quarter": 0.25, "month": 1 / 12, "horizon": sales.horizon_years}[plan.per]
    annual = np.array([plan.terms_of(str(sales.reps.ids[rep]))[1].target_incentive for rep in members]) / years
    team = np.full((len(sales.revenue), len(members), sales.revenue.shape[2]), np.nan)
    if terms.shares.team > 0:
        teams = sales.teams[terms.team]
        known = teams.member[members] != NONE
        team[:, known] = teams.attainment[:, teams.member[members[known]]]
    revenue = sales.revenue[:, members]
    share = np.nan_to_num(sales.new_share[:, members], nan=0.0)
    return Earned(
        new=revenue * share,
        existing=revenue * (1.0 - share),
        quota=sales.quota[members],
        team=team,
        target=annual[:, None] * sales.years[members],
    )


def mean_path(earned: Earned) -> Earned:
    """One path that holds the mean of all."""
    return Earned(
        new=earned.new.mean(axis=0, keepdims=True),
        existing=earned.existing.mean(axis=0, keepdims=True),
        quota=earned.quota,
        team=earned.team.mean(axis=0, keepdims=True),
        target=earned.target,
    )


def rep_columns(sales: SalesToPay, members: Ints, found: tuple[Earned, Payout], capped: bool) -> dict[str, Floats]:
    """Columns [rep] of the table of payouts; no chance to hit a cap where there is none."""
    earned, payout = found
    cash = payout.paid.sum(axis=2)
    quota = earned.quota.sum(axis=1)
    revenue = sales.revenue[:, members]  # [path, rep, period]
    reached = np.where(np.isfinite(quota), (revenue.sum(axis=2) >= quota).mean(axis=0), np.nan)
    return {
        "quota": quota,
        "revenue_mean": revenue.sum(axis=2).mean(axis=0),
        "new_share": _ratio((revenue * sales.new_share[:, members]).sum(axis=(0, 2)), revenue.sum(axis=(0, 2))),
        "p_attain": reached,
        "target_incentive": earned.target.sum(axis=1),
        "payout_mean": cash.mean(axis=0),
        **{f"payout_{name}": np.quantile(cash, q, axis=0) for name, q in QUANTILES.items()},
        "individual_mean": payout.individual.sum(axis=2).mean(axis=0),
        "team_mean": payout.team.sum(axis=2).mean(axis=0),
        "commission_new_mean": payout.commission_new.sum(axis=2).mean(axis=0),
        "commission_existing_mean": payout.commission_existing.sum(axis=2).mean(axis=0),
        "cut_by_cap_mean": payout.cut.sum(axis=2).mean(axis=0),
        "advance_mean": payout.advance.sum(axis=2).mean(axis=0),
        "owed_mean": payout.owed.mean(axis=0),
        "p_cap": (payout.cut > 0).any(axis=2).mean(axis=0) if capped else np.full(len(members), np.nan),
        "p_nothing_earned": payout.silent.all(axis=2).mean(axis=0),
    }


def cost_table(plan: CompensationSettings, sales: SalesToPay, cost: CostPaths) -> pd.DataFrame:
    """One row for the company and one a manager with paid reps."""
    target = np.zeros(cost.by_manager.shape[1])
    np.add.at(target, sales.manager, cost.reps["target_incentive"].to_numpy())
    reps = np.bincount(np.where(sales.manager == NONE, len(sales.managers), sales.manager), minlength=len(target))
    keys, names = np.append(sales.managers.ids, "unassigned"), np.append(sales.managers.names, "unassigned")
    everybody = np.ones(len(target), dtype=bool)
    rows = [_cost_row(("company", "", "company"), everybody, cost, target, reps)]
    for i in np.flatnonzero(reps):
        rows.append(
            _cost_row(("manager", str(keys[i]), str(names[i])), np.arange(len(target)) == i, cost, target, reps)
        )
    frame = pd.DataFrame(rows)
    frame.insert(0, "plan", plan.name)
    return frame


def _cost_row(
    who: tuple[str, str, str], chosen: np.ndarray, cost: CostPaths, target: Floats, reps: Ints
) -> dict[str, object]:
    paid, revenue = cost.by_manager[:, chosen].sum(axis=1), cost.revenue[:, chosen].sum(axis=1)
    share = _ratio(paid, revenue)
    budget = float(target[chosen].sum())
    return {
        "level": who[0],
        "key": who[1],
        "key_name": who[2],
        "reps": int(reps[chosen].sum()),
        "target_incentive": budget,
        "cost_mean": paid.mean(),
        **{f"cost_{name}": np.quantile(paid, q) for name, q in QUANTILES.items()},
        "cost_of_mean_path": cost.of_mean[chosen].sum(),
        "cost_share_of_revenue": float(_ratio(paid.sum(keepdims=True), revenue.sum(keepdims=True))[0]),
        "cost_share_p95": float(np.nanquantile(share, 0.95)) if np.isfinite(share).any() else np.nan,
        "p_over_target": (paid > budget).mean(),
    }


def curve_table(plan: CompensationSettings) -> pd.DataFrame:
    """What attainment pays by role: the rep's own, the team's, and both at once, as multiples of the target incentive.

    Commission and draws are not in it: they do not follow attainment.
    """
    rows = []
    for role in (None, *plan.roles):
        terms = plan.terms(role)
        team_tiers = terms.tiers if terms.team_tiers is None else terms.team_tiers
        starts = [tier.start for tier in (*terms.tiers, *team_tiers)]
        grid = np.unique(np.concatenate([CURVE, starts, [terms.threshold]]))
        own = terms.shares.individual * earned_multiple(grid, terms, terms.tiers)
        team = terms.shares.team * earned_multiple(grid, terms, team_tiers)
        both = own + team if terms.cap is None else np.minimum(own + team, terms.cap)
        rows.append(pd.DataFrame({"attainment": grid, "own_multiple": own, "team_multiple": team, "multiple": both}))
        rows[-1].insert(0, "role", role or "")
    return pd.concat(rows, ignore_index=True)


def accelerator_table(plan: CompensationSettings, sales: SalesToPay) -> pd.DataFrame:
    """Cost with accelerators of other strengths (0: the rate below quota goes on above it), revenue held as it is."""
    rows = []
    for factor in ACCELERATORS:
        paid = total_paid(with_accelerator(plan, factor), sales)
        row = {"plan": plan.name, "accelerator": factor, "cost_mean": paid.mean()}
        rows.append(row | {f"cost_{name}": np.quantile(paid, q) for name, q in QUANTILES.items()})
    frame = pd.DataFrame(rows)
    as_planned = frame.loc[frame["accelerator"] == 1.0].iloc[0]
    frame["mean_difference"] = frame["cost_mean"] - as_planned["cost_mean"]
    frame["p95_difference"] = frame["cost_p95"] - as_planned["cost_p95"]
    return frame


def with_accelerator(plan: CompensationSettings, factor: float) -> CompensationSettings:
    """The plan with the accelerators of all its terms, roles included, ``factor`` times as strong."""

    def changed[T: Terms](terms: T) -> T:
        named = {"tiers": accelerated(terms.tiers, factor)}
        if terms.team_tiers is not None:
            named["team_tiers"] = accelerated(terms.team_tiers, factor)
        kept = terms.model_fields_set | {"tiers"} if terms is plan else terms.model_fields_set
        return terms.model_copy(update={name: value for name, value in named.items() if name in kept})

    return changed(plan).model_copy(update={"roles": {name: changed(own) for name, own in plan.roles.items()}})


def _rep_frame(sales: SalesToPay, frame: pd.DataFrame) -> pd.DataFrame:
    """Columns in order, ids with their names first, the most expensive rep on top."""
    managers = np.append(sales.managers.ids, "")[sales.manager]
    names = np.append(sales.managers.names, "")[sales.manager]
    for place, (column, values) in enumerate(
        {"rep": sales.reps.ids, "rep_name": sales.reps.names, "manager": managers, "manager_name": names}.items()
    ):
        frame.insert(place, column, values)
    frame.insert(list(frame.columns).index("quota") + 1, "quota_source", sales.quota_source)
    return frame.sort_values(["payout_mean", "rep"], ascending=[False, True], ignore_index=True)


def _ratio(above: Floats, below: Floats) -> Floats:
    above, below = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 0)
