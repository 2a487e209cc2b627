"""A plan that is in force: its owners are the company's owners, and the forecast speaks of them."""

from pathlib import Path

import numpy as np

from engine.errors import InputRefusedError, Problem
from engine.planning.decision_files import PROPOSED, plain_id, rows_of
from engine.planning.decisions import ACCEPT, ASSIGN, REJECT
from engine.planning.hold_over import held
from engine.planning.quotas import QuotaBook
from engine.scenarios.books import with_owners
from engine.scenarios.company import Company
from models.draws import Draws
from models.panel import Ints, Panel


def accepted_owners(path: Path, panel: Panel) -> Ints:
    """[account] owner under the plan, index into the panel's reps; accounts it does not name keep theirs.

    Of allocation.csv and plan.xlsx every row counts but the rejected ones; of a decisions file what was accepted or
    assigned.

    Raises
    ------
    InputRefusedError
        With every rep that does not sell, and when no account of the plan is known.
    """
    accounts = {str(key): i for i, key in enumerate(panel.accounts.labels.ids)}
    reps = {str(key): i for i, key in enumerate(panel.reps.labels.ids)}
    owner, problems, known, unknown = panel.accounts.owner.copy(), [], 0, 0
    for where, row in rows_of(path):
        kind, planned = row.get("decision", "").strip().casefold(), PROPOSED in row
        if kind == REJECT or not (planned or kind in (ACCEPT, ASSIGN)):
            continue
        account = accounts.get(plain_id(row["account"]))
        rep = plain_id(row[PROPOSED] if planned else row.get("rep", ""))
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


def in_force(panel: Panel, draws: Draws, owner: Ints, hold_over: tuple[str, ...]) -> tuple[Panel, Draws]:
    """Panel and posterior under other owners: open deals and orders go with their accounts.

    The revenue that a change of rep disturbs is not taken off: after the plan has begun the data show it.
    """
    nothing = QuotaBook(panel.quotas, np.zeros(0), np.zeros(0, dtype=str))
    company, _ = with_owners(Company(panel, draws, nothing), owner, held(panel, hold_over))
    return company.panel, company.draws
