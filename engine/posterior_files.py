"""Posterior draws on disk: part of every finished run, and what an interrupted run resumes from."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import models
from engine.archive import load, save
from models.draws import AmountDraws, ArrivalDraws, ClosingDraws, Diagnostics, Draws, OrderDraws

LEGS = {"closing": ClosingDraws, "amounts": AmountDraws, "arrivals": ArrivalDraws, "orders": OrderDraws}
"""Sub-models by the name of their field in `Draws` and of their file."""

SUMMARY = "diagnostics.json"
"""Written last: a folder without it holds no complete posterior."""


def save_draws(draws: Draws, folder: Path) -> None:
    """Write one NetCDF file a sub-model, and the diagnostics, into an existing folder."""
    for name in LEGS:
        if getattr(draws, name) is not None:
            save(getattr(draws, name), folder / f"{name}.nc", {})
    summary = {"count": draws.count, "diagnostics": [asdict(item) for item in draws.diagnostics]}
    (folder / SUMMARY).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def load_draws(folder: Path) -> Draws | None:
    """Read what `save_draws` wrote; None when the folder holds no complete posterior, or a damaged one."""
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        legs = {
            name: load(kind, folder / f"{name}.nc") if (folder / f"{name}.nc").is_file() else None
            for name, kind in LEGS.items()
        }
    except (OSError, ValueError, KeyError):
        return None
    return Draws(summary["count"], **legs, diagnostics=tuple(Diagnostics(**item) for item in summary["diagnostics"]))


def models_digest() -> str:
    """Eight hexadecimal digits of the source of `models`: a posterior of other code is never resumed."""
    digest = hashlib.sha256()
    for path in sorted(Path(str(models.__file__)).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def code_digest() -> str:
    """Eight hexadecimal digits of the source of all that forecasts: models, methods, simulation and data."""
    digest = hashlib.sha256(models_digest().encode())
    for room in ("methods", "simulation", "data", "demo"):
        for path in sorted((Path(__file__).parent / room).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def resume_or_fit(folder: Path, fit: Callable[[], Draws]) -> Draws:
    """Draws of an interrupted run of the same config, data and seed, else newly fitted ones, kept for the next try.

    Parameters
    ----------
    folder : named after the run's hash, so nothing else can be found in it
    """
    kept = load_draws(folder)
    if kept is not None:
        return kept
    draws = fit()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_draws(draws, folder)
    return draws
