"""Open deals in a late stage that stay with the old rep when their account changes hands."""

import numpy as np

from engine.errors import InputRefusedError, Problem
from models.panel import OPEN, Bools, Panel


def check_hold_over(panel: Panel, stages: tuple[str, ...]) -> None:
    """Refuse stages that the data do not have.

    Raises
    ------
    InputRefusedError
        With every unknown stage.
    """
    known = panel.stages.ids.tolist()
    problems = [
        Problem("allocation.hold_over_stages", f"`{name}`", f"open stages: {', '.join(known)}", "correct the name")
        for name in stages
        if name not in known
    ]
    if problems:
        raise InputRefusedError(problems)


def held(panel: Panel, stages: tuple[str, ...]) -> Bools:
    """[deal] open deals in one of the stages: they stay where they are."""
    if not stages or not len(panel.stages):
        return np.zeros(len(panel.deals), dtype=bool)
    return (panel.deals.outcome == OPEN) & np.isin(panel.stages.ids[panel.deals.stage], list(stages))
