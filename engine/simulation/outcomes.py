"""What a simulation answers. Every level is a sum over cells, so levels add up by construction."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.panel import Floats, Ints, Texts

type Paths = NDArray[np.float32]

LEVELS = ("company", "region", "territory", "manager", "rep", "product")
"""Levels of forecast.csv, coarse to fine; all but the company end in an `UNASSIGNED` member where cells need it."""

UNASSIGNED = "unassigned"


@dataclass(frozen=True)
class Cells:
    """The atoms of revenue: (account or none, rep, product), and the territory that follows from them; all [cell]."""

    account: Ints
    rep: Ints
    product: Ints
    territory: Ints

    def __len__(self) -> int:
        return len(self.account)


@dataclass(frozen=True)
class LevelOutcomes:
    """One level of the hierarchy.

    Attributes
    ----------
    keys, names : [member] ids and what people read; the last is `UNASSIGNED` where some cell has no member
    total : [path, member, month] booked + open + new, money
    booked : [member, month] certain at the as-of date
    open, new : [member, month] expected revenue of open deals, and of deals and orders yet to come
    """

    keys: Texts
    names: Texts
    total: Paths
    booked: Floats
    open: Floats
    new: Floats


@dataclass(frozen=True)
class DealOutcomes:
    """Open deals, [deal] in the order of ``deal``.

    Attributes
    ----------
    deal : index into `models.panel.Deals`
    p_win : chance to be won ever (within ``max_weeks`` of the settings)
    p_win_in_period, p_slip : chance to be won in the forecast horizon; to be open at its end
    expected_revenue : in the forecast horizon, money
    share_of_variance : covariance with the company's total of the horizon over the variance of that total
    share_of_rep_variance : the same with the total of the deal's rep; None when not kept
    p_lose_in_period : chance to be lost in the forecast horizon; with those to be won and to slip it makes one
    p_won_by_month, p_lost_by_month, expected_by_month : [deal, month] the same by month of closing; None when not kept
    """

    deal: Ints
    p_win: Floats
    p_win_in_period: Floats
    p_slip: Floats
    expected_revenue: Floats
    share_of_variance: Floats
    share_of_rep_variance: Floats | None = None
    p_lose_in_period: Floats | None = None
    p_won_by_month: Floats | None = None
    p_lost_by_month: Floats | None = None
    expected_by_month: Floats | None = None


@dataclass(frozen=True)
class PlanningOutcomes:
    """Revenue over the planning horizon in the form the assignment needs.

    Attributes
    ----------
    account : [path, account] simulated (not yet booked) revenue, all products and reps summed
    fixed : [path, rep] simulated revenue without an account, plus what is booked already in the planning horizon
    """

    account: Paths
    fixed: Paths


@dataclass(frozen=True)
class Outcomes:
    """A finished simulation.

    Attributes
    ----------
    months : [month] months since 1970-01 of the forecast horizon
    cells : [cell]
    levels : by name of `LEVELS`
    deals : per open deal
    planning : over the planning horizon, None when there is no allocation
    sample : [sample path, cell, month] total revenue of the first paths, kept with the run
    paths : number of paths of the levels
    """

    months: Ints
    cells: Cells
    levels: dict[str, LevelOutcomes]
    deals: DealOutcomes
    planning: PlanningOutcomes | None
    sample: Paths
    paths: int
