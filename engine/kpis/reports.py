"""The reports that people ask for, as tables: what the page and the workbook show and the run folder's kpis.csv holds.

Call `reports` once and hand its tables on: page and workbook take the same frames.
"""

from collections.abc import Mapping

import pandas as pd

from engine.kpis.bookings import contracts_received
from engine.kpis.coaching import coaching_signals
from engine.kpis.facts import Facts, facts_of
from engine.kpis.funnel import funnel
from engine.kpis.goals import forecast_report, product_targets, won_deal_goals
from engine.kpis.inefficiencies import inefficiencies
from engine.results import ForecastResult

REPORTS = (
    "funnel",
    "contracts_received",
    "forecast_report",
    "product_targets",
    "won_deal_goals",
    "leaderboard",
    "inefficiencies",
    "coaching",
)
"""Names of the tables; the first five are the reports, with the leaderboard beside the goals."""


def reports(
    result: ForecastResult, tables: Mapping[str, pd.DataFrame], facts: Facts | None = None
) -> dict[str, pd.DataFrame]:
    """Every report as a frame; one that has nothing to say has its columns and no rows.

    Parameters
    ----------
    result : a run whose computing is done
    tables : of the run folder (`engine.report.folder.make_tables`); ``forecast`` must be there, ``kpis`` may be (what
        coverage is needed is taken from it)
    facts : `engine.kpis.facts.facts_of` the result, where they are known already

    Returns
    -------
    by name (`REPORTS`). All money is in the config's currency, shares and chances are 0 to 1, intervals are 90 %.

    funnel : level, key, key_name, step, tried, passed, undecided, rate, low, high, open_now, open_value
    contracts_received : level, key, key_name, grain, period, deals, deal_amount, orders, order_amount, total,
        year_before, change, quota, attainment, contracts, contract_amount (the last two NaN without that table)
    forecast_report : level, key, key_name, period, booked, open, new, p10, p50, p90, goal, p_goal, call, year_before
    product_targets : product, product_name, booked, p10, p50, p90, target, target_source, p_target, year_before, mix
    won_deal_goals : rep, rep_name, quota, booked, gap, typical_deal, deals_won, deals_needed, deals_expected, p_quota,
        rank_mean, rank_p05, rank_p95, p_first, p_top_3 (the best mean rank by revenue first)
    leaderboard : rep, rep_name, rank, chance
    inefficiencies : kind, rep, rep_name, opportunity_id, name, value, typical, unit, at_stake, words
    coaching : one row a step and rep, see `engine.planning.conversion.conversion_table`
    """
    known = facts_of(result.panel, result.tables) if facts is None else facts
    goals, ranks = won_deal_goals(result, known)
    return {
        "funnel": funnel(known),
        "contracts_received": contracts_received(known),
        "forecast_report": forecast_report(result, known, tables["forecast"]),
        "product_targets": product_targets(result, known),
        "won_deal_goals": goals,
        "leaderboard": ranks,
        "inefficiencies": inefficiencies(result, known, tables.get("kpis")),
        "coaching": coaching_signals(result),
    }
