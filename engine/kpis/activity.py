"""What reps do: calls, minutes, emails, meetings, new records, and the hours that go into selling."""

import numpy as np
import pandas as pd

from engine.kpis.cells import KEYS, rows, tally
from engine.kpis.facts import PEOPLE_LEVELS, Facts
from engine.kpis.intervals import Z
from engine.kpis.measures import Measure, count, ratio, total

COUNTED = {"call": "calls", "email": "emails", "meeting": "meetings", "record": "new_records"}
"""Types of activities and what their totals are called."""


def activity_totals(facts: Facts) -> list[pd.DataFrame]:
    """Totals by type and talk minutes; nothing without the table."""
    if "activities" not in facts.frames:
        return []
    done = facts.at_home(facts.frames["activities"])
    found = []
    for kind, name in COUNTED.items():
        kept = done[(done["type"] == kind).to_numpy()]
        found.append(count(facts, Measure(name, f"activities of type {kind}", kept, "date", PEOPLE_LEVELS)))
    if "minutes" in done:
        spoken = done[(done["type"] == "call").to_numpy() & done["minutes"].notna().to_numpy()]
        what = Measure("talk_minutes", "minutes of activities of type call", spoken, "date", PEOPLE_LEVELS)
        found.append(total(facts, what, spoken["minutes"].to_numpy()))
    return [*found, _per_win(facts, done)]


def _per_win(facts: Facts, done: pd.DataFrame) -> pd.DataFrame:
    """Activities over deals won: the interval is that of a ratio of two Poisson counts (delta method)."""
    acts = tally(facts, done, "date", {}, PEOPLE_LEVELS)
    won = facts.deals[(facts.deals["outcome"] == "won").to_numpy()]
    homes = facts.at_home(pd.DataFrame({"rep": np.append(facts.panel.reps.labels.ids, "")[won["rep"]]}))
    placed = homes.assign(closed=won["closed"].to_numpy())
    wins = tally(facts, placed, "closed", {}, PEOPLE_LEVELS).rename(columns={"n": "wins"})
    cells = acts.merge(wins, on=KEYS)
    value = cells["n"] / cells["wins"]
    factor = np.exp(Z * np.sqrt(1.0 / cells["n"].astype(float) + 1.0 / cells["wins"].astype(float)))
    numbers = {"value": value, "numerator": cells["n"], "denominator": cells["wins"]}
    what = "activities in the period / deals won in it"
    return rows(facts, "activities_per_win", cells, numbers | {"low": value / factor, "high": value * factor}, what)


def selling_time(facts: Facts) -> list[pd.DataFrame]:
    """Selling hours over paid hours; months of reps are the independent units of the interval."""
    hours = facts.frames.get("rep_hours")
    if hours is None or "selling" not in hours:
        return []
    known = facts.at_home(hours[hours["selling"].notna() & hours["paid"].notna()])
    what = Measure("selling_time_share", "selling hours / paid hours", known, "month", PEOPLE_LEVELS)
    return [ratio(facts, what, known["selling"].to_numpy(), known["paid"].to_numpy(), (0.0, 1.0))]
