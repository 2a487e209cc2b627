"""Reports name an account or a rep where the CRM has an id: names become the ids of the table they belong to."""

from dataclasses import replace

import pandas as pd

from engine.data.cells import texts_of
from engine.data.schema import COLUMNS
from engine.data.sources import SourceTable


def with_ids(sources: dict[str, SourceTable]) -> dict[str, SourceTable]:
    """Tables in which a cell that names a member of another table has its id.

    Only a name that one member has counts, and only in a cell that is no id itself.
    """
    known: dict[str, pd.Series] = {
        name: _ids_by_name(sources[name]) for name in ("accounts", "reps", "products") if name in sources
    }
    found = {}
    for name, source in sources.items():
        frame = source.frame
        for ours in source.theirs:
            names = known.get(COLUMNS[name][ours].refers)
            if names is not None and len(names):
                texts = texts_of(frame[ours])
                ids = texts_of(sources[COLUMNS[name][ours].refers].frame["id"])
                swap = texts.isin(names.index) & ~texts.isin(ids)
                if swap.any():
                    frame = frame.assign(**{ours: texts.mask(swap, texts.map(names)).astype("str")})
        found[name] = source if frame is source.frame else replace(source, frame=frame)
    return found


def _ids_by_name(source: SourceTable) -> pd.Series:
    """Id by name, for names that occur once."""
    if "name" not in source.frame:
        return pd.Series(dtype="str")
    table = pd.DataFrame({"id": texts_of(source.frame["id"]), "name": texts_of(source.frame["name"])})
    table = table[(table["name"] != "") & ~table["name"].duplicated(keep=False)]
    return table.set_index("name")["id"]
