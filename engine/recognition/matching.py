"""Which file is which table, and which column which: by names, then by what the columns hold."""

import re
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import yaml
from rapidfuzz import fuzz

from engine.config.data import TABLES
from engine.data.dates import read_dates
from engine.data.schema import COLUMNS
from engine.recognition.profiles import Column, Seen, in_words

WORDS = Path(__file__).parent / "words.yaml"

NAMED = 84.0
"""Likeness (0 to 100) from which a header counts as one of our words."""

FILE_NAMED = 80.0
"""Likeness from which a file's name says which table it is."""

SHARED = 0.5
"""Share of a column's values that must be ids of another table for it to refer to that table."""

MOST_PRODUCTS = 50
"""Products of bookings from which on planning by product cuts the orders of an account into single ones."""

ID_WORDS = {"id", "key", "code", "nr", "no", "number", "nummer"}
"""Words behind the name of what is referred to."""

JOINED = re.compile(r"(\w{3,}?)(?:nummer|nr|code|id)")
"""The same, written as one word: Kundennummer."""

DIMENSIONS = ("reps", "accounts", "products", "territories")
FACTS = ("opportunities", "bookings")
OTHERS = ("stage_history", "account_owners", "quotas", "rep_forecasts", "leads", "activities", "contracts", "rep_hours")

DERIVED = {"opportunities": {"outcome"}, "quotas": {"level", "end"}}
"""Required columns that may be worked out."""


@dataclass(frozen=True)
class Match:
    """A table found in an export.

    Attributes
    ----------
    columns : our column to the file's
    constants : our column to a value for every row
    period : length of a quota's period, when it has no end
    notes : remarks for the config, by our column
    """

    table: str
    seen: Seen
    columns: dict[str, str]
    constants: dict[str, str] = field(default_factory=dict)
    period: str | None = None
    notes: dict[str, str] = field(default_factory=dict)
    score: float = 0.0


@cache
def words() -> dict[str, dict[str, object]]:
    """What tables and columns are called."""
    found: dict[str, dict[str, object]] = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    return found


def file_likeness(table: str, seen: Seen) -> float:
    """How much a file's name is one of a table's, 0 to 100."""
    names = words().get(table, {}).get("files", [table])
    return max(fuzz.token_sort_ratio(seen.stem, name) for name in names)  # type: ignore[attr-defined]


def likeness(table: str, ours: str, header: str) -> float:
    """How much a header is one of our words for a column, 0 to 100; earlier words count a little more."""
    known = words().get(table, {}).get("columns", {}).get(ours, [ours])  # type: ignore[attr-defined]
    told = in_words(header).split()
    forms = [(" ".join(told), 0.0)]
    if refers(table, ours) and len(told) > 1 and told[-1] in ID_WORDS:
        forms.append((" ".join(told[:-1]), 3.0))
    elif refers(table, ours) and told and (joined := JOINED.fullmatch(told[-1])):
        forms.append((" ".join([*told[:-1], joined[1]]), 3.0))
    return max(
        fuzz.token_sort_ratio(text, in_words(word)) - 0.5 * place + bonus
        for text, bonus in forms
        for place, word in enumerate(known)
    )


def refers(table: str, ours: str) -> bool:
    """Whether a column holds ids."""
    return bool(COLUMNS[table][ours].refers) or ours in ("id", "key", "opportunity")


def fits(table: str, ours: str, column: Column) -> bool:
    """Whether a column can hold what ours holds."""
    spec = COLUMNS[table][ours]
    if not column.distinct:
        return False
    if spec.kind == "date":
        return column.kind == "date"
    if spec.kind == "number":
        return column.kind == "number" or (column.kind == "flag" and column.distinct <= {"0", "1"})
    if spec.kind == "flag":
        return column.kind == "flag"
    if spec.kind == "choice":
        return {value.casefold() for value in column.distinct} <= set(spec.choices)
    if ours == "region":
        return column.kind == "text" and not column.unique
    if ours == "stage":
        return column.kind in ("text", "number") and 2 <= len(column.distinct) <= 60
    return column.kind in ("text", "flag") or (column.kind == "number" and (refers(table, ours) or ours == "size"))


def named_columns(table: str, seen: Seen) -> tuple[dict[str, str], float]:
    """Our columns by name, best likeness first, and the mean likeness of the required ones (0 when one is missing)."""
    required, optional = TABLES[table]
    pairs = [
        (likeness(table, ours, header), ours, header)
        for ours, (header, column) in product((*required, *optional), seen.columns.items())
        if fits(table, ours, column)
    ]
    found: dict[str, tuple[str, float]] = {}
    used: set[str] = set()
    for score, ours, header in sorted(pairs, key=lambda pair: -pair[0]):
        if score >= NAMED and ours not in found and header not in used:
            found[ours] = (header, score)
            used.add(header)
    needed = [ours for ours in required if ours not in DERIVED.get(table, set())]
    complete = all(ours in found for ours in needed)
    mean = float(np.mean([found[ours][1] for ours in needed])) if complete else 0.0
    return {ours: found[ours][0] for ours in (*required, *optional) if ours in found}, mean


