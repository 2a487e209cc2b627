"""Leads: both ways to split against brute force, and what a split may not do."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import RunOptions
from engine.finished import FinishedRun
from engine.planning import leads
from engine.planning.lead_split import most_in_sum, raise_the_lowest
from engine.planning.question_settings import LeadsSettings
from models.panel import Floats
from tests.planned_run import finished_run

rising = st.lists(st.floats(0, 0.3), min_size=1, max_size=4).map(lambda steps: np.cumsum(np.array(steps)))
"""Chance with no lead, one, two, ...: any rising curve, S-shaped ones among them."""


def splits(worth: list[Floats], count: int) -> list[tuple[int, ...]]:
    """All ways to hand out as many as can be handed out."""
    total = min(count, sum(len(row) - 1 for row in worth))
    return [way for way in product(*(range(len(row)) for row in worth)) if sum(way) == total]


@given(st.lists(rising, min_size=1, max_size=4), st.integers(0, 6))
def test_the_greedy_rule_is_optimal_for_the_lowest_chance(chance: list[Floats], count: int) -> None:
    found = raise_the_lowest(chance, count)
    assert tuple(found) in splits(chance, count)
    best = max(min(row[k] for row, k in zip(chance, way, strict=True)) for way in splits(chance, count))
    assert min(row[k] for row, k in zip(chance, found, strict=True)) == best


@given(st.lists(rising, min_size=1, max_size=4), st.integers(0, 6))
def test_the_dynamic_programme_is_optimal_for_the_sum(worth: list[Floats], count: int) -> None:
    found = most_in_sum(worth, count)
    assert found.sum() <= count
    best = max(sum(row[k] for row, k in zip(worth, way, strict=True)) for way in splits(worth, count))
    assert sum(row[k] for row, k in zip(worth, found, strict=True)) == pytest.approx(best)


def test_a_curve_that_pays_late_needs_the_exact_split() -> None:
    """One lead does nothing for the first rep, three do everything: a greedy rule on single steps would miss it."""
    late, early = np.array([0.0, 0.0, 0.0, 0.9]), np.array([0.5, 0.55, 0.6, 0.62])
    assert most_in_sum([late, early], 3).tolist() == [3, 0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return finished_run(tmp_path_factory.mktemp("runs"))


def test_leads_respect_what_a_rep_can_work(run: FinishedRun) -> None:
    asked = LeadsSettings(leads=24, paths=1_000, most=1.5)
    found = leads.answer(run, asked, RunOptions(threads=1))
    table = found.tables["leads"]
    assert table["leads"].sum() == 24
    assert (table["leads"] <= table["most_leads"]).all()
    assert (table["chance_after"] >= table["chance_before"]).all()
    assert (table["revenue_after"] >= table["revenue_before"]).all()
    left = table[table["leads"] < table["most_leads"]]
    helped = table[table["leads"] > 0]
    assert left["chance_before"].max() >= helped["chance_before"].min()


def test_every_objective_is_the_best_at_its_own(run: FinishedRun) -> None:
    found = leads.answer(run, LeadsSettings(leads=15, paths=1_000), RunOptions(threads=1))
    table = found.tables["leads_objectives"].set_index("objective")
    for name, column in (("even", "chance_lowest"), ("at_quota", "reps_at_quota"), ("revenue", "revenue_added")):
        assert table[column].idxmax() == name or table.loc[name, column] == table[column].max()


def test_leads_that_seldom_convert_bring_less(run: FinishedRun) -> None:
    worth = [
        leads.answer(run, LeadsSettings(leads=24, paths=1_000, conversion=share), RunOptions(threads=1)).metrics[
            "revenue_added"
        ]
        for share in (0.25, 1.0)
    ]
    assert 0 < worth[0] < 0.5 * worth[1]
