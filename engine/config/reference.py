"""docs/config.md from the schema: ``python -m engine.config.reference > docs/config.md``."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from engine.config.schema import RunConfig

HEAD = """# Every key of a config

Made from the schema by `python -m engine.config.reference > docs/config.md`; a test keeps it true. A key that is not
here is refused, with the nearest one that is. Any key can be changed for one run: `--set allocation.max_accounts=60`.
A dot in a heading is a level of the YAML file.
"""

WORDS = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true or false", "null": "none"}
"""Types of JSON in plain words."""

SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
"""Limits of a number, as they are written before it."""

type Schema = dict[str, Any]


def reference() -> str:
    """The page, one table a section, in the order of the schema."""
    schema = RunConfig.model_json_schema()
    return HEAD + "".join(_sections("", schema, schema["$defs"], 0))


def _sections(path: str, section: Schema, known: dict[str, Schema], depth: int) -> Iterator[str]:
    """The table of a section, then those of the sections in it."""
    title = f"`{path}`" if path else "Top level"
    yield f"\n{'#' * min(2 + depth, 4)} {title}\n\n"
    if section.get("description"):
        yield f"{_line(section['description'])}\n\n"
    yield "| key | what it may be | default | meaning |\n|---|---|---|---|\n"
    inner: list[tuple[str, Schema]] = []
    required = section.get("required", [])
    for key, value in section.get("properties", {}).items():
        found = _parts(value, known)
        default = "required" if key in required else _default(value, bool(found))
        yield f"| `{key}` | {_kind(value, known)} | {default} | {_line(value.get('description', ''))} |\n"
        inner += [(f"{path}.{key}" if path else key, part) for part in found]
    for name, part in inner:
        yield from _sections(name, part, known, depth + 1)


def _parts(value: Schema, known: dict[str, Schema]) -> list[Schema]:
    """Sections that a value may hold, by reference, in a list or mapping, or as one of several."""
    if "$ref" in value:
        part = known[value["$ref"].rsplit("/", 1)[1]]
        return [part] if "properties" in part else _parts(part, known)
    inside = [*value.get("anyOf", []), *value.get("oneOf", [])]
    inside += [value[name] for name in ("items", "additionalProperties") if isinstance(value.get(name), dict)]
    return [part for one in inside for part in _parts(one, known)]


def _kind(value: Schema, known: dict[str, Schema]) -> str:
    """What a value may be, in words."""
    if "$ref" in value:
        part = known[value["$ref"].rsplit("/", 1)[1]]
        return "a section" if "properties" in part else _kind(part, known)
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    several = value.get("anyOf") or value.get("oneOf")
    if several:
        return " or ".join(dict.fromkeys(_kind(one, known) for one in several))
    return _plain(value, known)


def _plain(value: Schema, known: dict[str, Schema]) -> str:
    kind = value.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(value['items'], known)}" if isinstance(value.get("items"), dict) else "list"
    if kind == "object":
        inner = value.get("additionalProperties")
        return f"mapping to {_kind(inner, known)}" if isinstance(inner, dict) else "mapping"
    limits = [f"{sign} {value[name]:g}" for name, sign in SIGNS.items() if name in value and abs(value[name]) < 1e18]
    name = {"date": "date", "path": "path"}.get(value.get("format", ""), WORDS.get(str(kind), str(kind)))
    return " ".join([name, *limits])


def _default(value: Schema, section: bool) -> str:
    if "default" not in value or (section and isinstance(value["default"], dict)):
        return ""
    default = value["default"]
    return "none" if default is None else f"`{json.dumps(default, ensure_ascii=False)}`"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
