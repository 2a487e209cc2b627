"""A finished run opened again: config, panel, posterior and simulated levels, for the commands that go on from one.

A run folder is complete in itself, so nothing here reads the data the run was made from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.archive import load
from engine.config import RunConfig, load_config
from engine.errors import RunNotFoundError
from engine.planning.quotas import QuotaBook, propose
from engine.posterior_files import load_draws
from engine.runs import Manifest, find_run, read_manifest
from engine.simulation.outcomes import LEVELS, LevelOutcomes
from models.draws import Draws
from models.panel import Panel

DRAWS = "draws"
"""Folder of a run's arrays."""

DECISIONS = "decisions.csv"
"""What people had decided when a run was planned."""


@dataclass(frozen=True)
class FinishedRun:
    """What a finished run knew.

    Attributes
    ----------
    folder, manifest : where it lies and what it says about itself
    config : as it was run, with the ``output`` it was found under
    panel, draws : the company as of the date, and the posterior
    """

    folder: Path
    manifest: Manifest
    config: RunConfig
    panel: Panel
    draws: Draws

    def level(self, name: str) -> LevelOutcomes:
        """Simulated revenue [path, member, month] of one of `LEVELS`, as the run has it."""
        if name not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {name!r}")
        return load(LevelOutcomes, self.folder / DRAWS / f"outcomes_{name}.nc")

    def quotas(self) -> QuotaBook:
        """Given targets, and those that the run proposed for reps without one."""
        horizon = self.config.planning_horizon
        return propose(self.panel, self.level("company"), horizon.first_month, horizon.first_month + horizon.months - 1)


def open_run(
    text: str, output: Path, overrides: Sequence[str] = (), given: Mapping[str, object] | None = None
) -> FinishedRun:
    """Open a run by path, NAME, NAME@2026-06-30 or NAME~1.

    Parameters
    ----------
    text, output : see `engine.runs.find_run`
    overrides, given : changes of the config, see `engine.config.load_config`

    Raises
    ------
    RunNotFoundError
        When there is no such run, or its arrays cannot be read.
    InputRefusedError
        With every problem of the changed config.
    """
    folder = find_run(text, output)
    manifest = read_manifest(folder)
    draws = load_draws(folder / DRAWS)
    if manifest is None or draws is None:
        raise RunNotFoundError(f"{folder} lacks its posterior in {DRAWS}/: run its config once more")
    config = config_of(folder, output, overrides, given)
    return FinishedRun(folder, manifest, config, load(Panel, folder / DRAWS / "panel.nc"), draws)


def config_of(
    folder: Path, output: Path, overrides: Sequence[str] = (), given: Mapping[str, object] | None = None
) -> RunConfig:
    """Config of a finished run, with changes; see `open_run`.

    Its decisions are those that were in force, as the folder has them, unless others are given.
    """
    known: dict[str, object] = {"output": output}
    if (folder / DECISIONS).is_file():
        known["decisions"] = str((folder / DECISIONS).resolve())
    return load_config(folder / "config.yaml", overrides, known | dict(given or {}))
