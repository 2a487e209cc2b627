"""The story of ``engine.allocate``: a finished run, planned once more on its own posterior draws.

The forecast is the parent's: same panel, draws and random numbers. By default the parent's plan is changed as little as
the decisions and rules ask (`optimization.resolve`); ``anew`` plans from the present owners as the main job does.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.config import RunOptions, hashable, resolved
from engine.deals.previous import earlier_run
from engine.errors import InputRefusedError, Problem
from engine.finished import DECISIONS, FinishedRun, config_of, open_run
from engine.pipeline import STAGES, Known, Origin, RunSummary, complete, given_files
from engine.planning.decision_files import read_decisions
from engine.planning.decisions import Decisions, check_decisions, in_force
from engine.planning.hold_over import check_hold_over
from engine.planning.permissions import check_permissions
from engine.progress import StageClock
from engine.report.csv_files import harmless_text
from engine.report.folder import INHERITED
from engine.runs import content_hash, run_id
from engine.track_record import company_hash, digest, newest
from models.panel import NONE, Ints

if TYPE_CHECKING:
    import pandas as pd

CHANGEABLE = ("allocation", "decisions", "report", "output", "tracking", "seed")
"""Sections of the config that may differ from the parent's; another ``seed`` gives other paths of the same draws."""


NO_BUDGETS = tuple(
    f"allocation.{key}=null" for key in ("max_moved_accounts_share", "max_moved_value_share", "max_move_cost")
)
"""What a plan of the frontier does not keep (see `optimization.frontier`)."""


@dataclass(frozen=True)
class Start:
    """Where planning starts: from the present owners, or from a plan of the parent's frontier, counted from 1."""

    anew: bool = False
    point: int | None = None


def reallocate(
    asked: tuple[str, Path],
    changes: tuple[Sequence[str], Mapping[str, object]],
    options: RunOptions,
    start: Start | None = None,
) -> RunSummary:
    """Plan once more and write a run whose parent is the one asked for.

    Parameters
    ----------
    asked : RUN and the parent folder of all runs
    changes : ``--set`` texts, and values by key
    start : the plan to change; the parent's where None

    Raises
    ------
    RunNotFoundError
        When there is no such run.
    InputRefusedError
        With every problem of config and decisions, and every change that would need a forecast of its own.
    """
    timing = StageClock(STAGES - 1), time.time()
    start = start or Start()
    texts, given = changes
    finished = open_run(*asked, (*(NO_BUDGETS if start.point else ()), *texts), given)
    refuse_other_questions(finished)
    known = known_of(finished, start)
    plan = None if start.anew else earlier_plan(finished)
    if start.point is not None:
        plan = frontier_plan(finished, start.point)
    kept = finished.config.output / ".resume"  # nothing is fitted, so nothing waits there
    history = None if start.anew else decision_history(finished.folder)
    origin = Origin(kept, finished.manifest.run_id, finished.draws, plan, history, data_tables(finished.folder))
    return complete(finished.config, options, known, origin, timing)


def refuse_other_questions(finished: FinishedRun) -> None:
    """Refuse changes that the parent's draws do not answer."""
    before = resolved(config_of(finished.folder, finished.config.output))
    after = {key: value for key, value in resolved(finished.config).items() if key not in CHANGEABLE}
    problems = [
        Problem(
            f"--set {key}",
            "a change of the forecast",
            ", ".join(CHANGEABLE[:2]),
            "run engine.forecast with this config",
        )
        for key, value in after.items()
        if before[key] != value
    ]
    if not finished.config.allocation.enabled:
        problems.append(
            Problem("allocation.enabled", "false", "true", "--set allocation.enabled=true, or run engine.forecast")
        )
    if problems:
        raise InputRefusedError(problems)


