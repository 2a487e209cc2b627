"""From the files of an export to a proposed config, with what a person has to decide."""

import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from engine.config.data import Preset, TableConfig, TablesData
from engine.config.schema import RunConfig
from engine.data.cells import texts_of
from engine.data.load import load_tables
from engine.data.preset_files import preset_file
from engine.data.sources import SourceTable, read_table
from engine.data.tables import Tables
from engine.errors import InputRefusedError, Problem
from engine.recognition.matching import Match, plain_matches
from engine.recognition.presets import recognised
from engine.recognition.profiles import Seen, look_at
from engine.recognition.stages import in_order, meanings

SELLERS = 5
"""Reps who sell to an account, in the median, from which on nobody owns one."""

MOST_HINTS = 5
"""Replacements that are proposed; ids are none, however near."""

LATE_DAYS = 7
"""Days before the end of a quarter in which the next one is what people plan."""

MARKS = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "CHF": "CHF", "EUR": "EUR", "USD": "USD", "GBP": "GBP"}
"""Signs in headers that name a currency."""


@dataclass
class Proposal:
    """A config in the making.

    Attributes
    ----------
    root : folder of the export
    tables : table configs by table
    doubts : tables whose dates have two readings, with texts that do
    proofs : what says how dates are written, by table
    notes : remarks by table
    stages : name to meaning, in order
    currency : code, and what says so (empty: nothing does)
    known_until : last day of the export; None when the tables cannot be read yet
    edits : what a person must decide before the config runs
    hints : what a person may want to look at
    """

    root: Path
    preset: Preset
    tables: dict[str, TableConfig]
    doubts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    proofs: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    currency: tuple[str, str] = ("EUR", "")
    known_until: date | None = None
    owned: bool = True
    unused: dict[str, str] = field(default_factory=dict)
    edits: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    replacements: list[str] = field(default_factory=list)


def propose(folder: Path, wanted: Preset | None) -> Proposal:
    """Look at an export and propose a config.

    Raises
    ------
    InputRefusedError
        When nothing in the folder says what was sold.
    """
    if not folder.is_dir():
        raise InputRefusedError([Problem(str(folder), "no such folder", "a folder with an export", "check the path")])
    seen, failed = look_at(folder)
    preset, known, beside = recognised(seen, wanted)
    left = [item for item in seen if not any(item is other for other in beside.values())]
    matches, unused = plain_matches(left, known)
    if not {"opportunities", "bookings"} & set(matches):
        came = ", ".join(item.path.name for item in seen) or "no file that can be read"
        allowed = "a file of deals (id, owner, stage, created, closed) or of orders (date, amount, account)"
        mend = "name the columns by hand (python -m engine.forecast --schema), or try --preset"
        raise InputRefusedError([Problem(str(folder), came, allowed, mend)])
    proposal = Proposal(folder, preset, {name: _table(match, beside.get(name)) for name, match in matches.items()})
    proposal.unused = {**failed, **unused}
    used = {str(table.path) for table in proposal.tables.values()} | {str(item.path) for item in beside.values()}
    for item in seen:
        if str(item.path) not in used and str(item.path) not in proposal.unused:
            proposal.unused[str(item.path)] = "no table of ours, or a second one of its kind"
    _dates(proposal, matches)
    _periods(proposal)
    for name, match in matches.items():
        proposal.notes[name] = list(match.notes.values())
    _stages(proposal)
    _currency(proposal, seen, matches)
    _try(proposal)
    return proposal


def _table(match: Match, beside: Seen | None) -> TableConfig:
    """Table config of a match: only what differs from the defaults."""
    columns = {ours: header for ours, header in match.columns.items() if ours != header}
    written = match.seen.config.model_dump(exclude_defaults=True)
    side = None if beside is None else beside.config
    return TableConfig(
        **{**written, "columns": columns, "constants": match.constants, "period": match.period, "side": side}
    )


