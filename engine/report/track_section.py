"""The report's section on the forecast's own past: scores beside other methods, coverage, calibration."""

import pandas as pd

from engine.report.page import Column, PageFigure, Section, make_table
from engine.report.record_figures import BINS, calibration, coverage_by_level
from engine.report.words import Words
from engine.results import ForecastResult
from engine.track_record import TrackRecord, read_pits

__all__ = ["calibration", "track_section"]

COLUMNS = (
    Column("method", "col.method"),
    Column("level_name", "col.level"),
    Column("n", "col.forecasts", "count"),
    Column("scrps", "col.scrps", "plain"),
    Column("wape", "col.wape", "points"),
    Column("bias", "col.bias", "points"),
    Column("accuracy", "col.accuracy", "points"),
    Column("coverage50", "col.inside50", "share"),
    Column("coverage80", "col.inside80", "share"),
    Column("coverage95", "col.inside95", "share"),
    Column("value_added_over_call", "col.over_call", "points"),
    Column("difference_to_engine", "col.to_engine", "plain"),
    Column("standard_error", "col.standard_error", "plain"),
)


def track_section(result: ForecastResult, table: pd.DataFrame, words: Words) -> Section:
    """What the newest backtest that the run may know has found; says so where there is none.

    Parameters
    ----------
    table : backtest.csv
    """
    title = words("section.track")
    if result.track_record is None or table.empty:
        missing = [("calibration", "figure.calibration_any"), ("coverage-levels", "figure.coverage_levels")]
        none = tuple(PageFigure(name, words(key), None, words("missing.track")) for name, key in missing)
        return Section("track", title, words("text.no_track"), none)
    pooled = table[(table["as_of"] == "all") & (table["weeks_in"].astype(str) == "all")]
    levels = {level: i for i, level in enumerate(pooled["level"].unique())}
    pooled = pooled.assign(order=pooled["level"].map(levels)).sort_values(["order", "scrps"], ignore_index=True)
    pooled["level_name"] = [words.known(f"level.{level}", str(level)) for level in pooled["level"]]
    origins = table.loc[table["as_of"] != "all", "as_of"].nunique()
    text = words("text.track", origins=origins, known=result.track_record.known_from)
    drawn = (_coverage(pooled, words), *_calibrations(result.track_record, words))
    return Section("track", title, text, drawn, (make_table(words, "track", pooled, COLUMNS),))


def _own(methods: "pd.Series[str]") -> str:
    """Name of the run's own method in a backtest: the combination, else the legs alone."""
    return "engine" if (methods == "engine").any() else "engine_legs"


def _coverage(pooled: pd.DataFrame, words: Words) -> PageFigure:
    rows = pooled[pooled["method"] == _own(pooled["method"])]
    title = words("figure.coverage_levels")
    if rows.empty:
        return PageFigure("coverage-levels", title, None, words("missing.track"))
    rows = rows.assign(level=rows["level_name"])
    parts = [f"{row.level}: {words.share(row.coverage80)}" for row in rows.itertuples()]
    text = words("text.coverage_levels", levels=", ".join(parts))
    return PageFigure("coverage-levels", title, coverage_by_level(words, rows), text)


def _calibrations(record: TrackRecord, words: Words) -> list[PageFigure]:
    pits = read_pits(record)
    mine = pits[pits["method"] == _own(pits["method"])]
    found = []
    for level, rows in mine.groupby("level", sort=False):
        if len(rows) >= BINS:
            name = words.known(f"level.{level}", str(level))
            title, text = words("figure.calibration", level=name), words("text.calibration", n=words.money(len(rows)))
            found.append(PageFigure(f"pit-{level}", title, calibration(words, rows["pit"]), text))
    return found
