"""The `data` section: where the tables are, how their files are written, and what their columns are called.

`TABLES` is the list of tables and columns the engine knows; ``engine.data`` says what a value in them must look like.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SECTION = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
"""Every section of a config: frozen, unknown keys refused, documented by the sentence under each field."""

TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "opportunities": (
        ("id", "rep", "stage", "created", "closed", "outcome"),
        ("account", "product", "amount", "won_amount", "expected_close", "name", "category", "source", "currency"),
    ),
    "stage_history": (("opportunity", "stage", "date"), ("expected_close", "amount", "currency")),
    "bookings": (("date", "amount"), ("rep", "account", "product", "opportunity", "cost", "territory", "currency")),
    "accounts": (
        ("id",),
        (
            *("name", "segment", "industry", "size", "territory", "owner", "parent", "hours", "locked", "location"),
            *("latitude", "longitude", "visits", "language", "skill", "commission", "reserved"),
        ),
    ),
    "account_owners": (("account", "rep", "valid_from"), ()),
    "reps": (
        ("id",),
        (
            *("name", "start", "end", "fte", "role", "manager", "territory", "ramp"),
            *("latitude", "longitude", "segments", "languages", "skills", "commission"),
        ),
    ),
    "territories": (("id",), ("name", "region")),
    "products": (("id",), ("name", "list_price", "cost", "currency")),
    "quotas": (("level", "start", "end", "amount"), ("key", "currency")),
    "rep_forecasts": (("rep", "as_of", "period_start", "amount"), ("currency",)),
    "leads": (("id", "created"), ("source", "rep", "first_touch", "qualified", "opportunity")),
    "activities": (("rep", "date", "type"), ("minutes", "opportunity", "account")),
    "contracts": (("account", "start", "end", "amount"), ("rep", "product")),
    "rep_hours": (("rep", "month", "paid"), ("selling",)),
}
"""Required and optional columns of every table. The `outcome` of a deal may be left to the meaning of its stage, the
`end` of a quota to `TableConfig.period`. Bookings may carry a `territory`, from which an account without one gets its
most frequent. A `currency` turns the amounts of a row into the company's money by `data.rates`."""

RATES: tuple[tuple[str, ...], tuple[str, ...]] = (("currency", "rate"), ("date",))
"""Required and optional columns of the rate table."""

type Preset = Literal["plain", "salesforce", "salesforce_report", "hubspot", "dynamics"]
"""Whose names an export has; what each means lies in ``engine/data/presets``."""

type TableName = Literal[
    "opportunities",
    "stage_history",
    "bookings",
    "accounts",
    "account_owners",
    "reps",
    "territories",
    "products",
    "quotas",
    "rep_forecasts",
    "leads",
    "activities",
    "contracts",
    "rep_hours",
]
"""The keys of `TABLES`; a test holds the two equal."""


class FileConfig(BaseModel):
    """A file (or a place in a database) and the names in it."""

    model_config = SECTION

    path: Path | None = None
    """File, relative to `data.root`: .csv, .csv.gz, .tsv, .parquet, .xlsx, or .duckdb with `table` or `query`."""
    table: str | None = None
    """Table or view to read as a whole, from the database of `data.url` or the DuckDB file of `path`: crm.deals."""
    query: str | None = None
    """One SELECT to read instead: from the database of `data.url`, the DuckDB file of `path`, or, with neither, by
    DuckDB over files in `data.root`, e.g. SELECT * FROM 'deals/*.parquet'."""
    columns: dict[str, str] = {}
    """Our column name to the file's; a column not listed is read when the file has it under our own name."""
    constants: dict[str, str | int | float | bool] = {}
    """Our column name to one value that holds for every row, for columns the file does not have."""
    sheet: str | None = None
    """Sheet of an Excel file; the first one when null."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Character between the fields of a text file; a comma (a tab for .tsv) when null."""
    encoding: str = "utf-8"
    """Character encoding of a text file, e.g. utf-8 (a byte order mark is tolerated) or windows-1252."""
    decimal: Literal[".", ","] = "."
    """Decimal mark of the numbers in a text file."""
    date_format: str | None = None
    """How dates are written, in the codes of strptime, e.g. %d/%m/%Y; ISO dates (2026-06-30) when null."""


class TableConfig(FileConfig):
    """One table: where it lies and the names in it."""

    side: FileConfig | None = None
    """A further file with the same ids, whose columns are added and whose values win, e.g. reps.csv with the start
    dates that a CRM's users do not have."""
    period: Literal["month", "quarter", "year"] | None = None
    """For quotas without an `end` column: the length of the period that begins at `start`."""


class DemoData(BaseModel):
    """The simulated company."""

    model_config = SECTION

    source: Literal["demo"] = "demo"
    """`demo`: a simulated company whose truth is known."""
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = 1
    """Which demo company: another whole number is another company."""


class TablesData(BaseModel):
    """Files exported from a CRM or an ERP."""

    model_config = SECTION

    source: Literal["tables"]
    """`tables`: one file a table."""
    root: Path | None = None
    """Folder the tables' paths start from; relative to the config file, or to the working directory with --set."""
    preset: Preset = "plain"
    """Whose names the export has: `salesforce` (API names), `salesforce_report` (labels), `hubspot`, `dynamics`, or
    `plain` (our own). What `columns` says of a table goes before the preset."""
    url: str | None = None
    """Database of tables with `table` or `query`, in SQLAlchemy's way of writing, e.g.
    postgresql+psycopg://analyst@host/crm or sqlite:///crm.db; never with a password in it."""
    password_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Name of the environment variable that holds the password for `url`."""
    rates: FileConfig | None = None
    """Exchange rates: a table with `currency`, `rate` (one unit of it in the company's currency) and, where rates
    change, `date` (the day from which on the rate holds)."""
    tables: Annotated[dict[TableName, TableConfig], Field(min_length=1)]
    """The tables by name; opportunities or bookings must be among them."""
    replace: dict[TableName, dict[str, dict[str, str]]] = {}
    """Table, our column, the file's value to the value meant, e.g. {opportunities: {product: {GTXPro: GTX Pro}}}."""


type Data = Annotated[DemoData | TablesData, Field(discriminator="source")]
"""Where the tables come from."""
