"""What moved the number since the run before: its tables, its section of the page, its line in the terminal."""

import pandas as pd

from engine.deals.snapshot import NotComparableError, read_snapshot, take_snapshot
from engine.deals.waterfall import DEAL_STEPS, STEPS, Waterfall, compare
from engine.report import figures
from engine.report.page import Column, PageFigure, Section, make_table
from engine.report.words import Words
from engine.results import ForecastResult
from engine.seeds import seed_for

SHOWN_DEALS = 25
"""Deals on the page; waterfall_deals.csv holds them all."""

SHOWN_STEPS = 4
"""Steps in the terminal's line."""

STEP_COLUMNS = (
    Column("label", "col.step"),
    Column("amount", "col.change", "signed"),
    Column("deals", "col.deals"),
    Column("meaning", "col.meaning", wide=True),
)

DEAL_COLUMNS = (
    Column("opportunity_id", "col.deal"),
    Column("account_name", "col.account"),
    Column("rep_name", "col.rep"),
    Column("step", "col.mostly"),
    Column("before", "col.expected_before", "money"),
    Column("after", "col.booked_or_expected", "money"),
    Column("change", "col.change", "signed"),
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


def movement_section(result: ForecastResult, tables: dict[str, pd.DataFrame], words: Words) -> Section:
    """The waterfall as figure and table, and the deals that moved the number; one line for a first run."""
    title = words("section.moved")
    if "waterfall" not in tables:
        earlier = result.earlier
        text = words("missing.first_run") if earlier is None else words("missing.comparable", run=earlier.name)
        return Section("moved", title, "", (PageFigure("waterfall", words("figure.waterfall_any"), None, text),))
    currency, steps = result.config.currency, tables["waterfall"]
    mean = steps[steps["measure"] == "mean"].assign(amount=lambda frame: frame["amount"].astype(float))
    mean["label"] = [words(f"step.{step}") for step in mean["step"]]
    mean["meaning"] = [words(f"step_meaning.{step}") for step in mean["step"]]
    drawn = _waterfall(result, mean, words)
    moved = tables["waterfall_deals"].head(SHOWN_DEALS)
    moved = moved.assign(step=[words(f"step.{step}") for step in moved["step"]])
    listed = (
        make_table(words, "steps", mean.assign(deals=_counted(mean["deals"])), STEP_COLUMNS),
        make_table(words, "moved_deals", moved, DEAL_COLUMNS, "deals"),
    )
    return Section("moved", title, f"{words('text.moved')} {_middle(steps, words, currency)}", (drawn,), listed)


def _middle(steps: pd.DataFrame, words: Words, currency: str) -> str:
    p50 = steps[steps["measure"] == "p50"].set_index("step")["amount"].astype(float)
    return words(
        "text.moved_p50",
        start=words.money(p50["start"]),
        end=words.money(p50["end"]),
        currency=currency,
        mean=words.signed(p50["mean_moved"]),
        shape=words.signed(p50["shape_changed"]),
    )


def _waterfall(result: ForecastResult, mean: pd.DataFrame, words: Words) -> PageFigure:
    inner = mean[~mean["step"].isin(["start", "end"])]
    largest = inner.reindex(inner["amount"].abs().sort_values(ascending=False, kind="stable").index).head(3)
    parts = [f"{row.label} {words.signed(row.amount)}" for row in largest.itertuples()]
    amounts = mean.set_index("step")["amount"]
    text = words(
        "text.waterfall", start=words.money(amounts["start"]), end=words.money(amounts["end"]), steps="; ".join(parts)
    )
    title = words("figure.waterfall", run="" if result.earlier is None else result.earlier.name)
    return PageFigure("waterfall", title, figures.waterfall(words, mean, result.config.currency), text, wide=True)


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
