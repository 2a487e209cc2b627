"""What a rep adds to the accounts the rep holds: told only by accounts that changed rep.

Log revenue of a month in which an account booked = intercept + month of history + rep + account + spell + noise, where
a *spell* is an account under one rep. Accounts differ by far more than reps, so a rep whose accounts no one else ever
held is known by the prior alone, and an account that drifts looks like a rep who does: the spell's own effect keeps a
single change of hands from counting as much as its many months. Everything is partially pooled.

References
----------
Abowd, Kramarz and Margolis (1999), High wage workers and high wage firms, doi:10.1111/1468-0262.00020: worker and firm
effects are identified by those who move.
"""

from dataclasses import dataclass

import numpy as np

from models.crossed_normal import CrossedRows, fit_crossed, indicator
from models.panel import Bools, Floats, Ints


@dataclass(frozen=True)
class BookedMonths:
    """Months of accounts with positive net revenue, one row an account, rep and month.

    Attributes
    ----------
    account, rep : [row] indices into the panel
    month : [row] since 1970-01
    log_amount : [row]
    """

    account: Ints
    rep: Ints
    month: Ints
    log_amount: Floats

    def __len__(self) -> int:
        return len(self.account)


@dataclass(frozen=True)
class RepEffects:
    """Posterior of the reps' effects on the log revenue of a booked account-month.

    Attributes
    ----------
    effect : [D, rep] zero in the mean over the reps seen
    raw : [rep] mean log revenue over the rep's account-months minus that of the same months over all reps; NaN unseen
    seen : [rep] whether the rep has rows
    scale : [D] draws of the SDs by name: rep, account, spell, month, noise
    k_hat : see `models.crossed_normal.CrossedDraws`
    """

    effect: Floats
    raw: Floats
    seen: Bools
    scale: dict[str, Floats]
    k_hat: float


def booked_months(account: Ints, rep: Ints, month: Ints, amount: Floats) -> BookedMonths:
    """Net revenue by account, rep and month; rows without account or rep, and months at zero or below, are left out."""
    known = (account >= 0) & (rep >= 0)
    keys, inverse = np.unique(np.stack([account, rep, month], axis=1)[known], axis=0, return_inverse=True)
    total = np.bincount(inverse.reshape(-1), amount[known], minlength=len(keys))
    keys, total = keys[total > 0], total[total > 0]
    return BookedMonths(keys[:, 0], keys[:, 1], keys[:, 2], np.log(total))


def against_team(rows: BookedMonths) -> Floats:
    """Log revenue [row] minus the mean of all account-months of the same month."""
    month = np.unique(rows.month, return_inverse=True)[1]
    usual = np.bincount(month, rows.log_amount) / np.bincount(month)
    return rows.log_amount - usual[month]


def rep_effects(rows: BookedMonths, reps: int, draws: int, seed: int) -> RepEffects:
    """Fit.

    Parameters
    ----------
    rows : account-months with revenue
    reps : number of reps of the panel
    draws : posterior draws
    seed : of everything random

    Raises
    ------
    ValueError
        When there are fewer than three rows or all amounts are equal.
    """
    spell = np.unique(np.stack([rows.account, rows.rep], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    account = np.unique(rows.account, return_inverse=True)[1]
    month = np.unique(rows.month, return_inverse=True)[1]
    present, rep = np.unique(rows.rep, return_inverse=True)
    fitted = fit_crossed(
        CrossedRows(
            y=rows.log_amount,
            nests=(spell, account),
            nest_names=("spell", "account"),
            groups=(indicator(rep, len(present)), indicator(month, int(month.max(initial=0)) + 1)),
            group_names=("rep", "month"),
        ),
        draws,
        seed,
    )
    effect, raw = np.zeros((draws, reps)), np.full(reps, np.nan)
    effect[:, present] = fitted.effect["rep"] - fitted.effect["rep"].mean(axis=1, keepdims=True)
    raw[present] = np.bincount(rep, against_team(rows)) / np.bincount(rep)
    return RepEffects(effect, raw, np.isfinite(raw), fitted.scale, fitted.k_hat)


@dataclass(frozen=True)
class Handover:
    """Accounts that went from one rep to another: all that tells the two apart.

    Attributes
    ----------
    accounts : number
    before, after : account-months under the old and the new rep
    change : mean over accounts of the log revenue after minus before, each month set against all accounts' mean
    error : standard error of it over accounts; NaN below two
    start : median of the accounts' first months under the new rep, since 1970-01; -1 without any account
    """

    accounts: int
    before: int
    after: int
    change: float
    error: float
    start: int


def handover(rows: BookedMonths, old: int, new: int) -> Handover:
    """Accounts whose last month under ``old`` lies before their first under ``new``."""
    value = against_team(rows)
    changes, starts, before, after = [], [], 0, 0
    for account in np.intersect1d(rows.account[rows.rep == old], rows.account[rows.rep == new]):
        first = (rows.account == account) & (rows.rep == old)
        then = (rows.account == account) & (rows.rep == new)
        if rows.month[first].max() < rows.month[then].min():
            starts.append(int(rows.month[then].min()))
            changes.append(value[then].mean() - value[first].mean())
            before, after = before + int(first.sum()), after + int(then.sum())
    count = len(changes)
    error = float(np.std(changes, ddof=1) / np.sqrt(count)) if count > 1 else np.nan
    start = int(np.median(starts)) if count else -1
    return Handover(count, before, after, float(np.mean(changes)) if count else np.nan, error, start)
