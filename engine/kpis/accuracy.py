"""Forecast accuracy under the formulas that are in use, each with its name, as-of date and denominator.

The same forecast is 80 %, 20 % off or 1.25 depending on who is asked, so the formula goes with every number.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from engine.kpis.calendar import GRAINS, Calendar
from engine.kpis.cells import COLUMNS
from engine.kpis.facts import PEOPLE_LEVELS, Facts
from engine.kpis.goals import newest_calls, revenue_of
from engine.kpis.intervals import linearised
from engine.results import ForecastResult
from models.panel import NONE, Floats, Ints

PRESETS: dict[str, tuple[Callable[[Floats], Floats], str]] = {
    "percent_difference": (lambda ratio: ratio - 1.0, "(forecast - actual) / actual"),
    "accuracy": (lambda ratio: np.maximum(0.0, 1.0 - np.abs(ratio - 1.0)), "max(0, 1 - |forecast - actual| / actual)"),
    "ratio": (lambda ratio: ratio, "forecast / actual"),
}
"""Formulas by name, from forecast / actual, and in words; the denominator of all is the actual."""

ENDED = 12
"""Periods of calls that are looked back at, at most."""


def accuracy_of(preset: str, forecast: Floats, actual: Floats) -> Floats:
    """Accuracy by one of the `PRESETS`; NaN where the actual is not above zero.

    Examples
    --------
    >>> [accuracy_of(name, np.array([120.0]), np.array([100.0])).round(2).tolist() for name in PRESETS]
    [[0.2], [0.8], [1.2]]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(actual > 0, forecast / actual, np.nan)
    found: Floats = PRESETS[preset][0](ratio)
    return found


def accuracies(facts: Facts, result: ForecastResult, backtest: pd.DataFrame) -> list[pd.DataFrame]:
    """Of the reps' calls, of the run before, and of the stored backtest.

    Parameters
    ----------
    backtest : backtest.csv; no rows where there is none
    """
    return [frame for frame in (_calls(facts, result), _earlier(facts, result), _backtest(backtest)) if len(frame)]


