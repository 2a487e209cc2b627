"""Stored backtests: who may know them, and what a run makes of them."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.config import RunConfig, load_config
from engine.methods.combination import Combination
from engine.methods.combined_outcomes import FEWEST_PATHS, combine_outcomes, in_the_light_of
from engine.methods.registry import LEGS, LEGS_AND_CALLS
from engine.report.track_section import calibration, track_section
from engine.report.words import words_of
from engine.simulation.clock import SimulationHorizons
from engine.simulation.outcomes import Outcomes
from engine.simulation.simulate import simulate
from engine.track_record import (
    COLUMNS,
    FOLDER,
    NEXT,
    PITS,
    TABLE,
    WEIGHTS,
    TrackRecord,
    company_hash,
    digest,
    newest,
    read_combination,
    read_table,
    store,
)
from models.panel import Panel
from tests.finished import SMOKE, finished_result
from tests.simulation_inputs import MONTH, make_draws, make_panel


def stored(output: Path, config: RunConfig, known_from: str, **changes: str) -> TrackRecord:
    """A finished backtest without content."""
    folder = output / FOLDER / config.name / f"{known_from}{changes.get('company', '')}"
    folder.mkdir(parents=True)
    record = TrackRecord(str(folder), config.name, known_from, company_hash(config), "code", "2026-01-01T00:00:00")
    record = replace(record, **changes)
    row = dict.fromkeys(COLUMNS, 0.1) | {"method": "engine", "level": "rep", "as_of": "all", "weeks_in": "all", "n": 12}
    pd.DataFrame([row, row | {"as_of": "2025-12-31"}]).to_csv(folder / TABLE, index=False)
    pits = pd.DataFrame({"method": "engine", "level": "rep", "pit": np.linspace(0, 1, 50)})
    pits.to_csv(folder / PITS, index=False)
    weights = {f"{NEXT}{week}": {"weights": {LEGS: 1.0}, "spread": 1 + week, "origins": 9} for week in (0, 8)}
    (folder / WEIGHTS).write_text(json.dumps(weights), encoding="utf-8")
    store(record)
    return record


@pytest.fixture
def config() -> RunConfig:
    return load_config(SMOKE)


def test_a_run_never_sees_a_later_backtest(tmp_path: Path, config: RunConfig) -> None:
    early, late = stored(tmp_path, config, "2025-03-31"), stored(tmp_path, config, "2026-03-31")
    company = company_hash(config)
    assert newest(tmp_path, config.name, company, date(2025, 3, 30)) is None
    assert newest(tmp_path, config.name, company, date(2025, 3, 31)) == early
    assert newest(tmp_path, config.name, company, date(2026, 3, 30)) == early
    assert newest(tmp_path, config.name, company, date(2026, 12, 31)) == late


def test_another_company_has_no_part_in_it(tmp_path: Path, config: RunConfig) -> None:
    stored(tmp_path, config, "2025-03-31", company="another")
    assert newest(tmp_path, config.name, company_hash(config), date(2026, 1, 1)) is None
    other = load_config(SMOKE, ("data.seed=2",))
    assert company_hash(other) != company_hash(config)
    assert company_hash(load_config(SMOKE, ("as_of=2024-09-30", "seed=4"))) == company_hash(config)


def test_an_unfinished_backtest_is_none(tmp_path: Path, config: RunConfig) -> None:
    record = stored(tmp_path, config, "2025-03-31")
    (Path(record.folder) / "backtest.json").unlink()
    assert newest(tmp_path, config.name, company_hash(config), date(2026, 1, 1)) is None


def test_weights_of_the_nearest_week_are_taken(tmp_path: Path, config: RunConfig) -> None:
    record = stored(tmp_path, config, "2025-03-31")
    assert [read_combination(record, week)["spread"] for week in (0.0, 3.0, 5.0, 30.0)] == [1, 1, 9, 9]  # type: ignore[index]
    (Path(record.folder) / WEIGHTS).write_text("{", encoding="utf-8")
    assert read_combination(record, 0.0) is None


def test_the_hash_follows_the_content(tmp_path: Path, config: RunConfig) -> None:
    record = stored(tmp_path, config, "2025-03-31")
    before = digest(record)
    (Path(record.folder) / WEIGHTS).write_text("{}", encoding="utf-8")
    assert digest(record) != before
    assert digest(None) == ""


@pytest.fixture(scope="module")
def company() -> tuple[Panel, Outcomes]:
    panel = make_panel(deals=200, reps=8, accounts=60, territories=3)
    settings = load_config(SMOKE).simulation.model_copy(update={"paths": 600, "sample_paths": FEWEST_PATHS})
    months = SimulationHorizons(np.arange(MONTH, MONTH + 3))
    return panel, simulate(panel, make_draws(panel), months, settings, 1, threads=1)


def test_the_legs_alone_change_nothing_but_the_number_of_paths(
    company: tuple[Panel, Outcomes], config: RunConfig
) -> None:
    panel, outcomes = company
    same = combine_outcomes(config, panel, outcomes, Combination({LEGS: 1.0}, 1.0, 20))
    for name, level in same.levels.items():
        assert np.allclose(level.total, outcomes.levels[name].total[:FEWEST_PATHS], rtol=1e-3, atol=1.0), name


def test_without_calls_the_legs_inherit_the_weight_of_what_would_have_used_them(
    company: tuple[Panel, Outcomes], config: RunConfig
) -> None:
    panel, outcomes = company
    weights = {LEGS_AND_CALLS: 0.9, "conversion": 0.1}
    combined = combine_outcomes(config, panel, outcomes, Combination(weights, 1.0, 20))
    alone = combine_outcomes(config, panel, outcomes, Combination({LEGS: 0.9, "conversion": 0.1}, 1.0, 20))
    assert np.allclose(combined.levels["rep"].total, alone.levels["rep"].total)


def test_combined_levels_add_up_and_move_towards_the_other_method(
    company: tuple[Panel, Outcomes], config: RunConfig
) -> None:
    panel, outcomes = company
    combination = Combination({LEGS: 0.5, "win_probability": 0.3, "conversion": 0.2}, 1.2, 20)
    combined = combine_outcomes(config, panel, outcomes, combination)
    total = combined.levels["company"].total[:, 0]
    assert not np.allclose(total.mean(axis=0), outcomes.levels["company"].total[:, 0].mean(axis=0), rtol=0.01)
    for name, level in combined.levels.items():
        assert np.allclose(level.total.sum(axis=1), total, rtol=1e-4), name
        assert (level.total.min(axis=0) >= level.booked - 1.0).all(), name
        mean = level.booked + level.open + level.new
        assert np.allclose(mean.sum(axis=0), total.mean(axis=0), rtol=1e-3), name


def test_nothing_learned_keeps_every_path_of_the_legs(
    company: tuple[Panel, Outcomes], config: RunConfig, tmp_path: Path
) -> None:
    panel, outcomes = company
    record = stored(tmp_path, config, "2025-03-31")
    for weights, same in (({LEGS: 1.0, "conversion": 0.0}, True), ({LEGS: 0.9, "conversion": 0.1}, False)):
        learned = {f"{NEXT}0": {"weights": weights, "spread": 1.0, "origins": 3}}
        (Path(record.folder) / WEIGHTS).write_text(json.dumps(learned), encoding="utf-8")
        found = in_the_light_of(record, config, panel, outcomes)
        assert (found is outcomes) == same
        assert found.paths == len(found.levels["rep"].total)


def test_too_few_paths_leave_the_legs_alone(company: tuple[Panel, Outcomes], config: RunConfig, tmp_path: Path) -> None:
    panel, outcomes = company
    few = replace(outcomes, sample=outcomes.sample[:50])
    assert in_the_light_of(stored(tmp_path, config, "2025-03-31"), config, panel, few) is few


def test_the_report_shows_the_record_or_says_that_there_is_none(tmp_path: Path, config: RunConfig) -> None:
    result = finished_result()
    assert "No track record yet" in track_section(result, read_table(None), words_of("en")).text
    record = stored(tmp_path, config, "2025-03-31")
    section = track_section(replace(result, track_record=record), read_table(record), words_of("en"))
    assert "known by 2025-03-31" in section.text
    assert len(section.tables[0].rows) == 1
    assert [figure.id for figure in section.figures] == ["coverage-levels", "pit-rep"]


def test_calibration_of_a_uniform_pit_is_flat() -> None:
    drawn = calibration(words_of("en"), pd.Series(np.linspace(0.001, 0.999, 1000)))
    assert np.allclose(drawn["data"][0]["y"], 0.1, atol=0.01)
