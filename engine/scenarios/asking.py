"""Names in a scenario file to members of the company; whatever is wrong is collected, with the nearest right name."""

import difflib
from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from engine.config.problems import shown
from engine.errors import InputRefusedError, Problem
from engine.scenarios.company import COPY, Company, Frame
from engine.scenarios.reading import Item
from models.calendar import WEEKS_PER_MONTH, week_of_quarter
from models.panel import NONE, OPEN, Ints, Labels

LISTED = 8
"""Most names that a message lists."""

MOST_COMPARED = 20_000
"""Most open deals that a misspelt id is compared with."""


class ChangeRefusedError(InputRefusedError):
    """One change cannot be made."""


class Ask:
    """Asks about one change; `done` refuses it when anything was wrong.

    Attributes
    ----------
    item : the change and its places in the file
    company : as earlier changes of the scenario left it
    frame : what no scenario changes
    """

    def __init__(self, item: Item, company: Company, frame: Frame) -> None:
        self.item, self.company, self.frame = item, company, frame
        self.problems: list[Problem] = []

    def refuse(self, key: str, came: str, allowed: str, mend: str) -> int:
        """Note a problem; answers NONE, so that reading goes on."""
        self.problems.append(Problem(self.item.where(key), came, allowed, mend))
        return NONE

    def done(self) -> None:
        """Go on only when nothing was wrong.

        Raises
        ------
        ChangeRefusedError
            With every problem of this change.
        """
        if self.problems:
            raise ChangeRefusedError(self.problems)

    def stop(self, key: str, came: str, allowed: str, mend: str) -> NoReturn:
        """Refuse the change at once."""
        self.refuse(key, came, allowed, mend)
        raise ChangeRefusedError(self.problems)

    def member(self, key: str, what: str, labels: Labels, text: str | None) -> int:
        """Index of the member with this id or, when it is the only one, this name; NONE for an empty text."""
        if text is None:
            return NONE
        found = np.flatnonzero(labels.ids == text)
        if not len(found):
            original = np.array([COPY not in str(label) for label in labels.ids], dtype=bool)
            found = np.flatnonzero((labels.names == text) & original)
        if len(found) == 1:
            return int(found[0])
        if len(found) > 1:
            ids = ", ".join(str(labels.ids[i]) for i in found[:LISTED])
            return self.refuse(key, shown(text), f"the id of one {what}", f"{len(found)} have this name: {ids}")
        return self.refuse(key, f"the unknown {what} {shown(text)}", *_known(what, labels, text))

    def rep(self, key: str, text: str | None) -> int:
        """Index of a rep."""
        return self.member(key, "rep", self.company.panel.reps.labels, text)

    def selling_rep(self, key: str, text: str | None) -> int:
        """Index of a rep who sells after the as-of date."""
        rep = self.rep(key, text)
        if rep != NONE and not self.company.panel.reps.active[rep]:
            return self.refuse(key, f"{shown(text)}, who does not sell any more", "a rep at work", "name another")
        return rep

    def deals(self, key: str, ids: Sequence[str]) -> Ints:
        """Indices of open deals."""
        deals = self.company.panel.deals
        position = {str(name): i for i, name in enumerate(deals.ids)}
        found = []
        for text in dict.fromkeys(ids):
            i = position.get(text, NONE)
            if i == NONE:
                near = difflib.get_close_matches(text, deals.ids[deals.outcome == OPEN][:MOST_COMPARED].tolist(), n=1)
                mend = f"did you mean `{near[0]}`?" if near else "look in deals.csv"
                self.refuse(key, f"the unknown deal {shown(text)}", "ids of open deals", mend)
            elif deals.outcome[i] != OPEN:
                self.refuse(key, f"{shown(text)}, which is closed", "ids of open deals", "look in deals.csv")
            else:
                found.append(i)
        return np.array(found, dtype=np.int64)

    def leg(self, name: str, what: str) -> None:
        """Refuse the change when the run has no posterior of this leg."""
        if getattr(self.company.draws, name) is None:
            mend = "remove the change"
            self.refuse("change", f"`{self.item.change.change}`", f"a run with {what}: this one has none", mend)  # type: ignore[attr-defined]

    def one_scope(self, keys: Sequence[str]) -> str | None:
        """The only scope that was given, None for the whole company."""
        given = [key for key in keys if getattr(self.item.change, key, None) is not None]
        if len(given) > 1:
            self.refuse(given[1], " and ".join(given), f"at most one of {', '.join(keys)}", "split the change in two")
        return given[0] if given else None

    def window(self, scope: str | None) -> tuple[Ints, bool]:
        """Simulated months that a change holds in, and whether it is limited at all."""
        start, end = (getattr(self.item.change, key) for key in ("start", "end"))
        months = self.frame.simulated
        if start is None and end is None:
            return months, False
        if scope is not None:
            self.refuse(
                "start" if start else "end",
                f"a month beside `{scope}`",
                "months for the whole company only: the posterior has no time axis for a part of it",
                "remove one of the two",
            )
        first = _month(start) if start else int(months[0])
        last = _month(end) if end else int(months[-1])
        inside = months[(months >= first) & (months <= last)]
        if not len(inside):
            span = f"{_text(months[0])} to {_text(months[-1])}"
            key = "start" if start else "end"
            self.refuse(key, f"{start or ''} to {end or ''}", f"months within {span}", "correct the months")
        return inside, len(inside) < len(months)

    def weeks_of_quarter(self, inside: Ints) -> Ints:
        """Weeks of the quarter of some months, refused when another simulated month has the same ones."""
        fiscal = self.company.panel.fiscal_year_start
        mine = self._weeks(inside, fiscal)
        others = self._weeks(np.setdiff1d(self.frame.simulated, inside), fiscal)
        if np.isin(mine, others).any():
            self.refuse(
                "start" if getattr(self.item.change, "start", None) else "end",
                "months that another simulated month shares its weeks of the quarter with",
                "a part of a horizon of one quarter: the posterior knows time by the week of the quarter",
                "remove `start` and `end`, or shorten the horizon",
            )
        return mine

    def _weeks(self, months: Ints, fiscal: int) -> Ints:
        weeks = (months[:, None] * WEEKS_PER_MONTH + np.arange(WEEKS_PER_MONTH)).reshape(-1)
        return np.unique(week_of_quarter(weeks, fiscal))


def _known(what: str, labels: Labels, text: str) -> tuple[str, str]:
    """What is allowed, and what to do."""
    originals = [i for i, label in enumerate(labels.ids) if COPY not in str(label)]
    words = {str(labels.ids[i]): str(labels.ids[i]) for i in originals}
    words = {str(labels.names[i]): str(labels.ids[i]) for i in originals} | words
    near = difflib.get_close_matches(text, list(words), n=1)
    ids = [str(labels.ids[i]) for i in originals]
    more = "" if len(ids) <= LISTED else f" and {len(ids) - LISTED} more"
    allowed = f"an id or name: {', '.join(ids[:LISTED])}{more}" if ids else f"nothing: the run has no {what}"
    return allowed, f"did you mean `{near[0]}`?" if near else "pick one of them"


def _month(text: str) -> int:
    return int(np.datetime64(text, "M").astype(np.int64))


def _text(month: int) -> str:
    return str(np.datetime64(int(month), "M"))
