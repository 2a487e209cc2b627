"""The audit: what is wrong with tables that can be used, what is at stake, what was done, and how to mend it."""

from collections.abc import Callable

import pandas as pd

from engine.data.checks import nearest, unknown_values
from engine.data.convert import Replaced
from engine.data.issues import OPERATIONS, DataIssue, sample
from engine.data.revenue import free_bookings
from engine.data.schema import COLUMNS
from engine.data.sources import SourceTable
from engine.data.tables import column, members, seen_reps
from engine.data.worth import booked_amount, deal_worth

HINTS_SHOWN = 3
"""Suggestions per issue."""

VALUES_SHOWN = 10
"""Unknown values of a column that have an issue of their own; the rest share one."""

type Sources = dict[str, SourceTable]
type Frames = dict[str, pd.DataFrame]


def audit(sources: Sources, frames: Frames) -> list[DataIssue]:
    """Every finding over the whole export.

    Parameters
    ----------
    sources, frames : tables as read and as typed and checked, with the same row labels
    """
    rules: tuple[Callable[[Sources, Frames], list[DataIssue]], ...] = (
        unknown_references,
        missing_accounts,
        orders_without_account,
        repeated_revenue,
        missing_creation,
        idle_reps,
        quotas_for_nobody,
        history_of_nothing,
    )
    return [issue for rule in rules for issue in rule(sources, frames)]


def open_with_closing_date(sources: Sources, frames: Frames) -> list[DataIssue]:
    """Open deals with a closing date, read as the expected one: one CRM field holds both. Changes ``frames``."""
    deals = frames.get("opportunities")
    if deals is None:
        return []
    rows = (deals["outcome"] == "open") & deals["closed"].notna()
    if not rows.any():
        return []
    deals["expected_close"] = column(deals, "expected_close").fillna(deals["closed"].where(rows))
    deals.loc[rows, "closed"] = pd.NaT
    header = sources["opportunities"].theirs["closed"]
    action = f"{int(rows.sum()):,} open deals have a {header}: read as the expected closing date"
    return [DataIssue("opportunities", "", "open with closing date", "note", OPERATIONS, 0.0, action)]


def unknown_references(sources: Sources, frames: Frames) -> list[DataIssue]:
    """Accounts, products, territories and opportunities that the table of their kind does not have."""
    issues = []
    for name in sources:
        for ours, spec in COLUMNS[name].items():
            if ours not in frames[name] or spec.refers in ("", "reps") or spec.refers not in frames:
                continue
            counts = unknown_values(frames[name], ours, frames[spec.refers]["id"])
            groups = [[value] for value in counts.index[:VALUES_SHOWN]]
            if len(counts) > VALUES_SHOWN:
                groups.append(list(counts.index[VALUES_SHOWN:]))
            issues += [_unknown(sources, frames, (name, ours, spec.refers), values) for values in groups]
    return issues


def _unknown(sources: Sources, frames: Frames, place: tuple[str, str, str], values: list[str]) -> DataIssue:
    """Issue over the rows of a table that name unknown values."""
    name, ours, target = place
    rows = frames[name][ours].isin(values)
    own = {"territories": "territory"}.get(target, target.removesuffix("s"))
    kept = "counted as orders without a deal" if target == "opportunities" else f"kept as a {own} of its own"
    if target == "products":
        kept += " with unknown list price"
    known = frames[target]["id"].dropna().tolist()
    near = {value: found for value in values[:HINTS_SHOWN] if (found := nearest(value, known))}
    key = f"data.replace.{name}.{ours}"
    hints = "; ".join(f"is {value!r} {found!r}? then set {key}: {{{value}: {found}}}" for value, found in near.items())
    mend = hints or f"add to {sources[target].file}, or use data.replace"
    what = f"{ours} {values[0]!r}" if len(values) == 1 else f"{len(values)} further {ours} values ({sample(values)})"
    action = f"{int(rows.sum()):,} rows name {what}, not in {sources[target].file}; {kept}; {mend}"
    return DataIssue(name, "", f"unknown {ours}", "warning", OPERATIONS, _at_stake(name, frames, rows), action)


