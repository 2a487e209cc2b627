"""Scenario files to scenarios: every problem of every file, with the line and the nearest right word."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from engine.config.problems import nearest, refusals, shown, unknown_key
from engine.config.reading import Document, KeyPath, read_document
from engine.errors import Problem
from engine.scenarios.settings import KINDS, ScenarioHead

HEAD_KEYS = ("name", "description", "changes")


@dataclass(frozen=True)
class Item:
    """One change, and where the file says it: ``where`` by key, "" for the change as a whole."""

    change: BaseModel
    places: dict[str, str]

    def where(self, key: str = "") -> str:
        """File, line and key."""
        return self.places.get(key, self.places[""])


@dataclass(frozen=True)
class Scenario:
    """A scenario as read: its file, name and changes in order."""

    path: Path
    name: str
    description: str
    items: tuple[Item, ...]

    def content(self) -> dict[str, Any]:
        """Plain values that read back to the same, defaults filled in."""
        changes = [item.change.model_dump(mode="json") for item in self.items]
        return {"name": self.name, "description": self.description, "changes": changes}


def read_scenarios(paths: Sequence[Path]) -> tuple[list[Scenario], list[Problem]]:
    """Read files.

    Returns
    -------
    what can be read of them, and all problems of their text and keys
    """
    scenarios: list[Scenario] = []
    problems: list[Problem] = []
    names: dict[str, Path] = {}
    for path in paths:
        scenario, found = _read(path)
        problems += found
        if scenario.name in names and not found:
            came = f"{scenario.name!r}, the name of {names[scenario.name]} too"
            problems.append(Problem(f"{path}, name", came, "a name of its own for every scenario", "rename one"))
        names.setdefault(scenario.name, path)
        scenarios.append(scenario)
    return scenarios, problems


def _read(path: Path) -> tuple[Scenario, list[Problem]]:
    document = read_document(path)
    problems = list(document.problems)
    values = document.values
    if not values:
        return Scenario(path, str(path), "", ()), problems
    head = {key: value for key, value in values.items() if key != "changes"}
    name, description = str(path), ""
    try:
        read = ScenarioHead.model_validate(head)
        name, description = read.name, read.description
    except ValidationError as error:
        problems += [
            unknown_key(document.where(place), str(place[0]), list(HEAD_KEYS)) if place[0] not in HEAD_KEYS else problem
            for place, problem in refusals(error, document, ScenarioHead.model_json_schema()).items()
        ]
    changes = values.get("changes")
    if not isinstance(changes, list) or not changes:
        came = "nothing" if changes is None else shown(changes)
        where = document.where(("changes",))
        problems.append(Problem(where, came, "a list of changes, each with its kind under `change`", "add one"))
        changes = []
    items = []
    for number, values_of in enumerate(changes):
        item = _item(document, number, values_of, problems)
        if item is not None:
            items.append(item)
    return Scenario(path, name, description, tuple(items)), problems


def _item(document: Document, number: int, values: Any, problems: list[Problem]) -> Item | None:
    """One change; None, and its problems, when it cannot be read."""
    path: KeyPath = ("changes", number)
    kinds = ", ".join(KINDS)
    if not isinstance(values, dict) or "change" not in values:
        came = "no key `change`" if isinstance(values, dict) else shown(values)
        problems.append(Problem(document.where(path), came, f"`change: KIND`, one of {kinds}", "say which kind it is"))
        return None
    word = str(values["change"])
    if word not in KINDS:
        like = nearest(word, list(KINDS))
        mend = f"did you mean `{like}`?" if like else "pick one of them"
        problems.append(Problem(document.where((*path, "change")), shown(word), kinds, mend))
        return None
    inner = Document(values, {(): document.where(path)} | _origins(document, path))
    try:
        change = KINDS[word].model_validate(values)
    except ValidationError as error:
        problems += refusals(error, inner, KINDS[word].model_json_schema()).values()
        return None
    return Item(change, {"": inner.where(())} | {key: inner.where((key,)) for key in values})


def _origins(document: Document, path: KeyPath) -> dict[KeyPath, str]:
    """Origins of the keys below a path, seen from there."""
    depth = len(path)
    return {key[depth:]: origin for key, origin in document.origin.items() if key[:depth] == path and len(key) > depth}
