"""Figures of the report as plain Plotly specifications: data in, dictionaries out. A test holds them against Plotly's schema."""

from html import escape
from typing import Any

import numpy as np
import pandas as pd

type Figure = dict[str, Any]

BLUE, ORANGE, GREY, GREEN = "#3b6fb6", "#d9822b", "#8a94a6", "#3f9c6b"
"""Colours that keep apart in light, dark and print, also for red-green blind readers."""

ROW_PIXELS, FRAME_PIXELS = 22, 110


def forecast_ranges(rows: pd.DataFrame, currency: str) -> Figure:
    """P10 to P90 as a bar, P50 as a dot and the target as a mark, one row a member of a level."""
    rows = rows.sort_values("p50", ignore_index=True)
    names = _names(rows["key_name"])
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": "P10 to P90",
            "y": names,
            "base": _numbers(rows["p10"]),
            "x": _numbers(rows["p90"] - rows["p10"]),
            "marker": {"color": BLUE, "opacity": 0.35},
            "customdata": _numbers(rows["p90"]),
            "hovertemplate": "%{y}: %{base:,.0f} to %{customdata:,.0f}<extra></extra>",
        },
        _dots("P50", names, rows["p50"], BLUE, "circle"),
        _dots("quota or goal", names, rows["quota"], ORANGE, "line-ns-open"),
    ]
    return _figure(traces, f"revenue, {currency}", len(rows))


def fan(forecast: pd.DataFrame, months: list[str], currency: str) -> Figure:
    """Cumulative path of the company over the horizon: P10, P50 and P90 month by month, and the goal at its end."""
    company = forecast[(forecast["level"] == "company") & forecast["period"].isin(months)]
    whole = forecast[forecast["level"] == "company"].iloc[-1]
    traces: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines",
            "line": {"width": 0},
            "x": months,
            "y": _numbers(company["p10"]),
            "showlegend": False,
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "line": {"width": 0},
            "fill": "tonexty",
            "fillcolor": "rgba(59,111,182,0.25)",
            "name": "P10 to P90",
            "x": months,
            "y": _numbers(company["p90"]),
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "P50",
            "line": {"color": BLUE},
            "x": months,
            "y": _numbers(company["p50"]),
        },
    ]
    figure = _figure(traces, "", 10)
    figure["layout"]["yaxis"] = {"title": {"text": f"revenue a month, {currency}"}, "rangemode": "tozero", "automargin": True}
    figure["layout"]["xaxis"] = {"type": "category"}
    if np.isfinite(whole["quota"]):
        level = float(whole["quota"]) / len(months)
        figure["layout"]["shapes"] = [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": level, "y1": level, "line": {"color": ORANGE, "dash": "dash"}}
        ]
        figure["layout"]["annotations"] = [
            {"xref": "paper", "x": 1, "y": level, "text": "goal, spread evenly", "showarrow": False, "yanchor": "bottom", "xanchor": "right"}
        ]
    return figure


def attainment(books: pd.DataFrame) -> Figure:
    """Chance of quota of every rep before and with the plan."""
    rows = books.sort_values("p_attain_before", ignore_index=True)
    names = _names(rows["rep_name"])
    lines: Figure = {
        "type": "scatter",
        "mode": "lines",
        "showlegend": False,
        "hoverinfo": "skip",
        "line": {"color": GREY, "width": 1},
        "y": [name for each in names for name in (each, each, None)],
        "x": [v for a, b in zip(_numbers(rows["p_attain_before"]), _numbers(rows["p_attain"]), strict=True) for v in (a, b, None)],
    }
    traces = [
        lines,
        _dots("present owners", names, rows["p_attain_before"], GREY, "circle-open"),
        _dots("plan", names, rows["p_attain"], GREEN, "circle"),
    ]
    figure = _figure(traces, "chance of quota", len(rows))
    figure["layout"]["xaxis"] |= {"range": [0, 1], "tickformat": ".0%"}
    return figure


def balance(books: pd.DataFrame, column: str, title: str) -> Figure:
    """One bar a rep, with the mean over reps as a line: how even the plan is in one measure."""
    rows = books.sort_values("rep", ascending=False, ignore_index=True)
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": title,
            "y": _names(rows["rep_name"]),
            "x": _numbers(rows[column]),
            "marker": {"color": BLUE},
            "showlegend": False,
        }
    ]
    figure = _figure(traces, title, len(rows))
    middle = float(rows[column].mean())
    figure["layout"]["shapes"] = [
        {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": middle, "x1": middle, "line": {"color": ORANGE, "dash": "dash"}}
    ]
    return figure


def _figure(traces: list[Figure], title: str, rows: int) -> Figure:
    layout = {
        "height": FRAME_PIXELS + ROW_PIXELS * max(rows, 4),
        "margin": {"l": 10, "r": 20, "t": 30, "b": 45},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        "xaxis": {"title": {"text": title}, "automargin": True},
        "yaxis": {"type": "category", "automargin": True, "dtick": 1},
        "hoverlabel": {"namelength": -1},
    }
    return {"data": traces, "layout": layout}


def _dots(name: str, labels: list[str], values: "pd.Series[float]", colour: str, symbol: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "y": labels,
        "x": _numbers(values),
        "marker": {"color": colour, "symbol": symbol, "size": 11, "line": {"width": 3 if symbol.startswith("line") else 1.5, "color": colour}},
        "hovertemplate": "%{y}: %{x:,.4~g}<extra>" + name + "</extra>",
    }


def _names(column: "pd.Series[str]") -> list[str]:
    """Labels made safe (Plotly reads markup) and unique, so that two people of one name keep a row each."""
    seen: dict[str, int] = {}
    labels = []
    for name in column.fillna("").astype(str):
        text = escape(name[:60]) or "(no name)"
        seen[text] = seen.get(text, 0) + 1
        labels.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return labels


def _numbers(column: "pd.Series[float]") -> list[float | None]:
    """Six significant digits are what an eye can use; missing values become gaps."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in column.to_numpy(dtype=float)]
