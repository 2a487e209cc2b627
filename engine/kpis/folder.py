"""The tables of this room in a run folder: numbers, what is not available, and data quality."""

from collections.abc import Mapping

import pandas as pd

from engine.kpis.facts import facts_of
from engine.kpis.quality import data_quality, suspect_effect, suspects_of
from engine.kpis.table import kpis
from engine.results import ForecastResult


def kpi_tables(result: ForecastResult, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """By file name without ending.

    Parameters
    ----------
    tables : those of the run folder that are there already, with ``backtest``
    """
    facts = facts_of(result.panel, result.tables)
    found = kpis(result, tables, facts)
    suspects = suspects_of(result)
    pairs = [text.partition(": ")[::2] for text in found.missing]
    return {
        "kpis": found.table,
        "kpis_not_available": pd.DataFrame(pairs, columns=["kpi", "why"]),
        "data_quality": data_quality(result, facts, suspects),
        "suspects": suspects,
        "suspect_effect": suspect_effect(result, suspects),
    }