def _dates(proposal: Proposal, matches: dict[str, Match]) -> None:
    """Settle dates with two readings by other files of the export, and by deals that would close before they began."""
    known = {match.seen.config.date_format for match in matches.values()} - {None}
    for name, match in matches.items():
        proposal.proofs[name] = match.seen.proof
        if not match.seen.doubt:
            continue
        mark = re.findall(r"\d([/.\-])", match.seen.doubt[0])[0]
        both = [f"%d{mark}%m{mark}%Y", f"%m{mark}%d{mark}%Y"]
        said = [form for form in both if form in known]
        if len(said) == 1:
            form: str | None = said[0]
            proof = "as the other files of this export"
        else:
            form, proof = _by_order(match, both), "the other reading has deals that close before they begin"
        if form:
            proposal.tables[name] = proposal.tables[name].model_copy(update={"date_format": form})
            proposal.proofs[name] = proof
        else:
            proposal.doubts[name] = (*match.seen.doubt, *both)


def _by_order(match: Match, forms: list[str]) -> str | None:
    """Only reading in which nothing ends before it begins, None when both or neither do."""
    pairs = [("created", "closed"), ("start", "end")]
    wrong = dict.fromkeys(forms, 0)
    for first, last in pairs:
        if first in match.columns and last in match.columns:
            for form in forms:
                begin, end = (
                    pd.to_datetime(match.seen.columns[match.columns[name]].values, format=form, errors="coerce")
                    for name in (first, last)
                )
                wrong[form] += int((end < begin).sum())
    right = [form for form, count in wrong.items() if count == 0]
    return right[0] if len(right) == 1 else None


def _periods(proposal: Proposal) -> None:
    """Length of the periods of quotas that a preset reads: by the gaps between their starts."""
    table = proposal.tables.get("quotas")
    if table is None or table.period is not None:
        return
    try:
        source = read_table("quotas", table.model_copy(update={"period": "month"}), _data(proposal))
    except InputRefusedError:
        return
    if "end" not in source.frame:
        from engine.data.dates import read_dates

        days = read_dates(texts_of(source.frame["start"]), table.date_format, "UTC").days
        gaps = days.drop_duplicates().sort_values().diff().dt.days.median()
        period = "year" if gaps > 200 else "quarter" if gaps > 45 else "month"
        proposal.tables["quotas"] = table.model_copy(update={"period": period})


def _data(proposal: Proposal) -> TablesData:
    values = {"source": "tables", "root": proposal.root, "preset": proposal.preset, "tables": proposal.tables}
    return TablesData.model_validate(values)


def _source(proposal: Proposal, name: str, deals: SourceTable | None = None) -> SourceTable | None:
    """A table as read, None when it cannot be."""
    try:
        known = None if deals is None else deals.cells
        return read_table(name, proposal.tables[name], _data(proposal), known)
    except (InputRefusedError, KeyError):
        return None


def _stages(proposal: Proposal) -> None:
    """Stages with their meaning, in order."""
    deals = _source(proposal, "opportunities")
    if deals is None or "stage" not in deals.frame:
        return
    history = _source(proposal, "stage_history", deals)
    names = dict.fromkeys(texts_of(deals.frame["stage"]))
    if history is not None:
        names |= dict.fromkeys(texts_of(history.frame["stage"]))
    known = preset_file(proposal.preset).stages
    found = meanings([name for name in names if name], deals.frame)
    found = {name: known.get(name, word) if word == "open" else word for name, word in found.items()}
    rows = None if history is None else history.frame
    proposal.stages = in_order(found, rows, list(known))
    if "won" not in found.values():
        proposal.edits.append("stages: say which stage means `won` (and `lost`): no name of a stage does")


