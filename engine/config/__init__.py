"""The config of a run: what may be asked (`schema`), how it is read (`loading`) and what is said when it is wrong."""

from engine.config.data import TABLES, DemoData, TableConfig, TablesData
from engine.config.horizon import Horizon
from engine.config.loading import hashable, load_config, resolved
from engine.config.options import RunOptions
from engine.config.schema import Allocation, Calendar, Report, RunConfig, Stage

__all__ = [
    "TABLES",
    "Allocation",
    "Calendar",
    "DemoData",
    "Horizon",
    "Report",
    "RunConfig",
    "RunOptions",
    "Stage",
    "TableConfig",
    "TablesData",
    "hashable",
    "load_config",
    "resolved",
]
