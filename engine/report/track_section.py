"""The report's section on the forecast's own past: scores beside other methods, coverage, calibration."""

import numpy as np
import pandas as pd

from engine.report.figures import BLUE, GREY, Figure
from engine.report.page import Column, PageFigure, Section, make_table
from engine.results import ForecastResult
from engine.track_record import read_pits

BINS = 10

COLUMNS = (
    Column("method", "Method"),
    Column("level", "Level"),
    Column("n", "Forecasts", "count"),
    Column("scrps", "Scaled CRPS", "plain"),
    Column("wape", "WAPE", "points"),
    Column("bias", "Bias", "points"),
    Column("accuracy", "Accuracy", "points"),
    Column("coverage50", "Inside 50 %", "share"),
    Column("coverage80", "Inside 80 %", "share"),
    Column("coverage95", "Inside 95 %", "share"),
    Column("value_added_over_call", "Better than the call by", "points"),
    Column("difference_to_engine", "CRPS less the engine's", "plain"),
    Column("standard_error", "Standard error", "plain"),
)


def track_section(result: ForecastResult, table: pd.DataFrame) -> Section:
    """What the newest backtest that the run may know has found; says so where there is none.

    Parameters
    ----------
    table : backtest.csv
    """
    if result.track_record is None or table.empty:
        text = "No track record yet: python -m experiments.backtest CONFIG replays past dates and stores one."
        return Section("track", "Track record", text)
    pooled = table[(table["as_of"] == "all") & (table["weeks_in"].astype(str) == "all")]
    levels = {level: i for i, level in enumerate(pooled["level"].unique())}
    pooled = pooled.assign(order=pooled["level"].map(levels)).sort_values(["order", "scrps"], ignore_index=True)
    origins = table.loc[table["as_of"] != "all", "as_of"].nunique()
    pits = read_pits(result.track_record)
    mine = pits[pits["method"] == ("engine" if (pits["method"] == "engine").any() else "engine_legs")]
    drawn = tuple(
        PageFigure(f"pit-{level}", f"Calibration, {level}: each tenth should hold a tenth", calibration(rows["pit"]))
        for level, rows in mine.groupby("level", sort=False)
        if len(rows) >= BINS
    )
    text = (
        f"{origins} past dates were replayed with what was known then; every outcome was known by "
        f"{result.track_record.known_from}. Scaled CRPS: lower is better. A difference above zero is a win of the "
        f"engine; beyond two standard errors it is more than chance."
    )
    return Section("track", "Track record", text, drawn, (make_table("track-table", "Pooled", pooled, COLUMNS),))


def calibration(pit: "pd.Series[float]") -> Figure:
    """Histogram of probability integral transforms with the band that holds 95 % of a calibrated forecast's bars."""
    share = np.histogram(pit.dropna(), BINS, (0.0, 1.0))[0] / max(int(pit.notna().sum()), 1)
    spread = 1.96 * np.sqrt(0.1 * 0.9 / max(int(pit.notna().sum()), 1))
    edges = [f"{10 * i}–{10 * (i + 1)} %" for i in range(BINS)]
    band = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": max(0.1 - spread, 0.0), "y1": 0.1 + spread}
    return {
        "data": [{"type": "bar", "x": edges, "y": share.round(4).tolist(), "marker": {"color": BLUE}, "name": "share"}],
        "layout": {
            "height": 260,
            "margin": {"l": 10, "r": 20, "t": 20, "b": 45},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "yaxis": {"tickformat": ".0%", "automargin": True, "rangemode": "tozero"},
            "xaxis": {"title": {"text": "where the outcome fell in the forecast"}, "automargin": True},
            "shapes": [band | {"fillcolor": GREY, "opacity": 0.2, "line": {"width": 0}}],
        },
    }
