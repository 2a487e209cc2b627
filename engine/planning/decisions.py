"""What people decided about accounts: locks, assignments, and moves they refused or accepted.

Each decision names an account and one of these words, and a rep where the word needs one:

- ``lock``: the account stays with its owner;
- ``assign``, ``accept``: it goes to the rep;
- ``reject``: it does not go to the rep; without one it stays with its owner.

`engine.planning.decision_files` reads them from CSV and from a filled-in plan.xlsx.
"""

from dataclasses import dataclass

import numpy as np

from engine.errors import InputRefusedError, Problem
from models.panel import NONE, Bools, Ints, Panel

LOCK, ASSIGN, ACCEPT, REJECT = "lock", "assign", "accept", "reject"
KINDS = (ACCEPT, REJECT, LOCK, ASSIGN)


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes
    ----------
    where : file and line, or sheet and row, for messages
    account : id
    kind : one of `KINDS`, as it was written in small letters
    rep : id, or empty
    decided_by, date, note : who, when and why, as written
    """

    where: str
    account: str
    kind: str
    rep: str
    decided_by: str = ""
    date: str = ""
    note: str = ""

    @property
    def meaning(self) -> tuple[str, str, str]:
        """What is to be obeyed, whoever said it and wherever."""
        return self.account, ASSIGN if self.kind == ACCEPT else self.kind, self.rep

    @property
    def place(self) -> tuple[bool, str]:
        """Where the account is to be: with its owner, or with a rep."""
        return self.kind == LOCK, "" if self.kind == LOCK else self.rep


type Decisions = tuple[Decision, ...]


def check_decisions(decisions: Decisions, panel: Panel) -> None:
    """Refuse what cannot be obeyed.

    Raises
    ------
    InputRefusedError
        With every unknown account, rep or decision, every missing rep, every account with two destinations, and every
        account sent to a rep who was rejected for it.
    """
    accounts, reps = set(panel.accounts.labels.ids.tolist()), panel.reps.labels.ids
    active = set(reps[panel.reps.active].tolist())
    problems = [
        problem for decision in decisions for problem in _problems_alone(decision, accounts, active, set(reps.tolist()))
    ]
    problems += _contradictions(decisions)
    if problems:
        raise InputRefusedError(problems)


def _problems_alone(decision: Decision, accounts: set[str], active: set[str], reps: set[str]) -> list[Problem]:
    """What is wrong with a decision by itself."""
    where, found = decision.where, []
    if decision.kind not in KINDS:
        found.append(Problem(where, f"decision {decision.kind!r}", ", ".join(KINDS), "use one of these words"))
    if decision.account not in accounts:
        found.append(Problem(where, f"account {decision.account!r}", "an account id of the data", "correct the id"))
    known = reps if decision.kind == REJECT else active
    if decision.rep and decision.rep not in known:
        allowed = "the id of a rep" if decision.kind == REJECT else "the id of an active rep"
        found.append(Problem(where, f"rep {decision.rep!r}", allowed, "name another rep"))
    if decision.kind in (ASSIGN, ACCEPT) and not decision.rep:
        found.append(Problem(where, f"{decision.kind} without a rep", "the id of an active rep", "fill in rep"))
    return found


def _contradictions(decisions: Decisions) -> list[Problem]:
    """Accounts that are sent to two places, or to a rep they were refused."""
    goes, found = dict[str, Decision](), []
    for decision in decisions:
        if decision.kind in (LOCK, ASSIGN, ACCEPT):
            earlier = goes.setdefault(decision.account, decision)
            if earlier.place != decision.place:
                came = f"a second destination of {decision.account}"
                found.append(Problem(decision.where, came, "one an account", _keep_one(earlier, decision)))
    for decision in decisions:
        sent = goes.get(decision.account)
        if decision.kind == REJECT and decision.rep and sent is not None and sent.place == (False, decision.rep):
            came = f"{decision.account} rejected for {decision.rep} and sent there"
            found.append(Problem(decision.where, came, "one of the two", _keep_one(sent, decision)))
    return found


def _keep_one(first: Decision, second: Decision) -> str:
    return f"keep {first.where} or {second.where}"


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


def in_force(earlier: Decisions, later: Decisions) -> Decisions:
    """Decisions of two times together: the later word on an account replaces the earlier one.

    A later lock, assignment or acceptance replaces every earlier decision on the account; a later reject replaces only
    what it contradicts, so rejects add up.
    """
    settled = {decision.account for decision in later if decision.kind != REJECT}
    refused = {(decision.account, decision.rep) for decision in later if decision.kind == REJECT}
    stays = {decision.account for decision in later if decision.kind == REJECT and not decision.rep}

    def stands(old: Decision) -> bool:
        if old.account in settled:
            return False
        if old.kind == REJECT:
            return (old.account, old.rep) not in refused
        if old.kind in (ASSIGN, ACCEPT):
            return old.account not in stays and (old.account, old.rep) not in refused
        return True

    return (*filter(stands, earlier), *later)
