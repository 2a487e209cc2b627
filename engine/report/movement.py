"""What moved the number since the run before: its tables, its section of the page, its line in the terminal."""

import pandas as pd

from engine.deals.snapshot import NotComparableError, read_snapshot, take_snapshot
from engine.deals.waterfall import DEAL_STEPS, STEPS, Waterfall, compare
from engine.report import figures
from engine.report.page import Column, PageFigure, Section, make_table
from engine.results import ForecastResult
from engine.seeds import seed_for

SHOWN_DEALS = 25
"""Deals on the page; waterfall_deals.csv holds them all."""

SHOWN_STEPS = 4
"""Steps in the terminal's line."""

TEXT = (
    "From the mean of the run before to this one's. Steps of deals compare what each deal booked or is expected to "
    "bring; new deals had been expected without a name, so read them together with what is still to come. The steps "
    "add up to the cent: nothing is left unnamed."
)


def movement_tables(result: ForecastResult, tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables ``waterfall`` and ``waterfall_deals``; none without a run before that speaks of the same months.

    Parameters
    ----------
    tables : with ``forecast`` and ``deals`` of this run
    """
    if result.earlier is None:
        return {}
    company = (result.panel, result.draws.closing)
    try:
        earlier = read_snapshot(result.earlier)
        later = take_snapshot("this run", result.config.currency, company, tables)
        found = compare(earlier, later, seed_for(result.config.seed, "waterfall"))
    except NotComparableError:
        return {}
    return {"waterfall": found.steps, "waterfall_deals": _with_names(found, result)}


def _with_names(found: Waterfall, result: ForecastResult) -> pd.DataFrame:
    """The deals with their accounts and reps, as this run knows them, and the step that moved each of them most."""
    panel = result.panel
    deals = panel.deals
    accounts, reps = panel.accounts.labels, panel.reps.labels
    known = pd.DataFrame(
        {
            "account": [*accounts.ids, ""],
            "account_name": [*accounts.names, ""],
        }
    ).iloc[deals.account]
    people = pd.DataFrame({"rep": [*reps.ids, ""], "rep_name": [*reps.names, ""]}).iloc[deals.rep]
    who = pd.concat([known.reset_index(drop=True), people.reset_index(drop=True)], axis=1)
    who.index = pd.Index(deals.ids.astype(object)).str.removeprefix("'")
    frame = found.deals.join(who, on="opportunity_id")
    frame["step"] = frame[list(DEAL_STEPS)].abs().idxmax(axis=1)
    first = ["opportunity_id", *who.columns, "step", "before", "after", "change"]
    return frame[[*first, *DEAL_STEPS]].fillna(dict.fromkeys(who.columns, ""))


def movement_section(result: ForecastResult, tables: dict[str, pd.DataFrame]) -> Section | None:
    """The waterfall as figure and table, and the deals that moved the number; None for a first run."""
    if result.earlier is None:
        return None
    title = "What moved since the last run"
    if "waterfall" not in tables:
        text = f"Nothing to compare: the run before, {result.earlier.name}, speaks of other months or cannot be read."
        return Section("moved", title, text)
    currency, steps = result.config.currency, tables["waterfall"]
    mean = steps[steps["measure"] == "mean"].assign(amount=lambda frame: frame["amount"].astype(float))
    p50 = steps[steps["measure"] == "p50"].set_index("step")["amount"].astype(float)
    middle = (
        f" The P50 went from {p50['start']:,.0f} to {p50['end']:,.0f} {currency}: {p50['mean_moved']:+,.0f} with the "
        f"mean, {p50['shape_changed']:+,.0f} because the spread and the skew of the futures changed."
    )
    drawn = PageFigure("waterfall", f"Mean since {result.earlier.name}", figures.waterfall(mean, currency))
    columns = (
        Column("what", "Step", wide=True),
        Column("amount", f"Change, {currency}", "money"),
        Column("deals", "Deals"),
    )
    moved = tables["waterfall_deals"].head(SHOWN_DEALS)
    moved = moved.assign(step=moved["step"].map(lambda step: STEPS[step].split(":")[0]))
    deals = (
        Column("opportunity_id", "Deal"),
        Column("account_name", "Account"),
        Column("rep_name", "Rep"),
        Column("step", "Mostly"),
        Column("before", "Expected before", "money"),
        Column("after", "Booked or expected now", "money"),
        Column("change", "Change", "money"),
    )
    listed = (
        make_table("waterfall-table", "Steps", mean.assign(deals=_counted(mean["deals"])), columns),
        make_table("waterfall-deals", "Deals that moved the number most", moved, deals),
    )
    return Section("moved", title, TEXT + middle, (drawn,), listed)


def _counted(counts: pd.Series) -> list[str]:
    return ["" if pd.isna(count) else f"{count:,}" for count in counts]


def movement_line(steps: pd.DataFrame) -> str:
    """The largest steps in one line."""
    mean = steps[(steps["measure"] == "mean") & steps["step"].isin(list(STEPS))]
    amounts = mean.set_index("step")["amount"].astype(float)
    largest = amounts[amounts != 0].sort_values(key=abs, ascending=False, kind="stable").head(SHOWN_STEPS)
    words = [f"{STEPS[str(step)].split(':')[0]} {amount:+,.0f}" for step, amount in largest.items()]
    rest = amounts.sum() - largest.sum()
    return f"  mean {amounts.sum():+,.0f}: {', '.join(words)}, the rest {rest:+,.0f} (waterfall.csv)"
