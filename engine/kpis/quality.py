"""Data quality per rep as a table to hand out, and what the suspect deals are worth to the forecast."""

from dataclasses import replace

import numpy as np
import pandas as pd

from engine.data.suspects import ADVICE, find_suspects
from engine.kpis.facts import Facts
from engine.planning.futures import quick
from engine.results import ForecastResult
from engine.simulation.clock import SimulationHorizons
from engine.simulation.simulate import simulate
from models.panel import LOST, OPEN, Bools, Panel

DEAL_RULES = tuple(rule for rule in ADVICE if rule not in ("account without owner", "possible duplicate account"))
"""Rules that open deals are held to."""

FIELDS = ("account", "product", "amount", "expected_close")
"""Fields that an open deal should have, where the company's table has them at all."""

PATHS = 1000
"""Futures of each of the two simulations; both have the same draws and shocks."""

ALL = "all suspect deals"


def suspects_of(result: ForecastResult) -> pd.DataFrame:
    """Findings of `engine.data.suspects`; none where only the panel is known."""
    if result.tables is None:
        return pd.DataFrame(columns=["rule", "table", "id", "owner", "value_at_stake", "action"])
    return find_suspects(result.tables)


def data_quality(result: ForecastResult, facts: Facts, suspects: pd.DataFrame) -> pd.DataFrame:
    """One row a rep with an open deal, the lowest score first.

    ``score`` is the share of checks passed, in per cent: every open deal is checked against every rule that can apply
    (`DEAL_RULES`) and for every field of `FIELDS` that the company uses. Columns of rules count the open deals found.
    No rows where only the panel is known: a panel no longer has the findings.
    """
    panel = result.panel
    names = {rule: rule.replace(" ", "_") for rule in DEAL_RULES}
    columns = ["rep", "rep_name", "manager", "open_deals", "open_value", "score", "deals_to_mend", "value_to_mend"]
    columns += ["empty_fields", *names.values()]
    if result.tables is None or "opportunities" not in result.tables.frames:
        return pd.DataFrame(columns=columns)
    deals = result.tables.frames["opportunities"]
    opened = deals[deals["outcome"] == "open"]
    used = [name for name in FIELDS if name in opened and deals[name].notna().any()]
    frame = pd.DataFrame({"rep": opened["rep"], "id": opened["id"], "open_deals": 1})
    frame["empty_fields"] = opened[used].isna().sum(axis=1) if used else 0
    value = dict(zip(facts.deals["id"], facts.deals["amount"], strict=True))
    frame["open_value"] = opened["id"].map(value).fillna(0.0)
    found = suspects[suspects["table"] == "opportunities"]
    for rule, name in names.items():
        frame[name] = opened["id"].isin(found.loc[found["rule"] == rule, "id"]).astype(int)
    frame["deals_to_mend"] = ((frame[list(names.values())].sum(axis=1) + frame["empty_fields"]) > 0).astype(int)
    frame["value_to_mend"] = frame["open_value"] * frame["deals_to_mend"]
    table = frame.drop(columns="id").groupby("rep").sum().reset_index()
    checks = table["open_deals"] * (len(names) + len(used))
    failed = table[list(names.values())].sum(axis=1) + table["empty_fields"]
    table["score"] = 100.0 * (1.0 - failed / checks)
    labels, managers = panel.reps.labels, np.append(panel.managers.ids, "")
    table["rep_name"] = table["rep"].map(dict(zip(labels.ids, labels.names, strict=True))).fillna(table["rep"])
    table["manager"] = table["rep"].map(dict(zip(labels.ids, managers[panel.reps.manager], strict=True))).fillna("")
    return table.sort_values(["score", "rep"], ignore_index=True)[columns]


def suspect_effect(result: ForecastResult, suspects: pd.DataFrame) -> pd.DataFrame:
    """What the suspect open deals bring to the forecast: one row a rule, and one for all of them together.

    ``expected_revenue`` is what they are expected to bring in the horizon. The row for all has median and chance of the
    goal from two simulations of the run's posterior on the same draws and shocks, with the deals and without (a deal
    left out is one that is lost today). These are futures of the engine alone, without the weights of other methods.
    """
    panel = result.panel
    found = suspects[suspects["table"] == "opportunities"]
    revenue = dict(
        zip(panel.deals.ids[result.outcomes.deals.deal], result.outcomes.deals.expected_revenue, strict=True)
    )
    rows = []
    for rule in [*DEAL_RULES, ALL]:
        ids = found["id"].unique() if rule == ALL else found.loc[found["rule"] == rule, "id"].unique()
        chosen = np.isin(panel.deals.ids, ids.astype(str)) & (panel.deals.outcome == OPEN)
        if not chosen.any():
            continue
        row = {"rule": rule, "open_deals": int(chosen.sum())}
        row["open_value"] = float(np.nansum(panel.deals.list_amount[chosen]))
        row["expected_revenue"] = float(sum(revenue.get(key, 0.0) for key in panel.deals.ids[chosen]))
        rows.append(row | (_resimulated(result, chosen) if rule == ALL else {}))
    columns = ["rule", "open_deals", "open_value", "expected_revenue", "p50_with", "p50_without"]
    return pd.DataFrame(rows, columns=[*columns, "goal", "p_goal_with", "p_goal_without"])


def _resimulated(result: ForecastResult, chosen: Bools) -> dict[str, float]:
    months = result.outcomes.months
    totals = []
    for panel in (result.panel, without(result.panel, chosen)):
        outcomes = simulate(
            panel,
            result.draws,
            SimulationHorizons(months),
            quick(result.config, PATHS),
            result.config.seed,
            1,
            purpose="suspects",
        )
        totals.append(outcomes.levels["company"].total.sum(axis=(1, 2), dtype=np.float64))
    goal, _ = result.quotas.target("company", "", int(months[0]), int(months[-1]))
    with_, without_ = totals
    found = {"p50_with": float(np.median(with_)), "p50_without": float(np.median(without_)), "goal": goal}
    if np.isfinite(goal):
        found |= {"p_goal_with": float((with_ >= goal).mean()), "p_goal_without": float((without_ >= goal).mean())}
    return found


def without(panel: Panel, chosen: Bools) -> Panel:
    """The company as if some open deals had been lost on the as-of date."""
    deals = panel.deals
    outcome = np.where(chosen, LOST, deals.outcome).astype(deals.outcome.dtype)
    closed = np.where(chosen, panel.as_of, deals.closed)
    return replace(panel, deals=replace(deals, outcome=outcome, closed=closed))
