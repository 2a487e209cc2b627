"""Exact means in place of simulated ones, and estimates that use them to cancel what the random numbers add.

Given posterior draw and monthly shocks, the expected revenue of an open deal is known in closed form: chance from its
outcome table x expected amount. The sum over won deals of what such a deal is worth has therefore a known mean, and
what the paths have too much or too little of it is luck, which is taken off (Glasserman 2003, Monte Carlo Methods in
Financial Engineering, section 4.1, doi:10.1007/978-0-387-21617-1). Posterior draws and shocks are averaged over as the
paths drew them; that spread stays.
"""

from dataclasses import dataclass

import numpy as np

from engine.simulation.cells import sum_by
from engine.simulation.outcomes import DealOutcomes, LevelOutcomes
from models.panel import NONE, Floats, Ints, Panel


@dataclass(frozen=True)
class Controlled:
    """A mean with its control variate.

    Attributes
    ----------
    mean : estimate
    error : its standard error over the paths
    plain_error : that of the plain mean
    """

    mean: float
    error: float
    plain_error: float


def controlled_mean(values: Floats, control: Floats, control_mean: float, slope: float | None = None) -> Controlled:
    """Estimate a mean with the help of a variable whose mean is known: ``mean(values - b control) + b control_mean``.

    Where the values are ``b control`` plus a constant the answer is exact, whatever the random numbers were.

    Parameters
    ----------
    values, control : [path], of the same paths
    control_mean : exact mean of the control
    slope : b, else that of the values on the control

    Raises
    ------
    ValueError
        With fewer than two paths or paths that do not match.

    Examples
    --------
    >>> controlled_mean(np.array([3.0, 5.0]), np.array([1.0, 2.0]), 1.25, slope=2.0).mean
    3.5
    """
    if values.shape != control.shape or len(values) < 2:
        raise ValueError(f"{values.shape} values and {control.shape} controls: both need the same two or more paths")
    if slope is None:
        spread = float(control.var())
        slope = float(np.mean((control - control.mean()) * values)) / spread if spread > 0 else 0.0
    left, root = values - slope * control, float(np.sqrt(len(values)))
    return Controlled(float(left.mean()) + slope * control_mean, float(left.std()) / root, float(values.std()) / root)


def lines_mean(chances: Floats, amounts: Floats, won: Floats) -> Controlled:
    """Mean of a pipeline of independent lines, each worth its amount with its chance: sum(chance x amount), exactly.

    The control is the simulated total itself, the mean of which is known.

    Parameters
    ----------
    chances, amounts : [line]
    won : [path, line] whether each line is won on each path
    """
    total = won @ amounts
    return controlled_mean(total, total, float(chances @ amounts), slope=1.0)


def open_means(panel: Panel, deals: DealOutcomes) -> dict[str, Floats]:
    """Expected revenue of the open deals by level, in closed form: `LevelOutcomes.open` without the luck of its paths.

    Parameters
    ----------
    panel : the company as of the date
    deals : of a simulation of it, with ``expected_by_month``

    Returns
    -------
    [member + 1, month] by name of a level; the last member is for deals without one

    Raises
    ------
    ValueError
        When the months of the deals were not kept.
    """
    if deals.expected_by_month is None:
        raise ValueError("the deals' expected revenue by month was not kept with this simulation")
    index, monthly = deals.deal, deals.expected_by_month
    rep, product = panel.deals.rep[index], panel.deals.product[index]
    territory = panel.cell_territory(panel.deals.account[index], rep)
    parents: dict[str, tuple[Ints, int]] = {
        "company": (np.zeros(len(index), dtype=np.int64), 1),
        "region": (np.append(panel.territory_region, NONE)[territory], len(panel.regions)),
        "territory": (territory, len(panel.territories)),
        "manager": (np.append(panel.reps.manager, NONE)[rep], len(panel.managers)),
        "rep": (rep, len(panel.reps.labels)),
        "product": (product, len(panel.products.labels)),
    }
    return {
        name: sum_by(monthly, np.where(member == NONE, count, member), count + 1)
        for name, (member, count) in parents.items()
    }


def level_means(level: LevelOutcomes, open_mean: Floats) -> Floats:
    """[member, month] mean of a level with the open deals' part in closed form and the rest as simulated.

    ``open_mean`` is the level's entry of `open_means`; what has no member counts where the level has such a one.
    """
    return level.booked + open_mean[: len(level.keys)] + level.new
