"""Figures of the forecast as plain Plotly specifications: data in, dictionaries out (a test holds them to the schema).

The colours of text and grid come from the page's style sheet, so that light, dark and print need no second drawing.
"""

from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.report.words import Words

type Figure = dict[str, Any]

BLUE, ORANGE, GREY, GREEN, BAND = "#3b6fb6", "#d9822b", "#8a94a6", "#3f9c6b", "rgba(138,148,166,0.28)"
"""Colours that keep apart in light, dark and print, also for red-green blind readers."""

ROW_PIXELS, FRAME_PIXELS = 22, 110

NAME_CHARACTERS = 26
"""Longest name in a figure: room is left for what is drawn, also on a phone."""

UNSEEN = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), *range(0x200B, 0x2010), *range(0x202A, 0x202F)])
"""Control characters, among them those that turn the direction of the text after them: figures know no isolation."""
UNSEEN |= dict.fromkeys([*range(0x2060, 0x2070), 0xFEFF])


def forecast_ranges(words: Words, rows: pd.DataFrame, currency: str) -> Figure:
    """P10 to P90 as a bar, P50 as a dot and the target as a mark, one row a member of a level."""
    rows = rows.sort_values("p50", ignore_index=True)
    names = labels_of(rows["key_name"])
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": words("figure.band"),
            "y": names,
            "base": numbers(rows["p10"]),
            "x": numbers(rows["p90"] - rows["p10"]),
            "marker": {"color": BLUE, "opacity": 0.35},
            "customdata": numbers(rows["p90"]),
            "hovertemplate": "%{y}: %{base:,.0f} – %{customdata:,.0f}<extra></extra>",
        },
        dots("P50", names, rows["p50"], BLUE, "circle"),
        dots(words("figure.target"), names, rows["quota"], ORANGE, "line-ns-open"),
    ]
    return rows_figure(traces, words("axis.revenue", currency=currency), len(rows))


def fan(
    words: Words,
    months: list[str],
    quantiles: NDArray[np.float64],
    marks: dict[str, float],
    pace: dict[str, list[float]],
) -> Figure:
    """Revenue of the company summed up month by month: P10 to P90 as a band, P50 as a line, beside what it is held to.

    Parameters
    ----------
    months : [month] names
    quantiles : [3, month] P10, P50 and P90 of the running sum, money
    marks : ``goal`` and ``call`` over the whole horizon, NaN when there is none
    pace : running sums of earlier periods by their name, [month]
    """
    low, middle, high = (numbers(pd.Series(row)) for row in quantiles)
    line = {"type": "scatter", "mode": "lines", "x": months}
    no_line = {"width": 0}
    traces: list[Figure] = [
        line | {"line": no_line, "y": low, "showlegend": False, "hoverinfo": "skip"},
        line | {"line": no_line, "y": high, "fill": "tonexty", "fillcolor": "rgba(59,111,182,0.25)"},
        line | {"mode": "lines+markers", "line": {"color": BLUE, "width": 3}, "y": middle, "name": "P50"},
    ]
    traces[1]["name"] = words("figure.band")
    for (name, sums), dash in zip(pace.items(), ("dot", "dash", "dashdot", "longdash"), strict=False):
        style = {"color": GREY, "width": 1.5, "dash": dash}
        traces.append(line | {"line": style, "y": numbers(pd.Series(sums)), "name": name})
    for (name, value), colour, symbol in zip(marks.items(), (ORANGE, GREEN), ("line-ew-open", "diamond"), strict=False):
        if np.isfinite(value):
            wide = symbol.startswith("line")
            mark = {
                "color": colour,
                "symbol": symbol,
                "size": 24 if wide else 12,
                "line": {"width": 3, "color": colour},
            }
            traces.append(
                {"type": "scatter", "mode": "markers", "x": months[-1:], "y": numbers(pd.Series([value]))}
                | {"marker": mark, "name": words(f"figure.{name}")}
            )
    figure = columns_figure(traces, "", words("axis.so_far"))
    figure["layout"]["xaxis"] |= {"type": "category", "range": [-0.12, len(months) - 0.88]}
    return figure