def _at_stake(name: str, frames: Frames, rows: pd.Series) -> float:
    """Money on some rows of a table, NaN where nothing is known."""
    if name == "opportunities":
        return float(deal_worth(frames)[rows].sum(min_count=1))
    return float(frames[name]["amount"][rows].sum(min_count=1)) if "amount" in frames[name] else float("nan")


def missing_accounts(sources: Sources, frames: Frames) -> list[DataIssue]:
    """Deals without an account in a table that has the column."""
    if "opportunities" not in frames or "account" not in frames["opportunities"]:
        return []
    deals = frames["opportunities"]
    rows = deals["account"].isna()
    if not rows.any():
        return []
    opened = deals["outcome"] == "open"
    share = rows[opened].mean() if opened.any() else 0.0
    action = (
        f"{int(rows.sum()):,} rows have no account, {int((rows & opened).sum()):,} of them open "
        f"({100 * share:.0f} % of the open ones); they stay in the books of their reps; "
        f"fill in the account in {sources['opportunities'].file}"
    )
    worth = _at_stake("opportunities", frames, rows)
    return [DataIssue("opportunities", "", "missing account", "warning", OPERATIONS, worth, action)]


def orders_without_account(sources: Sources, frames: Frames) -> list[DataIssue]:
    """Orders without an account: counted in the past, but no model speaks of their future."""
    if "bookings" not in frames:
        return []
    bookings = frames["bookings"]
    rows = column(bookings, "account").isna() & bookings.index.isin(free_bookings(frames).index)
    if not rows.any():
        return []
    source = sources["bookings"]
    mend = "fill in the account" if "account" in bookings else "add the `account` column"
    action = (
        f"{int(rows.sum()):,} orders have no account: their future is not forecast: the bookings leg works account by "
        f"account; they count only as past revenue of their reps; {mend} in {source.file}"
    )
    worth = _at_stake("bookings", frames, rows)
    return [DataIssue("bookings", "", "missing account", "warning", OPERATIONS, worth, action)]


def repeated_revenue(sources: Sources, frames: Frames) -> list[DataIssue]:
    """Bookings that name no deal beside won deals: nothing tells whether they are the same revenue."""
    if not {"bookings", "opportunities"} <= set(frames):
        return []
    bookings = frames["bookings"]
    won = frames["opportunities"]["outcome"] == "won"
    if column(bookings, "opportunity").notna().any() or not won.any():
        return []
    source = sources["bookings"]
    action = (
        f"none of the {len(bookings):,} rows names a deal: all are counted as orders beside the {int(won.sum()):,} won "
        f"deals, so revenue that stands in both tables counts twice; add the `opportunity` column to {source.file}, or "
        "set models.legs to one leg"
    )
    worth = float(min(booked_amount(frames)[won].sum(), bookings["amount"].sum()))
    return [DataIssue("bookings", "", "bookings may repeat won deals", "warning", OPERATIONS, worth, action)]


def missing_creation(sources: Sources, frames: Frames) -> list[DataIssue]:
    """Deals without a creation date: their age is unknown, so no hazard can speak of them."""
    if "opportunities" not in frames:
        return []
    deals = frames["opportunities"]
    rows = deals["created"].isna()
    if not rows.any():
        return []
    stages = sample(deals.loc[rows, "stage"].value_counts().index)
    source = sources["opportunities"]
    header = source.theirs["created"]
    action = (
        f"{int(rows.sum()):,} rows have no {header} (stage {stages}): their age is unknown, so they are left out of "
        f"the forecast (bookings that name them count as orders); fill in {header} in {source.file}"
    )
    worth = _at_stake("opportunities", frames, rows)
    return [DataIssue("opportunities", "", "missing creation date", "warning", OPERATIONS, worth, action)]


