"""Writes a company's tables as a CRM would export them: one writer a preset, in the way of writing of a country.

`LOCALES` say how numbers, dates and texts are written, `WRITERS` which files with which columns a CRM has. A writer
gives files of texts and the `data` section that reads them, so that a test can ask for the same tables back.
"""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

type Frames = Mapping[str, pd.DataFrame]
type Sheet = dict[str, pd.Series]


@dataclass(frozen=True)
class Locale:
    """How texts, numbers and dates are written in files."""

    separator: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    thousands: str = ""
    date_format: str = "%Y-%m-%d"
    bom: bool = False

    @property
    def settings(self) -> dict[str, str]:
        """What the config must say of such a file."""
        said = {"separator": self.separator, "encoding": self.encoding, "decimal": self.decimal}
        if self.date_format != "%Y-%m-%d":
            said["date_format"] = self.date_format
        return said


LOCALES = {
    "iso": Locale(),
    "us": Locale(thousands=",", date_format="%m/%d/%Y"),
    "german": Locale(";", "windows-1252", ",", ".", "%d.%m.%Y"),
    "dutch": Locale(";", "utf-8", ",", ".", "%d-%m-%Y", bom=True),
}


@dataclass
class Export:
    """Files and the config that reads them."""

    preset: str
    locale: Locale
    sheets: dict[str, Sheet] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, table: str, path: str, sheet: Sheet, **settings: object) -> None:
        """Add a file for a table."""
        self.sheets[path] = sheet
        self.tables[table] = {"path": path, **self.locale.settings, **settings}

    def write(self, folder: Path) -> dict[str, Any]:
        """Write the files into a folder, and give the `data` section."""
        for path, sheet in self.sheets.items():
            (folder / path).write_bytes(text_of(sheet, self.locale))
        return {"source": "tables", "root": str(folder), "preset": self.preset, "tables": self.tables}


def text_of(sheet: Sheet, locale: Locale) -> bytes:
    """A table as the bytes of a text file."""
    columns = [_written(cells, locale) for cells in sheet.values()]
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=locale.separator, lineterminator="\r\n")
    writer.writerow(sheet)
    writer.writerows(zip(*columns, strict=True))
    return (b"\xef\xbb\xbf" if locale.bom else b"") + buffer.getvalue().encode(locale.encoding)


def _written(cells: pd.Series, locale: Locale) -> list[str]:
    """Cells of a column as texts."""
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return list(cells.dt.strftime(locale.date_format).fillna(""))
    if cells.dtype == "float64":
        return [_number(value, locale) for value in cells]
    if cells.dtype == bool:
        return ["true" if value else "false" for value in cells]
    return list(cells.fillna("").astype(str))


def _number(value: float, locale: Locale) -> str:
    if value != value:
        return ""
    text = f"{value:,.2f}" if round(value, 2) == value else f"{value:,}"
    return text.replace(",", "\0").replace(".", locale.decimal).replace("\0", locale.thousands)


def _side(frames: Frames, kept: tuple[str, ...]) -> Sheet:
    """reps.csv, what no CRM knows of its users."""
    reps = frames["reps"]
    names = {"id": "rep_id", "start": "start_date", "end": "end_date", "manager": "manager_id"}
    return {names.get(name, name): reps[name] for name in ("id", "start", "end", "fte", "role", "manager", *kept)}


def _own_names(export: Export, frames: Frames, names: tuple[str, ...]) -> None:
    """Tables that a CRM does not have, under our own names."""
    for name in names:
        if name in frames:
            export.add(name, f"{name}.csv", {str(ours): cells for ours, cells in frames[name].items()})


