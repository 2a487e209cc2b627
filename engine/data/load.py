"""Reads every table of a config, holds it to the contract, and audits it."""

from dataclasses import replace

import pandas as pd

from engine.config.data import DemoData, TablesData
from engine.config.horizon import MONTHS_IN
from engine.config.schema import RunConfig
from engine.data.audit import audit, left_out, open_with_closing_date, replacements
from engine.data.by_name import with_ids
from engine.data.checks import check, unusable
from engine.data.closing import before_closing
from engine.data.convert import Replaced, convert, replaced
from engine.data.leakage import find_leaks, leak_issues
from engine.data.preset_files import preset_file
from engine.data.rates import to_company_money
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
    problems += to_company_money(sources, frames, frames.pop("rates", None), config.currency)
    digests = {name: source.digest for name, source in sources.items()}
    sources.pop("rates", None)
    problems += check(sources, frames, stages)
    problems = problems or unusable(sources, frames)
    if problems:
        raise InputRefusedError(problems)
    return replace(_audited(sources, frames, stages, found), digests=digests)


def _sources(config: RunConfig, problems: list[Problem]) -> tuple[dict[str, SourceTable], dict[str, list[Replaced]]]:
    """Tables as read with `data.replace` applied, by name, and where each replaced value stood."""
    if isinstance(config.data, DemoData):
        from engine.demo.company import demo_company

        tables = demo_company(config.data.seed).tables
        return {name: from_frame(name, tables[name]) for name in sorted(tables)}, {}
    sources: dict[str, SourceTable] = {}
    found: dict[str, list[Replaced]] = {}
    for name in sorted(config.data.tables):
        deals = sources["opportunities"].cells if "opportunities" in sources else None
        try:
            source = read_table(name, config.data.tables[name], config.data, deals)
        except InputRefusedError as error:
            problems += error.problems
            continue
        sources[name], found[name] = replaced(source, config.data.replace.get(name, {}))
    if config.data.rates is not None:
        try:
            sources["rates"] = read_table("rates", config.data.rates, config.data)
        except InputRefusedError as error:
            problems += error.problems
    return with_ids(sources), found


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
    if isinstance(config.data, TablesData) and preset_file(config.data.preset).closing_overwrites:
        before_closing(frames, stages)
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
    issues += [issue for source in sources.values() for issue in left_out(source)]
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
        digests={},
        kept={name: source.kept for name, source in sources.items() if len(source.kept.columns)},
        known_until=last,
        as_of=last,
    )
