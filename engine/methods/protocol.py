"""What every forecast method is asked and what it answers: a panel as of a date in, sample paths out.

A method answers for *places*, the pairs (rep, territory) that book: the coarsest cells from which rep, territory and
company follow as sums, so whatever a method says adds up path by path.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.simulation.cells import booked_revenue
from engine.simulation.outcomes import Paths
from models.panel import NONE, Floats, Ints, Panel, Texts

SCORED_LEVELS = ("company", "territory", "rep")
"""Levels at which methods are compared, coarse to fine."""


class MethodUnavailableError(ValueError):
    """A method has nothing to go by in this panel: the message says what it would need."""


@dataclass(frozen=True)
class Question:
    """What is to be forecast.

    Attributes
    ----------
    months : [month] consecutive months since 1970-01; those before the as-of date count with what was booked in them
    paths : number of sample paths
    seed : of everything random
    """

    months: Ints
    paths: int
    seed: int


@dataclass(frozen=True)
class Places:
    """The atoms of a comparison, all [place]: index of rep and territory in the panel, `NONE` for none."""

    rep: Ints
    territory: Ints

    def __len__(self) -> int:
        return len(self.rep)


@dataclass(frozen=True)
class Forecast:
    """A method's answer.

    Attributes
    ----------
    places : [place]
    total : [path, place, month] revenue, what is booked included; money
    """

    places: Places
    total: Paths


type Method = Callable[[Panel, Question], Forecast]
"""Raises `MethodUnavailableError` where the panel lacks what the method lives on."""

type Refinement = Callable[[Panel, Question, Forecast], Forecast]
"""A method that goes on from the paths of another one."""


def find_places(panel: Panel) -> Places:
    """Every pair of rep and territory with a deal, an order or a home, sorted by territory and rep."""
    revenue, deals = booked_revenue(panel), panel.deals
    home = np.flatnonzero(panel.reps.active)
    rep = np.concatenate([revenue.rep, deals.rep, home])
    territory = np.concatenate(
        [
            panel.cell_territory(revenue.account, revenue.rep),
            panel.cell_territory(deals.account, deals.rep),
            panel.reps.territory[home],
        ]
    )
    pairs = np.unique(np.stack([territory, rep]), axis=1)
    return Places(rep=pairs[1], territory=pairs[0])


def place_of(places: Places, rep: Ints, territory: Ints) -> Ints:
    """Index [row] of the place of every pair; `NONE` for a pair that is none."""
    wide = int(max(places.rep.max(initial=0), rep.max(initial=0))) + 2
    key, wanted = (places.territory + 1) * wide + places.rep + 1, (territory + 1) * wide + rep + 1
    at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    return np.where(key[at] == wanted, at, NONE)


def members_of(panel: Panel, places: Places, level: str) -> tuple[Texts, Ints]:
    """Ids of a level's members, and the member [place] of every place; `NONE` for places without one."""
    if level == "company":
        return np.array([""]), np.zeros(len(places), dtype=np.int64)
    if level == "territory":
        return panel.territories.ids, places.territory
    if level == "rep":
        return panel.reps.labels.ids, places.rep
    raise ValueError(f"level must be one of {', '.join(SCORED_LEVELS)}, got {level!r}")


def level_total(total: Paths, member: Ints, count: int) -> Floats:
    """Sum paths [path, place, month] over places to [path, member, month]; places without a member are left out."""
    known = member != NONE
    indicator = np.zeros((count, int(known.sum())), dtype=total.dtype)
    indicator[member[known], np.arange(indicator.shape[1])] = 1.0
    return np.einsum("mc,pct->pmt", indicator, total[:, known], optimize=True)


def booked_by_place(panel: Panel, places: Places, months: Ints) -> Floats:
    """[place, month] revenue booked up to the as-of date in the given months."""
    revenue = booked_revenue(panel)
    place = place_of(places, revenue.rep, panel.cell_territory(revenue.account, revenue.rep))
    slot = revenue.month - months[0]
    inside = (slot >= 0) & (slot < len(months)) & (place != NONE)
    table = np.zeros((len(places), len(months)))
    np.add.at(table, (place[inside], slot[inside]), revenue.amount[inside])
    return table
