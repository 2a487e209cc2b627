"""How sure a plan is of each account: where it goes when the plan is made for another part of the posterior.

The paths are cut into groups of neighbours, which hold whole posterior draws where the paths of a draw lie side by
side. For each group the chances of quota are counted on its paths alone, and the plan is improved for them by moves
and trades under the same rules and costs. The confidence of an account is the share of groups in which it still goes
where the plan sends it. A group is a sample of the posterior, not one draw: the chances of a single draw cannot be
counted on the few paths it has. The search starts from the plan, so a tie counts for it.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from optimization.futures import Futures, chances, lay_out, margins
from optimization.pools import pool_levels, pools_of
from optimization.problem import Floats, Ints
from optimization.rules import Case
from optimization.scores import Goal
from optimization.search import improve_on_paths

type Improve = Callable[[Case, Goal, Futures, Ints, float], tuple[Ints, bool]]
"""Improves a plan [block] until a deadline, and says whether it ended by itself."""

LEAST_PATHS = 100
"""Fewest paths of a group: below, a chance has a standard error of five points by counting alone."""


def confidence(
    case: Case, goal: Goal, plan: Ints, deadline: float, improve: Improve | None = None
) -> tuple[Floats, bool]:
    """[account] share of the groups of posterior draws in which the account also goes where ``plan`` [block] sends it.

    Parameters
    ----------
    improve : improves a plan for the chances on some paths; by default moves and trades of any block

    Returns
    -------
    the shares, NaN where there are too few paths or none is asked for; and whether no clock had a part in it
    """
    paths, on_time = len(case.problem.value), True
    groups = min(case.settings.confidence_groups, paths // LEAST_PATHS)
    if groups < 2 or not len(plan):
        return np.full(len(case.problem.account_ids), np.nan), True
    same = np.zeros(len(plan))
    pool = pools_of(case.blocks.allowed)
    for part in np.array_split(np.arange(paths), groups):
        futures = lay_out(case, part)
        level = pool_levels(chances(margins(futures, plan)), goal, pool)
        common = float(level[goal.counted].mean()) if goal.counted.any() else 0.0
        own = replace(goal, offset=np.where(goal.counted, level - common, 0.0))
        if improve is None:
            found, ended = improve_on_paths(case, own, futures, plan, deadline, thorough=False)
        else:
            found, ended = improve(case, own, futures, plan, deadline)
        same, on_time = same + (found == plan), on_time and ended
    return (same / groups)[case.blocks.block], on_time
