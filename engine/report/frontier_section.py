"""The section "Fairness against moves": plans one can take, from the fewest moves to the fairest."""

import pandas as pd

from engine.report.page import Column, Section, make_table
from engine.results import Allocation
from optimization.frontier import frontier_rows


def frontier_table(allocation: Allocation) -> dict[str, pd.DataFrame]:
    """``frontier`` by file name, one row a plan; none where none was asked for."""
    return {"frontier": pd.DataFrame(frontier_rows(allocation.frontier))} if allocation.frontier else {}


def frontier_section(tables: dict[str, pd.DataFrame], currency: str) -> Section | None:
    """Table of the frontier; None without one."""
    if "frontier" not in tables:
        return None
    frame = tables["frontier"].assign(knee=tables["frontier"]["knee"].map({True: "knee", False: ""}))
    columns = (
        Column("point", "Plan"),
        Column("moves", "Moves"),
        Column("move_cost", f"At risk from moves, {currency}", "money"),
        Column("spread", "Spread within pools", "share"),
        Column("p_attain_min", "Lowest chance", "share"),
        Column("potential", f"Expected revenue, {currency}", "money"),
        Column("knee", ""),
    )
    text = (
        "Each row is a plan one can take: the fairest that was found under a limit on the money at risk from moves. "
        "After the knee further money buys least. Spread is of the chances of quota of reps who can exchange accounts, "
        "checked on paths that no plan was made on."
    )
    return Section(
        "frontier", "Fairness against moves", text, (), (make_table("frontier-table", "Plans", frame, columns),)
    )
