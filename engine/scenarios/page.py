"""scenario.html: one small page with a figure and tables, drawn as SVG; every text is escaped on its way in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from engine.finished import FinishedRun
from engine.report.names import anonymous
from engine.scenarios.answers import Answer, together

WIDTH, MARGIN, ROW = 900.0, 20.0, 34.0
"""Pixels of the figures: width, room at both sides, height of a row."""

MOST_ROWS = 20
"""Rows of a level in a table of the page."""


@dataclass(frozen=True)
class Bar:
    """One row of a figure, in pixels; ``low`` to ``high`` is the interval, ``at`` the mean, ``label`` its words."""

    name: str
    y: float
    low: float
    high: float
    at: float
    zero: float
    label: str


@dataclass(frozen=True)
class Dots:
    """Chance before and after, in pixels."""

    name: str
    y: float
    before: float
    after: float
    label: str


def write_page(run: FinishedRun, answers: Sequence[Answer], path: Path) -> None:
    """Write the page."""
    shown = anonymous({"forecast": together(answers)}, run.config.report.names)["forecast"]
    environment = Environment(
        loader=PackageLoader("engine.scenarios"),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    bars = difference_bars(answers)
    dots = chance_dots(answers)
    page = environment.get_template("scenario.html.j2").render(
        title=f"{run.config.name}: what if",
        as_of=str(run.panel.as_of),
        period=str(answers[0].company["period"]),
        currency=run.config.currency,
        run_id=run.manifest.run_id,
        banner="The run has not converged: read every number with suspicion."
        if run.manifest.status == "not_converged"
        else "",
        bars=bars,
        dots=dots,
        width=WIDTH,
        margin=MARGIN,
        height=ROW * len(answers) + 30,
        dots_height=ROW * len(dots) + 30,
        sections=[_section(answer, shown) for answer in answers],
    )
    path.write_text(page, encoding="utf-8")


def difference_bars(answers: Sequence[Answer]) -> list[Bar]:
    """Difference of the company over the horizon, one row a scenario."""
    rows = [answer.company for answer in answers]
    ends = [value for row in rows for value in (row["difference_p10"], row["difference_p90"], row["difference_mean"])]
    low, high = min(0.0, *ends), max(0.0, *ends)
    span = high - low or 1.0

    def x(value: float) -> float:
        return round(MARGIN + (value - low) / span * (WIDTH - 2 * MARGIN), 1)

    return [
        Bar(
            answer.name,
            ROW * n + 30,
            x(row["difference_p10"]),
            x(row["difference_p90"]),
            x(row["difference_mean"]),
            x(0.0),
            f"{row['difference_mean']:+,.0f} (80 % of futures {row['difference_p10']:+,.0f} to "
            f"{row['difference_p90']:+,.0f})",
        )
        for n, (answer, row) in enumerate(zip(answers, rows, strict=True))
    ]


def chance_dots(answers: Sequence[Answer]) -> list[Dots]:
    """Chance of the goal before and after; none without a goal."""
    found: list[Dots] = []
    for answer in answers:
        row = answer.company
        chances = [float(row[name]) for name in ("p_attain_before", "p_attain_after")]
        if np.isfinite(chances).all():
            before, after = (round(MARGIN + chance * (WIDTH - 2 * MARGIN), 1) for chance in chances)
            label = f"{chances[0]:.1%} to {chances[1]:.1%}"
            found.append(Dots(answer.name, ROW * len(found) + 30, before, after, label))
    return found


def _section(answer: Answer, shown: pd.DataFrame) -> dict[str, object]:
    """Name, description and rows of a scenario: members it moves, over the whole horizon, most moved first."""
    rows = shown[(shown["scenario"] == answer.name) & (shown["period"] == answer.company["period"])]
    tables = []
    for level, of_level in rows.groupby("level", sort=False):
        changed = (of_level["difference_mean"] != 0) | (
            of_level["p_attain_before"].fillna(-1) != of_level["p_attain_after"].fillna(-1)
        )
        order = of_level[changed]["difference_mean"].abs().sort_values(ascending=False, kind="stable").index
        lines = [_cells(row) for row in of_level.loc[order].head(MOST_ROWS).to_dict("records")]
        tables.append({"level": str(level), "rows": lines, "more": max(0, len(order) - MOST_ROWS)})
    return {"name": answer.name, "description": answer.description, "tables": tables}


def _cells(row: dict[str, object]) -> list[str]:
    def money(name: str, sign: str = "") -> str:
        return format(float(row[name]), f"{sign},.0f")  # type: ignore[arg-type]

    def chance(name: str) -> str:
        value = float(row[name])  # type: ignore[arg-type]
        return "–" if np.isnan(value) else f"{value:.1%}"

    return [
        str(row["key"]),
        str(row["key_name"]),
        money("base_mean"),
        money("difference_mean", "+"),
        money("difference_se"),
        f"{money('difference_p10', '+')} to {money('difference_p90', '+')}",
        chance("p_attain_before"),
        chance("p_attain_after"),
    ]
