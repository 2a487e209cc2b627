"""What a run keeps on disk comes back as it was, and the same arrays give the same bytes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from engine.archive import load, save


@dataclass(frozen=True)
class Inner:
    """Texts and dates."""

    ids: NDArray[np.str_]
    day: NDArray[np.datetime64]


@dataclass(frozen=True)
class Outer:
    """Everything an archive must carry."""

    inner: Inner
    flags: NDArray[np.bool_]
    money: NDArray[np.float64]
    as_of: np.datetime64
    names: tuple[str, ...]
    count: int
    cap: float


def example() -> Outer:
    """One of each kind, with the awkward values."""
    day = np.array(["2026-06-30", "NaT"], dtype="datetime64[D]")
    money = np.array([[1.0, np.nan], [0.1, -2.0]])
    return Outer(
        Inner(np.array(["é", ""]), day),
        np.array([True, False]),
        money,
        np.datetime64("2026-06-30"),
        ("account",),
        3,
        2.5,
    )


def test_everything_comes_back(tmp_path: Path) -> None:
    before = example()
    save(before, tmp_path / "x.nc", {"inner": ("deal",)})
    after = load(Outer, tmp_path / "x.nc")
    np.testing.assert_array_equal(after.inner.ids, before.inner.ids)
    np.testing.assert_array_equal(after.inner.day, before.inner.day)
    np.testing.assert_array_equal(after.flags, before.flags)
    np.testing.assert_array_equal(after.money, before.money)
    assert (after.as_of, after.names, after.count, after.cap) == (before.as_of, before.names, before.count, before.cap)


@dataclass(frozen=True)
class Sparse:
    """Texts of which there are none, and what may be missing."""

    names: NDArray[np.str_]
    rate: NDArray[np.float64] | None


def test_no_texts_are_still_texts_and_what_is_missing_is_none(tmp_path: Path) -> None:
    save(Sparse(np.array([], dtype=str), None), tmp_path / "x.nc", {})
    after = load(Sparse, tmp_path / "x.nc")
    assert (after.names.dtype.kind, after.names.shape, after.rate) == ("U", (0,), None)


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.nc", "b.nc"):
        save(example(), tmp_path / name, {})
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()


def test_xarray_reads_it_with_named_dimensions(tmp_path: Path) -> None:
    save(example(), tmp_path / "x.nc", {"inner": ("deal",), "money": ("path", "rep")})
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as dataset:
        assert dataset["inner.day"].dims == ("deal",)
        assert dict(dataset.sizes) == {"deal": 2, "path": 2, "rep": 2, "flags_0": 2}
