"""The section of the levels: the fan against goal, call and earlier pace, and the ranges of every level."""

import numpy as np
import pandas as pd

from engine.report import figures
from engine.report.page import Column, PageFigure, Section, make_table
from engine.report.terminal import company_row
from engine.report.words import Words
from engine.results import ForecastResult
from engine.simulation.cells import booked_revenue
from models.calendar import month_number
from models.panel import Floats, Ints, Panel

PACES = 4
"""Earlier periods of the same length beside the fan."""

MANY = 15
"""Members of a level from which on its figure takes the whole width."""

FRESH_DAYS = 45
"""Days after which a call is too old to be shown."""

COLUMNS = (
    Column("level_name", "col.level"),
    Column("key_name", "col.name"),
    Column("p10", "col.p10", "money"),
    Column("p50", "col.p50", "money"),
    Column("p90", "col.p90", "money"),
    Column("booked", "col.booked", "money"),
    Column("open", "col.open", "money"),
    Column("new", "col.new", "money"),
    Column("quota", "col.target", "money"),
    Column("p_attain", "col.chance", "share"),
)


def forecast_section(result: ForecastResult, tables: dict[str, pd.DataFrame], words: Words) -> Section:
    """Fan, one figure a level, one table of all."""
    forecast, currency = tables["forecast"], result.config.currency
    period = company_row(forecast)["period"]
    whole = forecast[forecast["period"] == period]
    drawn = [_fan(result, words, company_row(forecast))]
    for level in ("region", "territory", "manager", "product", "rep"):
        rows = whole[whole["level"] == level]
        if len(rows) > 1 and (level != "rep" or result.config.report.names != "absent"):
            title = words("figure.by", level=words(f"level.{level}"))
            top = rows.sort_values("p50", ascending=False).iloc[0]
            text = words("text.by", name=_short(top["key_name"]), p50=words.money(top["p50"]), currency=currency)
            figure = figures.forecast_ranges(words, rows, currency)
            drawn.append(PageFigure(f"range-{level}", title, figure, text, wide=len(rows) > MANY))
    shown = whole.assign(level_name=[words(f"level.{level}") for level in whole["level"]])
    company = shown["level"] == "company"
    shown.loc[company, "key_name"] = words("level.company")
    table = make_table(words, "levels", shown, COLUMNS, "reps")
    return Section("forecast", words("section.forecast"), words("text.forecast", period=period), tuple(drawn), (table,))


def _short(name: object) -> str:
    return str(name)[: figures.NAME_CHARACTERS] or "–"


def _fan(result: ForecastResult, words: Words, row: "pd.Series") -> PageFigure:
    months = result.outcomes.months
    running = result.outcomes.levels["company"].total[:, 0].cumsum(axis=1, dtype=np.float64)  # [path, month]
    quantiles = np.quantile(running, [0.1, 0.5, 0.9], axis=0)
    names = [str(np.datetime64(int(month), "M")) for month in months]
    marks = {"goal": float(row["quota"]), "call": latest_call(result.panel, months)}
    past = pace(result.panel, months)
    figure = figures.fan(words, names, quantiles, marks, past)
    low, middle, high = (words.money(value) for value in quantiles[:, -1])
    text = words("text.fan", p10=low, p50=middle, p90=high, currency=result.config.currency)
    said = [words(f"text.fan_{key}", value=words.money(value)) for key, value in marks.items() if np.isfinite(value)]
    said += [words("text.fan_pace", period=name, value=words.money(sums[-1])) for name, sums in past.items()]
    missing = [words(f"text.no_{key}") for key, value in marks.items() if not np.isfinite(value)]
    return PageFigure("fan", words("figure.fan"), figure, " ".join([text, *said, *missing]), wide=True)


def latest_call(panel: Panel, months: Ints) -> float:
    """Sum of the reps' latest calls for the horizon, none older than `FRESH_DAYS`; NaN when nobody has said anything.

    A call is for its horizon when it speaks of the horizon's first month.
    """
    calls = panel.calls
    fresh = (calls.day <= panel.as_of) & (calls.day > panel.as_of - np.timedelta64(FRESH_DAYS, "D"))
    chosen = np.flatnonzero(fresh & (calls.month == months[0]))
    if not len(chosen):
        return float("nan")
    order = chosen[np.lexsort((chosen, calls.day[chosen]))]
    latest = dict(zip(calls.rep[order].tolist(), calls.amount[order].tolist(), strict=True))
    return float(sum(latest.values()))


def pace(panel: Panel, months: Ints) -> dict[str, list[float]]:
    """Running sums of booked revenue in the earlier periods of the same length that the export covers whole.

    Returns
    -------
    by the name of the period, the latest first: [month]
    """
    revenue = booked_revenue(panel)
    first = int(month_number(np.array([panel.first_day]))[0])
    first = min(first, int(panel.orders.first_month)) if len(panel.orders) else first
    tomorrow = panel.as_of.astype("datetime64[D]") + np.timedelta64(1, "D")
    known = int(month_number(np.array([tomorrow]))[0]) - 1  # last month that has ended by the as-of date
    found: dict[str, list[float]] = {}
    start = int(months[0])
    while len(found) < PACES:
        start -= len(months)
        if start <= first:
            break
        if start + len(months) - 1 > known:
            continue
        sums: Floats = np.cumsum([revenue.amount[revenue.month == start + i].sum() for i in range(len(months))])
        end = np.datetime64(start + len(months) - 1, "M")
        found[f"{np.datetime64(start, 'M')} – {end}" if len(months) > 1 else str(end)] = sums.tolist()
    return found
