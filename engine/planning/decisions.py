"""What people decided about accounts: locks, assignments, and moves they refused or accepted.

A CSV file with the columns account and decision, and rep where the decision names one:

- ``lock``: the account stays with its owner;
- ``assign``, ``accept``: it goes to ``rep``;
- ``reject``: it does not go to ``rep``; without one it stays with its owner.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import InputRefusedError, Problem
from models.panel import NONE, Bools, Ints, Panel

LOCK, ASSIGN, ACCEPT, REJECT = "lock", "assign", "accept", "reject"
KINDS = (LOCK, ASSIGN, ACCEPT, REJECT)


@dataclass(frozen=True)
class Decision:
    """One row: line of the file, account id, one of `KINDS`, rep id or empty."""

    line: int
    account: str
    kind: str
    rep: str


type Decisions = tuple[Decision, ...]


def read_decisions(path: Path | None) -> Decisions:
    """Read the file; no file, no decisions. Rows without a decision are passed over: nobody has decided yet.

    Raises
    ------
    InputRefusedError
        When a column is missing or the file cannot be read as UTF-8 CSV.
    """
    if path is None:
        return ()
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        came = " ".join(str(error).split())
        raise InputRefusedError([Problem(str(path), came, "a CSV file in UTF-8", "save it as CSV UTF-8")]) from error
    missing = [name for name in ("account", "decision") if rows and name not in rows[0]]
    if missing:
        came = f"columns {', '.join(str(name) for name in rows[0])}"
        raise InputRefusedError(
            [Problem(str(path), came, "columns account, decision, rep", f"add {', '.join(missing)}")]
        )
    found = [
        Decision(line, _text(row, "account"), _text(row, "decision").casefold(), _text(row, "rep"))
        for line, row in enumerate(rows, 2)
    ]
    return tuple(decision for decision in found if decision.kind)


def check_decisions(decisions: Decisions, panel: Panel, path: Path | None) -> None:
    """Refuse what cannot be obeyed.

    Raises
    ------
    InputRefusedError
        With every unknown account, rep or decision, every missing rep, and every account with two destinations.
    """
    accounts, reps = set(panel.accounts.labels.ids.tolist()), panel.reps.labels.ids
    active = set(reps[panel.reps.active].tolist())
    problems, goes = [], dict[str, Decision]()
    for decision in decisions:
        where = f"{path} line {decision.line}"
        if decision.kind not in KINDS:
            problems.append(Problem(where, f"decision {decision.kind!r}", ", ".join(KINDS), "use one of these words"))
        if decision.account not in accounts:
            problems.append(
                Problem(where, f"account {decision.account!r}", "an account id of the data", "correct the id")
            )
        if decision.rep and decision.rep not in active and decision.kind != REJECT:
            problems.append(Problem(where, f"rep {decision.rep!r}", "the id of an active rep", "name another rep"))
        if decision.kind in (ASSIGN, ACCEPT) and not decision.rep:
            problems.append(Problem(where, f"{decision.kind} without a rep", "the id of an active rep", "fill in rep"))
        if decision.kind in (LOCK, ASSIGN, ACCEPT):
            earlier = goes.setdefault(decision.account, decision)
            if (earlier.kind == LOCK, earlier.rep) != (decision.kind == LOCK, decision.rep):
                mend = f"keep line {earlier.line} or line {decision.line}"
                problems.append(Problem(where, f"a second destination of {decision.account}", "one an account", mend))
    if problems:
        raise InputRefusedError(problems)


def obey(decisions: Decisions, panel: Panel, reps: Ints, eligible: Bools) -> tuple[Bools, Bools]:
    """Turn decisions into locks and eligibility.

    Parameters
    ----------
    reps : [problem rep] index into ``panel.reps``
    eligible : [account, problem rep] before the decisions; not changed

    Returns
    -------
    locked [account] and eligible [account, problem rep]
    """
    row = {account: i for i, account in enumerate(panel.accounts.labels.ids.tolist())}
    column = {rep: r for r, rep in enumerate(panel.reps.labels.ids[reps].tolist())}
    locked, allowed = panel.accounts.locked.copy(), eligible.copy()
    for decision in decisions:
        account, rep = row[decision.account], column.get(decision.rep, NONE)
        if decision.kind == LOCK or (decision.kind == REJECT and not decision.rep):
            locked[account] = True
        elif decision.kind == REJECT:
            if rep != NONE:
                allowed[account, rep] = False
        else:
            locked[account] = False
            allowed[account] = np.arange(len(reps)) == rep
    return locked, allowed


def _text(row: dict[str, str | None], name: str) -> str:
    return (row.get(name) or "").strip()
