"""The parts a report page is made of: tables formatted for people, figures, sections."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import pandas as pd

from engine.report.figures import Figure
from engine.report.words import Words

MOST_ROWS = 2_000
"""Rows of a table that the page holds and searches; the CSV holds them all."""

SHOWN_ROWS = 25
"""Rows that are shown before somebody asks for all or searches."""

TABLE_CHARACTERS = 600_000
"""Most characters of a table's cells: keeps the page small where every name is long."""

CELL_CHARACTERS, SENTENCE_CHARACTERS = 120, 400
"""Longest text of a cell, and of one that has room for a sentence; the CSV holds it whole."""


@dataclass(frozen=True)
class Column:
    """A table's column.

    Attributes
    ----------
    source : column of the frame
    key : of the heading in the catalogue of labels
    format : one of `engine.report.words.FORMATS` for numbers, else empty
    wide : room for sentences
    english : its texts come from the engine and exist in English only
    whole : its texts are short and stay on one line, such as dates
    """

    source: str
    key: str
    format: str = ""
    wide: bool = False
    english: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Head:
    """A heading as the page writes it: title, style of its cells, language of their texts where it is another."""

    title: str
    side: str
    language: str


@dataclass(frozen=True)
class Table:
    """A table ready for the page.

    Attributes
    ----------
    id, title : for links and people
    heads, rows : headings and formatted cells
    total : rows there are, more than ``rows`` where it was cut
    kind : what a search over the page counts its rows as: reps, deals, moves; empty for none
    """

    id: str
    title: str
    heads: tuple[Head, ...]
    rows: list[list[str]]
    total: int
    kind: str = ""


@dataclass(frozen=True)
class PageFigure:
    """A figure and where it goes.

    Attributes
    ----------
    id, title : for links and people
    figure : None where the run has no data for it
    text : what it shows in words, for those who cannot see it; without a figure, why there is none
    wide : takes the whole width
    """

    id: str
    title: str
    figure: Figure | None
    text: str
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    id: str
    title: str
    text: str = ""
    figures: tuple[PageFigure, ...] = ()
    tables: tuple[Table, ...] = field(default=())
    details: str = ""
    """Small print in English, such as a certificate's own words."""


def make_table(words: Words, name: str, frame: pd.DataFrame, columns: tuple[Column, ...], kind: str = "") -> Table:
    """Format a frame for people; a long table is cut and the title says so.

    Parameters
    ----------
    name : id of the table, whose title the catalogue has under ``table.NAME``
    """
    head = frame.head(MOST_ROWS)
    cells = [[_cell(words, value, column) for value in head[column.source]] for column in columns]
    rows = [list(row) for row in zip(*cells, strict=True)]
    sizes = accumulate(sum(len(cell) for cell in row) for row in rows)
    rows = rows[: sum(size <= TABLE_CHARACTERS for size in sizes)]
    title = words(f"table.{name}")
    if len(rows) < len(frame):
        title = words("table.cut", title=title, rows=words.money(len(rows)), total=words.money(len(frame)))
    return Table(name, title, tuple(_heads(words, columns)), rows, len(frame), kind)


def _heads(words: Words, columns: Iterable[Column]) -> Iterable[Head]:
    for column in columns:
        side = "n" if column.format else "w" if column.wide else "s" if column.whole else ""
        yield Head(words(column.key), side, "en" if column.english and words.language != "en" else "")


def _cell(words: Words, value: object, column: Column) -> str:
    if column.format and isinstance(value, int | float | np.number):
        return words.number(value, column.format)
    text = "" if value is None or value != value else str(value)  # noqa: PLR0124 - NaN differs from itself
    return shortened(text, SENTENCE_CHARACTERS if column.wide else CELL_CHARACTERS)


def shortened(text: str, characters: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