def waterfall(words: Words, steps: pd.DataFrame, currency: str) -> Figure:
    """Start, steps and end of a change as floating bars from top to bottom; steps of nothing are left out.

    Parameters
    ----------
    steps : step (the first ``start``, the last ``end``), amount and label
    """
    ends = steps["step"].isin(["start", "end"])
    rows = steps[ends | (steps["amount"] != 0)].reset_index(drop=True)
    ends = rows["step"].isin(["start", "end"])
    amounts = rows["amount"].to_numpy(dtype=float)
    kinds = {"start": "absolute", "end": "total"}
    trace: Figure = {
        "type": "waterfall",
        "orientation": "h",
        "y": labels_of(rows["label"]),
        "x": numbers(rows["amount"]),
        "measure": [kinds.get(str(name), "relative") for name in rows["step"]],
        "increasing": {"marker": {"color": GREEN}},
        "decreasing": {"marker": {"color": ORANGE}},
        "totals": {"marker": {"color": BLUE}},
        "connector": {"line": {"color": GREY, "width": 1}},
        "text": [words.money(a) if end else words.signed(a) for a, end in zip(amounts, ends, strict=True)],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{y}: %{text}<extra></extra>",
        "showlegend": False,
    }
    figure = rows_figure([trace], words("axis.waterfall", currency=currency), len(rows))
    running = np.cumsum(np.where(rows["step"] == "end", 0.0, amounts))
    room = 0.25 * max(float(np.ptp(running)), 1e-9)
    figure["layout"]["xaxis"] |= {"range": [float(running.min() - room), float(running.max() + room)]}
    figure["layout"]["yaxis"] |= {"range": [len(rows) - 0.3, -0.7]}
    return figure


def funnel(words: Words, stages: list[str], counts: list[float], conversion: list[float]) -> Figure:
    """Deals that were decided at each step, with the share that went on; the last row is what came of it."""
    texts = [words.money(count) for count in counts]
    for i, rate in enumerate(conversion):
        texts[i] += f" ({words.share(rate)})" if np.isfinite(rate) else ""
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": labels_of(pd.Series(stages, dtype=object)),
        "x": numbers(pd.Series(counts, dtype=float)),
        "text": texts,
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": BLUE},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
        "showlegend": False,
    }
    figure = rows_figure([trace], words("axis.records"), len(stages))
    figure["layout"]["xaxis"] |= {"range": [0, 1.35 * max([*counts, 1.0])]}
    figure["layout"]["yaxis"] |= {"range": [len(stages) - 0.3, -0.7]}
    return figure


def rows_figure(traces: list[Figure], title: str, rows: int) -> Figure:
    """A figure with one named row a member."""
    layout = _layout(FRAME_PIXELS + ROW_PIXELS * max(rows, 4))
    layout["xaxis"] = {"title": {"text": title}, "automargin": True, "rangemode": "tozero", "nticks": 6}
    layout["yaxis"] = {"type": "category", "automargin": True, "dtick": 1, "range": [-0.7, max(rows, 1) - 0.3]}
    layout["yaxis"] |= {"ticks": "outside", "ticklen": 6, "tickcolor": "rgba(0,0,0,0)"}
    return {"data": traces, "layout": layout}


def columns_figure(traces: list[Figure], across: str, up: str, height: int = 330) -> Figure:
    """A figure with numbers upwards."""
    layout = _layout(height)
    layout["xaxis"] = {"title": {"text": across}, "automargin": True}
    layout["yaxis"] = {"title": {"text": up}, "automargin": True, "rangemode": "tozero", "nticks": 7}
    return {"data": traces, "layout": layout}


def _layout(height: int) -> Figure:
    return {
        "height": height,
        "margin": {"l": 10, "r": 20, "t": 30, "b": 45},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        "hoverlabel": {"namelength": -1, "bgcolor": "#1c2430", "font": {"color": "#ffffff"}},
    }


def dots(name: str, labels: list[str], values: "pd.Series[float]", colour: str, symbol: str) -> Figure:
    """One mark a row."""
    line = {"width": 3 if symbol.startswith("line") else 1.5, "color": colour}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "y": labels,
        "x": numbers(values),
        "marker": {"color": colour, "symbol": symbol, "size": 11, "line": line},
        "hovertemplate": "%{y}: %{x:,.4~g}<extra>" + name + "</extra>",
    }


def labels_of(column: "pd.Series[str]") -> list[str]:
    """Labels made safe (Plotly reads markup) and unique, so that two people of one name keep a row each."""
    seen: dict[str, int] = {}
    labels = []
    for name in column.fillna("").astype(str):
        text = plain_label(name)
        seen[text] = seen.get(text, 0) + 1
        labels.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return labels


def plain_label(name: str) -> str:
    """A short text without markup and without characters that turn the direction of what follows."""
    text = name.translate(UNSEEN).strip()
    short = text if len(text) <= NAME_CHARACTERS else f"{text[: NAME_CHARACTERS - 1]}…"
    return escape(short) or MISSING_NAME


MISSING_NAME = "(–)"


def numbers(column: "pd.Series[float]") -> list[float | None]:
    """Six significant digits are what an eye can use; missing values become gaps."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in column.to_numpy(dtype=float)]
