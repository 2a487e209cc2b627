"""Quotas: prorated by days, proposed where none are given."""

import numpy as np
import pytest

from engine.planning.quotas import GIVEN, NOT_GIVEN, PROPOSED, QuotaBook, prorated
from models.panel import Quotas


def month(text: str) -> int:
    """Months since 1970-01."""
    return int(np.datetime64(text, "M").astype(int))


def quotas(*rows: tuple[str, str, str, str, float]) -> Quotas:
    """Quotas from (level, key, first day, last day, amount)."""
    columns: list[tuple[object, ...]] = list(zip(*rows, strict=True)) or [()] * 5
    return Quotas(
        level=np.array(columns[0], dtype=str),
        key=np.array(columns[1], dtype=str),
        start=np.array(columns[2], dtype="datetime64[D]"),
        end=np.array(columns[3], dtype="datetime64[D]"),
        amount=np.array(columns[4], dtype=float),
    )


QUARTER = ("rep", "R1", "2026-07-01", "2026-09-30", 92_000.0)


def test_a_whole_period_gives_the_whole_amount() -> None:
    assert prorated(quotas(QUARTER), "rep", "R1", month("2026-07"), month("2026-09")) == pytest.approx(92_000)


def test_a_month_of_a_quarter_gives_its_share_of_days() -> None:
    assert prorated(quotas(QUARTER), "rep", "R1", month("2026-09"), month("2026-09")) == pytest.approx(30_000)


def test_a_span_that_is_not_wholly_covered_has_no_target() -> None:
    assert np.isnan(prorated(quotas(QUARTER), "rep", "R1", month("2026-07"), month("2026-10")))


def test_consecutive_periods_add_up() -> None:
    both = quotas(QUARTER, ("rep", "R1", "2026-10-01", "2026-12-31", 50_000.0))
    assert prorated(both, "rep", "R1", month("2026-07"), month("2026-12")) == pytest.approx(142_000)


def test_the_companys_row_is_found_without_a_key() -> None:
    goal = quotas(("company", "", "2026-07-01", "2026-09-30", 1e6))
    assert prorated(goal, "company", "company", month("2026-07"), month("2026-09")) == pytest.approx(1e6)


def test_a_target_says_where_it_comes_from() -> None:
    book = QuotaBook(quotas(QUARTER), np.array([np.nan, 10_000.0]), np.array(["R1", "R2"]))
    span = (month("2026-07"), month("2026-09"))
    assert book.target("rep", "R1", *span) == (pytest.approx(92_000), GIVEN)
    assert book.target("rep", "R2", *span) == (pytest.approx(30_000), PROPOSED)
    assert book.target("region", "North", *span)[1] == NOT_GIVEN
