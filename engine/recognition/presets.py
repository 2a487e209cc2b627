"""Whose export it is: the preset whose layouts the files have."""

from rapidfuzz import fuzz

from engine.config.data import Preset
from engine.data.preset_files import Layout, PresetFile, layout_of, preset_file, preset_names
from engine.recognition.matching import Match
from engine.recognition.profiles import Seen, in_words

FILE_NAMED = 85.0
"""Likeness of a file's name (0 to 100) that says which table it is."""

MANY = 0.6
"""Share of a layout's columns that says the same when the file's name does not."""


def recognised(seen: list[Seen], wanted: Preset | None) -> tuple[Preset, dict[str, Match], dict[str, Seen]]:
    """Preset of an export, its tables, and files that lie beside another one of the same table.

    Parameters
    ----------
    wanted : the preset that was asked for; None to find it
    """
    names = [name for name in preset_names() if name != "plain"] if wanted is None else [wanted]
    found = {name: _tables(preset_file(name), seen) for name in names}
    worth = {
        name: sum(match.score for match in tables.values())
        for name, (tables, _) in found.items()
        if "opportunities" in tables
    }
    if wanted is not None:
        return wanted, *found[wanted]
    if not worth:
        return "plain", {}, {}
    best = max(worth, key=lambda name: worth[name])
    return best, *found[best]


def _tables(preset: PresetFile, seen: list[Seen]) -> tuple[dict[str, Match], dict[str, Seen]]:
    """Files by table, the best fit first, a file to a table."""
    fits = []
    for table in preset.tables:
        for item in seen:
            headers = list(item.columns)
            for layout in preset.tables[table]:
                if layout.entered is None and layout_of(preset, table, headers) == layout:
                    score = _score(layout, item)
                    if score > 0:
                        fits.append((score, table, item, layout))
    found: dict[str, Match] = {}
    beside: dict[str, Seen] = {}
    used: set[tuple[str, str | None]] = set()
    for score, table, item, layout in sorted(fits, key=lambda fit: -fit[0]):
        key = (str(item.path), item.config.sheet)
        if key in used:
            continue
        if table not in found:
            found[table] = Match(table, item, {}, score=score)
            used.add(key)
        elif (
            table not in beside
            and layout_of(preset, table, list(found[table].seen.columns)) != layout
            and table == "reps"
        ):
            beside[table] = item
            used.add(key)
    if "rep_id" in {header.casefold() for header in found["reps"].seen.columns} if "reps" in beside else False:
        found["reps"], beside["reps"] = Match("reps", beside["reps"], {}), found["reps"].seen
    _add_entered(preset, found)
    return found, beside


def _score(layout: Layout, seen: Seen) -> float:
    """Columns of a layout that a file has, weighted by how its name fits; 0 when neither says enough."""
    headers = {header.casefold() for header in seen.columns}
    names = [*layout.columns.values(), *layout.coalesce.values(), *layout.joined.values()]
    hits = sum(any(name.casefold() in headers for name in part) for part in names)
    named = max((fuzz.token_sort_ratio(seen.stem, in_words(name)) for name in layout.files), default=0.0)
    told = named >= FILE_NAMED
    if not told and (layout.fields is not None or hits < MANY * len(names) or len(layout.when) < 2):
        return 0.0
    return (hits + 3 * len(layout.when)) * (2.0 if told else 1.0)


def _add_entered(preset: PresetFile, found: dict[str, Match]) -> None:
    """History from the columns of the deals that say when a stage was entered. Changes ``found``."""
    import re

    if "stage_history" in found or "opportunities" not in found:
        return
    seen = found["opportunities"].seen
    for layout in preset.tables.get("stage_history", ()):
        if layout.entered is not None and layout_of(preset, "stage_history", list(seen.columns)) == layout:
            pattern = re.compile(layout.entered.headers, re.IGNORECASE)
            if any(pattern.fullmatch(header) for header in seen.columns):
                found["stage_history"] = Match("stage_history", seen, {})
