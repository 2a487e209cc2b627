"""The section "Fairness against moves": plans one can take, from the fewest moves to the fairest."""

import pandas as pd

from engine.report.page import Column, Section, make_table
from engine.report.words import Words
from engine.results import Allocation
from optimization.frontier import frontier_rows

COLUMNS = (
    Column("point", "col.plan"),
    Column("moves", "col.moves", "count"),
    Column("move_cost", "col.at_risk", "money"),
    Column("spread", "col.spread", "share"),
    Column("p_attain_min", "col.lowest", "share"),
    Column("potential", "col.expected", "money"),
    Column("knee", "col.mark"),
)


def frontier_table(allocation: Allocation) -> dict[str, pd.DataFrame]:
    """``frontier``, one row a plan, and ``frontier_plans``, one row an account; none where none was asked for."""
    if not allocation.frontier:
        return {}
    ids = allocation.problem.rep_ids
    plans = {f"plan_{number}": ids[point.rep] for number, point in enumerate(allocation.frontier, 1)}
    return {
        "frontier": pd.DataFrame(frontier_rows(allocation.frontier)),
        "frontier_plans": pd.DataFrame({"account": allocation.problem.account_ids, **plans}),
    }


def frontier_section(tables: dict[str, pd.DataFrame], words: Words) -> Section | None:
    """Table of the frontier; None without one."""
    if "frontier" not in tables:
        return None
    knee = tables["frontier"]["knee"].map({True: words("figure.knee"), False: ""})
    table = make_table(words, "frontier", tables["frontier"].assign(knee=knee), COLUMNS)
    return Section("frontier", words("section.frontier"), words("text.frontier"), (), (table,))
