"""Stored backtests: where they lie, and which of them a run as of a date may know.

The rule this module keeps: a run only sees a table whose every outcome was known by its as-of date
(``test_a_run_never_sees_a_later_backtest``).
"""

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.config import RunConfig, hashable
from engine.runs import content_hash, file_hash

if TYPE_CHECKING:
    import pandas as pd

FOLDER = ".backtests"
"""Folder of stored backtests, under the output folder."""

TABLE, PITS, WEIGHTS, SUMMARY = "backtest.csv", "pit.csv", "combination.json", "backtest.json"

COLUMNS = [
    "method",
    "level",
    "as_of",
    "weeks_in",
    "n",
    "scrps",
    "wape",
    "bias",
    "accuracy",
    "accuracy_formula",
    "coverage50",
    "coverage80",
    "coverage95",
    "value_added_over_call",
    "difference_to_engine",
    "standard_error",
]
"""The columns of backtest.csv. Pooled scores are means over origins, coverages shares of all targets."""

NEXT = "next, weeks in "
"""Key of the weights learned on all folds, before the number of weeks into the horizon they are for."""


@dataclass(frozen=True)
class TrackRecord:
    """A finished backtest.

    Attributes
    ----------
    folder : where it lies
    name : of the config
    known_from : first day on which all its outcomes were known, YYYY-MM-DD
    company : hash of the source of the tables, without their contents: the same company, whatever the export's date
    models : digest of the code that forecast
    finished : time stamp, UTC; only orders tables of equal ``known_from``
    """

    folder: str
    name: str
    known_from: str
    company: str
    models: str
    finished: str


def company_hash(config: RunConfig) -> str:
    """Names the source of the tables without their contents: a newer export of the same company has the same."""
    return content_hash([hashable(config)["data"], config.horizon.frequency, config.horizon.periods])[:8]


def store(record: TrackRecord) -> None:
    """Write the summary, last of all files: a folder without it is no finished backtest."""
    path = Path(record.folder) / SUMMARY
    values = {key: value for key, value in asdict(record).items() if key != "folder"}
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def newest(output: Path, name: str, company: str, as_of: date) -> TrackRecord | None:
    """The newest stored backtest of the same config name and company whose outcomes were known by ``as_of``."""
    found = []
    for path in sorted((output / FOLDER / name).glob(f"*/{SUMMARY}")):
        try:
            record = TrackRecord(folder=str(path.parent), **json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue
        if record.company == company and date.fromisoformat(record.known_from) <= as_of:
            found.append(record)
    return max(found, key=lambda record: (record.known_from, record.finished)) if found else None


def read_combination(record: TrackRecord, weeks_in: float) -> dict[str, Any] | None:
    """Weights, spread and origins learned on all its folds, for the nearest number of weeks into the horizon."""
    try:
        stored = json.loads((Path(record.folder) / WEIGHTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = {float(key.removeprefix(NEXT)): value for key, value in stored.items() if key.startswith(NEXT)}
    if not known:
        return None
    found: dict[str, Any] = known[min(known, key=lambda week: abs(week - weeks_in))]
    return found


def read_pits(record: TrackRecord) -> "pd.DataFrame":
    """Probability integral transforms of all its targets: method, level, as_of, weeks_in, period, actual, pit."""
    import pandas as pd

    return pd.read_csv(Path(record.folder) / PITS)


def digest(record: TrackRecord | None) -> str:
    """Hash of what a run takes from it; empty without one."""
    if record is None:
        return ""
    folder = Path(record.folder)
    return content_hash([file_hash(folder / name) for name in (TABLE, PITS, WEIGHTS) if (folder / name).is_file()])


def read_table(record: TrackRecord | None) -> "pd.DataFrame":
    """Its table, as written; the columns alone where there is no track record yet."""
    import pandas as pd

    if record is None:
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(Path(record.folder) / TABLE, dtype={"method": str, "level": str, "as_of": str})
