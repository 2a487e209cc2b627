"""Figures of the report as plain Plotly specifications: data in, dictionaries out (a test holds them to the schema)."""

from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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


def fan(months: list[str], quantiles: NDArray[np.float64], goal: float, currency: str) -> Figure:
    """Revenue of the company summed up month by month: P10 to P90 as a band, P50 as a line, the goal as a mark.

    Parameters
    ----------
    months : [month] names
    quantiles : [3, month] P10, P50 and P90 of the running sum, money
    goal : over the whole horizon, NaN when none is given
    """
    low, middle, high = (_numbers(pd.Series(row)) for row in quantiles)
    line = {"type": "scatter", "mode": "lines", "x": months}
    traces: list[Figure] = [
        line | {"line": {"width": 0}, "y": low, "showlegend": False, "hoverinfo": "skip"},
        line
        | {
            "line": {"width": 0},
            "y": high,
            "fill": "tonexty",
            "fillcolor": "rgba(59,111,182,0.25)",
            "name": "P10 to P90",
        },
        line | {"mode": "lines+markers", "line": {"color": BLUE}, "y": middle, "name": "P50"},
    ]
    if np.isfinite(goal):
        mark = {"color": ORANGE, "symbol": "line-ew-open", "size": 24, "line": {"width": 3, "color": ORANGE}}
        traces.append(
            {"type": "scatter", "mode": "markers", "x": months[-1:], "y": [goal], "marker": mark, "name": "goal"}
        )
    figure = _figure(traces, "", 10)
    figure["layout"]["yaxis"] = {
        "title": {"text": f"revenue so far, {currency}"},
        "rangemode": "tozero",
        "automargin": True,
    }
    figure["layout"]["xaxis"] = {"type": "category"}
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
        "x": [
            v
            for a, b in zip(_numbers(rows["p_attain_before"]), _numbers(rows["p_attain"]), strict=True)
            for v in (a, b, None)
        ],
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
        {
            "type": "line",
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "x0": middle,
            "x1": middle,
            "line": {"color": ORANGE, "dash": "dash"},
        }
    ]
    return figure


def waterfall(steps: pd.DataFrame, currency: str) -> Figure:
    """Start, steps and end of a change as floating bars from top to bottom; steps of nothing are left out.

    Parameters
    ----------
    steps : step (the first ``start``, the last ``end``), amount and what, whose text before a colon is the label
    """
    ends = steps["step"].isin(["start", "end"])
    rows = steps[ends | (steps["amount"] != 0)].reset_index(drop=True)
    ends = rows["step"].isin(["start", "end"])
    names = _names(rows["what"].str.split(":").str[0])
    amounts = rows["amount"].to_numpy(dtype=float)
    trace: Figure = {
        "type": "waterfall",
        "orientation": "h",
        "y": names,
        "x": _numbers(rows["amount"]),
        "measure": [
            "absolute" if name == "start" else "total" if name == "end" else "relative" for name in rows["step"]
        ],
        "increasing": {"marker": {"color": GREEN}},
        "decreasing": {"marker": {"color": ORANGE}},
        "totals": {"marker": {"color": BLUE}},
        "connector": {"line": {"color": GREY, "width": 1}},
        "text": [f"{a:,.0f}" if end else f"{a:+,.0f}" for a, end in zip(amounts, ends, strict=True)],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{y}: %{text}<extra></extra>",
        "showlegend": False,
    }
    figure = _figure([trace], f"mean, {currency} (the axis does not begin at zero)", len(rows))
    running = np.cumsum(np.where(rows["step"] == "end", 0.0, amounts))
    room = 0.25 * max(float(np.ptp(running)), 1e-9)
    figure["layout"]["xaxis"] |= {"range": [float(running.min() - room), float(running.max() + room)]}
    figure["layout"]["yaxis"] |= {"autorange": "reversed"}
    return figure


def _figure(traces: list[Figure], title: str, rows: int) -> Figure:
    layout = {
        "height": FRAME_PIXELS + ROW_PIXELS * max(rows, 4),
        "margin": {"l": 10, "r": 20, "t": 30, "b": 45},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        "xaxis": {"title": {"text": title}, "automargin": True, "rangemode": "tozero"},
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
        "marker": {
            "color": colour,
            "symbol": symbol,
            "size": 11,
            "line": {"width": 3 if symbol.startswith("line") else 1.5, "color": colour},
        },
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
