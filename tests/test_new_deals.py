from dataclasses import replace

import numpy as np
import pytest

from models.calendar import month_number
from models.new_deals import count_new_deals, fit_arrivals, log_ramp
from models.settings import ModelSettings
from tests.order_panels import lost_deals, sellers

RATE = np.array([6.0, 3.0, 4.0, 8.0, 5.0, 2.0, 4.0, 6.0, 3.0, 5.0, 7.0, 4.0])
SEASON = 0.4 * np.sin(2 * np.pi * np.arange(12) / 12)


def test_only_whole_months_of_employed_reps_count() -> None:
    panel = sellers(RATE[:3], SEASON, 4.0, 1)
    days = ["2025-09-20", "2025-10-02", "2025-10-30", "2025-11-30", "2025-12-01", "2025-12-10"]
    created = np.array(days, dtype="datetime64[D]")
    panel = replace(
        panel,
        as_of=np.datetime64("2025-12-15"),
        deals=lost_deals(np.array([0, 0, 0, 1, 1, 2]), created),
        reps=replace(
            panel.reps,
            start=np.array(["2025-10-01", "2020-01-01", "NaT"], dtype="datetime64[D]"),
            end=np.array(["2025-11-15", "NaT", "NaT"], dtype="datetime64[D]"),
            fte=np.array([1.0, 0.5, 1.0]),
        ),
    )
    counts = count_new_deals(panel, 36)
    october = int(month_number(np.array(["2025-10-01"], dtype="datetime64[D]"))[0])
    assert (counts.first, counts.months) == (october, 2)  # first closing within September, December has not ended
    table = {(r, m): (n, e) for r, m, n, e in zip(counts.rep, counts.month, counts.count, counts.exposure, strict=True)}
    assert table == {
        (0, 0): (2, 1.0),
        (0, 1): (0, 0.5),
        (1, 0): (0, 0.5),
        (1, 1): (1, 0.5),
    }  # the third rep's first deal came in December: exposed from January on


def test_months_before_the_first_closing_of_an_export_do_not_count() -> None:
    panel = sellers(RATE[:3], SEASON, 4.0, 1)
    deals = lost_deals(np.array([0, 0, 1]), np.array(["2025-03-05", "2025-05-05", "2025-08-05"], dtype="datetime64[D]"))
    deals = replace(deals, closed=np.array(["2025-07-10", "2025-08-10", "2025-09-10"], dtype="datetime64[D]"))
    counts = count_new_deals(replace(panel, as_of=np.datetime64("2025-09-30"), deals=deals), 36)
    august = int(month_number(np.array(["2025-08-01"], dtype="datetime64[D]"))[0])
    assert (counts.first, counts.months) == (august, 2)


def test_recent_months_bound_the_window() -> None:
    counts = count_new_deals(sellers(RATE, SEASON, 4.0, 1), 12)
    assert counts.months == 12
    assert counts.month.min() == 0


def test_ramp_grows_to_full_speed() -> None:
    ramp = np.exp(log_ramp(np.array([0.5, 4.0, 400.0, np.inf]), 4.0))
    assert ramp == pytest.approx([0.1175, 0.632, 1.0, 1.0], abs=1e-3)


def test_fit_recovers_rates_season_and_ramp() -> None:
    fitted = fit_arrivals(sellers(RATE, SEASON, 4.0, 2), ModelSettings(), 2)
    assert fitted is not None
    draws, diagnostics = fitted
    assert diagnostics.converged(), diagnostics
    home = np.arange(len(RATE)) % draws.territory.shape[1]
    log_rate = (draws.base + draws.level + draws.season.mean(axis=1))[:, None] + draws.rep + draws.territory[:, home]
    low, high = np.quantile(log_rate, [0.025, 0.975], axis=0)
    covered = (low < np.log(RATE)) & (np.log(RATE) < high)
    assert covered.sum() >= len(RATE) - 2
    season = draws.season - draws.season.mean(axis=1, keepdims=True)
    assert np.corrcoef(season.mean(axis=0), SEASON)[0, 1] > 0.85
    low, high = np.quantile(draws.ramp_months, [0.01, 0.99])
    assert low < 4.0 < high
    assert draws.dispersion.mean() > 5
