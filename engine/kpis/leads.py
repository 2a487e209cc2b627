"""Leads: how many, how fast they are followed up, and what becomes of them."""

import numpy as np
import pandas as pd

from engine.data.tables import column
from engine.kpis.facts import Facts
from engine.kpis.measures import Measure, count, mean, quantile, share
from engine.kpis.winning import LEAD_LEVELS


def lead_numbers(facts: Facts) -> list[pd.DataFrame]:
    """Everything that the leads table alone says; nothing without it."""
    if "leads" not in facts.frames:
        return []
    leads = facts.at_home(facts.frames["leads"])

    def measure(kpi: str, formula: str, rows: pd.DataFrame = leads) -> Measure:
        return Measure(kpi, formula, rows, "created", LEAD_LEVELS)

    found = [count(facts, measure("leads_generated", "leads created in the period"))]
    if "rep" in leads:
        handed = leads[leads["rep"].notna().to_numpy() & (leads["rep"] >= 0)]
        found.append(count(facts, measure("leads_handed_over", "leads with a rep, by creation date", handed)))
        if "first_touch" in leads:
            touched = handed["first_touch"].notna().to_numpy().astype(np.float64)
            what = "leads with a first touch / leads handed over, by creation date"
            found.append(share(facts, measure("leads_followed_up", what, handed), touched))
    if "opportunity" in leads:
        became = leads["opportunity"].notna().to_numpy().astype(np.float64)
        what = "leads that became an opportunity / leads, by creation date of the lead"
        found.append(share(facts, measure("lead_to_opportunity", what), became))
    touched_rows = leads[column(leads, "first_touch").notna()]
    if "qualified" in leads and "first_touch" in leads:
        qualified = touched_rows["qualified"].notna().to_numpy().astype(np.float64)
        what = "qualified leads / leads worked (with a first touch), by creation date"
        found.append(share(facts, measure("lead_qualification_rate", what, touched_rows), qualified))
    if "first_touch" in leads:
        found += _follow_up(facts, touched_rows)
    return found


def _follow_up(facts: Facts, touched: pd.DataFrame) -> list[pd.DataFrame]:
    days = (touched["first_touch"] - touched["created"]).dt.days.to_numpy().astype(np.float64)
    what = "days from lead created to first touch, of leads with a touch, by creation date: "
    named = {"mean": "mean", "median": "median", "p90": "90th percentile"}
    measures = {
        key: Measure(f"lead_follow_up_days_{key}", what + words, touched, "created", LEAD_LEVELS)
        for key, words in named.items()
    }
    return [
        mean(facts, measures["mean"], days),
        quantile(facts, measures["median"], days, 0.5),
        quantile(facts, measures["p90"], days, 0.9),
    ]
