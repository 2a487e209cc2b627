"""What must hold between keys of a config that is right key by key.

A rule sees the whole config and names the keys it reads, so that it stays silent where one of them is wrong already.
"""

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from engine.config.data import TABLES, FileConfig, TableConfig, TablesData
from engine.config.horizon import MONTHS_IN, Horizon
from engine.config.problems import nearest, shown
from engine.config.protected import OF_PEOPLE, protected_words
from engine.config.reading import KeyPath
from engine.config.schema import RunConfig


@dataclass(frozen=True)
class Finding:
    """A rule that does not hold: the key to blame, and the three parts of a `Problem`."""

    path: KeyPath
    came: str
    allowed: str
    mend: str


@dataclass(frozen=True)
class Rule:
    """A check and the keys it reads."""

    reads: tuple[KeyPath, ...]
    check: Callable[[RunConfig], Iterator[Finding]]


def findings(config: RunConfig, broken: set[KeyPath]) -> list[Finding]:
    """Check all rules that read none of the broken keys."""
    usable = [rule for rule in RULES if not any(_touch(key, bad) for key in rule.reads for bad in broken)]
    return [item for rule in usable for item in rule.check(config) if not any(_touch(item.path, bad) for bad in broken)]


def _touch(one: KeyPath, other: KeyPath) -> bool:
    """Whether one path is the other or lies inside it."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _whole_periods(path: KeyPath, horizon: Horizon, fiscal_year_start: int) -> Iterator[Finding]:
    """A period begins with its first day."""
    step = MONTHS_IN[horizon.frequency]
    past = (horizon.first_month - (fiscal_year_start - 1)) % step
    if horizon.start.day == 1 and past == 0:
        return
    firsts = [
        f"{1970 + month // 12}-{month % 12 + 1:02d}-01"
        for month in (horizon.first_month - past, horizon.first_month - past + step)
    ]
    of = "a month" if step == 1 else f"a {horizon.frequency} (the fiscal year begins in month {fiscal_year_start})"
    yield Finding((*path, "start"), str(horizon.start), f"the first day of {of}", f"use {firsts[0]} or {firsts[1]}")


def _forecast_starts_a_period(config: RunConfig) -> Iterator[Finding]:
    yield from _whole_periods(("horizon",), config.horizon, config.calendar.fiscal_year_start)


def _plan_starts_a_period(config: RunConfig) -> Iterator[Finding]:
    if config.allocation.horizon is not None:
        path = ("allocation", "horizon")
        yield from _whole_periods(path, config.allocation.horizon, config.calendar.fiscal_year_start)


def _something_left_to_forecast(config: RunConfig) -> Iterator[Finding]:
    if config.as_of != "latest" and config.as_of >= config.horizon.end:
        allowed = f"a date before the last day of the horizon, {config.horizon.end}"
        yield Finding(("as_of",), str(config.as_of), allowed, "take an earlier as_of or a later horizon.start")


def _something_left_to_plan(config: RunConfig) -> Iterator[Finding]:
    horizon = config.allocation.horizon
    if horizon is not None and config.as_of != "latest" and config.as_of >= horizon.end:
        allowed = f"a horizon that ends after as_of, {config.as_of}"
        mend = "take a later start or remove allocation.horizon to use the forecast's"
        yield Finding(("allocation", "horizon"), f"an end on {horizon.end}", allowed, mend)


def _plan_takes_effect_in_its_horizon(config: RunConfig) -> Iterator[Finding]:
    day, horizon = config.allocation.effective_date, config.planning_horizon
    if day is not None and (day.day != 1 or not horizon.start <= day <= horizon.end):
        allowed = f"the first day of a month from {horizon.start} to {horizon.end}, where the plan is judged"
        yield Finding(("allocation", "effective_date"), str(day), allowed, "take such a day, or remove the key")


def _stages_are_distinct(config: RunConfig) -> Iterator[Finding]:
    names = [stage.name for stage in config.stages]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Finding(("stages", index), shown(name), "every stage once", "remove one of the two")


def _root_is_there(config: RunConfig) -> Iterator[Finding]:
    data = config.data
    if not isinstance(data, TablesData):
        return
    relative = [table for table in data.tables.values() if table.path is not None and not table.path.is_absolute()]
    if data.root is None and relative:
        mend = "add `root` to `data`, or give it by --set data.root=PATH"
        yield Finding(("data", "root"), "nothing", f"the folder that holds {relative[0].path}", mend)
    elif data.root is not None and not data.root.is_dir():
        yield Finding(("data", "root"), shown(str(data.root)), "a folder that exists", "check the path")


def _revenue_is_there(config: RunConfig) -> Iterator[Finding]:
    if isinstance(config.data, TablesData) and not {"opportunities", "bookings"} & set(config.data.tables):
        came = ", ".join(config.data.tables)
        mend = "add the table that says what was sold"
        yield Finding(("data", "tables"), came, "opportunities, bookings or both among the tables", mend)


def _columns_are_known(config: RunConfig) -> Iterator[Finding]:
    if not isinstance(config.data, TablesData):
        return
    for name, table in config.data.tables.items():
        for section, columns in (("columns", table.columns), ("constants", table.constants)):
            for column, theirs in columns.items():
                yield from _unknown_column(("data", "tables", name, section, column), column, theirs)
        for column in sorted(set(table.columns) & set(table.constants)):
            path: KeyPath = ("data", "tables", name, "constants", column)
            yield Finding(path, "a constant for a mapped column", "one of the two", "remove it here or from `columns`")


def _no_protected_attribute(config: RunConfig) -> Iterator[Finding]:
    if not isinstance(config.data, TablesData):
        return
    for name, table in config.data.tables.items():
        for column, theirs in table.columns.items():
            words = [word for word in protected_words(str(theirs)) if name == "reps" or word not in OF_PEOPLE]
            if words:
                path: KeyPath = ("data", "tables", name, "columns", column)
                came, allowed = f"`{theirs}`, which speaks of {words[0]}", "columns that are no protected attribute"
                yield Finding(path, came, allowed, "leave it out: neither forecast nor plan may rest on it")


def _unknown_column(path: KeyPath, column: str, theirs: object = None) -> Iterator[Finding]:
    """Refuse a column that the table of the path (`TABLES` by its third key) does not have."""
    known = [name for columns in TABLES[str(path[2])] for name in columns]
    if column in known:
        return
    suggestion = nearest(column, known)
    mend = f"did you mean `{suggestion}`?" if suggestion else "remove it"
    if theirs in known:
        mend = f"the order is `ours: theirs`, so write `{theirs}: {column}`"
    yield Finding(path, f"the unknown column `{column}`", ", ".join(known), mend)


def _replacements_have_a_table(config: RunConfig) -> Iterator[Finding]:
    if not isinstance(config.data, TablesData):
        return
    for name, columns in config.data.replace.items():
        if name not in config.data.tables:
            yield Finding(("data", "replace", name), name, "a table of data.tables", "add the table or remove this")
            continue
        for column in columns:
            yield from _unknown_column(("data", "replace", name, column), column)


def _files_can_be_read(config: RunConfig) -> Iterator[Finding]:
    if isinstance(config.data, TablesData):
        for name, table in config.data.tables.items():
            for key, came, allowed, mend in (*_file_format(name, table), *_place(table, config.data.url)):
                yield Finding(("data", "tables", name, key), shown(came), allowed, mend)


def _place(table: FileConfig, url: str | None) -> Iterator[tuple[str, object, str, str]]:
    """Key, value, what is allowed and how to mend it, where a table has no place or two."""
    if table.path is None and table.table is None and table.query is None:
        yield "path", None, "a file, or `table` or `query` of a database", "add one of them"
    if table.table is not None and table.query is not None:
        yield "query", table.query, "`table` or `query`, not both", "remove one of the two"
    elif table.path is None and table.table is not None and url is None:
        yield "table", table.table, "a table of the database in data.url, or of a .duckdb file", "add data.url or path"
    inside = table.path is not None and table.path.suffix in (".duckdb", ".ddb")
    if table.path is not None and inside != (table.table is not None or table.query is not None):
        mend = "add `table` or `query`" if inside else "give a .duckdb file, or leave `path` out"
        yield "path", str(table.path), "a .duckdb file with `table` or `query`, or any other file without them", mend


def _no_password(config: RunConfig) -> Iterator[Finding]:
    """A config is stored with every run: it must hold no secret, and nothing that loads code."""
    if not isinstance(config.data, TablesData) or config.data.url is None:
        return
    parts = urlsplit(config.data.url)
    secret = "@" in parts.netloc and ":" in parts.netloc.rpartition("@")[0]
    keys = {key.casefold() for key, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if secret or keys & set(SECRET_KEYS):
        mend = "take it out and name an environment variable with data.password_env"
        yield Finding(("data", "url"), "a URL with a password", "a URL without one: configs are kept with runs", mend)
    elif keys & set(CODE_KEYS):
        yield Finding(("data", "url"), "a URL that loads a plugin", "a URL that names a database", "take it out")
    elif not parts.scheme:
        yield Finding(("data", "url"), "a text without a scheme", "e.g. postgresql+psycopg://user@host/crm", "mend it")


SECRET_KEYS = ("password", "passwd", "pwd", "token", "access_token", "secret", "odbc_connect", "sslpassword")
CODE_KEYS = ("plugin", "plugins", "creator", "module", "init_command", "options", "service")
"""Keys of a URL's query that hold secrets, and that run something on connecting."""