def plain_matches(seen: list[Seen], known: dict[str, Match]) -> tuple[dict[str, Match], dict[str, str]]:
    """Tables of files that no preset knows.

    Parameters
    ----------
    known : tables found already; their files are used up

    Returns
    -------
    tables by name, with the known ones, and why files that look like a table were not used
    """
    found = dict(known)
    unused: dict[str, str] = {}
    for table in FACTS:
        if table not in found and (best := _best_fact(table, _left(seen, found))) is not None:
            found[table] = best
    facts = [found[name] for name in FACTS if name in found]
    for table in DIMENSIONS:
        if table not in found and (pair := _best_dimension(table, _left(seen, found), facts, known)) is not None:
            found[table] = pair[0]
            for fact, columns in pair[1].items():
                found[fact] = replace(found[fact], columns={**found[fact].columns, **columns})
            facts = [found[name] for name in FACTS if name in found]
    for table in OTHERS:
        for item in sorted(_left(seen, found), key=lambda file: -file_likeness(table, file)):
            if table in found or file_likeness(table, item) < FILE_NAMED:
                continue
            columns, score = named_columns(table, item)
            match = Match(table, item, columns, score=score)
            match, why = (_quotas(match, found) if table == "quotas" else (match, "")) if score else (match, "columns")
            if why:
                unused[str(item.path)] = (
                    f"looks like {table}, but {_lacking(table, columns) if why == 'columns' else why}"
                )
            else:
                found[table] = match
    return _tidied(found), unused


def _left(seen: list[Seen], found: dict[str, Match]) -> list[Seen]:
    used = {(match.seen.path, match.seen.config.sheet) for match in found.values()}
    return [item for item in seen if (item.path, item.config.sheet) not in used]


def _lacking(table: str, columns: dict[str, str]) -> str:
    needed = [ours for ours in TABLES[table][0] if ours not in columns and ours not in DERIVED.get(table, set())]
    return f"has no column for {', '.join(needed)}"


def _best_fact(table: str, seen: list[Seen]) -> Match | None:
    """File of deals, or of orders."""
    candidates = []
    for item in seen:
        columns, score = named_columns(table, item)
        if table == "opportunities" and score and not item.columns[columns["id"]].unique:
            continue
        if score:
            candidates.append(Match(table, item, columns, score=score + 0.4 * file_likeness(table, item)))
    return max(candidates, key=lambda match: match.score, default=None)


def _best_dimension(
    table: str, seen: list[Seen], facts: list[Match], fixed: dict[str, Match]
) -> tuple[Match, dict[str, dict[str, str]]] | None:
    """File of reps, accounts, products or territories: the one whose ids the deals and orders name."""
    best: tuple[float, Match, dict[str, dict[str, str]]] | None = None
    for item in seen:
        name = file_likeness(table, item)
        for header, column in item.columns.items():
            if not column.unique or column.kind not in ("text", "number"):
                continue
            shared, links = _links(table, column, facts, fixed)
            own = likeness(table, "id", header)
            told = name >= FILE_NAMED and own >= NAMED and (table != "reps" or not facts)
            if shared < SHARED and not told:
                continue
            score = 100 * shared + 0.3 * name + 0.2 * own
            if best is None or score > best[0]:
                columns = _with_id(table, item, header)
                best = (score, Match(table, item, columns, score=score), links)
    return None if best is None else (best[1], best[2])


def _links(
    table: str, ids: Column, facts: list[Match], fixed: dict[str, Match]
) -> tuple[float, dict[str, dict[str, str]]]:
    """Best share of a fact's values that are ids, and the columns that hold them."""
    best, links = 0.0, {}
    for fact in facts:
        for ours, spec in COLUMNS[fact.table].items():
            if spec.refers != table:
                continue
            for header, column in fact.seen.columns.items():
                if not column.distinct or likeness(fact.table, ours, header) < NAMED:
                    continue
                shared = len(column.distinct & ids.distinct) / len(column.distinct)
                if shared >= SHARED and shared > best - 0.2:
                    best = max(best, shared)
                    if fact.table not in fixed:
                        links[fact.table] = {ours: header}
    return best, links


