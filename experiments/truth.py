"""What came true after an as-of date, and the rows that score a forecast against it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from engine.methods.protocol import (
    SCORED_LEVELS,
    Forecast,
    booked_by_place,
    find_places,
    level_total,
    members_of,
)
from engine.scoring import PROBABILITIES, pinball, probability_integral, quantiles
from engine.seeds import seed_for
from engine.simulation.cells import booked_revenue
from models.panel import NONE, Bools, Floats, Ints, Panel, Texts

QUANTILE_COLUMNS = [f"q{round(1000 * p):03d}" for p in PROBABILITIES]


@dataclass(frozen=True)
class Truth:
    """Outcomes of a horizon for the members known at the as-of date, the indices of `Places` pointing into them.

    Attributes
    ----------
    months : [month] since 1970-01
    reps, territories : ids
    rep, territory, company : [member, month] revenue as booked, money
    sold : [rep] had a deal or an order by the as-of date: only those are scored
    """

    months: Ints
    reps: Texts
    territories: Texts
    rep: Floats
    territory: Floats
    company: Floats
    sold: Bools

    def level(self, name: str) -> tuple[Texts, Floats, Bools]:
        """Ids, revenue [member, month] and whether a member is scored, of one of `SCORED_LEVELS`."""
        if name == "rep":
            return self.reps, self.rep, self.sold
        if name == "territory":
            return self.territories, self.territory, np.ones(len(self.territories), dtype=bool)
        return np.array([""]), self.company, np.ones(1, dtype=bool)


def truth_of(panel: Panel, later: Panel, months: Ints) -> Truth:
    """Outcomes in ``later``, a panel of the horizon's end, for the members of ``panel``, one of the as-of date."""
    known = {}
    for level in SCORED_LEVELS:
        keys, values = actuals(later, level, months)
        wanted, _ = members_of(panel, find_places(panel), level)
        known[level] = pd.DataFrame(values, index=keys).reindex(wanted).fillna(0.0).to_numpy(dtype=float)
    return Truth(months, panel.reps.labels.ids, panel.territories.ids, **known, sold=sold_before(panel))


def actuals(later: Panel, level: str, months: Ints) -> tuple[Texts, Floats]:
    """Ids of a level's members and their revenue [member, month], as booked."""
    places = find_places(later)
    keys, member = members_of(later, places, level)
    booked = booked_by_place(later, places, months)[None].astype(np.float32)
    return keys, level_total(booked, member, len(keys))[0]


def sold_before(panel: Panel) -> Bools:
    """[rep] had a deal or an order by the as-of date."""
    reps = np.concatenate([panel.deals.rep, booked_revenue(panel).rep])
    return np.bincount(reps[reps != NONE], minlength=len(panel.reps.labels)) > 0


def score_rows(name: str, forecast: Forecast, truth: Truth, target: str) -> pd.DataFrame:
    """Rows of one method: level, key, period, actual, mean, PIT, CRPS and quantiles of every target.

    Parameters
    ----------
    target : ``horizon`` for the sum over its months, ``month`` for each of them
    """
    rng = np.random.default_rng(seed_for(0, f"{name} {truth.months[0]}"))
    member = {"rep": forecast.places.rep, "territory": forecast.places.territory}
    frames = []
    for level in SCORED_LEVELS:
        keys, actual, scored = truth.level(level)
        paths = level_total(forecast.total, member.get(level, np.zeros_like(member["rep"])), len(keys))[:, scored]
        actual = actual[scored]
        if target == "horizon":
            paths, actual = paths.sum(axis=2, keepdims=True), actual.sum(axis=1, keepdims=True)
        names = truth.months.astype("datetime64[M]").astype(str) if target == "month" else np.array([""])
        frames.append(_frame(level, keys[scored], names, paths.reshape(len(paths), -1).astype(float), actual, rng))
    return pd.concat(frames, ignore_index=True).assign(method=name)


def _frame(
    level: str, keys: Texts, periods: Texts, paths: Floats, actual: Floats, rng: np.random.Generator
) -> pd.DataFrame:
    """One row a member and period; ``paths`` [path, member x period]."""
    truth, quantile = actual.reshape(-1), quantiles(paths)
    frame = pd.DataFrame({"level": level, "key": np.repeat(keys, len(periods)), "period": np.tile(periods, len(keys))})
    return frame.assign(
        actual=truth,
        mean=paths.mean(axis=0),
        pit=probability_integral(truth, paths, rng),
        crps=pinball(truth, quantile),
        **dict(zip(QUANTILE_COLUMNS, quantile.T, strict=True)),
    )


def save_truth(truth: Truth, path: Path) -> None:
    """Write the arrays of one fold."""
    np.savez(path, allow_pickle=False, **vars(truth))


def load_truth(path: Path) -> Truth:
    """Read what `save_truth` wrote."""
    with np.load(path) as stored:
        return Truth(**{name: stored[name] for name in stored.files})
