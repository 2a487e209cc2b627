"""The CSV tables of a run folder, from results to frames; columns of features still to come are there and empty."""

import numpy as np
import pandas as pd

from engine.deals.driver_words import sentences
from engine.deals.drivers import explain
from engine.planning.decisions import ACCEPT, ASSIGN
from engine.planning.quotas import NOT_GIVEN
from engine.report.decision_tables import words_in_force
from engine.report.periods import periods
from engine.results import Allocation, ForecastResult
from engine.seeds import seed_for
from engine.simulation.outcomes import LEVELS
from models.panel import NONE, Bools, Dates, Ints, Labels, Texts
from optimization.fairness import above_quota, account_revenue
from optimization.plan import TerritoryPlan

DECIDED = "moves: decided"
"""Reason of a move that somebody accepted or assigned, instead of the plan's own."""

STATUS_IN_TIME, STATUS_OVERDUE = "open", "overdue"


def forecast_table(result: ForecastResult) -> pd.DataFrame:
    """One row a level, member and period: months of the horizon and their sums by quarter and year."""
    rows = []
    for level in LEVELS:
        outcome = result.outcomes.levels[level]
        for period, columns in periods(result.outcomes.months, result.panel.fiscal_year_start):
            total = outcome.total[:, :, columns].sum(axis=2, dtype=np.float64)  # [path, member]
            low, middle, high = np.quantile(total, [0.1, 0.5, 0.9], axis=0)
            first, last = int(result.outcomes.months[columns[0]]), int(result.outcomes.months[columns[-1]])
            for i, key in enumerate(outcome.keys):
                quota, source = result.quotas.target(level, str(key), first, last)
                rows.append(
                    {
                        "level": level,
                        "key": key,
                        "key_name": outcome.names[i],
                        "period": period,
                        "as_of": str(result.panel.as_of),
                        "mean": total[:, i].mean(),
                        "p10": low[i],
                        "p50": middle[i],
                        "p90": high[i],
                        "booked": outcome.booked[i, columns].sum(),
                        "open": outcome.open[i, columns].sum(),
                        "new": outcome.new[i, columns].sum(),
                        "quota": quota,
                        "quota_source": source,
                        "p_attain": (total[:, i] >= quota).mean() if source != NOT_GIVEN else np.nan,
                    }
                )
    return pd.DataFrame(rows)


def deals_table(result: ForecastResult) -> pd.DataFrame:
    """One row an open deal, the largest share of the company's variance first."""
    panel, outcome = result.panel, result.outcomes.deals
    deals, index = panel.deals, outcome.deal
    overdue = deals.expected_close[index] <= panel.as_of
    seed = seed_for(result.config.seed, "drivers")
    drivers = explain(panel, result.draws, outcome, result.outcomes.months, seed)
    frame = pd.DataFrame(
        {
            "opportunity_id": deals.ids[index],
            "name": deals.names[index],
            **_keyed("account", panel.accounts.labels, deals.account[index]),
            **_keyed("rep", panel.reps.labels, deals.rep[index]),
            "stage": _ids(panel.stages, deals.stage[index]),
            "status": np.where(overdue, STATUS_OVERDUE, STATUS_IN_TIME),
            "forecast_category": deals.category[index],
            "created": deals.created[index].astype("datetime64[D]").astype(str),
            "expected_close": _dates(deals.expected_close[index]),
            "amount": deals.list_amount[index],
            "p_win": outcome.p_win,
            "p_win_in_period": outcome.p_win_in_period,
            "p_slip": outcome.p_slip,
            "expected_revenue": outcome.expected_revenue,
            "share_of_variance": outcome.share_of_variance,
            "share_of_rep_variance": np.nan if outcome.share_of_rep_variance is None else outcome.share_of_rep_variance,
            "drivers": "" if drivers is None else sentences(panel, index, drivers),
        }
    )
    return frame.sort_values(["share_of_variance", "opportunity_id"], ascending=[False, True], ignore_index=True)


