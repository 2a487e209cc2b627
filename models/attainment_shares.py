"""Rep, territory and luck: what share of the spread of attainment over reps each explains.

Attainment of a rep in a quarter, on its own scale since zeros occur, is a sum of the quarter's mean, an effect of the
rep, one of the rep's territories by their weights (multiple membership), and luck: whatever does not come again next
quarter. All have learned spreads. The shares are those of the components' variances over the observed rep-quarters in
each posterior draw (finite-population variances), so that they speak of these reps and add up to one.

What a rep keeps, books included, counts as the rep's; only reps seen in more than one territory tell both apart without
help from the prior. The others help only by the assumption that reps were placed at random.

References
----------
Gelman (2005), Analysis of variance: why it is more important than ever, doi:10.1214/009053604000001048.
Browne, Goldstein and Rasbash (2001), Multiple membership multiple classification models,
doi:10.1177/1471082X0100100202.
Abowd, Kramarz and Margolis (1999), High wage workers and high wage firms, doi:10.1111/1468-0262.00020.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from models.crossed_normal import CrossedRows, fit_crossed, indicator
from models.panel import Floats, Ints

PARTS = ("rep", "territory", "luck")
"""What the spread is split into, in the order of `AttainmentShares.share`."""

LEAST_ROWS = 8
"""Fewest rep-quarters from which a split is tried."""


LEAST_WEIGHT = 0.1
"""Share of a rep's accounts that must lie in a territory in some quarter for the rep to count as seen there."""


@dataclass(frozen=True)
class AttainmentRows:
    """Attainment of reps by quarter.

    Attributes
    ----------
    value : [row] revenue over the target, or over the mean of the team where there are no targets
    rep : [row] index, 0 to reps - 1, each with a row
    quarter : [row] index likewise
    territory : [row, territory] share of the rep's accounts in each territory; rows sum to one
    """

    value: Floats
    rep: Ints
    quarter: Ints
    territory: Floats


@dataclass(frozen=True)
class AttainmentShares:
    """Split of the spread.

    Attributes
    ----------
    share : [D, 3] shares of `PARTS`, rows sum to one
    spread : SD of attainment over reps within a quarter
    rep, territory : [D, rep] and [D, territory] effects in the unit of attainment
    reps, quarters, territories : numbers; territories with a rep in them
    movers : reps seen in two territories or more
    islands : groups of territories that no mover connects; 1 when all can be compared through movers
    k_hat : see `models.crossed_normal.CrossedDraws`
    """

    share: Floats
    spread: float
    rep: Floats
    territory: Floats
    reps: int
    quarters: int
    territories: int
    movers: int
    islands: int
    k_hat: float


def attainment_shares(rows: AttainmentRows, draws: int, seed: int) -> AttainmentShares | None:
    """Split the spread of attainment.

    Parameters
    ----------
    rows : attainment of reps by quarter
    draws : posterior draws
    seed : of everything random

    Returns
    -------
    the split; None where it cannot be tried: fewer than `LEAST_ROWS` rows, fewer than two reps, no rep with two
    quarters, or no spread
    """
    reps, quarters = int(rows.rep.max(initial=-1)) + 1, int(rows.quarter.max(initial=-1)) + 1
    if len(rows.value) < LEAST_ROWS or reps < 2 or len(rows.value) == reps or not np.ptp(rows.value) > 0:
        return None
    groups = (csr_array(rows.territory), indicator(rows.quarter, quarters))
    fitted = fit_crossed(CrossedRows(rows.value, (rows.rep,), ("rep",), groups, ("territory", "quarter")), draws, seed)
    rep = fitted.effect["rep"][:, rows.rep]  # [D, row]
    territory = fitted.effect["territory"] @ rows.territory.T
    quarter = fitted.effect["quarter"][:, rows.quarter]
    luck = rows.value - rep - territory - quarter
    variance = np.stack([part.var(axis=1) for part in (rep, territory, luck)], axis=1)
    movers, islands, territories = _moves(rows)
    means = np.bincount(rows.quarter, rows.value) / np.bincount(rows.quarter)
    return AttainmentShares(
        share=variance / variance.sum(axis=1, keepdims=True),
        spread=float(np.std(rows.value - means[rows.quarter])),
        rep=fitted.effect["rep"],
        territory=fitted.effect["territory"],
        reps=reps,
        quarters=quarters,
        territories=territories,
        movers=movers,
        islands=islands,
        k_hat=fitted.k_hat,
    )


def _moves(rows: AttainmentRows) -> tuple[int, int, int]:
    """Reps seen in two territories or more, groups of territories that they connect, and territories seen."""
    share = np.zeros((int(rows.rep.max()) + 1, rows.territory.shape[1]))
    np.maximum.at(share, rows.rep, rows.territory)
    seen = share >= LEAST_WEIGHT  # [rep, territory]
    used = seen.any(axis=0)
    linked = (seen[:, used].T.astype(int) @ seen[:, used].astype(int)) > 0  # [territory, territory]
    islands = int(connected_components(csr_array(linked), directed=False)[0])
    return int((seen.sum(axis=1) > 1).sum()), islands, int(used.sum())
