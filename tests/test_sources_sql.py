"""Tables from databases: the same as from files, nothing written, no password kept, no code run."""

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import yaml
from sqlalchemy import create_engine, text

from engine.config import load_config
from engine.config.loading import hashable, resolved
from engine.config.schema import RunConfig
from engine.data import Tables, load_tables
from engine.errors import InputRefusedError
from tests.data_company import COMPANY, STAGES, company_config

DATES = ("created", "closed", "date", "expected_close", "start", "end", "valid_from")
SECRET = "s3cret-w0rd"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The tiny company from CSV files."""
    return load_tables(company_config(tmp_path_factory.mktemp("csv"), COMPANY))


def frames() -> dict[str, pd.DataFrame]:
    """The tiny company as a database has it: typed columns, NULL for what is missing."""
    import io

    found = {}
    for name, content in COMPANY.items():
        frame = pd.read_csv(io.StringIO(content))
        for column in frame.columns.intersection(list(DATES)):
            frame[column] = pd.to_datetime(frame[column])
        found[name] = frame
    return found


def config_of(tables: dict[str, Any], **data: object) -> RunConfig:
    """Config over tables in a database."""
    values = {"source": "tables", "tables": tables, **data}
    return RunConfig.model_validate(
        {"name": "tiny", "horizon": {"start": "2025-05-01"}, "data": values, "stages": STAGES}
    )


def settings(**each: object) -> dict[str, dict[str, object]]:
    """Every table of the tiny company under its own name in a database."""
    tables: dict[str, dict[str, object]] = {name: {"table": name, **each} for name in COMPANY}
    tables["quotas"]["period"] = "quarter"
    return tables


def assert_same(got: Tables, wanted: Tables) -> None:
    """Hold the tables equal, whatever the order of rows."""
    for name, frame in wanted.frames.items():
        keys = [
            column
            for column in frame
            if column in ("id", "opportunity", "account", "date", "valid_from", "level", "key")
        ]
        pair = [
            part[name].sort_values(keys, kind="stable").reset_index(drop=True) for part in (got.frames, wanted.frames)
        ]
        pd.testing.assert_frame_equal(pair[0], pair[1], check_like=True, obj=name)


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    """Folder with the tiny company in an SQLite file."""
    engine = create_engine(f"sqlite:///{tmp_path / 'crm.db'}")
    for name, frame in frames().items():
        frame.to_sql(name, engine, index=False)
    engine.dispose()
    return tmp_path


def test_sqlite_gives_the_same_tables(sqlite: Path, plain: Tables) -> None:
    assert_same(load_tables(config_of(settings(), root=str(sqlite), url="sqlite:///crm.db")), plain)


def test_the_order_of_rows_in_a_database_is_no_matter(sqlite: Path) -> None:
    config = config_of(settings(), root=str(sqlite), url="sqlite:///crm.db")
    first = load_tables(config)
    engine = create_engine(f"sqlite:///{sqlite / 'crm.db'}")
    frames()["bookings"].iloc[::-1].to_sql("bookings", engine, index=False, if_exists="replace")
    engine.dispose()
    again = load_tables(config)
    assert again.digests == first.digests
    pd.testing.assert_frame_equal(again.frames["bookings"], first.frames["bookings"])


def test_duckdb_reads_a_file_and_files_of_the_folder(tmp_path: Path, plain: Tables) -> None:
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as connection:
        for name, frame in frames().items():
            connection.register("frame", frame)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
    (tmp_path / "deals").mkdir()
    frames()["opportunities"].iloc[:3].to_parquet(tmp_path / "deals" / "a.parquet")
    frames()["opportunities"].iloc[3:].to_parquet(tmp_path / "deals" / "b.parquet")
    tables = settings(path="crm.duckdb")
    tables["opportunities"] = {"query": "SELECT * FROM 'deals/*.parquet'"}
    assert_same(load_tables(config_of(tables, root=str(tmp_path))), plain)


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE accounts",
        "SELECT 1; DROP TABLE accounts",
        "SELECT 1) AS t; DROP TABLE accounts; --",
        "COPY accounts TO PROGRAM 'sh'",
        "SELECT 1 -- and more",
        "ATTACH 'x.db' AS x",
        "INSERT INTO accounts VALUES (1)",
    ],
)
def test_a_query_is_one_select(sqlite: Path, query: str) -> None:
    tables = {"bookings": {"query": query}}
    for place in ({"url": "sqlite:///crm.db"}, {}):
        with pytest.raises(InputRefusedError):
            load_tables(config_of(tables, root=str(sqlite), **place))
    engine = create_engine(f"sqlite:///{sqlite / 'crm.db'}")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM accounts")).scalar() == 4
    engine.dispose()


def test_duckdb_reads_nothing_outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "outside.csv").write_text("date,amount,account\n2025-01-01,1,A\n", encoding="utf-8")
    (tmp_path / "data").mkdir()
    for place in (f"'{tmp_path / 'outside.csv'}'", "'../outside.csv'", "read_text('/etc/passwd')"):
        with pytest.raises(InputRefusedError):
            load_tables(config_of({"bookings": {"query": f"SELECT * FROM {place}"}}, root=str(tmp_path / "data")))


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://ann:{SECRET}@localhost/crm",
        f"postgresql+psycopg://ann@localhost/crm?password={SECRET}",
        f"mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3D{SECRET}",
        "sqlite:///crm.db?plugin=evil",
        "mysql://ann@localhost/crm?init_command=DROP",
    ],
)
def test_a_url_holds_no_password_and_loads_nothing(tmp_path: Path, url: str) -> None:
    data = {"source": "tables", "root": str(tmp_path), "url": url, "tables": {"bookings": {"table": "b"}}}
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"name": "x", "horizon": {"start": "2025-01-01"}, "data": data}), encoding="utf-8")
    with pytest.raises(InputRefusedError) as refused:
        load_config(path)
    assert "data.url" in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_missing_database_and_a_missing_table_are_refused_by_name(sqlite: Path) -> None:
    with pytest.raises(InputRefusedError, match="no such file: none.db"):
        load_tables(config_of({"bookings": {"table": "bookings"}}, root=str(sqlite), url="sqlite:///none.db"))
    assert not (sqlite / "none.db").exists()
    with pytest.raises(InputRefusedError, match="no such table"):
        load_tables(config_of({"bookings": {"table": "orders"}}, root=str(sqlite), url="sqlite:///crm.db"))
    with pytest.raises(InputRefusedError, match="a name such as deals"):
        load_tables(config_of({"bookings": {"table": "a; drop"}}, root=str(sqlite), url="sqlite:///crm.db"))


# PostgreSQL


def _binaries() -> Path | None:
    """Folder of PostgreSQL's programs."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((place for place in reversed(places) if (place / "initdb").exists()), None)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """URL of a real server on loopback, which asks for a password."""
    pytest.importorskip("psycopg")
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL on this machine (initdb is not there)")
    runner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if runner and shutil.which("runuser") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no runuser")
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # short: the path of a socket may have 107 characters
        folder = Path(name)
        (folder / "password").write_text(SECRET, encoding="utf-8")
        folder.chmod(0o777)
        (folder / "password").chmod(0o644)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        data = folder / "data"

        def call(*words: str) -> None:
            subprocess.run([*runner, *words], check=True, capture_output=True, timeout=120, cwd="/tmp")

        call(
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-U",
            "ann",
            "-A",
            "scram-sha-256",
            f"--pwfile={folder / 'password'}",
            "-N",
        )
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off"
        call(str(binaries / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(data / "log"), "-w", "start")
        try:
            yield f"postgresql+psycopg://ann@127.0.0.1:{port}/postgres"
        finally:
            call(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")


@pytest.mark.slow
def test_postgresql_gives_the_same_tables_and_keeps_no_password(
    postgres: str, plain: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(postgres.replace("ann@", f"ann:{SECRET}@"))
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA crm"))
    for name, frame in frames().items():
        frame.to_sql(name, engine, schema="crm", index=False)
    variable = f"CRM_{secrets.token_hex(4).upper()}"
    tables = {name: {**table, "table": f"crm.{name}"} for name, table in settings().items()}
    tables["accounts"] = {"query": "SELECT * FROM crm.accounts WHERE name LIKE '%a' OR name <> ':x'"}
    config = config_of(tables, root=str(tmp_path), url=postgres, password_env=variable)
    with pytest.raises(InputRefusedError, match=f"{variable} is not set"):
        load_tables(config)
    monkeypatch.setenv(variable, "wrong-word")
    with pytest.raises(InputRefusedError) as refused:
        load_tables(config)
    assert "wrong-word" not in str(refused.value)
    monkeypatch.setenv(variable, SECRET)
    assert_same(load_tables(config), plain)
    assert SECRET not in yaml.safe_dump(resolved(config))
    assert "url" not in hashable(config)["data"]
    writing = {
        "bookings": {
            "query": "SELECT * FROM (WITH gone AS (DELETE FROM crm.accounts RETURNING *) SELECT * FROM gone) AS x"
        }
    }
    with pytest.raises(InputRefusedError):
        load_tables(config_of(writing, root=str(tmp_path), url=postgres, password_env=variable))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM crm.accounts")).scalar() == 4
    engine.dispose()
