"""The run that a new one is compared with, found before anything is computed: it is part of what names the new run.

The rule this module keeps: what a run writes about the run before depends on nothing but that run's files, and their
hashes are in the new run's data hash, as those of a track record are. So the same config, data, seed and run before
give the same files byte for byte, and no "unchanged" hides that another run came in between.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from engine.config.horizon import Horizon
from engine.runs import content_hash, list_runs, read_manifest

USED = ("config.yaml", "forecast.csv", "deals.csv", "draws/panel.nc", "draws/closing.nc")
"""Files of the run before that a comparison reads."""


@dataclass(frozen=True)
class EarlierRun:
    """The run before.

    Attributes
    ----------
    folder : where it lies
    digest : hash of its name and of the files that are read
    same_horizon : it speaks of the same months, so that its number can be compared
    """

    folder: Path
    digest: str
    same_horizon: bool


def earlier_run(output: Path, name: str, as_of: date, horizon: Horizon) -> EarlierRun | None:
    """Latest complete run of a name as of an earlier day, one of the same months if there is any; None without one."""
    earlier = [folder for folder in list_runs(output, name) if folder.name[:10] < as_of.isoformat()]
    same = [folder for folder in earlier if _same_months(horizon_of(folder), horizon)]
    if not earlier:
        return None
    folder = (same or earlier)[-1]
    manifest = read_manifest(folder)
    files = {} if manifest is None else {name: manifest.files.get(name) for name in USED}
    return EarlierRun(folder, content_hash([f"{name}/{folder.name}", files]), bool(same))


def horizon_of(folder: Path) -> Horizon | None:
    """Months that a run speaks of; None when its config cannot be read."""
    try:
        said = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        return Horizon.model_validate(said["horizon"])
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return None


def _same_months(one: Horizon | None, other: Horizon) -> bool:
    return one is not None and (one.first_month, one.months) == (other.first_month, other.months)
