"""Reads every table of a config, holds it to the contract, and audits it."""

from pathlib import Path

import pandas as pd

from engine.config.data import DemoData
from engine.config.horizon import MONTHS_IN
from engine.config.schema import RunConfig
from engine.data.audit import audit, open_with_closing_date, replacements
from engine.data.checks import check, unusable
from engine.data.convert import Replaced, convert, replaced
from engine.data.leakage import find_leaks, leak_issues
from engine.data.sources import SourceTable, from_frame, read_table
from engine.data.stages import stage_order
from engine.data.tables import StageOrder, Tables, event_span
from engine.errors import InputRefusedError, Problem


def load_tables(config: RunConfig) -> Tables:
    """Read and check the tables of a config, over all that the export knows.

    Raises
    ------
    InputRefusedError
        With every problem of all tables: files, headers, cells, and contradictions between rows and tables.
    """
    problems: list[Problem] = []
    sources, found = _sources(config, problems)
    frames: dict[str, pd.DataFrame] = {}
    for name, source in sources.items():
        frames[name], wrong = convert(source, config.calendar.timezone)
        problems += wrong
    stages = _derive(config, sources, frames, problems)
    problems += check(sources, frames, stages)
    problems = problems or unusable(sources, frames)
    if problems:
        raise InputRefusedError(problems)
    return _audited(sources, frames, stages, found)


def _sources(config: RunConfig, problems: list[Problem]) -> tuple[dict[str, SourceTable], dict[str, list[Replaced]]]:
    """Tables as read with `data.replace` applied, by name, and where each replaced value stood."""
    if isinstance(config.data, DemoData):
        from engine.demo.company import demo_company

        tables = demo_company(config.data.seed).tables
        return {name: from_frame(name, tables[name]) for name in sorted(tables)}, {}
    sources: dict[str, SourceTable] = {}
    found: dict[str, list[Replaced]] = {}
    for name in sorted(config.data.tables):
        try:
            source = read_table(name, config.data.tables[name], config.data.root or Path())
        except InputRefusedError as error:
            problems += error.problems
            continue
        sources[name], found[name] = replaced(source, config.data.replace.get(name, {}))
    return sources, found


def _derive(
    config: RunConfig, sources: dict[str, SourceTable], frames: dict[str, pd.DataFrame], problems: list[Problem]
) -> StageOrder:
    """Fill in what follows from other columns: the end of a quota, the outcome of a deal. Changes ``frames``."""
    quotas = frames.get("quotas")
    if quotas is not None and "end" not in quotas:
        period = sources["quotas"].config.period
        months = quotas["start"] + pd.DateOffset(months=MONTHS_IN[period or "month"])
        quotas["end"] = (months - pd.Timedelta(days=1)).astype("datetime64[us]")
    try:
        stages = stage_order({stage.name: stage.meaning for stage in config.stages}, frames)
    except InputRefusedError as error:
        problems += error.problems
        stages = StageOrder({}, "")
    deals = frames.get("opportunities")
    if deals is not None and "outcome" not in deals:
        deals["outcome"] = deals["stage"].map(stages.meaning).astype("str")
    return stages


def _audited(
    sources: dict[str, SourceTable],
    frames: dict[str, pd.DataFrame],
    stages: StageOrder,
    found: dict[str, list[Replaced]],
) -> Tables:
    """Tables with the findings of the audit and the leakage guard."""
    issues = open_with_closing_date(sources, frames)
    last = event_span(frames)[1]
    for name, rows in found.items():
        issues += replacements(name, rows, frames)
    issues += audit(sources, frames)
    leaks = find_leaks(frames["opportunities"], last) if "opportunities" in frames else []
    issues += leak_issues(leaks, frames) if leaks else []
    barred = tuple(leak.attribute for leak in leaks)
    return Tables(
        frames={name: frame.reset_index(drop=True) for name, frame in frames.items()},
        issues=tuple(issues),
        stages=stages,
        barred=barred,
        digests={name: source.digest for name, source in sources.items()},
        known_until=last,
        as_of=last,
    )
