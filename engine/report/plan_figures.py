"""Figures of a territory plan: chances, balance, attainment, moves, places, and the price of fairness."""

import numpy as np
import pandas as pd

from engine.report.figures import (
    BAND,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Figure,
    columns_figure,
    dots,
    labels_of,
    numbers,
    plain_label,
    rows_figure,
)
from engine.report.words import Words

BANDS = (0.5, 0.8, 1.0, 1.2)
"""Edges of the bands of attainment."""

MOST_LINKS = 40
"""Flows that are drawn; the table lists every move."""

WEDGE_DEGREES = 137.508
"""Golden angle: hues that stay apart for any number of reps."""


def attainment(words: Words, books: pd.DataFrame) -> Figure:
    """Chance of quota of every rep before and with the plan."""
    rows = books.sort_values("p_attain_before", ignore_index=True)
    names = labels_of(rows["rep_name"])
    ends = zip(numbers(rows["p_attain_before"]), numbers(rows["p_attain"]), strict=True)
    lines: Figure = {
        "type": "scatter",
        "mode": "lines",
        "showlegend": False,
        "hoverinfo": "skip",
        "line": {"color": GREY, "width": 1},
        "y": [name for each in names for name in (each, each, None)],
        "x": [v for a, b in ends for v in (a, b, None)],
    }
    traces = [
        lines,
        dots(words("figure.before"), names, rows["p_attain_before"], GREY, "circle-open"),
        dots(words("figure.plan"), names, rows["p_attain"], GREEN, "circle"),
    ]
    figure = rows_figure(traces, words("axis.chance"), len(rows))
    figure["layout"]["xaxis"] |= {"range": [0, 1], "tickformat": ".0%"}
    return figure


def balance(words: Words, books: pd.DataFrame, column: str, title: str) -> Figure:
    """One bar a rep over its tolerance: how even the plan is in one measure, all three in the same order.

    Parameters
    ----------
    books : rep_name, the measure, and its tolerance ``low`` to ``high``, all shares of one
    """
    rows = books.iloc[::-1].reset_index(drop=True)
    names = labels_of(rows["rep_name"])
    inside = rows[column].between(rows["low"] - 1e-9, rows["high"] + 1e-9)
    bar: Figure = {"type": "bar", "orientation": "h", "y": names}
    band = bar | {"base": numbers(rows["low"]), "x": numbers(rows["high"] - rows["low"]), "width": 1.0}
    band |= {"name": words("figure.tolerance"), "marker": {"color": BAND}, "hoverinfo": "skip"}
    values = bar | {"x": numbers(rows[column]), "width": 0.55, "showlegend": False, "name": title}
    values |= {"marker": {"color": [BLUE if ok else ORANGE for ok in inside]}}
    values |= {"hovertemplate": "%{y}: %{x:.1%}<extra></extra>"}
    figure = rows_figure([band, values], "", len(rows))
    figure["layout"] |= {"barmode": "overlay"}
    figure["layout"]["xaxis"] |= {"tickformat": ".0%", "nticks": 5}
    return figure


def attainment_bands(words: Words, shares: dict[str, np.ndarray]) -> Figure:
    """Expected number of reps in each band of attainment.

    Parameters
    ----------
    shares : by name of the owners (before, plan): [path, rep] revenue over quota
    """
    names = [words(f"band.{i}") for i in range(len(BANDS) + 1)]
    traces = []
    for (key, values), colour in zip(shares.items(), (GREY, GREEN), strict=False):
        counts = band_counts(values)
        low, high = np.quantile(counts, [0.1, 0.9], axis=0)
        middle = counts.mean(axis=0)
        spread = {"type": "data", "symmetric": False, "array": numbers(pd.Series((high - middle).clip(min=0.0)))}
        spread |= {"arrayminus": numbers(pd.Series((middle - low).clip(min=0.0))), "color": colour, "thickness": 1.5}
        bar = {"type": "bar", "x": names, "y": numbers(pd.Series(middle)), "name": words(f"figure.{key}")}
        traces.append(bar | {"marker": {"color": colour}, "error_y": spread})
    figure = columns_figure(traces, words("axis.attainment"), words("axis.reps"))
    figure["layout"] |= {"barmode": "group"}
    figure["layout"]["xaxis"] |= {"type": "category"}
    return figure


def band_counts(attained: np.ndarray) -> np.ndarray:
    """[path, band] number of reps in each of the bands that `BANDS` cut."""
    band = np.digitize(attained, BANDS)  # [path, rep]; on an edge counts upwards: 80 % is reached
    return np.stack([(band == i).sum(axis=1) for i in range(len(BANDS) + 1)], axis=1)