def _file_format(name: str, table: TableConfig) -> Iterator[tuple[str, object, str, str]]:
    """Key, value, what is allowed and how to mend it, for all that contradicts itself about a file."""
    try:
        codecs.lookup(table.encoding)
    except LookupError:
        yield "encoding", table.encoding, "an encoding such as utf-8 or windows-1252", "correct the name"
    if (table.separator or ",") == table.decimal:
        yield "decimal", table.decimal, "another character than the separator", "set `separator`, often to ;"
    if table.date_format is not None and "%" not in table.date_format:
        yield "date_format", table.date_format, "codes of strptime such as %d/%m/%Y", "write it in these codes"
    if table.sheet is not None and (table.path is None or table.path.suffix != ".xlsx"):
        yield "sheet", table.sheet, "a sheet of an .xlsx file", "remove it"
    if table.period is not None and name != "quotas":
        yield "period", table.period, "nothing outside quotas", "remove it"


def _files_of_people_exist(config: RunConfig) -> Iterator[Finding]:
    named = {
        ("decisions",): config.decisions,
        ("accepted_plan",): config.accepted_plan,
        ("crm", "territory_associations"): config.crm.territory_associations,
    }
    for key, path in named.items():
        if path is not None and not Path(path).is_file():
            yield Finding(key, shown(str(path)), "a file that exists", "check the path, or remove the key")


