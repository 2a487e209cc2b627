"""YAML text to plain values, and the line every value came from.

Nothing a config file says can run code or blow up: the text is composed to nodes, aliases are refused, and only plain
scalars, lists and mappings with text keys are built.
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.errors import Problem

MAX_BYTES = 256 * 1024
"""A config is written by people; anything longer is the wrong file."""

PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")}
"""What a value may be; any other tag would ask for an object."""

MAX_DEPTH = 30
"""Sections within sections; the parser slows down with the square of the depth."""

type KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A config before it is validated.

    Attributes
    ----------
    values : what the file says, as plain dicts, lists and scalars
    origin : where a key was set, by path: ``configs/q3.yaml line 3`` or ``--set horizon.start``; () is the file itself
    problems : what was wrong with the text
    broken : keys that `problems` speak of, about which nothing more needs to be said
    """

    values: dict[str, Any] = field(default_factory=dict)
    origin: dict[KeyPath, str] = field(default_factory=lambda: {(): ""})
    problems: list[Problem] = field(default_factory=list)
    broken: set[KeyPath] = field(default_factory=set)

    def where(self, path: KeyPath) -> str:
        """Origin of a key (or of the nearest section that holds it) and its dotted name."""
        origin = self.origin.get(self._known(path), "")
        named = origin == f"--set {dotted(path)}" or not path
        return origin if named else f"{origin}, {dotted(path)}"

    def position(self, path: KeyPath) -> int:
        """Rank of a key in the order of the file, with what the command line set at the end."""
        return list(self.origin).index(self._known(path))

    def _known(self, path: KeyPath) -> KeyPath:
        """Longest beginning of a path whose origin is known; () always is."""
        return next(path[:n] for n in range(len(path), -1, -1) if path[:n] in self.origin)


def dotted(path: KeyPath) -> str:
    """``horizon.start`` of a path."""
    return ".".join(str(part) for part in path)


def read_document(path: Path) -> Document:
    """Read a config file.

    Returns
    -------
    a document; where the text is not usable its values are empty and its problems say why
    """
    document = Document(origin={(): str(path)})
    text = _text_of(path, document.problems)
    if text is None:
        return document
    node = _compose(text, str(path), document.problems)
    if node is None:
        return document
    if not isinstance(node, yaml.MappingNode):
        document.problems.append(
            Problem(str(path), f"a {_kind(node)}", "keys with values, such as `name: q3`", "start from configs/q3.yaml")
        )
        return document
    builder = _Builder(str(path), document)
    document.values.update(builder.mapping(node, ()))
    return document


def parse_value(text: str, source: str) -> tuple[Any, list[Problem]]:
    """Value of ``--set key=text``, read as YAML, and what was wrong with it."""
    document = Document()
    node = _compose(text, source, document.problems)
    if node is None:
        # An empty text is no value; `key=` is how one clears a key.
        return None, [problem for problem in document.problems if text.strip()]
    return _Builder(source, document, lines=False).value(node, ()), document.problems


def _text_of(path: Path, problems: list[Problem]) -> str | None:
    """Text of a file; None, and a problem, when it cannot be had."""
    try:
        raw = path.read_bytes() if path.stat().st_size <= MAX_BYTES or not path.is_file() else None
    except OSError as error:
        problems.append(
            Problem(str(path), error.strerror or str(error), "a readable YAML file", "check the path of the config")
        )
        return None
    if raw is None:
        problems.append(Problem(str(path), "a file above 256 kB", "a config of some hundred lines", "check the path"))
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        problems.append(
            Problem(f"{path} line {line}", f"byte 0x{raw[error.start]:02x}", "text in UTF-8", "save the file as UTF-8")
        )
        return None


