"""The sections of report.html in the order they are read, each from the run's tables."""

from dataclasses import asdict, fields

import numpy as np
import pandas as pd

from engine.report.forecast_section import forecast_section
from engine.report.frontier_section import frontier_section
from engine.report.kpi_sections import kpi_sections
from engine.report.movement import movement_section
from engine.report.names import anonymous
from engine.report.page import Column, Section, make_table
from engine.report.pipeline_section import pipeline_section
from engine.report.plan_section import plan_section
from engine.report.shares_section import shares_section
from engine.report.track_section import track_section
from engine.report.words import Words
from engine.results import ForecastResult
from models.draws import Diagnostics

type Tables = dict[str, pd.DataFrame]
"""CSV tables of a run by file name without ending, with names as the page may show them."""

DEALS = (
    Column("opportunity_id", "col.deal"),
    Column("account_name", "col.account"),
    Column("rep_name", "col.rep"),
    Column("stage", "col.stage"),
    Column("expected_close", "col.expected_close", whole=True),
    Column("amount", "col.amount", "money"),
    Column("p_win_in_period", "col.won_in_horizon", "share"),
    Column("p_slip", "col.still_open", "share"),
    Column("expected_revenue", "col.expected", "money"),
    Column("share_of_variance", "col.share_of_variance", "points"),
    Column("share_of_rep_variance", "col.share_of_rep_variance", "points"),
    Column("drivers", "col.drivers", wide=True, english=True),
)

SKILL = (
    Column("rep_name", "col.rep"),
    Column("p_win", "col.p_win", "points"),
    Column("low", "col.low", "share"),
    Column("high", "col.high", "share"),
    Column("raw", "col.raw_rate", "points"),
    Column("closed", "col.closed_deals", "count"),
)

ISSUES = (
    Column("table", "col.table"),
    Column("row", "col.row"),
    Column("rule", "col.rule", english=True),
    Column("severity", "col.severity"),
    Column("owner", "col.owner"),
    Column("value_at_stake", "col.at_stake", "money"),
    Column("action", "col.action", wide=True, english=True),
)

QUALITY = (
    Column("rep_name", "col.rep"),
    Column("open_deals", "col.open", "count"),
    Column("open_value", "col.open_value", "money"),
    Column("score", "col.score", "count"),
    Column("deals_to_mend", "col.to_mend", "count"),
    Column("value_to_mend", "col.value_to_mend", "money"),
)

EFFECT = (
    Column("rule", "col.rule", english=True),
    Column("open_deals", "col.open", "count"),
    Column("open_value", "col.open_value", "money"),
    Column("expected_revenue", "col.expected", "money"),
    Column("p50_with", "col.p50_with", "money"),
    Column("p50_without", "col.p50_without", "money"),
    Column("p_goal_with", "col.p_goal_with", "points"),
    Column("p_goal_without", "col.p_goal_without", "points"),
)

NOT_AVAILABLE = (
    Column("kpi", "col.kpi", english=True),
    Column("why", "col.needs", wide=True, english=True),
)

CHECKS = (
    Column("model", "col.model", english=True),
    Column("passed", "col.gate"),
    Column("r_hat", "col.r_hat", "plain"),
    Column("ess", "col.ess", "count"),
    Column("divergences", "col.divergences", "count"),
    Column("rows", "col.records", "count"),
    Column("cells", "col.cells", "count"),
    Column("parameters", "col.parameters", "count"),
)


def sections_of(result: ForecastResult, tables: Tables, words: Words) -> list[Section]:
    """All sections that the run has something to say in."""
    found = (
        movement_section(result, tables, words),
        forecast_section(result, tables, words),
        _deals(tables, words),
        pipeline_section(result, tables, words),
        plan_section(result, tables, words),
        frontier_section(tables, words),
        _skill(result, tables, words),
        shares_section(result.spread, words),
        *kpi_sections(tables, words),
        _data(tables, words),
        track_section(result, tables["backtest"], words),
        _checks(result, words),
    )
    return [section for section in found if section is not None]


def _deals(tables: Tables, words: Words) -> Section | None:
    if tables["deals"].empty:
        return None
    table = make_table(words, "deals", tables["deals"], DEALS, "deals")
    return Section("deals", words("section.deals"), words("text.deals"), (), (table,))


def _skill(result: ForecastResult, tables: Tables, words: Words) -> Section | None:
    skill = result.skill
    if skill is None or result.config.report.names == "absent":
        return None
    seen = np.flatnonzero(skill.closed > 0)
    frame = pd.DataFrame(
        {
            "rep": result.panel.reps.labels.ids[seen],
            "rep_name": result.panel.reps.labels.names[seen],
            "p_win": skill.p_win[seen],
            "low": skill.p_win_low[seen],
            "high": skill.p_win_high[seen],
            "raw": skill.raw[seen],
            "closed": skill.closed[seen],
        }
    )
    frame = anonymous({"forecast": tables["forecast"], "skill": frame}, result.config.report.names, words("name.rep"))[
        "skill"
    ]
    text = words(
        "text.skill",
        model=words.number(skill.p_win[seen].std(), "plain"),
        raw=words.number(np.nanstd(skill.raw[seen]) if len(seen) else np.nan, "plain"),
    )
    return Section("reps", words("section.skill"), text, (), (make_table(words, "skill", frame, SKILL, "reps"),))


def _data(tables: Tables, words: Words) -> Section:
    issues, reps = tables["data_issues"], tables["forecast"].query("level == 'rep'")
    names = dict(zip(reps["key"], reps["key_name"], strict=True))
    issues = issues.assign(owner=issues["owner"].map(lambda owner: names.get(owner) or owner))
    issues = issues.assign(severity=[words.known(f"severity.{name}", str(name)) for name in issues["severity"]])
    text = words("text.data", rows=words.money(len(issues)))
    listed = [make_table(words, "issues", issues, ISSUES)]
    quality = tables.get("data_quality")
    if quality is not None and len(quality) and (quality["rep_name"] != "").any():
        listed.append(make_table(words, "quality", quality, QUALITY, "reps"))
    effect, absent = tables.get("suspect_effect"), tables.get("kpis_not_available")
    if effect is not None and len(effect):
        listed.append(make_table(words, "suspect_effect", effect, EFFECT))
    if absent is not None and len(absent):
        listed.append(make_table(words, "kpis_not_available", absent, NOT_AVAILABLE))
    return Section("data", words("section.data"), text, (), tuple(listed))


def _checks(result: ForecastResult, words: Words) -> Section:
    rows = [
        asdict(item) | {"passed": words("gate.passed" if item.converged() else "gate.failed")}
        for item in result.draws.diagnostics
    ]
    frame = pd.DataFrame(rows, columns=[*(part.name for part in fields(Diagnostics)), "passed"])
    table = make_table(words, "chains", frame, CHECKS)
    return Section("checks", words("section.checks"), words("text.checks"), (), (table,))
