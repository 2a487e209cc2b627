"""What all tests share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# The same examples on every machine, and no deadline: the first call of a Numba function compiles it.
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session")
def sales_data() -> Callable[[str], Path]:
    """Folder of a real data set by name; skips the test where the data are not on this machine."""
    root = Path(os.environ.get("SALES_DATA") or ROOT / "../shared/data")

    def folder(name: str) -> Path:
        path = root / name
        if not path.is_dir():
            pytest.skip(f"no data set {name} in {root}; set SALES_DATA to the folder that holds it")
        return path.resolve()

    return folder