def _compose(text: str, source: str, problems: list[Problem]) -> yaml.Node | None:
    """Nodes of a YAML text; None, and a problem, when it is not one."""
    try:
        problem = _beyond_plain(text, source)
        node = None if problem else yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problems.append(Problem(f"{source}{line}", _yaml_complaint(error), "YAML", _yaml_mending(error)))
        return None
    except yaml.YAMLError as error:
        problems.append(Problem(source, str(error).splitlines()[0], "YAML", "check the path of the config"))
        return None
    if node is None:
        empty = Problem(source, "an empty file", "at least `name` and `horizon`", "start from configs/q3.yaml")
        problems.append(problem or empty)
    return node


def _beyond_plain(text: str, source: str) -> Problem | None:
    """Refuse aliases and deep nesting, with which a short text can make a huge value."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        where = f"{source} line {event.start_mark.line + 1}" if event.start_mark else source
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            return Problem(where, f"the alias *{event.anchor}", "plain values", "write the value out")
        if depth > MAX_DEPTH:
            return Problem(where, f"more than {MAX_DEPTH} levels", "sections some levels deep", "close the brackets")
    return None


def _yaml_complaint(error: yaml.MarkedYAMLError) -> str:
    """Say what the parser stumbled on, in a line."""
    return "; ".join(" ".join(part.split()) for part in (error.context, error.problem) if part)


def _yaml_mending(error: yaml.MarkedYAMLError) -> str:
    """Say what usually helps."""
    complaint = error.problem or ""
    if "'\\t'" in complaint:
        return "replace the tab by spaces"
    if "multiple documents" in complaint or "single document" in (error.context or ""):
        return "keep one document: remove the `---`"
    return "check indentation, colons, quotes and brackets on and above this line"


def _kind(node: yaml.Node) -> str:
    """Name of a node's kind."""
    if isinstance(node, yaml.MappingNode):
        return "mapping"
    return "list" if isinstance(node, yaml.SequenceNode) else "single value"


class _Builder:
    """Turns nodes into values and notes origin and problems on the way.

    Attributes
    ----------
    source : file or option the text came from
    document : receives origins and problems
    lines : whether an origin names the line
    """

    def __init__(self, source: str, document: Document, *, lines: bool = True) -> None:
        self.source = source
        self.document = document
        self.lines = lines
        self.scalars = yaml.SafeLoader("")

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        """Plain value of a node."""
        if node.tag not in PLAIN:
            self._problem(node, path, f"the tag {node.tag}", "plain values", "remove the tag")
            return None
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.document.origin[(*path, index)] = self._place(item)
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        """Plain dict of a mapping node; keys must be texts and appear once."""
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            plain = isinstance(key_node, yaml.ScalarNode) and key_node.tag in PLAIN
            key = self._scalar(key_node, path) if plain else None
            if not isinstance(key, str):
                came = f"the key {getattr(key_node, 'value', _kind(key_node))!r}"
                self._problem(key_node, path, came, "keys that are texts", "put the key in quotes")
                continue
            here = (*path, key)
            if key in values:
                first = self.document.origin[here]
                self._problem(key_node, here, "the key a second time", f"every key once (first: {first})", "remove one")
                continue
            self.document.origin[here] = self._place(key_node)
            values[key] = self.value(value_node, here)
        return values

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Hashable:
        """Value of a scalar node, None (and a problem) where it is none that a config may hold."""
        try:
            value: Hashable = self.scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            self._problem(node, path, repr(node.value), str(error).splitlines()[0], "correct the value")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self._problem(node, path, node.value, "a finite number", "write a number, or null for none")
            return None
        return value

    def _place(self, node: yaml.Node) -> str:
        """Origin of a node."""
        return f"{self.source} line {node.start_mark.line + 1}" if self.lines else self.source

    def _problem(self, node: yaml.Node, path: KeyPath, came: str, allowed: str, mend: str) -> None:
        """Note a problem."""
        where = ", ".join(part for part in (self._place(node), dotted(path)) if part)
        self.document.problems.append(Problem(where, came, allowed, mend))
        self.document.broken.add(path)