def allocation_table(result: ForecastResult, allocation: Allocation) -> pd.DataFrame:
    """One row an account: where it is, where it goes, why, and what that costs."""
    plan, problem, panel = _plan(allocation), allocation.problem, result.panel
    new = allocation.reps[plan.rep]
    value = account_revenue(problem, plan.rep)  # [path, account] under the new rep
    words, moves = words_in_force(allocation), new != allocation.old_rep
    low, high = np.quantile(value, [0.1, 0.9], axis=0)
    return pd.DataFrame(
        {
            "account": problem.account_ids,
            "account_name": panel.accounts.labels.names[allocation.accounts],
            **_keyed("old_rep", panel.reps.labels, allocation.old_rep),
            **_keyed("new_rep", panel.reps.labels, new),
            "locked": problem.locked,
            "inferred_owner": panel.accounts.inferred_owner[allocation.accounts],
            "potential_mean": value.mean(axis=0, dtype=np.float64),
            "potential_p10": low,
            "potential_p90": high,
            "hours": panel.accounts.hours[allocation.accounts],
            "reason": _reasons(plan, words, moves),
            "confidence": plan.confidence,
            "move_cost": plan.move_cost,
            "decision": words,
        }
    )


def _reasons(plan: TerritoryPlan, words: list[str], moves: Bools) -> list[str]:
    """[account] the plan's reason; of a move that somebody accepted or assigned, that it was decided."""
    decided = [moved and word in (ACCEPT, ASSIGN) for moved, word in zip(moves.tolist(), words, strict=True)]
    return [DECIDED if by else reason for by, reason in zip(decided, plan.reason, strict=True)]


def moves_table(allocation: pd.DataFrame) -> pd.DataFrame:
    """The rows of allocation.csv that change, the largest potential first."""
    moved = allocation[allocation["old_rep"] != allocation["new_rep"]]
    return moved.sort_values(["potential_mean", "account"], ascending=[False, True], ignore_index=True)


def books_table(result: ForecastResult, allocation: Allocation) -> pd.DataFrame:
    """One row a rep of the plan: book, revenue over the planning horizon, and chance of quota on fresh paths."""
    plan, problem, panel = _plan(allocation), allocation.problem, result.panel
    old = np.where(problem.owner == NONE, NONE, problem.owner)
    rows = []
    for r, rep in enumerate(allocation.reps):
        held = plan.rep == r
        revenue = problem.quota[r] + above_quota(problem, np.flatnonzero(held), r, fresh=True).astype(np.float64)
        low, middle, high = np.quantile(revenue, [0.1, 0.5, 0.9])
        _, source = result.quotas.target("rep", str(problem.rep_ids[r]), allocation.start, allocation.end)
        rows.append(
            {
                "rep": problem.rep_ids[r],
                "rep_name": panel.reps.labels.names[rep],
                **_one("territory", panel.territories, int(panel.reps.territory[rep])),
                "quota": problem.quota[r],
                "quota_source": source,
                "accounts": int(held.sum()),
                "hours": problem.hours[held].sum(),
                "revenue_mean": revenue.mean(),
                "p10": low,
                "p50": middle,
                "p90": high,
                "p_attain": plan.p_attain[r],
                "p_attain_before": plan.p_attain_before[r],
                "moves_in": int((held & (old != r)).sum()),
                "moves_out": int((~held & (old == r)).sum()),
            }
        )
    return pd.DataFrame(rows)


def _plan(allocation: Allocation) -> TerritoryPlan:
    if not isinstance(allocation.answer, TerritoryPlan):
        raise TypeError("there is no plan: the rules cannot hold together")
    return allocation.answer


def _ids(labels: Labels, index: Ints) -> Texts:
    return np.append(labels.ids.astype(object), "")[index].astype(str)


def _keyed(column: str, labels: Labels, index: Ints) -> dict[str, Texts]:
    """An id column and its name column; empty where the index is NONE."""
    return {
        column: _ids(labels, index),
        f"{column}_name": np.append(labels.names.astype(object), "")[index].astype(str),
    }


def _one(column: str, labels: Labels, index: int) -> dict[str, str]:
    return {name: str(values[0]) for name, values in _keyed(column, labels, np.array([index])).items()}


def _dates(dates: Dates) -> list[str]:
    return ["" if text == "NaT" else text for text in dates.astype("datetime64[D]").astype(str)]