def _overwritten(frames: Frames) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Amount, close date and closed flag of deals as a CRM with one field for each shows them."""
    deals = frames["opportunities"]
    closed = deals["outcome"] != "open"
    amount = deals["won_amount"].where(deals["outcome"] == "won", deals["amount"])
    return amount, deals["closed"].fillna(deals["expected_close"]), closed


def _history(frames: Frames) -> pd.DataFrame:
    """Stage history whose closing rows have the amount and the close date of the closing, as the CRM writes them."""
    history, deals = frames["stage_history"], frames["opportunities"].set_index("id")
    outcome = history["opportunity"].map(deals["outcome"])
    closing = history["stage"].isin(["Won", "Lost"])
    won = history["opportunity"].map(deals["won_amount"])
    return history.assign(
        expected_close=history["expected_close"].mask(closing, history["date"]),
        amount=history["amount"].mask(closing & (outcome == "won"), won),
    )


def plain(frames: Frames, locale: Locale) -> Export:
    """Our own names."""
    export = Export("plain", locale)
    _own_names(export, frames, tuple(frames))
    return export


def salesforce(frames: Frames, locale: Locale) -> Export:
    """API names: objects of the Data Loader."""
    export, deals, history = Export("salesforce", locale), frames["opportunities"], _history(frames)
    amount, close, closed = _overwritten(frames)
    export.add(
        "opportunities",
        "Opportunity.csv",
        {
            "Id": deals["id"],
            "IsDeleted": pd.Series(False, index=deals.index),
            "AccountId": deals["account"],
            "Name": deals["name"],
            "StageName": deals["stage"],
            "Amount": amount,
            "CloseDate": close,
            "OwnerId": deals["rep"],
            "CreatedDate": deals["created"],
            "IsClosed": closed,
            "IsWon": deals["outcome"] == "won",
            "ForecastCategoryName": deals["category"],
            **({"LeadSource": deals["source"]} if "source" in deals else {}),
            "Product__c": deals["product"],
        },
    )
    export.add(
        "stage_history",
        "OpportunityHistory.csv",
        {
            "OpportunityId": history["opportunity"],
            "CreatedDate": history["date"],
            "StageName": history["stage"],
            "Amount": history["amount"],
            "CloseDate": history["expected_close"],
        },
    )
    accounts = frames["accounts"]
    export.add(
        "accounts",
        "Account.csv",
        {
            "Id": accounts["id"],
            "Name": accounts["name"],
            "OwnerId": accounts["owner"],
            "ParentId": accounts["parent"],
            "Type": accounts["segment"],
            "Industry": accounts["industry"],
            **_others(accounts, {"id", "name", "owner", "parent", "segment", "industry"}),
        },
    )
    reps = frames["reps"]
    active = pd.Series(True, index=reps.index)
    side = _side(frames, tuple(_others(reps, {"id", "name", "start", "end", "fte", "role", "manager"})))
    export.sheets["reps.csv"] = side
    users = {"Id": reps["id"], "Name": reps["name"], "IsActive": active}
    export.add("reps", "User.csv", users, side={"path": "reps.csv", **locale.settings})
    quotas = frames["quotas"]
    export.add(
        "quotas",
        "ForecastingQuota.csv",
        {
            "QuotaOwnerId": quotas["key"].where(quotas["level"] == "rep"),
            "Territory2Id": quotas["key"].where(quotas["level"].isin(["territory", "region"])),
            "StartDate": quotas["start"],
            "QuotaAmount": quotas["amount"],
            "Level__c": quotas["level"],
        },
        period="quarter",
    )
    rest = set(frames) - {"opportunities", "stage_history", "accounts", "reps", "quotas"}
    _own_names(export, frames, tuple(sorted(rest)))
    return export


def salesforce_report(frames: Frames, locale: Locale) -> Export:
    """Labels, with the lines that a report has at its end."""
    export, deals, history = Export("salesforce_report", locale), frames["opportunities"], _history(frames)
    amount, close, _ = _overwritten(frames)
    export.add(
        "opportunities",
        "report.csv",
        {
            "Opportunity ID": deals["id"],
            "Opportunity Owner ID": deals["rep"],
            "Account ID": deals["account"],
            "Opportunity Name": deals["name"],
            "Stage": deals["stage"],
            "Amount": amount,
            "Close Date": close,
            "Created Date": deals["created"],
            "Forecast Category": deals["category"],
            **({"Lead Source": deals["source"]} if "source" in deals else {}),
            "Product": deals["product"],
        },
    )
    export.add(
        "stage_history",
        "history.csv",
        {
            "Opportunity ID": history["opportunity"],
            "To Stage": history["stage"],
            "Amount": history["amount"],
            "Close Date": history["expected_close"],
            "Last Modified": history["date"],
        },
    )
    accounts = frames["accounts"]
    export.add(
        "accounts",
        "accounts.csv",
        {
            "Account ID": accounts["id"],
            "Account Name": accounts["name"],
            "Account Owner ID": accounts["owner"],
            "Parent Account ID": accounts["parent"],
            "Type": accounts["segment"],
            "Industry": accounts["industry"],
            **_others(accounts, {"id", "name", "owner", "parent", "segment", "industry"}),
        },
    )
    reps = frames["reps"]
    export.sheets["reps.csv"] = _side(
        frames, tuple(_others(reps, {"id", "name", "start", "end", "fte", "role", "manager"}))
    )
    users = {"User ID": reps["id"], "Full Name": reps["name"]}
    export.add("reps", "users.csv", users, side={"path": "reps.csv", **locale.settings})
    rest = set(frames) - {"opportunities", "stage_history", "accounts", "reps"}
    _own_names(export, frames, tuple(sorted(rest)))
    return export


def _property_history(frames: Frames) -> Sheet:
    """HubSpot's history: a row per property whose value changed, named by the moment."""
    history = _history(frames)
    parts = []
    for ours, theirs in (("stage", "dealstage"), ("expected_close", "closedate"), ("amount", "amount")):
        before = history.groupby("opportunity", sort=False)[ours].shift()
        first = ~history["opportunity"].duplicated()
        rows = history[first | (history[ours] != before)]
        parts.append(
            rows.assign(property=theirs, value=rows[ours], order=history.groupby("opportunity").cumcount()[rows.index])
        )
    rows = pd.concat(parts).sort_values("order", kind="stable")
    return {
        "hs_object_id": rows["opportunity"],
        "property": rows["property"],
        "value": rows["value"],
        "timestamp": rows["date"].dt.strftime("%Y-%m-%d") + rows["order"].map("T00:00:00.{:06d}Z".format),
    }