def idle_reps(sources: Sources, frames: Frames) -> list[DataIssue]:
    """Reps of the reps table without any deal or booking, one row each."""
    sellers = seen_reps(frames)
    if "reps" not in frames or sellers.empty:
        return []
    reps = frames["reps"]
    idle = reps[~members(reps["id"], sellers)]
    managers = column(idle, "manager").fillna(OPERATIONS)
    leads = set(column(reps, "manager").dropna())
    return [
        DataIssue(
            "reps",
            str(sources["reps"].line(row)),
            "rep without deals",
            "note",
            str(managers[row]),
            0.0,
            f"{rep} has no deal and no booking{' (manages others)' if rep in leads else ''}; gets no book unless just "
            f"hired; take out of {sources['reps'].file} who does not sell",
        )
        for row, rep in zip(idle.index, idle["id"], strict=True)
    ]


def quotas_for_nobody(sources: Sources, frames: Frames) -> list[DataIssue]:
    """Quotas of regions, territories and managers that no table names."""
    if "quotas" not in frames or "key" not in frames["quotas"]:
        return []
    quotas = frames["quotas"]
    named = (("territories", "id"), ("accounts", "territory"), ("reps", "territory"), ("bookings", "territory"))
    places = [frames[name][ours] for name, ours in named if name in frames and ours in frames[name]]
    known = {
        "region": set(column(frames["territories"], "region").dropna()) if "territories" in frames else set(),
        "territory": set(pd.concat(places).dropna()) if places else set(),
        "manager": set(column(frames["reps"], "manager").dropna()) if "reps" in frames else set(),
    }
    issues = []
    for level, keys in known.items():
        rows = (quotas["level"] == level) & ~quotas["key"].isin(keys)
        if rows.any():
            names = sample(quotas["key"][rows].unique())
            mend = f"mend the keys in {sources['quotas'].file}"
            action = f"{int(rows.sum()):,} quotas for an unknown {level} ({names}); not used; {mend}"
            worth = _at_stake("quotas", frames, rows)
            issues.append(DataIssue("quotas", "", f"unknown {level}", "warning", OPERATIONS, worth, action))
    return issues


def history_of_nothing(sources: Sources, frames: Frames) -> list[DataIssue]:
    """Stage history of deals that are not in the opportunities table."""
    if not {"stage_history", "opportunities"} <= set(frames):
        return []
    history = frames["stage_history"]
    rows = ~members(history["opportunity"], frames["opportunities"]["id"])
    if not rows.any():
        return []
    action = (
        f"{int(rows.sum()):,} rows of unknown opportunities ({sample(history['opportunity'][rows].unique())}); not "
        f"used; export {sources['opportunities'].file} and {sources['stage_history'].file} together"
    )
    return [DataIssue("stage_history", "", "unknown opportunity", "warning", OPERATIONS, float("nan"), action)]


def replacements(name: str, found: list[Replaced], frames: Frames) -> list[DataIssue]:
    """What `data.replace` did in one table."""
    issues = []
    for item in found:
        count = int(item.rows.sum())
        words = f"{item.column} {item.old!r}"
        action = f"{count:,} rows with {words} were read as {item.new!r}, as data.replace says"
        if count == 0:
            action = f"data.replace names {words}, which no row has; take it out of the config"
        worth = _at_stake(name, frames, item.rows) if count else 0.0
        issues.append(DataIssue(name, "", f"replaced {item.column}", "note", OPERATIONS, worth, action))
    return issues


def left_out(source: SourceTable) -> list[DataIssue]:
    """Rows of a file that are no records of its table."""
    return [
        DataIssue(source.name, "", "no record", "note", OPERATIONS, 0.0, f"{count:,} rows left out: {why}")
        for why, count in source.left_out.items()
    ]