def size_scatter(words: Words, books: pd.DataFrame) -> Figure:
    """Expected attainment against the size of the book, before the plan's moves and with them."""
    names = labels_of(books["rep_name"])
    size = books["accounts"]
    reached = books["revenue_mean"] / books["quota"].where(books["quota"] > 0)
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": numbers(size),
        "y": numbers(reached),
        "text": names,
        "marker": {"color": BLUE, "size": 11, "opacity": 0.8},
        "hovertemplate": "%{text}: %{x:,.0f}, %{y:.0%}<extra></extra>",
        "showlegend": False,
    }
    figure = columns_figure([trace], words("axis.accounts"), words("axis.expected_attainment"))
    figure["layout"]["yaxis"] |= {"tickformat": ".0%"}
    figure["layout"]["xaxis"] |= {"rangemode": "tozero"}
    line = {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": 1,
        "y1": 1,
        "line": {"color": ORANGE, "dash": "dash"},
    }
    figure["layout"]["shapes"] = [line]
    return figure


def flow(words: Words, moves: pd.DataFrame) -> Figure:
    """Accounts from reps to reps; the largest flows where there are many."""
    old = moves["old_rep_name"].replace("", words("figure.nobody"))
    pairs = pd.DataFrame({"old": old, "new": moves["new_rep_name"]}).groupby(["old", "new"], sort=True).size()
    pairs = pairs.sort_values(ascending=False, kind="stable").head(MOST_LINKS)
    left = list(dict.fromkeys(pairs.index.get_level_values("old")))
    right = list(dict.fromkeys(pairs.index.get_level_values("new")))
    link = {
        "source": [left.index(a) for a, _ in pairs.index],
        "target": [len(left) + right.index(b) for _, b in pairs.index],
        "value": [int(count) for count in pairs],
        "color": "rgba(59,111,182,0.35)",
    }
    node = {
        "label": [plain_label(str(name)) for name in [*left, *right]],
        "color": [GREY] * len(left) + [GREEN] * len(right),
        "pad": 7,
        "thickness": 12,
        "line": {"width": 0},
    }
    trace = {"type": "sankey", "orientation": "h", "node": node, "link": link, "valueformat": ",.0f"}
    layout = rows_figure([], "", max(len(left), len(right)))["layout"]
    return {"data": [trace], "layout": {key: value for key, value in layout.items() if "axis" not in key}}


def places(accounts: pd.DataFrame) -> Figure:
    """Accounts where they are, coloured by rep of the plan: plain longitude and latitude, no map to be fetched.

    Parameters
    ----------
    accounts : latitude, longitude (degrees), account_name and new_rep_name
    """
    traces = []
    for i, (rep, rows) in enumerate(accounts.groupby("new_rep_name", sort=True)):
        trace: Figure = {"type": "scatter", "mode": "markers", "name": plain_label(str(rep))}
        trace |= {"x": numbers(rows["longitude"]), "y": numbers(rows["latitude"])}
        trace |= {"text": [plain_label(str(name)) for name in rows["account_name"]]}
        colour = f"hsl({(i * WEDGE_DEGREES) % 360:.0f},55%,{50 - 8 * (i % 2)}%)"
        symbol = ("circle", "square", "diamond", "triangle-up", "x")[i % 5]
        trace |= {"marker": {"color": colour, "symbol": symbol, "size": 8}, "hovertemplate": "%{text}"}
        traces.append(trace)
    figure = columns_figure(traces, "°", "°", 560)
    middle = float(np.cos(np.deg2rad(accounts["latitude"].mean())))
    figure["layout"]["yaxis"] = {"automargin": True, "scaleanchor": "x", "scaleratio": 1 / max(middle, 0.1)}
    figure["layout"]["legend"] |= {"y": -0.15, "yanchor": "top"}
    return figure


def pareto(words: Words, frontier: pd.DataFrame, chosen: tuple[float, float], currency: str) -> Figure:
    """Money at risk from moves against the spread of chances that is left, the knee and the plan marked.

    Parameters
    ----------
    frontier : move_cost, spread, knee
    chosen : the same two of the plan
    """
    rows = frontier.sort_values("move_cost", ignore_index=True)
    line: Figure = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": numbers(rows["move_cost"]),
        "y": numbers(rows["spread"]),
    }
    line |= {"line": {"color": GREY}, "marker": {"color": GREY, "size": 8}, "name": words("figure.plans")}
    traces = [line]
    knee = rows[rows["knee"].astype(bool)]
    for name, x, y, colour, symbol in (
        ("knee", numbers(knee["move_cost"]), numbers(knee["spread"]), ORANGE, "diamond"),
        ("chosen", [chosen[0]], [chosen[1]], GREEN, "star"),
    ):
        mark: Figure = {"type": "scatter", "mode": "markers", "x": x, "y": y, "name": words(f"figure.{name}")}
        traces.append(mark | {"marker": {"color": colour, "symbol": symbol, "size": 14}})
    figure = columns_figure(traces, words("axis.at_risk", currency=currency), words("axis.spread"))
    figure["layout"]["yaxis"] |= {"tickformat": ".0%"}
    return figure
