"""What differs between two finished runs: config, data, forecast, plan and scores, as tables."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from engine.runs import read_manifest
from engine.tracking import flatten

IDS = {"key": str, "account": str, "old_rep": str, "new_rep": str, "rep": str}
"""Columns read as texts."""

MOST_ROWS = 200
"""Rows of a table at most, the largest differences first."""

ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """Two runs beside each other.

    Attributes
    ----------
    earlier, later : run ids
    sections : tables by title, in the order in which they are read; a table without rows says that nothing differs
    """

    earlier: str
    later: str
    sections: Mapping[str, pd.DataFrame]


def differences(earlier: Path, later: Path) -> Difference:
    """Compare two run folders by their files; a part that neither has is left out."""
    sections = {
        "Config": _config(earlier, later),
        "Data": _data(earlier, later),
        "Forecast": _forecast(earlier, later),
        "Plan": _certificates(earlier, later),
        "Books": _books(earlier, later),
        "Accounts": _accounts(earlier, later),
        "Scores": _scores(earlier, later),
    }
    known = {title: frame for title, frame in sections.items() if frame is not None}
    return Difference(_name(earlier), _name(later), known)


def _name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def _config(earlier: Path, later: Path) -> pd.DataFrame:
    return _changed(*(flatten(_yaml(folder / "config.yaml")) for folder in (earlier, later)))


def _yaml(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> pd.DataFrame:
    """Keys whose values differ."""
    keys = [*before, *(key for key in after if key not in before)]
    rows = [(key, before.get(key, ABSENT), after.get(key, ABSENT)) for key in keys]
    return pd.DataFrame([row for row in rows if row[1] != row[2]], columns=["key", "earlier", "later"], dtype=object)


def _data(earlier: Path, later: Path) -> pd.DataFrame:
    """Hash of the data, seed and versions, and number and value of issues by rule."""
    sides = []
    for folder in (earlier, later):
        manifest = read_manifest(folder)
        facts: dict[str, object] = {}
        if manifest is not None:
            facts = {"data_hash": manifest.data_hash[:12], "seed": manifest.seed, "status": manifest.status}
            facts |= {f"version of {name}": version for name, version in manifest.versions.items()}
        issues = _table(folder, "data_issues")
        if issues is not None and len(issues):
            found = issues.groupby(["table", "rule"])["value_at_stake"].agg(["size", "sum"])
            facts |= {
                f"{rule[0]}: {rule[1]}": (f"{int(number)} issues, {worth:,.0f} at stake")
                for rule, number, worth in zip(found.index, found["size"], found["sum"], strict=True)
            }
        sides.append(facts)
    return _changed(*sides)


def _table(folder: Path, name: str) -> pd.DataFrame | None:
    path = folder / f"{name}.csv"
    return pd.read_csv(path, dtype=IDS, keep_default_na=True) if path.is_file() else None


def _both(earlier: Path, later: Path, name: str, keys: list[str]) -> pd.DataFrame | None:
    """Rows of a table in both runs side by side; None when neither has it."""
    sides = [_table(folder, name) for folder in (earlier, later)]
    first, second = (frame if frame is not None else None for frame in sides)
    if first is None or second is None:
        return None
    for frame in (first, second):
        frame[keys] = frame[keys].fillna("").astype(str)
    return first.merge(second, on=keys, how="outer", suffixes=("_earlier", "_later"))


def _largest(frame: pd.DataFrame, by: str) -> pd.DataFrame:
    return frame.sort_values(by, key=lambda column: column.abs(), ascending=False, kind="stable").head(MOST_ROWS)


def _forecast(earlier: Path, later: Path) -> pd.DataFrame | None:
    """Mean and quantiles by level and period, the largest change of P50 first; the company on top."""
    both = _both(earlier, later, "forecast", ["level", "key", "period"])
    if both is None:
        return None
    shown = both[["level", "key", "period"]].copy()
    for column in ("p10", "p50", "p90", "p_attain"):
        shown[f"{column}_earlier"], shown[f"{column}_later"] = both[f"{column}_earlier"], both[f"{column}_later"]
    shown["change_of_p50"] = shown["p50_later"].fillna(0) - shown["p50_earlier"].fillna(0)
    company = shown["level"] == "company"
    others = shown[~company & (shown["change_of_p50"] != 0)]
    changed = shown[company & (shown["change_of_p50"] != 0)]
    return pd.concat([changed, _largest(others, "change_of_p50")], ignore_index=True)


def _certificates(earlier: Path, later: Path) -> pd.DataFrame | None:
    paths = [folder / "certificate.json" for folder in (earlier, later)]
    if not any(path.is_file() for path in paths):
        return None
    sides = [json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {} for path in paths]
    return _changed(*({key: _shown(value) for key, value in side.items() if key != "levels"} for side in sides))


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _books(earlier: Path, later: Path) -> pd.DataFrame | None:
    both = _both(earlier, later, "books", ["rep"])
    if both is None:
        return None
    shown = both[["rep"]].copy()
    for column in ("accounts", "quota", "p_attain"):
        shown[f"{column}_earlier"], shown[f"{column}_later"] = both[f"{column}_earlier"], both[f"{column}_later"]
    shown["change_of_chance"] = shown["p_attain_later"].fillna(0) - shown["p_attain_earlier"].fillna(0)
    return _largest(shown[shown["change_of_chance"] != 0], "change_of_chance").reset_index(drop=True)


def _accounts(earlier: Path, later: Path) -> pd.DataFrame | None:
    """Accounts that the two plans give to different reps, the largest potential first."""
    both = _both(earlier, later, "allocation", ["account"])
    if both is None:
        return None
    goes = both["new_rep_earlier"].fillna(ABSENT) != both["new_rep_later"].fillna(ABSENT)
    columns = ["account", "new_rep_earlier", "new_rep_later", "potential_mean_later", "reason_later"]
    return both.loc[goes, columns].sort_values("potential_mean_later", ascending=False).head(MOST_ROWS)


def _scores(earlier: Path, later: Path) -> pd.DataFrame | None:
    """Methods by level, averaged over dates: scaled CRPS and coverage; None without a track record on both sides."""
    keys, columns = ["method", "level"], ["scrps", "wape", "bias", "coverage80"]
    sides = [_table(folder, "backtest") for folder in (earlier, later)]
    first, second = sides
    if first is None or second is None or not (len(first) and len(second)):
        return None
    means = [frame.groupby(keys)[columns].mean() for frame in (first, second)]
    both = means[0].join(means[1], how="outer", lsuffix="_earlier", rsuffix="_later").reset_index()
    same = all((both[f"{name}_earlier"] - both[f"{name}_later"]).abs().max() == 0 for name in columns)
    return both.head(0) if same else both
