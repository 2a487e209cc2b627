"""The door to a config: a file and what the command line changes in it become a `RunConfig`, or all its problems."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.config.problems import refusals
from engine.config.reading import Document, KeyPath, dotted, parse_value, read_document
from engine.config.rules import findings
from engine.config.schema import RunConfig
from engine.errors import InputRefusedError, Problem

RELATIVE_TO_CONFIG: tuple[KeyPath, ...] = (
    ("data", "root"),
    ("decisions",),
    ("accepted_plan",),
    ("crm", "territory_associations"),
)
"""Paths that start from the folder of the config file; from the working directory when the command line gives them."""

NOT_IN_RESULTS = ("output", "tracking")
"""Sections that change no result."""

MACHINE_KEYS = ("threads", "cores")
"""Keys of any section that change the speed of a run but no result."""

MAX_ROUNDS = 20
"""Rounds of taking out what is refused; every round takes out a level of the config."""

STAND_INS: dict[str, Any] = {"name": "unnamed", "horizon": {"start": "2000-01-01"}}
"""Values for required keys that are missing or wrong, so that the rest can still be checked."""


def load_config(path: Path, overrides: Sequence[str] = (), given: Mapping[str, object] | None = None) -> RunConfig:
    """Read, complete and check a config.

    Parameters
    ----------
    path : the YAML file
    overrides : ``key.sub=value`` texts of --set; the value is read as YAML, later ones win
    given : values of the command's own options by key, such as ``{"seed": 7}``; they win over `overrides`

    Raises
    ------
    InputRefusedError
        with every problem of the file and the overrides.
    """
    document = read_document(path)
    readable = not document.problems or bool(document.values)
    for text in overrides:
        _override(document, text)
    for key, value in (given or {}).items():
        _put(document, (key,), value, f"--{'out' if key == 'output' else key}")
    if not readable:
        raise InputRefusedError(document.problems)
    _complete_paths(document, path.parent)
    config, problems = _validated(document)
    if config is None or problems or document.problems:
        raise InputRefusedError([*document.problems, *problems])
    return config


def resolved(config: RunConfig) -> dict[str, Any]:
    """Everything of a config that can change a result, as plain values that load again to the same.

    Paths of data and decisions are absolute. `output`, `tracking` and numbers of threads and processes are left out.
    """
    values = config.model_dump(mode="json", exclude=set(NOT_IN_RESULTS))
    # The data section has words of the company as keys: one of them may be called `cores`.
    return {key: value if key == "data" else _without_machine(value) for key, value in values.items()}


def hashable(config: RunConfig) -> dict[str, Any]:
    """`resolved` without the places of files: their contents count, not where they lie."""
    values = resolved(config)
    values.pop("decisions")
    values.pop("accepted_plan")
    values["crm"].pop("territory_associations")
    values.pop("backtest")  # what a backtest found counts, not what was asked of it
    for place in ("root", "url", "password_env"):
        values["data"].pop(place, None)
    return values


def _without_machine(value: Any) -> Any:
    """Drop the keys that only speak of the machine."""
    if isinstance(value, dict):
        return {key: _without_machine(item) for key, item in value.items() if key not in MACHINE_KEYS}
    return value


def _override(document: Document, text: str) -> None:
    """Apply one ``key.sub=value``."""
    key, equals, written = text.partition("=")
    path = tuple(key.strip().split("."))
    if not equals or not all(path):
        problem = Problem(f"--set {text}", "no key and value", "KEY=VALUE, e.g. horizon.periods=2", "write it so")
        document.problems.append(problem)
        return
    value, problems = parse_value(written, f"--set {key}")
    document.problems.extend(problems)
    if not problems:
        _put(document, path, value, f"--set {key}")


def _put(document: Document, path: KeyPath, value: object, source: str) -> None:
    """Set a key, making the sections on the way."""
    section = document.values
    for depth, part in enumerate(path[:-1], 1):
        if section.get(str(part)) is None:
            section[str(part)] = {}
        below = section[str(part)]
        if not isinstance(below, dict):
            came = f"a value at `{dotted(path[:depth])}`"
            mend = f"set `{dotted(path[:depth])}` as a whole"
            document.problems.append(Problem(source, came, "a section of keys", mend))
            return
        section = below
    section[str(path[-1])] = value
    for stale in [key for key in document.origin if key[: len(path)] == path]:
        del document.origin[stale]
    document.origin[path] = source


def _complete_paths(document: Document, folder: Path) -> None:
    """Make the paths of data and decisions absolute."""
    for path in RELATIVE_TO_CONFIG:
        section: Any = document.values
        for part in path[:-1]:
            section = section.get(part) if isinstance(section, dict) else None
        value = section.get(path[-1]) if isinstance(section, dict) else None
        if isinstance(value, str) and value:
            typed = document.origin.get(path, "").startswith("--set")
            start = Path.cwd() if typed else folder
            section[path[-1]] = str((start / Path(value).expanduser()).resolve())


def _validated(document: Document) -> tuple[RunConfig | None, list[Problem]]:
    """Validate key by key, then the rules between keys on all that is right."""
    config: RunConfig | None
    try:
        config, problems, broken = RunConfig.model_validate(document.values), {}, set(document.broken)
    except ValidationError as error:
        schema = RunConfig.model_json_schema()
        problems = refusals(error, document, schema)
        config, broken = _salvaged(document, schema)
    found = [(path, problem) for path, problem in problems.items() if path not in document.broken]
    for item in [] if config is None else findings(config, broken):
        found.append((item.path, Problem(document.where(item.path), item.came, item.allowed, item.mend)))
    return config, [problem for _, problem in sorted(found, key=lambda pair: document.position(pair[0]))]


def _salvaged(document: Document, schema: dict[str, Any]) -> tuple[RunConfig | None, set[KeyPath]]:
    """Take out what is refused, a section without its required keys as a whole, until the rest is a config.

    Returns
    -------
    the config of what is right, for checking only, and the paths that were taken out
    """
    values = copy.deepcopy(document.values)
    broken = set(document.broken)
    for _ in range(MAX_ROUNDS):
        try:
            return RunConfig.model_validate(values), broken
        except ValidationError as error:
            refused = refusals(error, document, schema)
            broken |= set(refused)
            cuts = {_present(values, path) or path[:1] for path in refused}
        for cut in cuts:
            _take_out(values, cut)
        broken |= cuts
    return None, broken


def _present(values: dict[str, Any], path: KeyPath) -> KeyPath:
    """Longest beginning of a path that exists and goes through no list."""
    holder: Any = values
    for depth, part in enumerate(path):
        if not isinstance(holder, dict) or part not in holder:
            return path[:depth]
        holder = holder[part]
    return path


def _take_out(values: dict[str, Any], path: KeyPath) -> None:
    """Remove a key if it is still there; a required key of the config gets a stand-in."""
    holder: Any = values
    for part in path[:-1]:
        holder = holder.get(part, {})
    holder.pop(path[-1], None)
    if len(path) == 1 and path[0] in STAND_INS:
        values[str(path[0])] = STAND_INS[str(path[0])]
