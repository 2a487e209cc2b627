"""Names of reps in answers to planning questions: as `report.names` asks, and as on the run's page."""

from collections.abc import Mapping

import pandas as pd

from engine.finished import FinishedRun
from engine.report.names import anonymous

MEMBERS = "forecast"
"""Table from which `engine.report.names.anonymous` numbers the reps."""


def with_names(run: FinishedRun, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables with reps as they are, numbered, or blank; a rep has the same number as on the page of the run.

    Unlike the run's CSV files these tables feed no operation, so the files are treated like the page.
    """
    members = pd.DataFrame({"level": "rep", "key": run.level("rep").keys, "key_name": ""})
    named = anonymous({**tables, MEMBERS: members}, run.config.report.names)
    return {name: named[name] for name in tables}
