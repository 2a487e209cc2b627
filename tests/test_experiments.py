"""Studies on top of the engine: what came true, and whether the models find what is true."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from engine.config import load_config, resolved
from engine.demo.company import demo_company
from experiments.actuals import compare, summary
from experiments.recovery import recover
from experiments.recovery import summary as recovery_summary
from tests.finished import SMOKE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder whose forecast is the truth for R001, far off for R002, and half of the company's revenue."""
    path = tmp_path_factory.mktemp("run")
    config = load_config(SMOKE)
    (path / "config.yaml").write_text(yaml.safe_dump(resolved(config)), encoding="utf-8")
    revenue = quarter()
    rows = [
        ("company", "", 0.5 * revenue.sum()),
        ("rep", "R001", revenue["R001"]),
        ("rep", "R002", 3 * revenue["R002"]),
    ]
    frame = pd.DataFrame(rows, columns=["level", "key", "p50"]).assign(period="2025-Q1", key_name="", quota=np.nan)
    frame.assign(p10=0.9 * frame["p50"], p90=1.1 * frame["p50"]).to_csv(path / "forecast.csv", index=False)
    return path


def quarter() -> pd.Series:
    """Booked revenue of the demo company by rep in the first quarter of 2025, from its tables alone."""
    bookings = demo_company(1).tables["bookings"]
    inside = bookings["date"].between("2025-01-01", "2025-03-31")
    return bookings[inside].groupby("rep")["amount"].sum()


def test_actuals_are_those_of_the_tables(folder: Path) -> None:
    table = compare(folder).set_index(["level", "key"])
    revenue = quarter()
    assert table.loc[("rep", "R001"), "actual"] == pytest.approx(revenue["R001"])
    assert table.loc[("company", ""), "actual"] == pytest.approx(revenue.sum())
    assert table["inside"].to_dict() == {("company", ""): False, ("rep", "R001"): True, ("rep", "R002"): False}


def test_summary_of_actuals_counts_hits_and_misses(folder: Path) -> None:
    rows = summary(compare(folder))
    assert rows.loc["rep", "coverage80"] == 0.5
    assert rows.loc["company", "bias"] == pytest.approx(-0.5)


@pytest.mark.slow
def test_intervals_cover_the_truth_of_three_demo_companies() -> None:
    rows = pd.concat([recover(seed) for seed in (1, 2, 3)])
    by_kind = rows.assign(kind=rows["effect"].str.split().str[-1]).groupby("kind")["covered"].mean()
    assert (by_kind >= 0.80).all(), recovery_summary(rows)
    assert (by_kind <= 0.98).all(), recovery_summary(rows)
