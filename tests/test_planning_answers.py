"""Compensation, leaderboard, slump and conversion asked of a finished run: tables, names, threads, refusals."""

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine.config import RunOptions
from engine.errors import InputRefusedError
from engine.finished import FinishedRun
from engine.planning.questions import QUESTIONS, Answer, settings_class
from models.panel import LOST, OPEN
from tests.planned_run import finished_run, with_quotas

ASKED: dict[str, dict[str, object]] = {
    "compensation": {
        "target_incentive": 40_000,
        "shares": {"individual": 0.5, "team": 0.5},
        "tiers": [{"start": 0, "rate": 1}, {"start": 1, "rate": 2}],
        "commission": {"new": 0.02, "existing": 0.01},
        "payout": "month",
        "split_paths": 200,
    },
    "leaderboard": {},
    "slump": {"least_months": 3, "replicates": 199},
    "conversion": {"draws": 500},
}
QUOTA = 10_000.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A small run whose reps all have the same quota."""
    found = finished_run(tmp_path_factory.mktemp("answers"))
    return with_quotas(found, {str(key): QUOTA for key in found.panel.reps.labels.ids})


def ask(run: FinishedRun, question: str, threads: int | None = 1, **changes: object) -> Answer:
    settings = settings_class(question).model_validate(ASKED[question] | changes)
    answer: Answer = import_module(QUESTIONS[question].module).answer(run, settings, RunOptions(threads=threads))
    return answer


def renamed(run: FinishedRun, names: str) -> FinishedRun:
    report = run.config.report.model_copy(update={"names": names})
    return replace(run, config=run.config.model_copy(update={"report": report}))


@pytest.mark.parametrize("question", ASKED)
def test_tables_have_ids_beside_names_and_metrics_are_finite(run: FinishedRun, question: str) -> None:
    answer = ask(run, question)
    assert set(answer.shown) <= set(answer.tables)
    for table in answer.tables.values():
        for column in ("rep", "manager", "team"):
            if column in table:
                assert f"{column}_name" in table
    assert all(np.isfinite(value) for value in answer.metrics.values())
    assert len(answer.metrics) < 15


@pytest.mark.parametrize("question", ASKED)
def test_reps_are_numbered_or_blank_where_the_run_wants_it(run: FinishedRun, question: str) -> None:
    keys = set(run.panel.reps.labels.ids.tolist())
    for names, allowed in (("full", keys), ("pseudonymous", {f"Rep {i:02d}" for i in range(1, 20)}), ("absent", {""})):
        answer = ask(renamed(run, names), question)
        shown = {rep for table in answer.tables.values() if "rep" in table for rep in table["rep"]}
        assert shown
        assert shown <= allowed
        said = "\n".join((answer.title, *answer.lines, *answer.notes, *answer.metrics))
        assert not any(key in said for key in keys)


@pytest.mark.parametrize("question", ASKED)
def test_threads_change_no_number(run: FinishedRun, question: str) -> None:
    one, two = ask(run, question, threads=1), ask(run, question, threads=2)
    assert one.metrics == two.metrics
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(table, two.tables[name])


def test_compensation_is_paid_on_the_stored_paths(run: FinishedRun) -> None:
    """Own share only, one rate, whole horizon: target times mean attainment, from the levels by hand."""
    plain: dict[str, Any] = {
        "shares": {"individual": 1.0, "team": 0.0},
        "commission": None,
        "payout": "horizon",
        "per": "horizon",
    }
    answer = ask(run, "compensation", **plain, tiers=[{"start": 0, "rate": 1}])
    table = answer.tables["payouts"].set_index("rep")
    level = run.level("rep")
    total = level.total.sum(axis=2, dtype=np.float64)
    for rep in ("rep00000", "rep00002"):
        index = int(np.flatnonzero(level.keys == rep)[0])
        wanted = 40_000 * np.maximum(total[:, index] / QUOTA, 0).mean()
        assert table.loc[rep, "payout_mean"] == pytest.approx(wanted)
        assert np.isnan(table["new_share"].to_dict()[rep])  # the plan treats both alike: not looked at
    assert answer.tables["payout_cost"].iloc[0]["cost_mean"] == pytest.approx(table["payout_mean"].sum())


def test_commission_splits_the_revenue_there_is(run: FinishedRun) -> None:
    """The same rate on both: what is paid on new and on existing business adds up to the rate times revenue."""
    answer = ask(run, "compensation", target_incentive=0, commission={"new": 0.1, "existing": 0.1}, payout="horizon")
    table = answer.tables["payouts"]
    both = table["commission_new_mean"] + table["commission_existing_mean"]
    assert both.to_numpy() == pytest.approx(0.1 * table["revenue_mean"].to_numpy())
    assert (table["commission_new_mean"] > 0).any()
    assert (table["commission_existing_mean"] > 0).any()


def test_a_team_without_quota_has_the_sum_of_its_reps(run: FinishedRun) -> None:
    assert any("sum of their reps'" in note for note in ask(run, "compensation").notes)


def test_unknown_reps_of_a_plan_are_refused_together(run: FinishedRun) -> None:
    with pytest.raises(InputRefusedError) as refused:
        ask(run, "compensation", reps={"rep0000": 5, "nobody": 7})
    assert [problem.where for problem in refused.value.problems] == ["reps.rep0000", "reps.nobody"]


def test_a_plan_that_pays_nothing_is_refused(run: FinishedRun) -> None:
    with pytest.raises(InputRefusedError, match="pays nothing"):
        ask(run, "compensation", target_incentive=0, commission=None)


def test_the_leaderboard_ranks_by_attainment_too(run: FinishedRun) -> None:
    """All have the same quota, so both orders are the same; without quotas nobody can be ranked."""
    revenue, attainment = (ask(run, "leaderboard", by=by).tables["leaderboard"] for by in ("revenue", "attainment"))
    assert revenue["rep"].tolist() == attainment["rep"].tolist()
    assert attainment["mean"].to_numpy() == pytest.approx(revenue["mean"].to_numpy() / QUOTA)
    assert revenue["p_first"].sum() == pytest.approx(1.0)


def test_slump_needs_history(run: FinishedRun) -> None:
    with pytest.raises(InputRefusedError, match="no rep to judge"):
        ask(run, "slump", least_months=24)


def test_conversion_needs_closed_deals(run: FinishedRun) -> None:
    deals = replace(run.panel.deals, outcome=np.full(len(run.panel.deals), OPEN, dtype=np.int8))
    with pytest.raises(InputRefusedError, match="no closed deal"):
        ask(replace(run, panel=replace(run.panel, deals=deals)), "conversion")


def test_conversion_says_where_its_counts_come_from(run: FinishedRun) -> None:
    answer = ask(run, "conversion")
    assert "closed deals only" in answer.lines[0]
    assert any("no stage history" in note for note in answer.notes)
    steps = answer.tables["conversion_steps"]
    assert steps["step"].tolist() == ["closed > won", "closed > won, like for like"]
    assert steps["tried"].iloc[0] == (run.panel.deals.outcome != OPEN).sum()
    assert steps["passed"].iloc[0] == ((run.panel.deals.outcome != OPEN) & (run.panel.deals.outcome != LOST)).sum()
