"""The parts a report page is made of: tables formatted for people, figures, sections."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from engine.report.figures import Figure

LARGEST_TABLE = 200
"""Rows of a table on the page; the CSV holds them all."""

FORMATS = {"money": "{:,.0f}", "share": "{:.0%}", "points": "{:.1%}", "count": "{:,.0f}", "plain": "{:.3f}"}


@dataclass(frozen=True)
class Column:
    """A table's column: source in the frame, heading, one of `FORMATS` for numbers (else empty), room for words."""

    source: str
    title: str
    format: str = ""
    wide: bool = False

    @property
    def side(self) -> str:
        """Style of its cells: numbers flush right, sentences with room."""
        return "n" if self.format else "w" if self.wide else ""


@dataclass(frozen=True)
class Table:
    """A table ready for the page."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: list[list[str]]


@dataclass(frozen=True)
class PageFigure:
    """A figure and where it goes."""

    id: str
    title: str
    figure: Figure


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    id: str
    title: str
    text: str = ""
    figures: tuple[PageFigure, ...] = ()
    tables: tuple[Table, ...] = field(default=())
    side_by_side: bool = False


def make_table(name: str, title: str, frame: pd.DataFrame, columns: tuple[Column, ...]) -> Table:
    """Format a frame for people; long tables are cut and the title says so."""
    if len(frame) > LARGEST_TABLE:
        title = f"{title} (the first {LARGEST_TABLE} of {len(frame):,})"
    cells = [[_cell(value, column.format) for value in frame[column.source].head(LARGEST_TABLE)] for column in columns]
    return Table(name, title, columns, [list(row) for row in zip(*cells, strict=True)])


def _cell(value: object, form: str) -> str:
    if form and isinstance(value, int | float | np.number):
        return FORMATS[form].format(value) if np.isfinite(value) else "–"
    text = "" if value is None or value != value else str(value)  # noqa: PLR0124 - NaN differs from itself
    return text if len(text) <= 300 else f"{text[:297]}…"
