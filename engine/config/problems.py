"""What is said about a config that pydantic refused.

Pydantic names a place by keys mixed with tags of unions. `locate` walks the JSON schema beside it, which knows what is
a key and what is a tag, and knows the keys that would have been allowed.
"""

import difflib
import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.config.reading import Document, KeyPath, dotted
from engine.errors import Problem

SHOWN = 60
"""Most characters of a value that a message repeats."""

IN_WORDS = {
    "model_type": "a section of keys and values",
    "dict_type": "a section of keys and values",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "a text (in quotes if it looks like a number, a date, yes or no)",
    "path_type": "a path",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
}
"""What pydantic's kinds of refusal mean to a reader of YAML; the others say it themselves."""


@dataclass(frozen=True)
class Place:
    """Where pydantic's location points.

    Attributes
    ----------
    path : keys and indices, without tags of unions
    schema : JSON schema of the section that holds the last key
    field : JSON schema of the last key, empty when unknown
    """

    path: KeyPath
    schema: dict[str, Any]
    field: dict[str, Any]


def refusals(error: ValidationError, document: Document, schema: dict[str, Any]) -> dict[KeyPath, Problem]:
    """Problems of a refused config by path, one for every mistake.

    Parameters
    ----------
    schema : JSON schema of the whole config
    """
    found: dict[KeyPath, list[tuple[ErrorDetails, Place]]] = {}
    for detail in error.errors(include_url=False):
        place = locate(detail["loc"], schema)
        found.setdefault(place.path, []).append((detail, place))
    unknown = {
        (*path[:-1], suggestion)
        for path, details in found.items()
        if details[0][0]["type"] == "extra_forbidden"
        and (suggestion := nearest(str(path[-1]), list(details[0][1].schema.get("properties", {}))))
    }
    return {
        path: _problem(path, details, document, schema)
        for path, details in found.items()
        if not _is_echo(path, details[0][0], unknown, found)
    }


def _is_echo(path: KeyPath, detail: ErrorDetails, misspelt: set[KeyPath], found: dict[KeyPath, Any]) -> bool:
    """Whether a problem only repeats another: the key is missing because it is misspelt, or a part of it is wrong."""
    if detail["type"] == "missing" and path in misspelt:
        return True
    return detail["type"] == "literal_error" and any(other[: len(path)] == path != other for other in found)


def locate(loc: tuple[str | int, ...], schema: dict[str, Any]) -> Place:
    """Find the place that pydantic's location means."""
    path: list[str | int] = []
    holder: dict[str, Any] = {}
    here = [_resolve(schema, schema)]
    for part in loc:
        if part == "[key]":
            continue
        tagged = next((node for node in here if part in node.get("discriminator", {}).get("mapping", {})), None)
        if tagged is not None:
            here = [_resolve({"$ref": tagged["discriminator"]["mapping"][part]}, schema)]
            continue
        options = _alternatives(here, schema)
        below = [child for node in options if (child := _child(node, part)) is not None]
        if not below and isinstance(part, str) and len(options) > 1:
            here = options
            continue
        holder = next((node for node in options if "properties" in node), {})
        path.append(part)
        here = [_resolve(child, schema) for child in below]
    return Place(tuple(path), holder, here[0] if here else {})


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, keeping what is said beside it."""
    if "$ref" not in node:
        return node
    target = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return {**_resolve(target, schema), **{key: value for key, value in node.items() if key != "$ref"}}


def _alternatives(nodes: list[dict[str, Any]], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Members of unions, without null."""
    members: list[dict[str, Any]] = []
    for node in nodes:
        if "anyOf" in node:
            inner = [_resolve(item, schema) for item in node["anyOf"] if item.get("type") != "null"]
            members += _alternatives(inner, schema)
        else:
            members.append(node)
    return members


def _child(node: dict[str, Any], part: str | int) -> dict[str, Any] | None:
    """Schema of a key or an item."""
    if isinstance(part, int):
        prefix: list[dict[str, Any]] = node.get("prefixItems", [])
        items = prefix[part] if part < len(prefix) else node.get("items")
        return items if isinstance(items, dict) else None
    if part in node.get("properties", {}):
        child: dict[str, Any] = node["properties"][part]
        return child
    extra = node.get("additionalProperties")
    return extra if isinstance(extra, dict) else None


