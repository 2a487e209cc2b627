"""The band that a search aims at: what is fair on held-out draws, less the noise of the fit and of the check."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimization.aim import aimed, aimed_band
from optimization.fairness import attained, clustered_floor
from optimization.problem import TerritoryProblem
from optimization.rules import build_case
from optimization.settings import AllocationSettings
from optimization.work import Work
from tests.territories import problem_of


def work_of(problem: TerritoryProblem, **changes: object) -> Work:
    return Work(build_case(problem, AllocationSettings().model_copy(update=changes)), np.inf, 0)


def company(paths: int) -> TerritoryProblem:
    return problem_of(np.full(24, 100.0), np.repeat(np.arange(4), 6), np.full(4, 600.0), paths=paths)


@given(st.floats(0, 100), st.floats(0, 100))
def test_the_aim_lies_in_the_band_and_falls_with_noise(band: float, floor: float) -> None:
    aim = aimed_band(band, floor)
    assert band / 4 <= aim <= band
    assert aimed_band(band, floor + 1) <= aim
    assert aimed_band(band, 0.0) == band


def test_the_aim_leaves_room_for_the_noise_of_both_sets_of_paths() -> None:
    problem = company(4000)
    floor = 100 * clustered_floor(attained(problem, problem.owner, fresh=False), np.ones(4, dtype=bool))
    work = aimed(work_of(problem, attainment_band_points=6.0), problem.owner)
    assert work.case.settings.attainment_band_points == pytest.approx(6.0 - np.sqrt(2) * floor)
    assert 1.0 < work.case.settings.attainment_band_points < 5.0
    few = aimed(work_of(company(200), attainment_band_points=6.0), problem.owner)
    assert few.case.settings.attainment_band_points == 1.5


def test_only_chances_have_noise() -> None:
    problem = company(200)
    for changes in ({"fairness": "hours"}, {"attainment_band_points": 0.0}):
        work = work_of(problem, **changes)
        assert aimed(work, problem.owner) is work


def test_the_noise_is_that_of_the_largest_pool() -> None:
    """A pair of reps in a pool of their own shows less spread by noise than the four of the other pool."""
    base = problem_of(np.full(36, 100.0), np.repeat(np.arange(6), 6), np.full(6, 600.0), paths=4000)
    eligible = np.zeros((36, 6), dtype=bool)
    eligible[:24, :4], eligible[24:, 4:] = True, True
    whole, parts = (aimed(work_of(one, attainment_band_points=9.0), base.owner).case.settings
                    for one in (base, replace(base, eligible=eligible)))  # fmt: skip
    assert whole.attainment_band_points < parts.attainment_band_points < 9.0
