"""A finished run of a made-up company, and scenarios on it in a few lines: no model is fitted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.finished import FinishedRun, open_run
from engine.scenarios.applying import apply_all
from engine.scenarios.company import Company, Frame
from engine.scenarios.futures import Bench, LevelPair, compare, make_bench
from engine.scenarios.reading import Item, Scenario
from engine.scenarios.settings import KINDS
from models.panel import Floats
from tests import planned_run

LEAN = ("report.html=false", "simulation.paths=400", "simulation.sample_paths=10")


def write_run(output: Path, overrides: tuple[str, ...] = (), names: str | None = None) -> Path:
    """A complete run folder under ``output``."""
    return planned_run.write_run(output, (*LEAN, *overrides), names=names)


class Stage:
    """A finished run, and what changes do to it."""

    def __init__(self, output: Path) -> None:
        self.run: FinishedRun = open_run("smoke", output, ("tracking.enabled=false",))
        self.bench: Bench = make_bench(self.run, 1)
        self.base = Company(self.run.panel, self.run.draws, self.run.quotas())
        first = self.run.config.horizon.first_month
        months = np.arange(first, first + self.run.config.horizon.months)
        self.frame = Frame(months, months, self.run.config.seed, 0.15, output)

    def company(self, *changes: dict[str, Any], base: Company | None = None) -> Company:
        """The company after changes."""
        items = tuple(Item(KINDS[change["change"]].model_validate(change), {"": "a file"}) for change in changes)
        return apply_all(base or self.base, [Scenario(Path("a.yaml"), "a", "", items)], self.frame)[0]

    def pairs(self, *changes: dict[str, Any]) -> dict[str, LevelPair]:
        """Levels before and after changes."""
        return compare(self.bench, self.base, self.company(*changes))

    def without_orders(self) -> "Stage":
        """The same company without the bookings leg, simulated anew."""
        return self.with_company(replace(self.base, draws=replace(self.base.draws, orders=None)))

    def with_company(self, company: Company) -> "Stage":
        """The same run of another company, simulated anew."""
        from engine.scenarios.futures import legs

        other = object.__new__(Stage)
        other.run = replace(self.run, panel=company.panel, draws=company.draws)
        other.bench = replace(self.bench, run=other.run)
        other.bench = replace(other.bench, stored=legs(other.bench, company, self.bench.paths), legs_stored=True)
        other.base, other.frame = company, self.frame
        return other


def difference(pair: LevelPair) -> dict[str, float]:
    """Mean difference over the horizon by key, of the members that are not the same bit for bit."""
    return {
        str(key): float((pair.changed[:, i].astype(float) - pair.base[:, i]).sum(axis=1).mean())
        for i, key in enumerate(pair.keys)
        if not np.array_equal(pair.base[:, i], pair.changed[:, i])
    }


def company_months(pair: LevelPair) -> Floats:
    """Mean difference of the company by month."""
    gap: Floats = (pair.changed[:, 0].astype(np.float64) - pair.base[:, 0]).mean(axis=0, dtype=np.float64)
    return gap
