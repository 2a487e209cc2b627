"""What the analyst reads in the terminal when a run is done."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from engine.report.movement import movement_line
from engine.results import ForecastResult
from optimization.plan import Infeasible, TerritoryPlan

RISKIEST = 5


@dataclass(frozen=True)
class Surroundings:
    """What lies around a run: its folder, the one before (None for the first), and how to look at it in MLflow."""

    folder: Path
    previous: Path | None
    open_tracking: str


def summary_text(result: ForecastResult, tables: dict[str, pd.DataFrame], around: Surroundings) -> str:
    """Compose the closing lines of a run from its tables (by file name without ending)."""
    lines = [
        *_headline(result, tables["forecast"]),
        *_change(tables["forecast"], around.previous, result.config.currency),
        *([movement_line(tables["waterfall"])] if "waterfall" in tables else []),
        *_skill(result),
        *_risky_deals(tables["deals"], result.config.currency),
        *_plan(result, tables.get("moves")),
        *_decisions(result, tables),
        *_issues(result.issues, result.config.currency),
        f"Folder       {around.folder}",
        f"MLflow       {around.open_tracking}",
    ]
    if not result.converged:
        lines.insert(0, "NOT CONVERGED: the chains missed the gate, read every number with suspicion; no plan was made")
    return "\n".join(lines)


def company_row(forecast: pd.DataFrame) -> pd.Series:
    """The row of the company over the whole horizon: the last and longest period."""
    return forecast[forecast["level"] == "company"].iloc[-1]


def _headline(result: ForecastResult, forecast: pd.DataFrame) -> list[str]:
    row, currency = company_row(forecast), result.config.currency
    goal = (
        "no goal given"
        if np.isnan(row["quota"])
        else f"goal {row['quota']:,.0f} {currency}, chance to reach it {row['p_attain']:.0%}"
    )
    parts = f"booked {row['booked']:,.0f} + open {row['open']:,.0f} + new {row['new']:,.0f}"
    return [
        f"{result.config.name} {row['period']} as of {row['as_of']}",
        f"Company      P10 {row['p10']:,.0f}   P50 {row['p50']:,.0f}   P90 {row['p90']:,.0f} {currency}   ({goal})",
        f"Mean         {row['mean']:,.0f} {currency} = {parts}",
    ]


def _change(forecast: pd.DataFrame, previous: Path | None, currency: str) -> list[str]:
    if previous is None or not (previous / "forecast.csv").is_file():
        return ["Last run     none to compare with"]
    row, old = company_row(forecast), pd.read_csv(previous / "forecast.csv", dtype={"key": str, "period": str})
    same = old[(old["level"] == "company") & (old["period"] == row["period"])]
    if same.empty:
        return [f"Last run     {previous.name} speaks of another period"]
    return [f"Last run     P50 {row['p50'] - same.iloc[0]['p50']:+,.0f} {currency} since {previous.name}"]


def _skill(result: ForecastResult) -> list[str]:
    if result.skill is None:
        return []
    skill = result.skill
    seen = np.isfinite(skill.raw)
    low, high = np.quantile(skill.quarter_end, [0.05, 0.95])
    return [
        f"Reps         SD over reps of the win probability: model {skill.p_win[seen].std():.3f}, "
        f"raw {skill.raw[seen].std():.3f}",
        f"Quarter end  win probability {skill.quarter_end.mean():+.3f} in the last month ({low:+.3f} to {high:+.3f}), "
        f"above zero with {(skill.quarter_end > 0).mean():.1%} of the posterior",
    ]


def _risky_deals(deals: pd.DataFrame, currency: str) -> list[str]:
    lines = [] if deals.empty else ["Riskiest open deals (share of the company's variance)"]
    for row in deals.head(RISKIEST).to_dict("records"):
        lines.append(
            f"  {row['share_of_variance']:6.2%}  {row['opportunity_id']}  {row['account_name'] or 'no account'}  "
            f"{_money(row['amount'], currency)}  wins in the horizon {row['p_win_in_period']:.0%}"
        )
    return lines


def _money(amount: float, currency: str) -> str:
    return "no amount" if np.isnan(amount) else f"{amount:,.0f} {currency}"


def _plan(result: ForecastResult, moves: pd.DataFrame | None) -> list[str]:
    if result.allocation is None:
        return [
            "Plan         none (allocation.enabled is false)"
            if result.converged
            else "Plan         none (not converged)"
        ]
    answer = result.allocation.answer
    if isinstance(answer, Infeasible):
        conflicts = [f"  cannot hold together: {', '.join(names)}" for names in answer.conflicts]
        return ["Plan         INFEASIBLE", *conflicts, *(f"  repair: {text}" for text in answer.repairs)]
    return _certified(result, answer, 0 if moves is None else len(moves))


def _certified(result: ForecastResult, plan: TerritoryPlan, moves: int) -> list[str]:
    certificate, before = plan.certificate, plan.p_attain_before
    checked = "feasible" if certificate.feasible else f"NOT FEASIBLE: {'; '.join(certificate.violations)}"
    return [
        f"Quota chance before {before.min():.0%} to {before.max():.0%}, with the plan "
        f"{certificate.p_attain_min:.0%} to {certificate.p_attain_max:.0%} "
        f"({100 * certificate.p_attain_spread_within:.1f} points among reps who can exchange accounts; noise floor of "
        f"the spread {100 * certificate.noise_floor:.1f} points)",
        f"Plan         {moves} of {len(plan.rep)} accounts move, at a cost of {plan.move_cost.sum():,.0f} "
        f"{result.config.currency}",
        f"Certificate  {checked}; objective {certificate.objective:.6g}, bound {certificate.bound:.6g}, "
        f"gap {certificate.gap:.2%}{'' if certificate.repeatable else ', cut off by a time limit (not repeatable)'}",
        f"             the gap speaks of {certificate.bound_kind}",
    ]


def _decisions(result: ForecastResult, tables: dict[str, pd.DataFrame]) -> list[str]:
    """What decisions changed, and those that make chances of quota less even than the tolerance."""
    costs, changes = tables.get("decision_costs"), tables.get("changes")
    if costs is None or costs.empty or changes is None:
        return []
    dear = costs[costs["spread_points"] > result.config.allocation.attainment_band_points]
    dear = dear.sort_values("spread_points", ascending=False, kind="stable").head(RISKIEST)
    listed = [
        f"  {row.decision} {row.account}: {row.spread_points:+.1f} points of spread, {row.changes} accounts change"
        for row in dear.itertuples()
    ]
    hint = ["  the same command with --anew evens all other books out around them"] if listed else []
    return [
        f"Decisions    {len(costs)} weighed, {len(changes)} accounts change against the plan before",
        *listed,
        *hint,
    ]


def _issues(issues: pd.DataFrame, currency: str) -> list[str]:
    if issues.empty:
        return ["Data issues  none"]
    stake = pd.to_numeric(issues["value_at_stake"]).sum()
    lines = [f"Data issues  {len(issues)} in data_issues.csv, value at stake {stake:,.0f} {currency}"]
    worst = issues.assign(stake=pd.to_numeric(issues["value_at_stake"]).fillna(0)).sort_values(
        "stake", ascending=False, kind="stable"
    )
    return lines + [f"  {row.table}: {row.rule} ({row.owner}): {row.action}" for row in worst.head(6).itertuples()]
