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
        ("account", "product", "amount", "won_amount", "expected_close", "name", "category"),
    ),
    "stage_history": (("opportunity", "stage", "date"), ("expected_close", "amount")),
    "bookings": (("date", "amount"), ("rep", "account", "product", "opportunity", "cost", "territory")),
    "accounts": (
        ("id",),
        ("name", "segment", "industry", "size", "territory", "owner", "parent", "hours", "locked", "location"),
    ),
    "account_owners": (("account", "rep", "valid_from"), ()),
    "reps": (("id",), ("name", "start", "end", "fte", "role", "manager", "territory", "ramp")),
    "territories": (("id",), ("name", "region")),
    "products": (("id",), ("name", "list_price", "cost")),
    "quotas": (("level", "start", "end", "amount"), ("key",)),
    "rep_forecasts": (("rep", "as_of", "period_start", "amount"), ()),
}
"""Required and optional columns of every table. The `outcome` of a deal may be left to the meaning of its stage, the
`end` of a quota to `TableConfig.period`. Bookings may carry a `territory`, from which an account without one gets its
most frequent."""

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
]
"""The keys of `TABLES`; a test holds the two equal."""


class TableConfig(BaseModel):
    """One table: its file and the names in it."""

    model_config = SECTION

    path: Path
    """File, relative to `data.root`: .csv, .csv.gz, .tsv, .parquet or .xlsx."""
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
    tables: Annotated[dict[TableName, TableConfig], Field(min_length=1)]
    """The tables by name; opportunities or bookings must be among them."""
    replace: dict[TableName, dict[str, dict[str, str]]] = {}
    """Table, our column, the file's value to the value meant, e.g. {opportunities: {product: {GTXPro: GTX Pro}}}."""


type Data = Annotated[DemoData | TablesData, Field(discriminator="source")]
"""Where the tables come from."""
