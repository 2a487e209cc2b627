"""A proposal as the text of a config: commented, short, and read back by the loader."""

import json
import os
import re
from datetime import date
from pathlib import Path

from engine.config.data import FileConfig, TableConfig
from engine.data.preset_files import preset_file
from engine.recognition.proposal import Proposal, quarter_after

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./ -]*[A-Za-z0-9_.]|[A-Za-z]")
WORDS = {"true", "false", "yes", "no", "on", "off", "null", "none", "y", "n"}

WIDTH = 110
"""Characters of a line from which on columns stand one below the other."""


def config_text(proposal: Proposal, name: str, out: Path, today: date) -> str:
    """Text of the config.

    Parameters
    ----------
    out : where it will lie: the export is found from there
    today : stands in for the last day of an export that cannot be read yet
    """
    known = proposal.known_until
    root = os.path.relpath(proposal.root.resolve(), out.parent.resolve())
    title = preset_file(proposal.preset).title
    lines = [
        f"# Proposed by python -m engine.init from {proposal.root.name}: {title}.",
        f"#   python -m engine.forecast {out.name} --check    reads everything, runs nothing",
        f"#   python -m engine.forecast {out.name}            the forecast",
        "# Every key with its meaning: python -m engine.forecast --schema",
        *(f"# EDIT: {edit}" for edit in proposal.edits),
        "",
        f"name: {quoted(name)}",
        "as_of: latest" + (f"                      # the last day of the export: {known}" if known else ""),
        f"horizon: {{start: {quarter_after(known or today)}, periods: 1, frequency: quarter}}",
        "seed: 20260701",
        "",
        "data:",
        "  source: tables",
        f"  root: {quoted(root)}",
        f"  preset: {proposal.preset}"
        + ("" if proposal.preset == "plain" else "   # what its names mean; `columns` goes before it"),
        "  tables:                          # columns are `ours: theirs`",
    ]
    for table, config in proposal.tables.items():
        lines += _table(table, config, proposal)
    for path, why in proposal.unused.items():
        lines.append(f"  # not used: {path}: {why}")
    if proposal.replacements:
        lines.append("  # replace:                       # values that name nothing; is this what was meant?")
        lines += [f"  #   {line}" for line in proposal.replacements]
    lines += _rest(proposal)
    return "\n".join(lines) + "\n"


def _table(table: str, config: TableConfig, proposal: Proposal) -> list[str]:
    """Lines of one table."""
    lines = [f"    {table}:", *(f"      # {note}" for note in proposal.notes.get(table, []))]
    lines += _file(config, "      ", proposal.proofs.get(table, ""))
    if table in proposal.doubts:
        *texts, day, month = proposal.doubts[table]
        lines.append(f'      # date_format: "{day}"   # EDIT: or "{month}"? {texts[0]} can be either')
    if config.side is not None:
        lines += [
            "      side:                        # the same ids: its columns are added",
            *_file(config.side, "        ", ""),
        ]
    if config.period is not None:
        lines.append(f"      period: {config.period}              # the file has no end dates")
    return lines


def _file(config: FileConfig, indent: str, proof: str) -> list[str]:
    """Lines of a file: only what differs from the defaults."""
    lines = [f"{indent}path: {quoted(str(config.path))}"]
    for key in ("sheet", "separator", "encoding", "decimal"):
        value = getattr(config, key)
        if value != FileConfig.model_fields[key].default:
            lines.append(f"{indent}{key}: {quoted(value)}")
    if config.date_format is not None:
        lines.append(f"{indent}date_format: {quoted(config.date_format)}" + (f"   # {proof}" if proof else ""))
    for key, pairs in (("columns", config.columns), ("constants", config.constants)):
        if pairs:
            flow = ", ".join(f"{ours}: {quoted(str(theirs))}" for ours, theirs in pairs.items())
            one = f"{indent}{key}: {{{flow}}}"
            below = [f"{indent}{key}:", *(f"{indent}  {ours}: {quoted(str(theirs))}" for ours, theirs in pairs.items())]
            lines += [one] if len(one) <= WIDTH else below
    return lines


def _rest(proposal: Proposal) -> list[str]:
    """Lines below the data."""
    lines = []
    if proposal.stages:
        lines += ["", "stages:                            # in the order of the sale; meaning: open, won or lost"]
        lines += [f"  - {{name: {quoted(name)}, meaning: {word}}}" for name, word in proposal.stages.items()]
    code, why = proposal.currency
    lines += [
        "",
        "calendar: {fiscal_year_start: 1, timezone: UTC}",
        f"currency: {code}" + (f"                      # {why}" if why else "                      # EDIT: a guess"),
    ]
    if not proposal.owned:
        lines += ["", "# Nobody owns an account here: many reps sell to each. There is no assignment to improve."]
        lines += ["allocation: {enabled: false}"]
    return lines


def quoted(text: str) -> str:
    """A text as YAML has it: plain where that is safe."""
    safe = PLAIN.fullmatch(text) and text.casefold() not in WORDS
    return text if safe else json.dumps(text, ensure_ascii=False)
