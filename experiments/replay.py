"""One fold in a process of its own. Apart from the command, so that worker processes can import it."""

import time
from functools import lru_cache
from pathlib import Path

from engine.config import RunConfig
from engine.data import load_tables
from engine.data.tables import Tables
from engine.methods.registry import methods
from experiments.folds import Fold, run_fold, save_fold


def tables_of(config: RunConfig) -> Tables:
    """Tables of a config; a process that replays several folds of a company reads them once."""
    return _tables(config.model_dump_json())


@lru_cache(maxsize=1)
def _tables(text: str) -> Tables:
    return load_tables(RunConfig.model_validate_json(text))


def replay(config: RunConfig, fold: Fold, folder: Path) -> tuple[str, float]:
    """Run one fold and keep it; gives its as-of date and seconds."""
    started = time.perf_counter()
    save_fold(run_fold(config, tables_of(config), fold, methods(config)), folder, fold)
    return fold.as_of.isoformat(), time.perf_counter() - started
