"""Writing CSV that no spreadsheet executes."""

from pathlib import Path

import pandas as pd

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""A cell that begins with one of these may be run as a formula by a spreadsheet (OWASP, CSV injection)."""


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame: UTF-8, ten significant digits, empty for missing, texts made harmless."""
    frame.apply(_harmless).to_csv(path, index=False, float_format="%.10g", lineterminator="\n", encoding="utf-8")


def _harmless(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column
    return column.map(harmless_text, na_action="ignore")


def harmless_text(value: object) -> object:
    r"""Put an apostrophe before a text that a spreadsheet would take for a formula; other values as they are.

    Examples
    --------
    >>> harmless_text('=HYPERLINK("x")'), harmless_text("Acme"), harmless_text(-1.5)
    ('\'=HYPERLINK("x")', 'Acme', -1.5)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
