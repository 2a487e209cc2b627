"""The question leaderboard: chances of ranks by hand, against brute force, and from a run."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.planning.leaderboard import certainty, leaderboard_table, rank_chances, ranks_table
from models.panel import Floats, Labels

FUTURES = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [5.0, 4.0, 0.0], [2.0, 2.0, 1.0]])
"""Four futures of three reps; in the last one the first two tie."""


def labels(count: int) -> Labels:
    ids = np.array([f"R{i}" for i in range(count)])
    return Labels(ids, np.char.add("Name ", ids))


def test_ranks_by_hand() -> None:
    """Rep 0 is first in two futures and in half of the tie, last in one; rep 1 is never last."""
    assert rank_chances(FUTURES) * 4 == pytest.approx(np.array([[2.5, 0.5, 1.0], [0.5, 3.5, 0.0], [1.0, 0.0, 3.0]]))


def test_of_a_pair_the_one_ahead_on_average_is_ahead_how_often() -> None:
    """Means 2.75, 2.5, 1.25. Pairs: 0 before 1 in two futures and a tie, 0 before 2 in three, 1 before 2 in three."""
    assert certainty(FUTURES) == pytest.approx((2.5 + 3 + 3) / 12)


@given(arrays(np.float64, (7, 5), elements=st.integers(0, 4).map(float)))
def test_every_rank_is_taken_by_somebody_and_everybody_has_one(value: Floats) -> None:
    chance = rank_chances(value)
    assert chance.sum(axis=0) == pytest.approx(1.0)
    assert chance.sum(axis=1) == pytest.approx(1.0)
    brute = np.zeros((5, 5))
    for row in value:
        for rep in range(5):
            better, same = int((row > row[rep]).sum()), int((row == row[rep]).sum())
            brute[rep, better : better + same] += 1 / same
    assert chance == pytest.approx(brute / 7)


def test_the_table_sums_ranks_up() -> None:
    table = leaderboard_table(labels(3), FUTURES, rank_chances(FUTURES), 2).set_index("rep")
    assert table.loc["R0", "rank_mean"] == pytest.approx((2.5 * 1 + 0.5 * 2 + 1 * 3) / 4)
    assert table.loc["R1", "p_top_2"] == pytest.approx(1.0)
    assert table.loc["R2", "p_last_quarter"] == pytest.approx(0.75)
    assert table["rank_p05"].to_dict() == {"R0": 1, "R1": 1, "R2": 1}
    assert table["rank_p95"].to_dict() == {"R0": 3, "R1": 2, "R2": 3}
    assert table.loc["R0", "rep_name"] == "Name R0"
    assert table["rank_mean"].is_monotonic_increasing


def test_more_places_asked_than_reps_are_all_places() -> None:
    table = leaderboard_table(labels(3), FUTURES, rank_chances(FUTURES), 10)
    assert table["p_top_3"].tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_the_table_of_ranks_has_what_can_happen() -> None:
    table = ranks_table(labels(3), rank_chances(FUTURES))
    assert len(table) == 7
    assert table.groupby("rank")["chance"].sum().tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert all(a <= b for a, b in pairwise(table["rank"]))