def hubspot(frames: Frames, locale: Locale) -> Export:
    """Internal names; the history of properties beside the deals."""
    export, deals = Export("hubspot", locale), frames["opportunities"]
    amount, close, closed = _overwritten(frames)
    export.add(
        "opportunities",
        "deals.csv",
        {
            "hs_object_id": deals["id"],
            "dealname": deals["name"],
            "dealstage": deals["stage"],
            "amount": amount,
            "closedate": close,
            "createdate": deals["created"],
            "hubspot_owner_id": deals["rep"],
            "associatedcompanyid": deals["account"],
            "hs_manual_forecast_category": deals["category"],
            "hs_is_closed": closed,
            "hs_is_closed_won": deals["outcome"] == "won",
            **({"hs_analytics_source": deals["source"]} if "source" in deals else {}),
            "product": deals["product"],
        },
    )
    sheet = _property_history(frames)
    sheet["value"] = pd.Series(
        [
            value.strftime(locale.date_format)
            if isinstance(value, pd.Timestamp)
            else _number(value, locale)
            if isinstance(value, float)
            else value
            for value in sheet["value"]
        ],
        index=sheet["value"].index,
        dtype="str",
    )
    export.add("stage_history", "deal_property_history.csv", sheet)
    accounts = frames["accounts"]
    export.add(
        "accounts",
        "companies.csv",
        {
            "hs_object_id": accounts["id"],
            "name": accounts["name"],
            "hubspot_owner_id": accounts["owner"],
            "hs_parent_company_id": accounts["parent"],
            "segment": accounts["segment"],
            **_others(accounts, {"id", "name", "owner", "parent", "segment"}),
        },
    )
    reps = frames["reps"]
    export.sheets["reps.csv"] = _side(
        frames, tuple(_others(reps, {"id", "name", "start", "end", "fte", "role", "manager"}))
    )
    first, last = reps["name"].str.partition(" ")[0], reps["name"].str.partition(" ")[2]
    owners = {"id": reps["id"], "firstName": first, "lastName": last}
    export.add("reps", "owners.csv", owners, side={"path": "reps.csv", **locale.settings})
    rest = set(frames) - {"opportunities", "stage_history", "accounts", "reps"}
    _own_names(export, frames, tuple(sorted(rest)))
    return export


def dynamics(frames: Frames, locale: Locale) -> Export:
    """Export to Excel: labels and the three hidden columns."""
    export, deals = Export("dynamics", locale), frames["opportunities"]
    opened = deals["outcome"] == "open"
    export.add(
        "opportunities",
        "opportunities.csv",
        {
            "(Do Not Modify) Opportunity": deals["id"],
            "(Do Not Modify) Row Checksum": "c" + deals["id"],
            "(Do Not Modify) Modified On": deals["created"],
            "Topic": deals["name"],
            "Potential Customer": deals["account"],
            "Owner": deals["rep"],
            "Pipeline Phase": deals["stage"].where(opened, _last_open_stage(frames)),
            "Est. Revenue": deals["amount"],
            "Est. Close Date": deals["expected_close"],
            "Actual Revenue": deals["won_amount"],
            "Actual Close Date": deals["closed"],
            "Created On": deals["created"],
            "Status": deals["outcome"].str.capitalize(),
            "Forecast Category": deals["category"],
            **({"Lead Source": deals["source"]} if "source" in deals else {}),
            "Product": deals["product"],
        },
    )
    accounts = frames["accounts"]
    export.add(
        "accounts",
        "account.csv",
        {
            "accountid": accounts["id"],
            "name": accounts["name"],
            "ownerid": accounts["owner"],
            "parentaccountid": accounts["parent"],
            "customersizecode": accounts["segment"],
            "industrycode": accounts["industry"],
            **_others(accounts, {"id", "name", "owner", "parent", "segment", "industry"}),
        },
    )
    reps = frames["reps"]
    export.sheets["reps.csv"] = _side(
        frames, tuple(_others(reps, {"id", "name", "start", "end", "fte", "role", "manager"}))
    )
    users = {"systemuserid": reps["id"], "fullname": reps["name"]}
    export.add("reps", "systemuser.csv", users, side={"path": "reps.csv", **locale.settings})
    rest = set(frames) - {"opportunities", "accounts", "reps"}
    _own_names(export, frames, tuple(sorted(rest)))
    return export


def _last_open_stage(frames: Frames) -> pd.Series:
    """[deal] last open stage on record."""
    history = frames["stage_history"]
    last = history[~history["stage"].isin(["Won", "Lost"])].groupby("opportunity")["stage"].last()
    return frames["opportunities"]["id"].map(last)


def _others(frame: pd.DataFrame, named: set[str]) -> Sheet:
    """Columns of a table that the CRM does not have: custom ones under our own names."""
    return {str(name): frame[name] for name in frame if name not in named}


WRITERS: dict[str, Callable[[Frames, Locale], Export]] = {
    "plain": plain,
    "salesforce": salesforce,
    "salesforce_report": salesforce_report,
    "hubspot": hubspot,
    "dynamics": dynamics,
}
