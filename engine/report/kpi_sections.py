"""Sections of the five reports of sales operations, of coaching and of inefficiencies, from `engine.kpis.reports`."""

from dataclasses import dataclass

import pandas as pd

from engine.report.page import Column, Section, make_table
from engine.report.words import Words


@dataclass(frozen=True)
class Told:
    """One table of `engine.kpis.reports.REPORTS` as the page shows it.

    Attributes
    ----------
    name : of the table
    columns : shown
    kind : what a search counts its rows as
    """

    name: str
    columns: tuple[Column, ...]
    kind: str = ""


FUNNEL = (
    Column("level_name", "col.level"),
    Column("key_name", "col.name"),
    Column("step", "col.step"),
    Column("tried", "col.decided", "count"),
    Column("passed", "col.went_on", "count"),
    Column("rate", "col.rate", "share"),
    Column("low", "col.low", "share"),
    Column("high", "col.high", "share"),
    Column("undecided", "col.undecided", "count"),
    Column("open_value", "col.open_value", "money"),
)

RECEIVED = (
    Column("level_name", "col.level"),
    Column("key_name", "col.name"),
    Column("period", "col.period"),
    Column("deals", "col.deals", "count"),
    Column("deal_amount", "col.deal_amount", "money"),
    Column("orders", "col.orders", "count"),
    Column("order_amount", "col.order_amount", "money"),
    Column("total", "col.total", "money"),
    Column("year_before", "col.year_before", "money"),
    Column("change", "col.change", "points"),
    Column("quota", "col.target", "money"),
    Column("attainment", "col.attainment", "share"),
)

PRODUCTS = (
    Column("product_name", "col.product"),
    Column("booked", "col.booked", "money"),
    Column("p10", "col.p10", "money"),
    Column("p50", "col.p50", "money"),
    Column("p90", "col.p90", "money"),
    Column("target", "col.target", "money"),
    Column("p_target", "col.chance", "share"),
    Column("year_before", "col.year_before", "money"),
    Column("mix", "col.mix", "share"),
)

GOALS = (
    Column("rep_name", "col.rep"),
    Column("quota", "col.quota", "money"),
    Column("gap", "col.gap", "money"),
    Column("typical_deal", "col.typical_deal", "money"),
    Column("deals_won", "col.deals_won", "count"),
    Column("deals_needed", "col.deals_needed", "count"),
    Column("deals_expected", "col.deals_expected", "one"),
    Column("p_quota", "col.chance", "share"),
    Column("rank_mean", "col.rank_mean", "one"),
    Column("rank_p05", "col.rank_best", "count"),
    Column("rank_p95", "col.rank_worst", "count"),
    Column("p_first", "col.p_first", "share"),
    Column("p_top_3", "col.p_top", "share"),
)

COACHING = (
    Column("rep_name", "col.rep"),
    Column("step", "col.step"),
    Column("tried", "col.decided", "count"),
    Column("raw_rate", "col.raw_rate", "share"),
    Column("shrunk_rate", "col.shrunk_rate", "share"),
    Column("p05_rate", "col.low", "share"),
    Column("p95_rate", "col.high", "share"),
    Column("team_rate", "col.team_rate", "share"),
    Column("p_below", "col.p_below", "share"),
)

LOST = (
    Column("kind", "col.kind", english=True),
    Column("rep_name", "col.rep"),
    Column("opportunity_id", "col.deal"),
    Column("name", "col.name"),
    Column("at_stake", "col.at_stake", "money"),
    Column("words", "col.why", wide=True, english=True),
)

TOLD = (
    Told("funnel", FUNNEL),
    Told("contracts_received", RECEIVED),
    Told("product_targets", PRODUCTS),
    Told("won_deal_goals", GOALS, "reps"),
    Told("coaching", COACHING, "reps"),
    Told("inefficiencies", LOST, "deals"),
)

PERIODS = 8
"""Newest periods of contracts received that the page shows of each grain; the file has all."""

ABOUT_REPS = ("won_deal_goals", "coaching")
"""Tables that say nothing on a page that does not name reps."""


def kpi_sections(tables: dict[str, pd.DataFrame], words: Words) -> list[Section]:
    """One section a report that has something to say."""
    hidden = (tables["forecast"].query("level == 'rep'")["key_name"] == "").all()
    found = []
    for told in TOLD:
        frame = tables.get(told.name)
        if frame is None or frame.empty or (hidden and told.name in ABOUT_REPS):
            continue
        shown = _prepared(told.name, frame, words)
        present = tuple(column for column in told.columns if column.source in shown)
        listed = [make_table(words, told.name, shown, present, told.kind)]
        id_ = told.name.replace("_", "-")
        found.append(Section(id_, words(f"section.{told.name}"), words(f"text.{told.name}"), (), tuple(listed)))
    return found


def _prepared(name: str, frame: pd.DataFrame, words: Words) -> pd.DataFrame:
    """The table with the level in words; of contracts the newest periods, of findings some of every kind first."""
    if name == "contracts_received":
        keep = frame[frame["level"].isin(["company", "rep", "territory", "product"])]
        newest = keep.groupby(["level", "grain"], sort=False)["period"].transform(
            lambda names: names.isin(list(dict.fromkeys(names))[:PERIODS])
        )
        frame = keep[newest & (keep["grain"] != "month")]
    if name == "inefficiencies":
        rank = frame.groupby("kind", sort=False).cumcount()
        frame = frame.iloc[rank.argsort(kind="stable")]  # the largest of every kind first
    if "level" not in frame:
        return frame
    named = frame.assign(level_name=[words.known(f"level.{level}", str(level)) for level in frame["level"]])
    company = named["level"] == "company"
    if company.any() and "key_name" in named:
        named.loc[company, "key_name"] = words("level.company")
    return named
