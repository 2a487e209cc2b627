"""The sections of report.html, each from the run's tables."""

from dataclasses import asdict, fields

import numpy as np
import pandas as pd

from engine.report import figures
from engine.report.frontier_section import frontier_section
from engine.report.movement import movement_section
from engine.report.names import anonymous
from engine.report.page import Column, PageFigure, Section, make_table
from engine.report.shares_section import shares_section
from engine.report.terminal import company_row
from engine.report.track_section import track_section
from engine.results import ForecastResult
from models.draws import Diagnostics
from optimization.plan import Infeasible

DEALS_TEXT = (
    "A large share of the company's (of the rep's) variance means: this deal decides the quarter. Drivers compare a "
    "deal's chance in the horizon with that of a typical open deal: median age, most frequent stage, size class, "
    "product and segment, a rep and a territory of average effect. Points of the chance, by Shapley values over what "
    "the model uses; they add up. The time left in the horizon is the same for all deals."
)

type Tables = dict[str, pd.DataFrame]
"""CSV tables of a run by file name without ending, with names as the page may show them."""


def sections_of(result: ForecastResult, tables: Tables) -> list[Section]:
    """All sections that the run has something to say in."""
    found = (
        _forecast(result, tables),
        _plan(result, tables),
        frontier_section(tables, result.config.currency),
        _deals(tables),
        movement_section(result, tables),
        _skill(result, tables),
        shares_section(result.spread),
        track_section(result, tables["backtest"]),
        _data(tables),
        _checks(result),
    )
    return [section for section in found if section is not None]


def _forecast(result: ForecastResult, tables: Tables) -> Section:
    forecast, currency = tables["forecast"], result.config.currency
    period = company_row(forecast)["period"]
    whole = forecast[forecast["period"] == period]
    months = [str(np.datetime64(int(month), "M")) for month in result.outcomes.months]
    running = result.outcomes.levels["company"].total[:, 0].cumsum(axis=1, dtype=np.float64)  # [path, month]
    goal = float(company_row(forecast)["quota"])
    fan = figures.fan(months, np.quantile(running, [0.1, 0.5, 0.9], axis=0), goal, currency)
    drawn = [PageFigure("fan", "Company, summed up month by month", fan)]
    for level in ("region", "territory", "manager", "product", "rep"):
        rows = whole[whole["level"] == level]
        if len(rows) > 1 and (level != "rep" or result.config.report.names != "absent"):
            drawn.append(PageFigure(f"range-{level}", f"By {level}", figures.forecast_ranges(rows, currency)))
    columns = (
        Column("level", "Level"),
        Column("key_name", "Name"),
        Column("p10", "P10", "money"),
        Column("p50", "P50", "money"),
        Column("p90", "P90", "money"),
        Column("booked", "Booked", "money"),
        Column("open", "Open deals", "money"),
        Column("new", "To come", "money"),
        Column("quota", "Target", "money"),
        Column("p_attain", "Chance", "share"),
    )
    table = make_table("forecast-table", f"All levels, {period}", whole, columns)
    return Section(
        "forecast",
        "Forecast",
        "Bars hold 80 % of the simulated futures; levels add up path by path.",
        tuple(drawn),
        (table,),
    )


def _plan(result: ForecastResult, tables: Tables) -> Section | None:
    if result.allocation is None:
        return None
    answer = result.allocation.answer
    if isinstance(answer, Infeasible):
        conflicts = "; ".join(", ".join(names) for names in answer.conflicts)
        return Section(
            "territories", "Territories", f"Cannot hold together: {conflicts}. Repairs: {'; '.join(answer.repairs)}"
        )
    books, certificate, currency = tables["books"], answer.certificate, result.config.currency
    drawn = [PageFigure("attainment", "Chance of quota, before and with the plan", figures.attainment(books))]
    for column, title in (
        ("p_attain", "Chance of quota"),
        ("revenue_mean", f"Expected revenue, {currency}"),
        ("accounts", "Accounts"),
    ):
        drawn.append(PageFigure(f"balance-{column}", title, figures.balance(books, column, title)))
    text = (
        f"{len(tables['moves'])} of {len(answer.rep)} accounts move at a cost of {answer.move_cost.sum():,.0f} "
        f"{currency}. Every rule was rechecked on raw arrays: "
        f"{'all hold' if certificate.feasible else '; '.join(certificate.violations)}. "
        f"Between reps who can exchange accounts the chances of quota differ by "
        f"{100 * certificate.p_attain_spread_within:.1f} points at most; the rest of the spread lies between pools of "
        f"reps that no assignment can even. Equal chances would still show a spread of about "
        f"{100 * certificate.noise_floor:.1f} points by simulation noise. The gap of {certificate.gap:.1%} between "
        f"plan and bound speaks of {certificate.bound_kind}."
    )
    columns = (
        Column("account_name", "Account"),
        Column("old_rep_name", "From"),
        Column("new_rep_name", "To"),
        Column("reason", "Why"),
        Column("potential_mean", "Potential", "money"),
        Column("move_cost", "Cost of the move", "money"),
    )
    moves = make_table("moves-table", "Moves", tables["moves"], columns)
    return Section("territories", "Territories", text, tuple(drawn), (moves,), side_by_side=True)


