"""A run's arrays on disk: every frozen dataclass becomes one NetCDF file that xarray reads, and comes back as it was.

Nested dataclasses become variables with dotted names (``deals.account``), texts and scalars attributes of the file. A
file holds no time stamp, so the same arrays give the same bytes.
"""

from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import h5py
import numpy as np

if TYPE_CHECKING:
    import xarray as xr

type Dims = dict[str, tuple[str, ...]]

_DIMENSION_ONLY = b"This is a netCDF dimension but not a netCDF variable"
"""How netCDF names the scale of a dimension that has no variable of its own."""

PANEL_DIMS: Dims = {
    "reps": ("rep",),
    "accounts": ("account",),
    "products": ("product",),
    "deals": ("deal",),
    "stage_moves": ("stage_move",),
    "orders": ("order",),
    "quotas": ("quota",),
    "regions": ("region",),
    "territories": ("territory",),
    "managers": ("manager",),
    "segments": ("segment",),
    "industries": ("industry",),
    "stages": ("stage",),
    "territory_region": ("territory",),
    "calls": ("call",),
}
"""Dimension of every array of a `models.panel.Panel`, by the first part of its dotted name."""

PROBLEM_DIMS: Dims = {
    "account_ids": ("account",),
    "rep_ids": ("rep",),
    "value": ("path", "account"),
    "fresh_value": ("fresh_path", "account"),
    "fit": ("account", "rep"),
    "fixed": ("path", "rep"),
    "fresh_fixed": ("fresh_path", "rep"),
    "quota": ("rep",),
    "capacity": ("rep",),
    "owner": ("account",),
    "eligible": ("account", "rep"),
    "locked": ("account",),
    "family": ("account",),
    "hours": ("account",),
    "max_hours": ("rep",),
    "move_cost": ("account",),
    "permission_ids": ("permission",),
    "permits": ("permission", "account", "rep"),
    "commission": ("account", "rep"),
    "travel": ("account", "rep"),
    "hire": ("rep",),
    "moved_factor": ("path",),
    "fresh_moved_factor": ("fresh_path",),
}
"""Dimensions of every array of an `optimization.problem.TerritoryProblem`."""


def save(item: object, path: Path, dims: Dims) -> None:
    """Write a frozen dataclass of arrays.

    Parameters
    ----------
    dims : names of the dimensions by dotted name, or by the first part of it; what is not named gets names of its own
    """
    import xarray as xr  # late: half a second, and reading needs none of it

    variables: dict[str, xr.Variable] = {}
    attributes: dict[str, Any] = {}
    _flatten(item, "", dims, variables, attributes)
    dataset = xr.Dataset(variables, attrs=attributes)
    packed = {
        name: {"zlib": True, "complevel": 1, "shuffle": True}
        for name, v in variables.items()
        if v.size > 10_000 and v.dtype.kind in "fi"
    }
    dataset.to_netcdf(path, engine="h5netcdf", encoding=packed)


def load[T](kind: type[T], path: Path) -> T:
    """Read back what `save` wrote. Through h5py, which takes a third of xarray's time over many small arrays."""
    with h5py.File(path) as file:
        return _rebuild(kind, "", file)


def _flatten(
    item: object, prefix: str, dims: Dims, variables: "dict[str, xr.Variable]", attributes: dict[str, Any]
) -> None:
    if not is_dataclass(item):
        raise TypeError(f"{prefix or 'item'} is a {type(item).__name__}, expected a dataclass of arrays")
    for field in fields(item):
        name, value = f"{prefix}{field.name}", getattr(item, field.name)
        if value is None:
            continue
        if is_dataclass(value):
            _flatten(value, f"{name}.", dims, variables, attributes)
        elif isinstance(value, np.ndarray):
            variables[name] = _variable(name, value, dims)
        elif isinstance(value, np.datetime64):
            attributes[name] = str(value)
        elif isinstance(value, tuple):
            attributes[name] = "\x1f".join(value)
        else:
            attributes[name] = value


def _variable(name: str, value: np.ndarray, dims: Dims) -> "xr.Variable":
    import xarray as xr

    named = dims.get(name, dims.get(name.split(".")[0], ()))
    if len(named) != value.ndim:
        named = tuple(f"{name}_{axis}" for axis in range(value.ndim))
    attributes: dict[str, str | int] = {}
    if value.dtype.kind == "M":
        value, attributes = value.astype("datetime64[D]").astype(np.int64), {"days_since": "1970-01-01"}
    elif value.dtype.kind == "U":
        value, attributes = value.astype(object), {"text": 1}  # where there is none, xarray writes numbers
    elif value.dtype.kind == "b":
        value, attributes = value.astype(np.int8), {"boolean": 1}
    return xr.Variable(named, value, attributes)


def _rebuild(kind: Any, prefix: str, file: h5py.File) -> Any:
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in fields(kind):
        name, hint = f"{prefix}{field.name}", hints[field.name]
        if is_dataclass(hint):
            values[field.name] = _rebuild(hint, f"{name}.", file)
        elif _is_variable(file, name):
            values[field.name] = _array(file[name])
        elif name in file.attrs:
            values[field.name] = _scalar(file.attrs[name], hint)
        elif NoneType in get_args(hint):
            values[field.name] = None
        else:
            raise KeyError(f"{file.filename} has no {name}")
    return kind(**values)


def _is_variable(file: h5py.File, name: str) -> bool:
    """Whether the file has a variable of this name, and not only a dimension."""
    return name in file and not bytes(file[name].attrs.get("NAME", b"")).startswith(_DIMENSION_ONLY)


def _array(variable: h5py.Dataset) -> np.ndarray:
    if variable.dtype.kind == "O":
        return np.asarray(variable.asstr()[()]).astype(str)
    values = np.asarray(variable[()])
    if "text" in variable.attrs:
        return values.astype(str)
    if "days_since" in variable.attrs:
        return values.astype("datetime64[D]")
    return values.astype(bool) if "boolean" in variable.attrs else values


def _scalar(value: Any, hint: Any) -> Any:
    value = value.item() if isinstance(value, np.ndarray) else value
    if hint is np.datetime64:
        return np.datetime64(value)
    if getattr(hint, "__origin__", None) is tuple:
        return tuple(value.split("\x1f")) if value else ()
    return hint(value)
