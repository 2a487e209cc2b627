"""The first sheet of the workbook: three numbers, and two charts where people look first."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from engine.report.workbook_words import SHEETS

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.worksheet import Worksheet

WIDTH, HEIGHT = 900, 330
"""Size of a chart, pixels."""

MOST_BARS = 60
"""Reps that a chart of bars still shows."""

BEFORE, AFTER, BAND = "#B8B8B8", "#1F6FB2", "#8FB8DE"
"""Colours: the present, the plan, and the edges of a forecast."""


def draw_overview(book: "Workbook", sheet: "Worksheet", shown: Mapping[str, pd.DataFrame], currency: str) -> None:
    """Fill the first sheet from the tables of the others."""
    title, big = book.add_format({"bold": True, "font_size": 16}), book.add_format({"bold": True, "font_size": 13})
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 5, 18)
    sheet.write_string(0, 0, "The plan at a glance", title)
    for r, (words, value, code) in enumerate(_headline(shown, currency), 2):
        sheet.write_string(r, 0, words)
        sheet.write_number(r, 1, value, book.add_format({"bold": True, "font_size": 13, "num_format": code}))
    row = 8
    for chart in (_fan(book, shown, currency), _chances(book, shown)):
        if chart is not None:
            chart.set_size({"width": WIDTH, "height": HEIGHT})
            sheet.insert_chart(row, 0, chart, {"description": "chart of the table behind it"})
            row += 18
    sheet.write_string(row, 0, "Fill in the yellow columns of Moves or Accounts and give the file back.", big)


def _headline(shown: Mapping[str, pd.DataFrame], currency: str) -> list[tuple[str, float, str]]:
    """Words, number and format of what is said first."""
    company = shown["forecast"][shown["forecast"]["level"] == "company"].iloc[-1]
    money = [("P10", "p10"), ("P50", "p50"), ("P90", "p90"), ("Goal", "quota")]
    rows = [
        (f"{words} of {company['period']}, {currency}", float(company[column]), "#,##0")
        for words, column in money
        if pd.notna(company[column]) and not (column == "quota" and company["quota_source"] == "none")
    ]
    if pd.notna(company["p_attain"]):
        rows.append(("Chance of the goal", float(company["p_attain"]), "0%"))
    if "moves" in shown:
        rows.append(("Accounts that change rep", float(len(shown["moves"])), "#,##0"))
    return rows


def _fan(book: "Workbook", shown: Mapping[str, pd.DataFrame], currency: str) -> Any:
    """P10, P50 and P90 of the company by month; None for a single month."""
    frame = shown["forecast"]
    months = [
        i for i in range(len(frame)) if frame["level"].iloc[i] == "company" and _is_month(frame["period"].iloc[i])
    ]
    if len(months) < 2:
        return None
    chart = book.add_chart({"type": "line"})
    first, last = months[0] + 1, months[-1] + 1
    for column, colour in (("p90", BAND), ("p50", AFTER), ("p10", BAND)):
        chart.add_series(_series("forecast", frame, ("period", column), (first, last), column.upper(), colour))
    chart.set_title({"name": f"Forecast of the company by month, {currency}"})
    chart.set_y_axis({"num_format": "#,##0", "major_gridlines": {"visible": True, "line": {"color": "#E0E0E0"}}})
    chart.set_legend({"position": "bottom"})
    return chart


def _chances(book: "Workbook", shown: Mapping[str, pd.DataFrame]) -> Any:
    """Chance of quota of each rep today and under the plan."""
    frame = shown.get("books")
    if frame is None or not 0 < len(frame) <= MOST_BARS:
        return None
    chart = book.add_chart({"type": "column"})
    for column, words, colour in (("p_attain_before", "today", BEFORE), ("p_attain", "with the plan", AFTER)):
        chart.add_series(_series("books", frame, ("rep", column), (1, len(frame)), words, colour))
    chart.set_title({"name": "Chance of quota by rep"})
    chart.set_y_axis({"num_format": "0%", "min": 0, "max": 1})
    chart.set_legend({"position": "bottom"})
    return chart


def _series(
    name: str, frame: pd.DataFrame, columns: tuple[str, str], rows: tuple[int, int], words: str, colour: str
) -> dict[str, Any]:
    title, (x, y) = SHEETS[name].title, (frame.columns.get_loc(column) for column in columns)
    return {
        "name": words,
        "categories": [title, rows[0], x, rows[1], x],
        "values": [title, rows[0], y, rows[1], y],
        "line": {"color": colour, "width": 2.25},
        "fill": {"color": colour},
    }


def _is_month(period: object) -> bool:
    text = str(period)
    return len(text) == 7 and text[5:].isdigit()
