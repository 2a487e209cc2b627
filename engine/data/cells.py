"""Cells of any source as texts."""

import numpy as np
import pandas as pd

NUMBER = r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+(?=\.))(?:\.\d+)?(?:[eE][+-]?\d{1,3})?"
COMMA_NUMBER = r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d+)?"
"""A number with decimal point (thousands may be marked only when the point follows), and with decimal comma."""

TRUE = ("true", "yes", "y", "1", "ja", "j", "wahr", "waar", "oui", "vrai")
FALSE = ("false", "no", "n", "0", "", "nein", "nee", "falsch", "onwaar", "non", "faux")
"""Words of the programs that write exports; case does not count."""


def texts_of(cells: pd.Series) -> pd.Series:
    """Stripped texts, empty where missing; whole numbers without a decimal point, so that ids match across files."""
    if isinstance(cells.dtype, pd.StringDtype):
        return cells.fillna("").str.strip()
    return cells.astype(object).map(_text).astype("str")


def _text(value: object) -> str:
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer() and abs(float(value)) < 2**53:
        return str(int(value))
    return str(value).strip()


def is_empty(cells: pd.Series) -> pd.Series:
    """[row] true where a cell has no value."""
    if pd.api.types.is_numeric_dtype(cells.dtype) or pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return cells.isna()
    return texts_of(cells) == ""
