"""From files to a `models.panel.Panel`: read, hold to the contract, audit, cut at a date, map to arrays."""

from engine.data.cut import as_of_date, cut
from engine.data.issues import DataIssue, issues_frame
from engine.data.load import load_tables
from engine.data.panel import build_panel
from engine.data.tables import Tables

__all__ = ["DataIssue", "Tables", "as_of_date", "build_panel", "cut", "issues_frame", "load_tables"]
