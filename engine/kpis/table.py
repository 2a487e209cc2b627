"""kpis.csv: every family of numbers, and the list of those that need a table which is not there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from engine.kpis.accuracy import accuracies
from engine.kpis.activity import activity_totals, selling_time
from engine.kpis.attainment import attainment
from engine.kpis.cells import COLUMNS
from engine.kpis.coaching import coaching_signals
from engine.kpis.coverage import coverage, coverage_seed
from engine.kpis.cycle import cycles, velocity
from engine.kpis.facts import Facts, facts_of
from engine.kpis.leads import lead_numbers
from engine.kpis.people import revenue_per_rep
from engine.kpis.retention import renewals, retention
from engine.kpis.revenue import margins, revenue_numbers
from engine.kpis.spread import luck, stage_conversions
from engine.kpis.winning import average_deal, lead_conversions, proposal_rates, win_rates
from engine.results import ForecastResult

NEEDS: dict[str, str] = {
    "win_rate": "closed deals in table opportunities",
    "win_rate_value": "amounts of deals, or products with list prices",
    "win_rate_cohort": "table opportunities",
    "average_won_deal": "won deals in table opportunities",
    "proposal_rate": "table stage_history, and a stage whose name speaks of a proposal, quote or offer",
    "closing_rate": "table stage_history, and a stage whose name speaks of a proposal, quote or offer",
    "proposal_rate_per_lead": "table leads with opportunity, and what proposal_rate needs",
    "closing_rate_per_lead": "table leads with opportunity",
    "lead_to_opportunity": "table leads with opportunity",
    "lead_qualification_rate": "table leads with first_touch and qualified",
    "lead_follow_up_days_median": "table leads with first_touch",
    "leads_generated": "table leads",
    "leads_handed_over": "table leads with rep",
    "leads_followed_up": "table leads with rep and first_touch",
    "conversion_by_source": "table leads with source and opportunity",
    "sales_cycle_won_mean": "closed deals in table opportunities",
    "sales_cycle_from_lead_won_mean": "table leads with opportunity",
    "sales_velocity": "won deals in table opportunities",
    "revenue": "table opportunities or bookings",
    "revenue_per_head": "reps with revenue",
    "revenue_per_fte": "reps with revenue",
    "margin": "cost in table bookings, or cost and list_price in table products",
    "margin_rate": "cost in table bookings, or cost and list_price in table products",
    "calls": "table activities",
    "talk_minutes": "table activities with minutes",
    "activities_per_win": "table activities and won deals",
    "cost_per_win": "a cost of selling, for which there is no table yet",
    "selling_time_share": "table rep_hours with selling",
    "customer_retention": "two years of revenue of accounts",
    "net_revenue_retention": "two years of revenue of accounts",
    "cohort_retention": "revenue of accounts in two fiscal years",
    "contract_renewal_rate": "table contracts",
    "quota_attainment": "table quotas with targets of past periods",
    "call_percent_difference": "table rep_forecasts with calls for periods that have ended",
    "forecast_percent_difference": "an earlier run of the same name whose horizon has ended",
    "backtest_accuracy": "a stored backtest (python -m experiments.backtest)",
    "stage_conversion": "closed deals in table opportunities",
    "spread_share_of_rep": "some quarters of several reps' revenue",
}
"""What brings a number that is not there, by kpi."""


@dataclass(frozen=True)
class Kpis:
    """All numbers of a run.

    Attributes
    ----------
    table : kpis.csv
    missing : "name: needs ..." for every number that is left out
    """

    table: pd.DataFrame
    missing: tuple[str, ...]


def kpis(result: ForecastResult, tables: Mapping[str, pd.DataFrame], facts: Facts | None = None) -> Kpis:
    """Every number that the data give, in the order of the families; the same input gives the same rows.

    Parameters
    ----------
    tables : of the run folder; ``backtest`` is taken from it
    facts : of the result, where they are known already
    """
    known = facts_of(result.panel, result.tables) if facts is None else facts
    per_rep, lacking = revenue_per_rep(known, result)
    covered, uncovered = coverage(known, result, coverage_seed(result.config.seed))
    families: Sequence[list[pd.DataFrame]] = (
        _of_deals(known, result),
        lead_numbers(known) + lead_conversions(known),
        revenue_numbers(known) + per_rep + margins(known),
        activity_totals(known) + selling_time(known),
        retention(known) + renewals(known),
        attainment(known) + covered,
        accuracies(known, result, tables["backtest"]),
        stage_conversions(result, coaching_signals(result)) + luck(result),
    )
    parts = [part for family in families for part in family if len(part)]
    table = pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)
    there = set(table["kpi"].unique())
    absent = [f"{name}: needs {what}" for name, what in NEEDS.items() if name not in there]
    return Kpis(table, (*absent, *lacking, *uncovered))


def _of_deals(facts: Facts, result: ForecastResult) -> list[pd.DataFrame]:
    if facts.deals.empty:
        return []
    found = win_rates(facts, result) + average_deal(facts) + proposal_rates(facts)
    return found + cycles(facts) + velocity(facts)
