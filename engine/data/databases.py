"""Reads tables from databases: any SQLAlchemy URL, a DuckDB file, or DuckDB over the files of a folder.

The rules this module keeps: nothing is written, a query is one SELECT (it stands in the brackets of another one, so it
can be nothing else), DuckDB sees the data folder only and loads no extension, and a password comes from the environment
and goes nowhere (``tests/test_sources_sql.py``).
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pandas as pd

from engine.config.data import FileConfig
from engine.errors import InputRefusedError, Problem

if TYPE_CHECKING:
    import duckdb
    from sqlalchemy import Connection, Engine

NAME = re.compile(r"[^\W\d][\w$]*(\.[^\W\d][\w$]*){0,2}")
"""Name of a table, with its schema or without."""

COMPLAINT_SHOWN = 160
"""Characters of a database's complaint that are shown."""


def database_cells(key: str, config: FileConfig, root: Path, url: str | None, password_env: str | None) -> pd.DataFrame:
    """Cells of a table or a query.

    Parameters
    ----------
    key : where the table stands in the config, e.g. data.tables.accounts
    root : folder of files, and of an SQLite file without an absolute path
    url, password_env : see `engine.config.data.TablesData`

    Raises
    ------
    InputRefusedError
        When the database, the table or a column cannot be read; no password is repeated.
    """
    select = _select(key, config)
    if config.path is not None or url is None:
        return _from_duckdb(key, config, root, select)
    return _from_url(key, url, password_env, root, select)


def _select(key: str, config: FileConfig) -> str:
    """SELECT that reads what the config asks for."""
    if config.query is None:
        if config.table is None or not NAME.fullmatch(config.table):
            raise _refused(f"{key}.table", repr(config.table), "a name such as deals or crm.deals", "use `query`")
        return f"SELECT * FROM {config.table}"  # noqa: S608 - the name is a name
    query = config.query.strip().removesuffix(";").strip()
    unquoted = re.sub("'[^']*'", "''", query)  # deals/*.parquet in quotes is no comment
    if ";" in query or "--" in query or "/*" in unquoted or not re.match(r"(?i)(select|with|from)\b", query):
        allowed = "one SELECT without comments or semicolons"
        raise _refused(f"{key}.query", repr(query[:60]), allowed, "take out what is not part of it")
    return f"SELECT * FROM ({query}\n) AS asked"  # noqa: S608 - brackets make it a query and nothing else


def _from_duckdb(key: str, config: FileConfig, root: Path, select: str) -> pd.DataFrame:
    """Cells of a DuckDB file, or of files in the folder."""
    import duckdb

    path = None if config.path is None else root / config.path
    if path is not None and not path.is_file():
        raise _refused(str(config.path), "no such file", "a DuckDB file", f"check {key}.path")
    try:
        with duckdb.connect(":memory:" if path is None else str(path), read_only=path is not None) as connection:
            _shut(connection, root)
            return connection.execute(_in_folder(select, root) if path is None else select).df()
    except duckdb.Error as error:
        mend = f"check {key}.{'query' if config.query else 'table'}"
        raise _refused(key, _short(str(error)), "a table or query that DuckDB can read", mend) from None


def _shut(connection: "duckdb.DuckDBPyConnection", root: Path) -> None:
    """Let DuckDB read the data folder and nothing else, and load nothing."""
    folder = str(root.resolve()).replace("'", "''")
    for setting in (
        "autoinstall_known_extensions=false",
        "autoload_known_extensions=false",
        "python_enable_replacements=false",
        f"allowed_directories=['{folder}/']",
        "enable_external_access=false",
        "lock_configuration=true",
    ):
        connection.execute(f"SET {setting}")


def _in_folder(select: str, root: Path) -> str:
    """Paths of files in quotes behind FROM and JOIN, or as the argument of a reader, start from the folder."""
    folder = str(root.resolve()).replace("'", "''")
    pattern = r"(?i)((?:\bfrom|\bjoin)\s+|\bread_\w+\s*\(\s*)'(?!/)([^']+)'"
    return re.sub(pattern, lambda found: f"{found[1]}'{folder}/{found[2]}'", select)


def _from_url(key: str, url: str, password_env: str | None, root: Path, select: str) -> pd.DataFrame:
    """Cells from a database behind SQLAlchemy."""
    from sqlalchemy import exc, text

    try:
        engine = _engine(url, password_env, root)
    except (exc.ArgumentError, exc.NoSuchModuleError, ImportError, ValueError) as error:
        raise _refused(
            "data.url", _short(str(error)), "a URL of SQLAlchemy", "check it, or install its driver"
        ) from None
    try:
        with engine.connect() as connection:
            _read_only(connection)
            result = connection.execute(text(select.replace(":", r"\:")))
            names = [str(name) for name in tuple(result.keys())]
            return pd.DataFrame(result.fetchall(), columns=names, dtype=object)
    except exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        where, mend = f"{key}, {masked(url)}", "check data.url, the table's name or query, and the rights of the user"
        raise _refused(
            where, _short(_without_password(str(cause), password_env)), "a table that can be read", mend
        ) from None
    finally:
        engine.dispose()


def _engine(url: str, password_env: str | None, root: Path) -> "Engine":
    """Engine of a URL, the password taken from the environment; SQLite is opened for reading."""
    from sqlalchemy import create_engine, make_url

    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        path = root / str(parsed.database)
        if not path.is_file():
            raise ValueError(f"no such file: {parsed.database}")
        parsed = parsed.set(database=f"file:{path}", query={"mode": "ro", "uri": "true"})
    elif password_env is not None:
        if password_env not in os.environ:
            raise ValueError(f"the environment variable {password_env} is not set")
        parsed = parsed.set(password=os.environ[password_env])
    return create_engine(parsed)


def _read_only(connection: "Connection") -> None:
    """Ask the database itself to refuse writing, where it can."""
    from sqlalchemy import text

    if connection.dialect.name in ("postgresql", "mysql", "mariadb"):
        connection.execute(
            text(
                "SET TRANSACTION READ ONLY"
                if connection.dialect.name == "postgresql"
                else "SET SESSION TRANSACTION READ ONLY"
            )
        )


def masked(url: str) -> str:
    """Return a URL for messages: no password, no query."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")
    user = place[0].partition(":")[0]
    return f"{parts.scheme}://{user + '@' if user else ''}{place[2]}{parts.path}"


def _without_password(text: str, password_env: str | None) -> str:
    secret = os.environ.get(password_env or "", "")
    return text.replace(secret, "***") if secret else text


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= COMPLAINT_SHOWN else f"{line[:COMPLAINT_SHOWN]}..."


def _refused(where: str, came: str, allowed: str, mend: str) -> InputRefusedError:
    return InputRefusedError([Problem(where, came, allowed, mend)])