def known_of(finished: FinishedRun, start: Start) -> Known:
    """What the parent knew, with the decisions of today; nothing of its data is read again."""
    config, panel, manifest = finished.config, finished.panel, finished.manifest
    decisions = decisions_of(finished)
    check_decisions(decisions, panel)
    check_hold_over(panel, config.allocation.hold_over_stages)
    check_permissions(panel, config.allocation)
    day = panel.as_of.item()
    config_hash = content_hash(hashable(config))
    track = newest(config.output, config.name, company_hash(config), day)
    earlier = earlier_run(config.output, config.name, day, config.horizon)
    parent: dict[str, Any] = {"parent": manifest.run_id, "data": manifest.data_hash, "anew": start.anew}
    parent |= {} if start.point is None else {"point": start.point}
    parent |= {"track": digest(track), "before": earlier.digest if earlier else ""}
    data_hash = content_hash([parent, given_files(config)])
    return Known(
        panel=panel,
        issues=_issues(finished.folder),
        decisions=decisions,
        as_of=day,
        config_hash=config_hash,
        data_hash=data_hash,
        run_id=run_id(config.name, day, config_hash, data_hash),
        track_record=track,
        earlier=earlier,
    )


def decisions_of(finished: FinishedRun) -> Decisions:
    """Decisions of the parent, and those of a file that was given in the light of it: the later word counts."""
    known, given = finished.folder / DECISIONS, finished.config.decisions
    earlier = read_decisions(known) if known.is_file() else ()
    same = given is not None and known.resolve() == given.resolve()
    return earlier if same else in_force(earlier, read_decisions(given))


def decision_history(folder: Path) -> "pd.DataFrame | None":
    """Decision log of a run; None for a run that has none."""
    import pandas as pd

    path = folder / "decision_log.csv"
    return pd.read_csv(path, dtype=str, keep_default_na=False) if path.is_file() else None


def data_tables(folder: Path) -> "dict[str, pd.DataFrame] | None":
    """Numbers of the trade and data quality of a run, whose data are not read again; None where it lacks them."""
    from engine.report.reopened import read_table

    paths = {name: folder / f"{name}.csv" for name in INHERITED}
    there = all(path.is_file() for path in paths.values())
    return {name: read_table(path) for name, path in paths.items()} if there else None


def _issues(folder: Path) -> "pd.DataFrame":
    import pandas as pd

    kinds = {"row": str, "owner": str}
    return pd.read_csv(
        folder / "data_issues.csv", dtype=kinds, keep_default_na=False, na_values={"value_at_stake": [""]}
    )


def earlier_plan(finished: FinishedRun) -> Ints | None:
    """[account] rep of the parent's plan, index into the panel's reps; None when the parent has none."""
    import pandas as pd

    path = finished.folder / "allocation.csv"
    if not path.is_file():
        return None
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    return _plan_of(finished, rows["account"], rows["new_rep"])


def frontier_plan(finished: FinishedRun, point: int) -> Ints:
    """[account] rep in a plan of the parent's frontier, index into the panel's reps.

    Raises
    ------
    InputRefusedError
        When the parent has no such plan.
    """
    import pandas as pd

    path = finished.folder / "frontier_plans.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False) if path.is_file() else pd.DataFrame()
    if f"plan_{point}" not in rows:
        there = (
            f"1 to {rows.shape[1] - 1}" if len(rows.columns) else "a run with a frontier (allocation.frontier_points)"
        )
        raise InputRefusedError(
            [Problem("--frontier-point", str(point), there, "see the column `point` of the run's frontier.csv")]
        )
    return _plan_of(finished, rows["account"], rows[f"plan_{point}"])


def _plan_of(finished: FinishedRun, accounts: Iterable[str], owners: Iterable[str]) -> Ints:
    """[account] index into the panel's reps of owners by account, both as a file has them."""
    # Ids are compared as the file has them: a spreadsheet must not take one for a formula.
    reps = {harmless_text(str(key)): i for i, key in enumerate(finished.panel.reps.labels.ids)}
    goes: dict[object, str] = dict(zip(accounts, owners, strict=True))
    ids = [harmless_text(str(key)) for key in finished.panel.accounts.labels.ids]
    return np.array([reps.get(goes.get(key), NONE) for key in ids], dtype=np.int64)