def _with_id(table: str, seen: Seen, header: str) -> dict[str, str]:
    """Columns of a table whose id is known; a name that doubles as the id is both."""
    rest = replace(seen, columns={name: column for name, column in seen.columns.items() if name != header})
    columns = {"id": header, **{ours: name for ours, name in named_columns(table, rest)[0].items() if ours != "id"}}
    texts = seen.columns[header]
    if "name" not in columns and "name" in TABLES[table][1] and texts.kind == "text":
        columns["name"] = header
    return columns


def _quotas(match: Match, found: dict[str, Match]) -> tuple[Match, str]:
    """Level and period of quotas; why they are none of the company's when their keys name nobody."""
    columns, constants = dict(match.columns), {}
    if "level" not in columns:
        levels = {"rep": _ids("reps", found), "territory": _ids("territories", found)}
        if "key" not in columns:
            constants["level"] = "company"
        else:
            keys = match.seen.columns[columns["key"]].distinct
            shares = {level: len(keys & ids) / len(keys) for level, ids in levels.items()}
            best = max(shares, key=lambda level: shares[level])
            if shares[best] < SHARED:
                return match, f"the keys in {columns['key']} are no reps or territories of the other files"
            constants["level"] = best
    period = None
    if "end" not in columns:
        days = read_dates(match.seen.columns[columns["start"]].values, match.seen.config.date_format, "UTC").days
        gaps = days.drop_duplicates().sort_values().diff().dt.days.median()
        period = "year" if gaps > 200 else "quarter" if gaps > 45 else "month"
    return replace(match, constants=constants, period=period), ""


def _ids(table: str, found: dict[str, Match]) -> frozenset[str]:
    """Ids of a table, or what deals and orders name in its place."""
    if table in found and "id" in found[table].columns:
        return found[table].seen.columns[found[table].columns["id"]].distinct
    ours = "rep" if table == "reps" else "territory"
    named = [
        found[fact].seen.columns[found[fact].columns[ours]].distinct
        for fact in FACTS
        if fact in found and ours in found[fact].columns
    ]
    return frozenset().union(*named)


def _tidied(found: dict[str, Match]) -> dict[str, Match]:
    """Matches after a look at what their columns hold together."""
    found = dict(found)
    orders = found.get("bookings")
    if orders is not None and "product" in orders.columns:
        count = len(orders.seen.columns[orders.columns["product"]].distinct)
        if count > MOST_PRODUCTS:
            header = orders.columns["product"]
            note = f"product: {header} stays out: {count} products would cut the orders of an account into single ones"
            kept = {ours: name for ours, name in orders.columns.items() if ours != "product"}
            found["bookings"] = replace(orders, columns=kept, notes={**orders.notes, "product": note})
            if "product" not in found.get("opportunities", orders).columns or "opportunities" not in found:
                found.pop("products", None)
    accounts = found.get("accounts")
    if accounts is not None and "segment" not in accounts.columns and "industry" in accounts.columns:
        columns = {("segment" if ours == "industry" else ours): name for ours, name in accounts.columns.items()}
        found["accounts"] = replace(accounts, columns=columns)
    if "opportunities" in found:
        found["opportunities"] = _stage_that_closes(found["opportunities"])
    deals = found.get("opportunities")
    if deals is not None and "amount" in deals.columns and "won_amount" not in deals.columns:
        amounts = deals.seen.columns[deals.columns["amount"]].values
        opened = deals.seen.columns[deals.columns["closed"]].values == ""
        if opened.any() and (amounts[opened] != "").mean() < 0.05:
            columns = {("won_amount" if ours == "amount" else ours): name for ours, name in deals.columns.items()}
            note = (
                f"{columns['won_amount']} is empty for deals without {columns['closed']}: what was booked, not a price"
            )
            found["opportunities"] = replace(deals, columns=columns, notes={**deals.notes, "won_amount": note})
    return found


def _stage_that_closes(deals: Match) -> Match:
    """Deals whose outcome stands in for the stage, where closed deals keep the stage that they were in."""
    if not {"outcome", "stage"} <= set(deals.columns):
        return deals
    outcome = deals.seen.columns[deals.columns["outcome"]].values.str.casefold()
    stage = deals.seen.columns[deals.columns["stage"]].values
    if not set(stage[outcome == "open"]) & set(stage[outcome.isin(["won", "lost"])]):
        return deals
    old, new = deals.columns["stage"], deals.columns["outcome"]
    columns = {ours: name for ours, name in deals.columns.items() if ours not in ("stage", "outcome")}
    note = f"{old} does not say how a deal ended, so {new} is the stage: an open deal's {old} is not used"
    return replace(deals, columns={**columns, "stage": new}, notes={**deals.notes, "stage": note})
