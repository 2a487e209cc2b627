"""A plan that is in force: its owners are the company's owners, and the forecast speaks of them."""

from pathlib import Path

import numpy as np

from engine.errors import InputRefusedError, Problem
from engine.planning.decision_files import ASSIGN_TO, PROPOSED, Row, plain_id, rows_of, word_of
from engine.planning.decisions import ACCEPT, ASSIGN, LOCK, REJECT
from engine.planning.hold_over import held
from engine.planning.quotas import QuotaBook
from engine.scenarios.books import with_owners
from engine.scenarios.company import Company
from models.draws import Draws
from models.panel import Ints, Panel


def accepted_owners(path: Path, panel: Panel) -> Ints:
    """[account] owner under the plan, index into the panel's reps; accounts it does not name keep theirs.

    Of allocation.csv and plan.xlsx every row counts but for accounts rejected or locked on any sheet, and what was
    assigned goes to the rep it was assigned to; of a decisions file what was accepted or assigned.

    Raises
    ------
    InputRefusedError
        With every rep that does not sell, every account assigned to two reps, and when no account of the plan is known.
    """
    rows = list(rows_of(path))
    stays, assigned, problems = _said(rows)
    accounts = {str(key): i for i, key in enumerate(panel.accounts.labels.ids)}
    reps = {str(key): i for i, key in enumerate(panel.reps.labels.ids)}
    owner, known, unknown = panel.accounts.owner.copy(), 0, 0
    for where, row in rows:
        key, planned = plain_id(row["account"]), PROPOSED in row
        if key in stays if planned else word_of(row) not in (ACCEPT, ASSIGN):
            continue
        account = accounts.get(key)
        rep = assigned.get(key, plain_id(row[PROPOSED])) if planned else plain_id(row.get("rep", ""))
        if account is None:
            unknown += 1
        elif rep not in reps or not panel.reps.active[reps[rep]]:
            problems.append(Problem(where, f"rep {rep!r}", "the id of an active rep", "plan anew: the rep has left"))
        else:
            known, owner[account] = known + 1, reps[rep]
    if not known and unknown:
        problems.append(Problem(str(path), "accounts of another company", "a plan of this company", "name another"))
    if problems:
        raise InputRefusedError(problems)
    return np.asarray(owner)


def _said(rows: list[tuple[str, Row]]) -> tuple[set[str], dict[str, str], list[Problem]]:
    """Accounts of a plan that stay, and the reps others were assigned to: a word on one sheet counts for all sheets."""
    stays, assigned, problems = set[str](), dict[str, str](), list[Problem]()
    for where, row in rows:
        key, kind, rep = plain_id(row["account"]), word_of(row), plain_id(row.get(ASSIGN_TO, ""))
        if PROPOSED in row and kind in (REJECT, LOCK):
            stays.add(key)
        elif PROPOSED in row and kind in (ACCEPT, ASSIGN) and rep and assigned.setdefault(key, rep) != rep:
            came = f"a second rep for {key}"
            problems.append(Problem(where, came, "one an account", f"keep {assigned[key]} or {rep}"))
    return stays, assigned, problems


def in_force(panel: Panel, draws: Draws, owner: Ints, hold_over: tuple[str, ...]) -> tuple[Panel, Draws]:
    """Panel and posterior under other owners: open deals and orders go with their accounts.

    The revenue that a change of rep disturbs is not taken off: after the plan has begun the data show it.
    """
    nothing = QuotaBook(panel.quotas, np.zeros(0), np.zeros(0, dtype=str))
    company, _ = with_owners(Company(panel, draws, nothing), owner, held(panel, hold_over))
    return company.panel, company.draws
