"""The section of the pipeline: coverage against need, the funnel, and what hires would do to the goal."""

import pandas as pd

from engine.report import figures, record_figures
from engine.report.coverage import CHANCE, rep_coverage
from engine.report.page import PageFigure, Section
from engine.report.words import Words
from engine.results import ForecastResult


def pipeline_section(result: ForecastResult, tables: dict[str, pd.DataFrame], words: Words) -> Section:
    """Three figures; each says in a line why it is missing."""
    drawn = (_coverage(result, tables, words), _funnel(tables, words), _hires(tables, words))
    text = words("text.pipeline", chance=words.share(CHANCE))
    return Section("pipeline", words("section.pipeline"), text, drawn)


def _coverage(result: ForecastResult, tables: dict[str, pd.DataFrame], words: Words) -> PageFigure:
    title = words("figure.coverage_need")
    if result.config.report.names == "absent":
        return PageFigure("coverage", title, None, words("missing.names"))
    rows = rep_coverage(result, tables)
    if rows.empty:
        return PageFigure("coverage", title, None, words("missing.coverage"))
    short = int((~(rows["coverage"] >= rows["needed"])).sum())
    text = words("text.coverage", short=short, reps=len(rows), chance=words.share(CHANCE))
    return PageFigure("coverage", title, record_figures.coverage_against_need(words, rows, CHANCE), text)


def _funnel(tables: dict[str, pd.DataFrame], words: Words) -> PageFigure:
    title, rows = words("figure.funnel"), tables.get("funnel", pd.DataFrame(columns=["level", "tried"]))
    rows = rows[(rows["level"] == "company") & (rows["tried"] > 0)]
    if rows.empty:
        return PageFigure("funnel", title, None, words("missing.funnel"))
    rows = rows.iloc[:-1] if len(rows) > 1 else rows  # the last step sums up all others
    counts = [*rows["tried"].astype(float), float(rows["passed"].iloc[-1])]
    names = [*rows["step"].astype(str), words("figure.passed")]
    figure = figures.funnel(words, names, counts, [*rows["rate"].astype(float), float("nan")])
    steps = [f"{row.step} {words.share(row.rate)}" for row in rows.itertuples()]
    return PageFigure("funnel", title, figure, words("text.funnel_figure", steps="; ".join(steps)))


def _hires(tables: dict[str, pd.DataFrame], words: Words) -> PageFigure:
    title = words("figure.hires")
    if "capacity" not in tables:
        return PageFigure("hires", title, None, words("missing.hires"))
    rows = tables["capacity"]
    best = rows.iloc[int(rows["chance"].to_numpy().argmax())]
    none = rows.loc[rows["hires"] == 0, "chance"].max()
    text = words("text.hires", none=words.share(none), best=words.share(best["chance"]), hires=int(best["hires"]))
    return PageFigure("hires", title, record_figures.hires(words, rows), text)
