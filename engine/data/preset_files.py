"""Presets: what the names of a CRM's export mean, as data in ``presets/*.yaml``.

A preset is a list of layouts per table; the first layout whose `when` headers a file has is the file's. Nothing in a
preset is code: what a key does is said here and done in `engine.data.layouts`.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict

from engine.config.data import TABLES, Preset

FOLDER = Path(__file__).parent / "presets"
"""Where the presets lie."""

FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Flags(BaseModel):
    """Two columns of true and false that together say how a deal ended."""

    model_config = FROZEN

    closed: tuple[str, ...]
    """Headers, the first one there counts: the deal is closed."""
    won: tuple[str, ...]
    """Headers, the first one there counts: the deal is won."""


class Fields(BaseModel):
    """A history with a row per changed field, which becomes one with a row per moment and a column per field."""

    model_config = FROZEN

    key: dict[str, str]
    """Our column of the changed record to the file's."""
    date: dict[str, str]
    """Our column of the moment to the file's."""
    field: str
    """Column that names the field."""
    new: str
    """Column of the value after the change."""
    old: str | None = None
    """Column of the value before the change, where there is one."""
    names: dict[str, str]
    """Name of a field to our column; other fields are left out."""
    starts: Literal["opportunities"] | None = None
    """Table whose `created` is the moment of the first values, when the history holds changes only."""


class Entered(BaseModel):
    """Columns with the day on which a stage was entered, which become a history."""

    model_config = FROZEN

    key: dict[str, str]
    """Our column of the record to the file's."""
    headers: str
    """Regular expression of such a header; its group `stage` is the stage."""


class Layout(BaseModel):
    """One way in which a CRM writes a table."""

    model_config = FROZEN

    files: tuple[str, ...] = ()
    """Usual names of the file."""
    when: tuple[str, ...]
    """Headers by which the layout is known; case does not count."""
    columns: dict[str, tuple[str, ...]] = {}
    """Our column to the file's: the first one there counts."""
    coalesce: dict[str, tuple[str, ...]] = {}
    """Our column to several of the file's: the first filled cell counts."""
    joined: dict[str, tuple[str, ...]] = {}
    """Our column to several of the file's, joined with a space."""
    values: dict[str, dict[str, str]] = {}
    """Our column, then the file's value to ours; case does not count."""
    drop: dict[str, tuple[str, ...]] = {}
    """Column to the values with which a row is none of the table's (records in the bin)."""
    outcome: Flags | None = None
    """Columns that say how a deal ended."""
    levels: dict[str, str] = {}
    """For quotas: the level whose column is filled, the first that is; the company's where none is."""
    fields: Fields | None = None
    """A history with a row per changed field."""
    entered: Entered | None = None
    """Columns with the day on which a stage was entered."""


class PresetFile(BaseModel):
    """A preset."""

    model_config = FROZEN

    title: str
    """Name for people."""
    ids: Literal["salesforce"] | None = None
    """How ids are made equal: Salesforce's 15 characters become 18."""
    closing_overwrites: bool = False
    """Closing a deal writes over its amount and its expected close; what they were is in the history."""
    closed_stages: dict[Literal["won", "lost"], str] = {}
    """Stage of a deal that has ended, where the CRM keeps the one it was in."""
    stages: dict[str, Literal["open", "won", "lost"]] = {}
    """Stages that the CRM comes with, in order."""
    footer: bool = False
    """Text after a blank line at the end of a file is no record."""
    keep: tuple[str, ...] = ()
    """Beginnings of headers whose columns are kept for writing back."""
    tables: dict[str, tuple[Layout, ...]]
    """Layouts by our table."""


@cache
def preset_file(name: Preset) -> PresetFile:
    """Read a preset."""
    return PresetFile.model_validate(yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))


def preset_names() -> tuple[Preset, ...]:
    """Names of all presets."""
    names: tuple[Preset, ...] = get_args(Preset.__value__)
    return names


def layout_of(preset: PresetFile, table: str, headers: Iterable[str]) -> Layout | None:
    """Return the first layout of a table whose headers are all there; None when there is none."""
    known = {header.casefold() for header in headers}
    layouts = preset.tables.get(table, ())
    return next((item for item in layouts if all(header.casefold() in known for header in item.when)), None)


def unknown_columns(preset: PresetFile) -> list[str]:
    """Columns of a preset that our tables do not have (yet), as table.column."""
    return [
        f"{table}.{ours}"
        for table, layouts in preset.tables.items()
        for layout in layouts
        for ours in (*layout.columns, *layout.coalesce, *layout.joined)
        if ours not in {name for columns in TABLES[table] for name in columns}
    ]