def _problem(
    path: KeyPath, details: list[tuple[ErrorDetails, Place]], document: Document, schema: dict[str, Any]
) -> Problem:
    """One problem of one place."""
    detail, place = details[0]
    where = document.where(path)
    if detail["type"] == "extra_forbidden":
        return unknown_key(where, str(path[-1]), list(place.schema.get("properties", {})), schema)
    if detail["loc"][-1] == "[key]":
        return unknown_key(where, str(path[-1]), _texts(detail["ctx"]["expected"]))
    if detail["type"] in ("missing", "union_tag_not_found"):
        key = str(path[-1]) if detail["type"] == "missing" else "source"
        missing = path if detail["type"] == "missing" else (*path, key)
        return Problem(document.where(missing), "nothing", _what_it_is(place, key), f"add the key `{key}`")
    if detail["type"] == "union_tag_invalid":
        return _choice(document.where((*path, "source")), detail["ctx"]["tag"], _texts(detail["ctx"]["expected_tags"]))
    if detail["type"] == "literal_error" and len(details) == 1:
        return _choice(where, detail["input"], _texts(detail["ctx"]["expected"]))
    if detail["type"] == "string_pattern_mismatch":
        return Problem(where, shown(detail["input"]), _what_it_is(place, str(path[-1])), "correct it")
    allowed = " or ".join(dict.fromkeys(_allowed(item) for item, _ in details))
    return Problem(where, shown(detail["input"]), allowed, _mending(place, detail["input"]))


def unknown_key(where: str, key: str, known: list[str], schema: dict[str, Any] | None = None) -> Problem:
    """Refuse a key, with the nearest known one: of the same section, or the same key of another section."""
    allowed = ", ".join(known)
    if suggestion := nearest(key, known):
        return Problem(where, f"the unknown key `{key}`", allowed, f"did you mean `{suggestion}`?")
    elsewhere = [] if schema is None else _sections_with(key, schema)
    mend = f"did you mean `{elsewhere[0]}`?" if elsewhere else "remove it"
    return Problem(where, f"the unknown key `{key}`", allowed, mend)


def _sections_with(key: str, schema: dict[str, Any]) -> list[str]:
    """Dotted names of a key in the sections of the config, shallowest first."""
    found: list[str] = []
    level: list[tuple[KeyPath, dict[str, Any]]] = [((), _resolve(schema, schema))]
    while level:
        below: list[tuple[KeyPath, dict[str, Any]]] = []
        for path, node in level:
            for name, child in node.get("properties", {}).items():
                if name == key:
                    found.append(dotted((*path, name)))
                below += [((*path, name), option) for option in _alternatives([_resolve(child, schema)], schema)]
        level = below
    return found


def nearest(word: str, known: list[str]) -> str | None:
    """Return the known word most like a misspelt one, None when nothing is near."""
    folded = {item.casefold(): item for item in known}
    matches = difflib.get_close_matches(word.casefold().replace("-", "_"), list(folded), n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


def shown(value: object) -> str:
    """Repeat a value, shortened, as the file writes it."""
    if value is None or isinstance(value, bool | dict | list):
        text = json.dumps(value, default=str)
    else:
        text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def _choice(where: str, came: object, choices: list[str]) -> Problem:
    """Refuse a value that is none of the choices."""
    suggestion = nearest(str(came), choices)
    mend = f"did you mean `{suggestion}`?" if suggestion else "pick one of them"
    return Problem(where, shown(came), ", ".join(f"`{choice}`" for choice in choices), mend)


def _texts(expected: str) -> list[str]:
    """Choices from pydantic's ``'month', 'quarter' or 'year'``."""
    return [part.strip().strip("'") for part in expected.replace(" or ", ", ").split(", ")]


def _allowed(detail: ErrorDetails) -> str:
    """What would have been right, in words a reader of YAML knows."""
    if detail["type"] in IN_WORDS:
        return IN_WORDS[detail["type"]]
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return text[:1].lower() + text[1:]


def _meaning(field: dict[str, Any]) -> str:
    """First sentence of a field's documentation."""
    return " ".join(str(field.get("description", "")).split()).split("; ")[0].rstrip(".")


def _what_it_is(place: Place, key: str) -> str:
    """Documentation of a field, to stand behind a colon."""
    meaning = _meaning(place.field)
    return meaning[:1].lower() + meaning[1:] if meaning else f"a {key}"


def _mending(place: Place, came: object) -> str:
    """Say how to mend it, reminding what the field means."""
    if came is None and "properties" in place.field:
        return "remove the key to keep its defaults"
    meaning = _meaning(place.field)
    return f"correct it ({place.path[-1]}: {meaning})" if meaning and place.path else "correct it"
