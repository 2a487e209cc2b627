"""New business told apart from existing business in simulated revenue.

Existing is what an account buys that has bought before the first month of the horizon; new is the rest: first
purchases of known accounts, customers yet to come, and sales without an account (nothing says whose they are). Two
limits: a customer whose only purchases lie before the export began counts as new, and one that came back after years
counts as existing.
"""

import numpy as np

from engine.simulation.cells import booked_revenue
from engine.simulation.outcomes import Cells, Paths
from models.panel import NONE, Bools, Floats, Panel


def known_customers(panel: Panel, first_month: int) -> Bools:
    """Whether [account] an account has bought before a month (since 1970-01)."""
    revenue = booked_revenue(panel)
    bought = (revenue.account != NONE) & (revenue.month < first_month) & (revenue.amount > 0)
    known = np.zeros(len(panel.accounts.labels), dtype=bool)
    known[revenue.account[bought]] = True
    return known


def split_revenue(cells: Cells, sample: Paths, known: Bools, reps: int) -> tuple[Floats, Floats]:
    """Revenue of reps with new and with existing customers, each [path, rep, month].

    Parameters
    ----------
    sample : [path, cell, month] revenue
    known : [account] see `known_customers`
    reps : number of reps; cells without one are left out
    """
    existing = np.append(known, False)[cells.account]
    parts = []
    for chosen in (~existing, existing):
        where = np.flatnonzero(chosen & (cells.rep != NONE))
        where = where[np.argsort(cells.rep[where], kind="stable")]
        total = np.zeros((len(sample), reps, sample.shape[2]))
        members, starts = np.unique(cells.rep[where], return_index=True)
        if len(where):
            total[:, members] = np.add.reduceat(sample[:, where], starts, axis=1, dtype=np.float64)
        parts.append(total)
    return parts[0], parts[1]


def share_by_rank(revenue: Floats, new: Floats, existing: Floats) -> Floats:
    """Share of new business [path, rep, period] on paths whose cells are not known, from others whose cells are.

    A path takes the share of the path with the same rank of the rep's revenue (the Schaake shuffle's idea, Clark et al.
    2004, doi:10.1175/1525-7541(2004)005<0243:TSSAMF>2.0.CO;2): totals stay as they are, and a share goes with the size
    of the period it was simulated with. What the shares of two reps have in common beyond their totals is lost.

    Parameters
    ----------
    revenue : [path, rep, period]
    new, existing : [sample path, rep, period]
    """
    total = new + existing
    share = np.clip(np.divide(new, total, out=np.zeros_like(total), where=total > 0), 0.0, 1.0)
    order = np.argsort(total, axis=0, kind="stable")
    by_rank = np.take_along_axis(share, order, axis=0)  # [rank in the sample, rep, period]
    rank = np.argsort(np.argsort(revenue, axis=0, kind="stable"), axis=0)
    return np.take_along_axis(by_rank, rank * len(total) // len(revenue), axis=0)