def _weeks_lie_in_the_horizon(config: RunConfig) -> Iterator[Finding]:
    """A date is replayed while something of its horizon is left."""
    days = (config.horizon.end - config.horizon.start).days
    for i, week in enumerate(config.backtest.weeks_in):
        if 7 * week > days:
            allowed = f"0 to {days // 7} weeks: the horizon has {days + 1} days"
            yield Finding(("backtest", "weeks_in", i), str(week), allowed, "leave it out, or take a longer horizon")


RULES = (
    Rule((("horizon",), ("backtest", "weeks_in")), _weeks_lie_in_the_horizon),
    Rule((("horizon",), ("calendar",)), _forecast_starts_a_period),
    Rule((("allocation", "horizon"), ("calendar",)), _plan_starts_a_period),
    Rule((("as_of",), ("horizon",)), _something_left_to_forecast),
    Rule((("as_of",), ("allocation", "horizon")), _something_left_to_plan),
    Rule((("horizon",), ("allocation",)), _plan_takes_effect_in_its_horizon),
    Rule((("stages",),), _stages_are_distinct),
    Rule((("data", "source"),), _root_is_there),
    Rule((("data", "source"),), _revenue_is_there),
    Rule((("data", "source"),), _columns_are_known),
    Rule((("data", "source"),), _no_protected_attribute),
    Rule((("data", "source"),), _replacements_have_a_table),
    Rule((("data", "source"),), _files_can_be_read),
    Rule((("data", "source"), ("data", "url")), _no_password),
    Rule((("decisions",), ("accepted_plan",), ("crm",)), _files_of_people_exist),
)
"""Every rule with the keys it reads."""
