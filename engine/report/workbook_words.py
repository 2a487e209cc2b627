"""What the workbook calls its sheets, how it shows numbers, and how it explains columns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sheet:
    """A sheet: its title, what it holds, and how many columns stay in sight while one scrolls."""

    title: str
    words: str
    frozen: int = 1


SHEETS = {
    "moves": Sheet("Moves", "accounts that change rep; fill in the yellow columns", 2),
    "books": Sheet("Books", "one row a rep: book, revenue and chance of quota under the plan", 2),
    "allocation": Sheet("Accounts", "every account and where it goes; fill in the yellow columns", 2),
    "forecast": Sheet("Forecast", "revenue by level and period under the present owners", 4),
    "deals": Sheet("Deals", "open deals, the largest share of the company's variance first", 2),
    "kpis": Sheet(
        "KPIs", "the figures of the trade: the company at all times, others in the latest quarter; all in kpis.csv", 4
    ),
    "data_issues": Sheet("Data issues", "what the audit found, whose it is and what it is worth", 3),
    "data_quality": Sheet("Data quality", "score of each rep's data", 2),
    "backtest": Sheet("Track record", "how the methods did on past quarters", 3),
    "frontier": Sheet("Frontier", "plans from the fewest moves to the fairest", 1),
    "changes": Sheet("Changes", "what differs from the plan this one was changed from", 2),
    "decision_costs": Sheet("Decision costs", "what each decision costs", 2),
    "decisions": Sheet("Decisions in force", "what people decided, with who, when and why", 1),
    "decision_log": Sheet("Decision log", "every change of the plan and its cause", 1),
    "waterfall": Sheet("Waterfall", "what moved the number since the run before", 2),
}
"""Sheets by table, in their order."""

NUMBER_FORMATS = {
    "text": "@",
    "number": "#,##0.00",
    "money": "#,##0",
    "count": "#,##0",
    "share": "0.0%",
    "hours": "#,##0.0",
}
"""Excel's format codes; Excel shows separators in the reader's own locale."""

_KINDS = {
    "money": (
        "mean p10 p50 p90 booked open new quota amount expected_revenue potential potential_mean potential_p10 "
        "potential_p90 move_cost revenue_mean value_at_stake revenue"
    ),
    "share": (
        "p_attain p_attain_before p_attain_min p_win p_win_in_period p_slip share_of_variance share_of_rep_variance "
        "confidence spread spread_planned spread_all moved_share coverage50 coverage80 coverage95 score"
    ),
    "count": "accounts moves moves_in moves_out n weeks_in point changes line",
    "hours": "hours",
}
COLUMN_FORMATS = {column: kind for kind, columns in _KINDS.items() for column in columns.split()}
"""Kind of number by column; others have two decimals."""

FORMULAS = {
    "p10, p50, p90": "quantiles over the simulated futures: one in ten lies below p10, half below p50, one in ten "
    "above p90",
    "p_attain": "share of simulated futures in which revenue reaches the quota; on Books on futures that the plan has "
    "not seen",
    "p_win, p_slip": "chance that the deal is ever won; chance that it is still open after its expected close",
    "move_cost": "money at risk in the first year when the account changes rep: disruption x expected revenue",
    "potential": "expected revenue of the account under its new rep over the planning horizon",
    "confidence": "share of groups of posterior draws in which the account goes to the same rep",
    "decision": "accept or reject the proposed move, lock the account with its present owner, or assign it to the "
    "rep in assign_to; decided_by, date and note go into the decision log",
    "how it goes back": "python -m engine.allocate RUN --decisions plan.xlsx changes the plan as little as the "
    "decisions ask",
    "texts": "a text that a spreadsheet could run begins with an apostrophe here, and is read back without it",
}
"""How columns are computed."""
