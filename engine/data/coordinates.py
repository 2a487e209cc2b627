"""Coordinates of a panel: sorted ids with names, and the index of values in them."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from engine.data.tables import column
from models.panel import NONE, Dates, Ints, Labels, Texts

UNKNOWN = "unknown"
"""Member of a covariate for entities whose value is not known; always the first, index 0."""


def texts(values: Iterable[object]) -> Texts:
    """Array of texts, empty where missing."""
    return np.array(["" if pd.isna(value) else str(value) for value in values], dtype=np.str_)  # type: ignore[call-overload]


def labels_of(values: Iterable[pd.Series], names: pd.DataFrame | None = None) -> Labels:
    """Sorted distinct ids of some columns; names from a table with `id` and perhaps `name`, else the ids."""
    parts = [part.dropna() for part in values]
    ids = sorted(pd.concat(parts).unique()) if parts else []
    found = {}
    if names is not None:
        found = dict(zip(names["id"], column(names, "name").fillna(names["id"]), strict=True))
    return Labels(texts(ids), texts([found.get(key, key) for key in ids]))


def covariate(values: pd.Series, *, unknown: bool) -> tuple[Labels, Ints]:
    """Coordinate of a covariate and the index of every value; missing values are the member `UNKNOWN`.

    Parameters
    ----------
    unknown : keep the member even when no value is missing
    """
    ids = sorted(set(values.dropna()) - {UNKNOWN})
    if unknown or values.isna().any() or (values == UNKNOWN).any():
        ids = [UNKNOWN, *ids]
    labels = Labels(texts(ids), texts(ids))
    return labels, index_in(labels, values.fillna(UNKNOWN))


def index_in(labels: Labels, values: pd.Series) -> Ints:
    """Index of every value, NONE where missing or not a member."""
    return np.asarray(pd.Index(labels.ids, dtype="str").get_indexer(pd.Index(values, dtype="str")), dtype=np.int64)


def days(values: pd.Series) -> Dates:
    """Writeable array of days."""
    return values.to_numpy(dtype="datetime64[us]", copy=True).astype("datetime64[D]")


def heaviest(keys: pd.Series, values: pd.Series, weights: pd.Series) -> pd.Series:
    """Per key the value with the largest sum of weights; ties go to the smaller value.

    Returns
    -------
    values indexed by key; keys without any value are absent
    """
    frame = pd.DataFrame({"key": keys.to_numpy(), "value": values.to_numpy(), "weight": weights.to_numpy()}).dropna()
    total = frame.groupby(["key", "value"])["weight"].sum().reset_index()
    ordered = total.assign(weight=-total["weight"]).sort_values(["key", "weight", "value"])
    return ordered.drop_duplicates("key").set_index("key")["value"]


def looked_up(ids: pd.Series, table: pd.Series) -> pd.Series:
    """Text that a table has for every id, missing where it has none; text even when the table is empty."""
    return table.reindex(ids.to_numpy()).set_axis(ids.index).astype("str")


def take(values: Ints, index: Ints) -> Ints:
    """``values[index]``, NONE where the index is NONE."""
    return np.append(values, NONE)[index]
