"""Open pipeline over what is missing to the target, and the coverage that a chosen chance of the target needs.

All open deals count, as in the need. Where kpis.csv has both numbers of the reps, they are taken from there. Else the
need is by proportion, on the run's own futures: what is still to come is multiplied until the target is reached with
the chosen chance. It is quick and has no independence in it; ``python -m engine.planning RUN coverage`` simulates more
pipeline deal by deal.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.report.terminal import company_row
from engine.results import ForecastResult
from engine.simulation.outcomes import UNASSIGNED
from models.panel import Floats

CHANCE = 0.8
"""Chance of the target that the need is worked out for."""


@dataclass(frozen=True)
class Coverage:
    """Of one target: ``now`` and ``needed`` are multiples of what is missing, NaN without target or pipeline."""

    now: float
    needed: float


def coverage_of(pipeline: float, target: float, booked: float, total: Floats) -> Coverage:
    """Coverage today and the one that reaches the target with `CHANCE`.

    Parameters
    ----------
    pipeline : value of the open deals, money
    target, booked : over the horizon, money
    total : [path] simulated revenue of the horizon
    """
    gap = target - booked
    if not gap > 0 or pipeline <= 0:
        return Coverage(np.nan, np.nan)
    to_come = float(np.quantile(total - booked, 1 - CHANCE))
    now = pipeline / gap
    return Coverage(now, now * gap / to_come if to_come > 0 else np.nan)


def company_coverage(result: ForecastResult, tables: dict[str, pd.DataFrame]) -> Coverage:
    """Of the company's goal."""
    row = company_row(tables["forecast"])
    total = result.outcomes.levels["company"].total[:, 0].sum(axis=1, dtype=np.float64)
    there = _numbers(tables, "pipeline_coverage_open", "company", str(row["period"]))["numerator"]
    pipeline = float(there.iloc[0]) if len(there) == 1 else float(deal_values(tables["deals"]).sum())
    return coverage_of(pipeline, float(row["quota"]), float(row["booked"]), total)


def rep_coverage(result: ForecastResult, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a rep with a target and something missing to it: rep, rep_name, coverage, needed."""
    told = _told(tables, str(company_row(tables["forecast"])["period"]))
    if len(told):
        return told
    level, period = result.outcomes.levels["rep"], company_row(tables["forecast"])["period"]
    forecast, values = tables["forecast"], deal_values(tables["deals"])
    rows = forecast[(forecast["level"] == "rep") & (forecast["period"] == period)]
    held = values.groupby(tables["deals"]["rep"]).sum()
    total = level.total.sum(axis=2, dtype=np.float64)  # [path, member]
    found = []
    for member, row in zip(range(len(level.keys)), rows.itertuples(), strict=True):
        if level.keys[member] == UNASSIGNED:
            continue
        pipeline = float(held.get(str(row.key), 0.0))
        known = coverage_of(pipeline, float(row.quota), float(row.booked), total[:, member])
        found.append({"rep": row.key, "rep_name": row.key_name, "coverage": known.now, "needed": known.needed})
    frame = pd.DataFrame(found, columns=["rep", "rep_name", "coverage", "needed"])
    return frame[frame["coverage"].notna()].reset_index(drop=True)


def _told(tables: dict[str, pd.DataFrame], period: str) -> pd.DataFrame:
    """The same from kpis.csv, where the run has it: all open pipeline, which is what the need speaks of."""
    none = pd.DataFrame(columns=["rep", "rep_name", "coverage", "needed"])
    now = _numbers(tables, "pipeline_coverage_open", "rep", period)["value"]
    need = _numbers(tables, "pipeline_coverage_needed", "rep", period)["value"]
    if now.empty or need.empty or now.index.has_duplicates or need.index.has_duplicates:
        return none
    forecast = tables["forecast"].query("level == 'rep'").drop_duplicates("key").set_index("key")["key_name"]
    names = forecast.reindex(now.index).fillna("").to_numpy()
    found = pd.DataFrame({"rep": now.index, "rep_name": names, "coverage": now.to_numpy(dtype=float)})
    found["needed"] = need.reindex(now.index).to_numpy(dtype=float)
    return found[found["coverage"].notna()].reset_index(drop=True)


def _numbers(tables: dict[str, pd.DataFrame], kpi: str, level: str, period: str) -> pd.DataFrame:
    """[key] rows of one number, one level and one period of kpis.csv; none where the run has no such table."""
    rows = tables.get("kpis", pd.DataFrame(columns=["kpi", "level", "key", "period", "value", "numerator"]))
    kept = (rows["kpi"] == kpi) & (rows["level"] == level) & (rows["period"].astype(str) == period)
    return rows[kept].set_index("key")


def deal_values(deals: pd.DataFrame) -> "pd.Series[float]":
    """[deal] amount the CRM shows; the median of the known ones where it shows none."""
    amount = deals["amount"].astype(float).where(lambda values: values > 0)
    return amount.fillna(amount.median() if amount.notna().any() else 0.0)