def _deals(tables: Tables) -> Section | None:
    if tables["deals"].empty:
        return None
    columns = (
        Column("opportunity_id", "Deal"),
        Column("account_name", "Account"),
        Column("rep_name", "Rep"),
        Column("stage", "Stage"),
        Column("expected_close", "Expected close"),
        Column("amount", "Amount", "money"),
        Column("p_win_in_period", "Won in the horizon", "share"),
        Column("p_slip", "Still open after it", "share"),
        Column("expected_revenue", "Expected", "money"),
        Column("share_of_variance", "Share of variance", "points"),
        Column("share_of_rep_variance", "Share of the rep's", "points"),
        Column("drivers", "What drives the chance", wide=True),
    )
    table = make_table("deals-table", "Open deals by their share of the company's variance", tables["deals"], columns)
    return Section("deals", "Open deals", DEALS_TEXT, (), (table,))


def _skill(result: ForecastResult, tables: Tables) -> Section | None:
    skill = result.skill
    if skill is None:
        return None
    seen = np.flatnonzero(skill.closed > 0)
    frame = pd.DataFrame(
        {
            "rep": result.panel.reps.labels.ids[seen],
            "rep_name": result.panel.reps.labels.names[seen],
            "p_win": skill.p_win[seen],
            "range": [
                f"{a:.0%} to {b:.0%}" for a, b in zip(skill.p_win_low[seen], skill.p_win_high[seen], strict=True)
            ],
            "raw": skill.raw[seen],
            "closed": skill.closed[seen],
        }
    )
    frame = anonymous({"forecast": tables["forecast"], "skill": frame}, result.config.report.names)["skill"]
    text = (
        f"SD over reps of the win probability: {skill.p_win[seen].std():.3f} in the model, "
        f"{skill.raw[seen].std():.3f} in the raw rates. "
        "What the model takes back is luck. Do not rank reps whose ranges overlap."
    )
    columns = (
        Column("rep_name", "Rep"),
        Column("p_win", "Win probability (model)", "points"),
        Column("range", "90 % interval"),
        Column("raw", "Raw win rate", "points"),
        Column("closed", "Closed deals", "count"),
    )
    return Section(
        "reps", "Reps and luck", text, (), (make_table("skill-table", "Winning a deal that closes", frame, columns),)
    )


def _data(tables: Tables) -> Section:
    columns = (
        Column("table", "Table"),
        Column("row", "Row"),
        Column("rule", "Rule"),
        Column("severity", "Severity"),
        Column("owner", "Owner"),
        Column("value_at_stake", "Value at stake", "money"),
        Column("action", "What was done, what to do"),
    )
    return Section(
        "data", "Data issues", "", (), (make_table("issues-table", "Issues", tables["data_issues"], columns),)
    )


def _checks(result: ForecastResult) -> Section:
    rows = [asdict(item) | {"passed": "passed" if item.converged() else "FAILED"} for item in result.draws.diagnostics]
    frame = pd.DataFrame(rows, columns=[*(part.name for part in fields(Diagnostics)), "passed"])
    columns = (
        Column("model", "Model"),
        Column("passed", "Gate"),
        Column("r_hat", "Largest R-hat", "plain"),
        Column("ess", "Smallest ESS", "count"),
        Column("divergences", "Divergences", "count"),
        Column("rows", "Records", "count"),
        Column("cells", "Cells", "count"),
        Column("parameters", "Parameters", "count"),
    )
    text = "The gate: R-hat below 1.01, effective sample size above 400, no divergence."
    return Section(
        "checks", "Can the model be trusted?", text, (), (make_table("diagnostics-table", "Chains", frame, columns),)
    )
