"""Regions, territories, managers and reps of the demo company, and invented names."""

from dataclasses import dataclass

import numpy as np

from engine.demo.clock import FIRST_DAY, MONTHS, Days
from models.panel import Bools, Floats, Ints, Texts

REGIONS = ("North", "Central", "South")
TERRITORIES = (
    ("North Coast", 0, 0),
    ("Lake District", 0, 0),
    ("High Moor", 0, 1),
    ("River Valley", 1, 2),
    ("Old Town", 1, 2),
    ("East Plain", 1, 3),
    ("Vineyards", 2, 4),
    ("Harbour South", 2, 5),
)
"""Name, region and manager of every territory."""

FIRST_NAMES = (
    "Ada Aylin Bram Carla Dario Edda Emil Fenna Gino Hanna Ivo Jora Kaj Lena Malik Mara Nadir Nele "
    "Oskar Paula Quint Rosa Samir Selma Tarek Tilda Ulf Vera Wim Yara"
)
NAME_STARTS = "Al Bren Cor Dal El Fen Gar Hol Is Jan Kel Lor Mer Nor Os Per Quan Ros Sel Tor Ul Ver Wen Yl Zan"
NAME_ENDS = "berg dahl dano ersen feld gard heim ini kamp land lova mont nova otti quist rath ski stam ter vik"

STARTING_REPS = 30
HIRE_MONTHS = (8, 14, 19, 24, 26, 27, 29, 30, 32, 34)
"""Months of the world (from 0) in which somebody starts: the last seven lie in the year before `clock.TODAY`."""
LEAVE_MONTHS = (7, 13, 20, 25, 31)
"""Months of the world at whose end somebody leaves."""


@dataclass(frozen=True)
class People:
    """Who sells and where.

    Attributes
    ----------
    territory_ids, territory_names : [territory]
    territory_region : [territory] index into `REGIONS`
    rep_ids, rep_names, rep_managers, rep_roles : [rep]
    home : [rep] territory
    start, end : [rep] first and last day, NaT for reps who stay
    fte : [rep]
    """

    territory_ids: Texts
    territory_names: Texts
    territory_region: Ints
    rep_ids: Texts
    rep_names: Texts
    rep_managers: Texts
    rep_roles: Texts
    home: Ints
    start: Days
    end: Days
    fte: Floats

    def employed(self) -> Floats:
        """[rep, month] share of the days of the month on which the rep is employed."""
        first = MONTHS.astype("datetime64[M]").astype("datetime64[D]")
        stop = (MONTHS + 1).astype("datetime64[M]").astype("datetime64[D]")
        end = np.where(np.isnat(self.end), stop[-1], self.end + np.timedelta64(1, "D"))
        days = np.minimum(stop, end[:, None]) - np.maximum(first, self.start[:, None])
        return days.astype(np.float64).clip(min=0.0) / (stop - first).astype(np.float64)

    def may_own(self) -> Bools:
        """[rep, month] employed on every day of the month, and so able to hold a book."""
        return self.employed() == 1.0

    def tenure(self) -> Floats:
        """[rep, month] months since the start at the middle of the month, 0 before."""
        middle = MONTHS.astype("datetime64[M]").astype("datetime64[D]").astype(np.float64) + 15.0
        return ((middle - self.start.astype(np.float64)[:, None]) / 30.4375).clip(min=0.0)


def make_people(rng: np.random.Generator) -> People:
    """Draw the reps: thirty veterans, ten hires, five leavers."""
    count = STARTING_REPS + len(HIRE_MONTHS)
    territories = len(TERRITORIES)
    veterans = np.sort(np.arange(STARTING_REPS) % territories)
    rest = rng.choice(territories, len(HIRE_MONTHS) - territories, replace=False)
    hires = rng.permutation(np.concatenate([np.arange(territories), rest]))
    home = np.concatenate([veterans, hires])
    start = _start_dates(rng)
    names = person_names(rng, count + 6)
    return People(
        territory_ids=np.array([f"T{i + 1}" for i in range(territories)]),
        territory_names=np.array([name for name, _, _ in TERRITORIES]),
        territory_region=np.array([region for _, region, _ in TERRITORIES]),
        rep_ids=np.array([f"R{i + 1:03d}" for i in range(count)]),
        rep_names=names[:count],
        rep_managers=names[count:][np.array([manager for _, _, manager in TERRITORIES])[home]],
        rep_roles=np.where(start < np.datetime64("2021-07-01"), "Senior Account Executive", "Account Executive"),
        home=home,
        start=start,
        end=_end_dates(rng, home, start),
        fte=rng.permutation(np.array([1.0] * (count - 5) + [0.8] * 3 + [0.6] * 2)),
    )


def _start_dates(rng: np.random.Generator) -> Days:
    """Veterans started 8 months to 6 years before the world, hires on the first of their month, two mid-month."""
    months = np.concatenate([MONTHS[0] - rng.integers(8, 72, STARTING_REPS), MONTHS[list(HIRE_MONTHS)]])
    days = months.astype("datetime64[M]").astype("datetime64[D]")
    days[STARTING_REPS + np.array([1, 6])] += np.timedelta64(15, "D")
    return days


def _end_dates(rng: np.random.Generator, home: Ints, start: Days) -> Days:
    """Leavers are veterans of five different territories."""
    end = np.full(len(home), np.datetime64("NaT", "D"))
    chosen = rng.choice(len(TERRITORIES), len(LEAVE_MONTHS), replace=False)
    for territory, month in zip(chosen, LEAVE_MONTHS, strict=True):
        leaver = rng.choice(np.flatnonzero((home == territory) & (start < FIRST_DAY)))
        end[leaver] = (MONTHS[month] + 1).astype("datetime64[M]").astype("datetime64[D]") - np.timedelta64(1, "D")
    return end


def person_names(rng: np.random.Generator, count: int) -> Texts:
    """Different invented names of people."""
    surnames = rng.permutation([a + b for a in NAME_STARTS.split() for b in NAME_ENDS.split()])[:count]
    return np.array(
        [f"{first} {last}" for first, last in zip(rng.choice(FIRST_NAMES.split(), count), surnames, strict=True)]
    )