def _rows(kpi: str, cells: pd.DataFrame, said: str) -> pd.DataFrame:
    """Three rows a cell.

    Parameters
    ----------
    cells : level, key, period, forecast, actual, and low and high of forecast / actual
    """
    parts = []
    for name, (change, words) in PRESETS.items():
        ends = np.stack([change(cells["low"].to_numpy(dtype=float)), change(cells["high"].to_numpy(dtype=float))])
        value = accuracy_of(name, cells["forecast"].to_numpy(dtype=float), cells["actual"].to_numpy(dtype=float))
        low, high = ends.min(axis=0), ends.max(axis=0)
        if name == "accuracy":  # the best lies inside where the interval of the ratio holds 1
            high = np.where((cells["low"] <= 1) & (cells["high"] >= 1), 1.0, high)
        parts.append(
            cells[["level", "key", "period"]].assign(
                kpi=f"{kpi}_{name}",
                value=value,
                numerator=cells["forecast"],
                denominator=cells["actual"],
                low=low,
                high=high,
                formula=f"{words}; {said}; denominator: actual",
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    return frame.loc[np.isfinite(frame["value"]), COLUMNS]


def _calls(facts: Facts, result: ForecastResult) -> pd.DataFrame:
    """The reps' first calls for past periods as long as the run's horizon, with reps as units of the interval."""
    calls, months = facts.panel.calls, result.config.horizon.months
    grain = next((name for name, length in GRAINS.items() if length == months), None)
    if not len(calls) or grain is None:
        return pd.DataFrame(columns=COLUMNS)
    calendar = facts.calendar
    parts = []
    for code in _ended(calendar, grain):
        first, last = calendar.months(grain, code)
        when = calls.day[calls.month == first]
        if not len(when):
            continue
        rep, amount = newest_calls(calls, first, when.min())
        parts.append(_called_cells(facts, (rep, amount), (first, last), calendar.name(grain, code)))
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    said = (
        "forecast: the reps' calls of the first day on which any was made for the period; actual: their booked revenue"
    )
    return _rows("call", pd.concat(parts, ignore_index=True), said)


def _ended(calendar: Calendar, grain: str) -> list[int]:
    first, last = calendar.span(grain)
    return [code for code in range(first, last + 1) if calendar.complete(grain, code)][-ENDED:]


def _called_cells(facts: Facts, called: tuple[Ints, Floats], months: tuple[int, int], period: str) -> pd.DataFrame:
    rep, amount = called
    booked = revenue_of(facts, "rep", *months)
    ids = facts.panel.reps.labels.ids
    actual = np.array([booked.get(str(ids[who]), 0.0) for who in rep])
    homes = facts.at_home(pd.DataFrame({"rep": ids[rep]}))
    parts = []
    for level in PEOPLE_LEVELS:
        labels = facts.labels(level)
        place = homes[level].to_numpy()
        place = np.where(place == NONE, len(labels) - 1, place)
        size = len(labels)
        n = np.bincount(place, minlength=size)
        sums = [np.bincount(place, x, size) for x in (amount, actual, amount**2, actual**2, amount * actual)]
        kept = np.flatnonzero(n)
        moments = tuple(part[kept] for part in sums)
        low, high = linearised(n[kept], moments)  # type: ignore[arg-type]
        frame = {
            "level": level,
            "key": labels.ids[kept],
            "period": period,
            "forecast": moments[0],
            "actual": moments[1],
        }
        parts.append(pd.DataFrame(frame | {"low": low.clip(min=0.0), "high": high}))
    return pd.concat(parts, ignore_index=True)


def _earlier(facts: Facts, result: ForecastResult) -> pd.DataFrame:
    """Medians of the run before, for its periods that have ended since; its own range says how sure it was."""
    none = pd.DataFrame(columns=COLUMNS)
    if result.earlier is None or not (result.earlier / "forecast.csv").is_file():
        return none
    known = pd.read_csv(result.earlier / "forecast.csv", dtype={"key": "str", "period": "str", "level": "str"})
    known = known.assign(key=known["key"].fillna("").str.removeprefix("'"))
    parts = []
    calendar = facts.calendar
    for grain in GRAINS:
        for code in range(calendar.span(grain)[0], calendar.span(grain)[1] + 1):
            here = known[known["period"] == calendar.name(grain, code)]
            if here.empty or not calendar.complete(grain, code):
                continue
            for level, part in here.groupby("level"):
                actual = part["key"].map(revenue_of(facts, str(level), *calendar.months(grain, code))).fillna(0.0)
                parts.append(part[["level", "key", "period"]].assign(forecast=part["p50"], actual=actual))
    if not parts:
        return none
    cells = pd.concat(parts, ignore_index=True).assign(low=np.nan, high=np.nan)
    said = (
        f"forecast: median of the run as of {known['as_of'].iloc[0]}; actual: booked revenue; one forecast, no interval"
    )
    return _rows("forecast", cells, said)


def _backtest(table: pd.DataFrame) -> pd.DataFrame:
    """The engine's accuracy and bias by level and origin, as backtest.csv has them."""
    if table.empty:
        return pd.DataFrame(columns=COLUMNS)
    rows = table[table["method"] == "engine"]
    named = "as of " + rows["as_of"].astype(str) + ", " + rows["weeks_in"].astype(str) + " weeks in"
    common = {"level": rows["level"].to_numpy(), "key": "", "period": named.to_numpy(), "numerator": np.nan}
    common |= {"denominator": rows["n"].to_numpy(dtype=float), "low": np.nan, "high": np.nan}
    floored = pd.DataFrame(common).assign(kpi="backtest_accuracy", value=rows["accuracy"].to_numpy(dtype=float))
    floored["formula"] = rows["accuracy_formula"].to_numpy()
    bias = pd.DataFrame(common).assign(kpi="backtest_percent_difference", value=rows["bias"].to_numpy(dtype=float))
    bias["formula"] = "sum of (median - actual) / sum of |actual|, over the targets of the origin; denominator: targets"
    found = pd.concat([floored, bias], ignore_index=True)
    return found.loc[np.isfinite(found["value"]), COLUMNS]