def _currency(proposal: Proposal, seen: list[Seen], matches: dict[str, Match]) -> None:
    """Currency of the amounts: a column's most frequent code, else a sign in a header."""
    for name in ("opportunities", "bookings"):
        source = _source(proposal, name) if name in matches else None
        if source is not None and "currency" in source.frame:
            codes = texts_of(source.frame["currency"]).str.upper()
            codes = codes[codes.str.fullmatch("[A-Z]{3}")]
            if len(codes):
                most = str(codes.value_counts().index[0])
                proposal.currency = (most, f"most rows of {source.file} are in it")
                others = sorted(set(codes) - {most})
                if others:
                    words = ", ".join(others)
                    proposal.edits.append(
                        f"data.rates: a file with the rates of {words} in {most} (columns currency, rate)"
                    )
                return
    for item in seen:
        for header in item.columns:
            for sign, code in MARKS.items():
                if sign in header and (not sign.isalpha() or re.search(rf"\b{sign}\b", header)):
                    proposal.currency = (code, f"the header {header!r} of {item.path.name}")
                    return
    proposal.edits.append(
        "currency: nothing in the export names one; EUR stands in, which changes no number but its sign"
    )


def _try(proposal: Proposal) -> None:
    """Read the tables as the config would, for the last day, what is wrong, and what could be mended."""
    if proposal.doubts:
        example = next(iter(proposal.doubts.values()))
        forms = '" or "'.join(example[-2:])
        proposal.edits.append(
            f'date_format of {", ".join(proposal.doubts)}: "{forms}": {example[0]} can be either, and nothing in the '
            "export decides it"
        )
    try:
        tables = load_tables(trial(proposal))
    except InputRefusedError as error:
        if not proposal.edits or not proposal.doubts:
            proposal.edits += _grouped(error.problems)
        return
    proposal.known_until = tables.known_until.astype("datetime64[D]").item()
    _owners(proposal, tables)
    for issue in tables.issues:
        found = re.search(r"set data\.replace\.(\w+)\.(\w+): \{(.+?)\}(?:;|$)", issue.action)
        if found and len(proposal.replacements) < MOST_HINTS and not re.search(r"\d{3}", found[3]):
            proposal.replacements.append(f"{found[1]}: {{{found[2]}: {{{found[3]}}}}}")
            proposal.hints.append(f"{issue.rule}: {issue.action}")


def trial(proposal: Proposal) -> RunConfig:
    """Config of a proposal with a horizon after everything, to read its tables."""
    stages = [{"name": name, "meaning": word} for name, word in proposal.stages.items()]
    return RunConfig.model_validate(
        {
            "name": "trial",
            "horizon": {"start": "2900-01-01"},
            "data": _data(proposal).model_dump(exclude_defaults=True) | {"source": "tables"},
            "stages": stages if "won" in proposal.stages.values() else [],
            "currency": proposal.currency[0],
        }
    )


def _grouped(problems: list[Problem]) -> list[str]:
    """One line for the problems of a file and column: the first, and how many more."""
    groups: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        place = re.sub(r", row \d+", "", problem.where)
        if problem.came.startswith("the same in"):
            continue
        groups.setdefault((place, problem.mend), []).append(problem)
    return [
        f"{place}: {found[0].came} (allowed: {found[0].allowed}; {len(found)} such): {mend}"
        for (place, mend), found in groups.items()
    ]


def _owners(proposal: Proposal, tables: Tables) -> None:
    """Whether accounts have owners: nobody owns what many reps sell to."""
    frames = tables.frames
    owned = "account_owners" in frames or (
        "owner" in frames.get("accounts", ()) and frames["accounts"]["owner"].notna().any()
    )
    if owned:
        return
    parts = [
        frames[name][["account", "rep"]]
        for name in ("opportunities", "bookings")
        if name in frames and {"account", "rep"} <= set(frames[name])
    ]
    if not parts:
        proposal.owned = False
        return
    sellers = pd.concat(parts).dropna().drop_duplicates().groupby("account").size()
    proposal.owned = bool(len(sellers)) and float(np.median(sellers)) < SELLERS


def quarter_after(day: date) -> date:
    """First day of the quarter that people plan on a day: the running one, in its last days the next."""
    first = date(day.year, 3 * ((day.month - 1) // 3) + 1, 1)
    later = date(first.year + first.month // 10, (first.month + 2) % 12 + 1, 1)
    return later if (later - day).days <= LATE_DAYS + 1 else first
