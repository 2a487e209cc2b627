"""As of a date nothing later is known, and cutting twice is cutting once."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data import Tables, cut, load_tables
from engine.data.tables import EVENT_DATES
from tests.data_company import COMPANY, company_config

FIRST, DAYS = np.datetime64("2024-12-25"), 140


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return load_tables(company_config(tmp_path_factory.mktemp("company"), COMPANY))


@pytest.fixture(scope="module")
def without_history(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    texts = {name: text for name, text in COMPANY.items() if name not in ("stage_history", "account_owners")}
    return load_tables(company_config(tmp_path_factory.mktemp("company"), texts))


def day(number: int) -> np.datetime64:
    return FIRST + np.timedelta64(number, "D")


def assert_same(one: Tables, other: Tables) -> None:
    assert one.as_of == other.as_of
    for name, frame in one.frames.items():
        pd.testing.assert_frame_equal(frame, other.frames[name])


@given(later=st.integers(0, DAYS), earlier=st.integers(0, DAYS), history=st.booleans())
def test_cut_is_idempotent_and_monotone(
    company: Tables, without_history: Tables, later: int, earlier: int, history: bool
) -> None:
    tables = company if history else without_history
    earlier, later = min(earlier, later), max(earlier, later)
    once = cut(tables, day(earlier))
    assert_same(cut(once, day(earlier)), once)
    assert_same(cut(cut(tables, day(later)), day(earlier)), once)


@given(number=st.integers(0, DAYS))
def test_nothing_later_remains(company: Tables, number: int) -> None:
    as_of = day(number)
    frames = cut(company, as_of).frames
    for name, columns in EVENT_DATES.items():
        for column in columns:
            if name in frames:
                assert not (frames[name][column] > pd.Timestamp(as_of)).any()
    deals = frames["opportunities"]
    assert ((deals["outcome"] == "open") == deals["closed"].isna()).all()
    assert deals.loc[deals["outcome"] == "open", "won_amount"].isna().all()
    if as_of < company.known_until:
        assert not (frames["account_owners"]["valid_from"] > pd.Timestamp(as_of)).any()
        assert not (frames["reps"]["start"] > pd.Timestamp(as_of)).any()


def test_a_deal_closed_later_is_open_as_it_stood(company: Tables) -> None:
    deals = cut(company, np.datetime64("2025-03-22")).frames["opportunities"].set_index("id")
    assert list(deals.index) == ["D1", "D2", "D3", "D4"]
    assert deals.loc["D4", "outcome"] == "open"
    assert deals.loc["D4", "stage"] == "Qualify"
    assert deals.loc["D3", "stage"] == "Propose"
    before = cut(company, np.datetime64("2025-03-15")).frames["opportunities"].set_index("id")
    assert before.loc["D3", "stage"] == "Qualify"
    assert before.loc["D3", "amount"] == 250
    assert before.loc["D3", "expected_close"] == pd.Timestamp("2025-05-31")
    assert before.loc["D1", "outcome"] == "won"


def test_without_history_the_state_of_open_deals_is_unknown_alike(without_history: Tables) -> None:
    deals = cut(without_history, np.datetime64("2025-03-22")).frames["opportunities"].set_index("id")
    opened = deals[deals["outcome"] == "open"]
    assert set(opened.index) == {"D3", "D4"}  # D3 is open to this day, D4 was won later: nothing may tell them apart
    assert opened["stage"].nunique() == 1
    assert opened["expected_close"].isna().all()


def test_quotas_and_the_tables_given_stay(company: Tables) -> None:
    before = {name: frame.copy() for name, frame in company.frames.items()}
    assert len(cut(company, np.datetime64("2025-01-31")).frames["quotas"]) == 3
    for name, frame in before.items():
        pd.testing.assert_frame_equal(frame, company.frames[name])


def test_known_future_moves_stay_at_the_end_of_the_export(tmp_path: Path) -> None:
    texts = {**COMPANY, "account_owners": COMPANY["account_owners"] + "A3,R1,2025-06-01\n"}
    tables = load_tables(company_config(tmp_path, texts))
    now, before = cut(tables, tables.known_until), cut(tables, np.datetime64("2025-04-24"))
    assert (len(now.frames["account_owners"]), len(before.frames["account_owners"])) == (4, 3)
    [action] = [issue.action for issue in now.issues if issue.rule == "future owner moves"]
    assert action.startswith("future owner moves: not applied to this forecast: 1 rows after 2025-04-25 (A3)")
    assert "future owner moves" not in [issue.rule for issue in before.issues]
