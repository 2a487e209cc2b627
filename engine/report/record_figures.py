"""Figures about the forecast's past and about pipeline and people: calibration, coverage of intervals, need, hires."""

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
    rows_figure,
)
from engine.report.words import Words

BINS = 10

NOMINAL = (0.5, 0.8, 0.95)
"""Shares that the intervals of backtest.csv should hold."""


def calibration(words: Words, pit: "pd.Series[float]") -> Figure:
    """Histogram of probability integral transforms with the band that holds 95 % of a calibrated forecast's bars."""
    count = max(int(pit.notna().sum()), 1)
    share = np.histogram(pit.dropna(), BINS, (0.0, 1.0))[0] / count
    spread = 1.96 * np.sqrt(0.1 * 0.9 / count)
    edges = [f"{10 * i}–{10 * (i + 1)} %" for i in range(BINS)]
    bars = {"type": "bar", "x": edges, "y": share.round(4).tolist(), "marker": {"color": BLUE}, "showlegend": False}
    figure = columns_figure([bars], words("axis.pit"), words("axis.share"), 280)
    figure["layout"]["yaxis"] |= {"tickformat": ".0%"}
    band = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": max(0.1 - spread, 0.0), "y1": 0.1 + spread}
    figure["layout"]["shapes"] = [band | {"fillcolor": BAND, "line": {"width": 0}, "layer": "below"}]
    return figure


def coverage_by_level(words: Words, pooled: pd.DataFrame) -> Figure:
    """Share of outcomes inside the 50, 80 and 95 % interval by level, with the share that should be there as lines.

    Parameters
    ----------
    pooled : one row a level: level, coverage50, coverage80, coverage95
    """
    names = labels_of(pooled["level"])
    traces = [
        {"type": "bar", "x": names, "y": numbers(pooled[f"coverage{round(100 * part)}"]), "name": words.share(part)}
        | {"marker": {"color": colour}}
        for part, colour in zip(NOMINAL, (GREY, BLUE, GREEN), strict=True)
    ]
    figure = columns_figure(traces, words("axis.level"), words("axis.inside"), 300)
    figure["layout"] |= {"barmode": "group"}
    figure["layout"]["yaxis"] |= {"tickformat": ".0%", "range": [0, 1.02]}
    figure["layout"]["xaxis"] |= {"type": "category"}
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "line": {"color": ORANGE, "dash": "dash", "width": 1}}
    figure["layout"]["shapes"] = [line | {"y0": part, "y1": part} for part in NOMINAL]
    return figure


def coverage_against_need(words: Words, rows: pd.DataFrame, chance: float) -> Figure:
    """Open pipeline over what is missing to the quota, beside the coverage that a chosen chance needs.

    Parameters
    ----------
    rows : rep_name, coverage, needed (NaN where no coverage is enough: no mark is drawn, and the bar is short)
    chance : of quota, that the need is for
    """
    rows = rows.sort_values("coverage", ignore_index=True)
    names = labels_of(rows["rep_name"])
    short = ~(rows["coverage"] >= rows["needed"])
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": names,
        "x": numbers(rows["coverage"]),
        "name": words("figure.coverage"),
        "marker": {"color": [ORANGE if bad else BLUE for bad in short]},
        "hovertemplate": "%{y}: %{x:.1f} ×<extra></extra>",
    }
    need = dots(words("figure.needed", chance=words.share(chance)), names, rows["needed"], GREEN, "line-ns-open")
    figure = rows_figure([bars, need], words("axis.coverage"), len(rows))
    known = [part[np.isfinite(part)] for part in (rows["coverage"].to_numpy(float), rows["needed"].to_numpy(float))]
    most = max((4 * float(np.median(part)) + 1 for part in known if len(part)), default=0.0)
    if most:
        figure["layout"]["xaxis"] |= {"range": [0, 1.1 * min(float(np.concatenate(known).max()), most)]}
    return figure


def hires(words: Words, capacity: pd.DataFrame) -> Figure:
    """Chance of the goal against the number of hires, one line a start and ramp.

    Parameters
    ----------
    capacity : start, ramp, hires, chance
    """
    traces = []
    dashes = ("solid", "dash", "dot", "dashdot")
    for i, ((start, ramp), rows) in enumerate(capacity.groupby(["start", "ramp"], sort=True)):
        line = {"type": "scatter", "mode": "lines+markers", "x": numbers(rows["hires"]), "y": numbers(rows["chance"])}
        style = {"color": (BLUE, ORANGE, GREEN, GREY)[i % 4], "dash": dashes[i // 4 % 4]}
        traces.append(
            line | {"line": style, "name": words("figure.start", month=start, ramp=words.number(ramp, "one"))}
        )
    figure = columns_figure(traces, words("axis.hires"), words("axis.goal_chance"))
    figure["layout"]["yaxis"] |= {"tickformat": ".0%"}
    return figure
