"""What do two reps add to their books? ``python -m experiments.book_swap CONFIG --reps A B [--set KEY=VALUE]``.

Sets the raw difference of two reps beside their effects given the account, and says which accounts tell them apart:
those that went from one to the other, and those that either exchanged with anybody else.
"""

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from engine.config import RunConfig, load_config
from engine.data import as_of_date, build_panel, cut, load_tables
from engine.errors import EngineError, InputRefusedError, Problem
from engine.seeds import seed_for
from engine.simulation.cells import booked_revenue
from models.panel import Panel
from models.rep_given_account import BookedMonths, RepEffects, against_team, booked_months, handover, rep_effects

DRAWS = 2000


def panel_of(config: RunConfig) -> Panel:
    """The company as of the config's date."""
    tables = load_tables(config)
    return build_panel(cut(tables, as_of_date(tables, config)), config)


def rows_of(panel: Panel) -> BookedMonths:
    """Account-months with revenue, orders and won deals together."""
    revenue = booked_revenue(panel)
    return booked_months(revenue.account, revenue.rep, revenue.month, revenue.amount)


def chosen(panel: Panel, rows: BookedMonths, ids: Sequence[str]) -> list[int]:
    """Indices of reps with revenue in accounts.

    Raises
    ------
    InputRefusedError
        When an id is unknown or has no revenue of an account.
    """
    labels = panel.reps.labels
    able = sorted(labels.ids[np.unique(rows.rep)].tolist())
    wrong = [rep for rep in ids if rep not in able]
    if wrong:
        known = ", ".join(able) if able else "none"
        raise InputRefusedError(
            [Problem("--reps", rep, "a rep with revenue in named accounts", f"name one of: {known}") for rep in wrong]
        )
    return [int(np.flatnonzero(labels.ids == rep)[0]) for rep in ids]


def effects_table(panel: Panel, rows: BookedMonths, effects: RepEffects, reps: Sequence[int]) -> pd.DataFrame:
    """One row a rep: raw difference from the team, effect given the account with a 90 % interval, and its support."""
    low, high = np.quantile(effects.effect, [0.05, 0.95], axis=0)
    found = []
    for rep in reps:
        mine = np.unique(rows.account[rows.rep == rep])
        shared = np.unique(rows.account[np.isin(rows.account, mine) & (rows.rep != rep)])
        under_others = np.isin(rows.account, shared) & (rows.rep != rep)
        found.append(
            {
                "rep": panel.reps.labels.ids[rep],
                "name": panel.reps.labels.names[rep],
                "raw": effects.raw[rep],
                "given_account": effects.effect[:, rep].mean(),
                "low": low[rep],
                "high": high[rep],
                "accounts": len(mine),
                "shared": len(shared),
                "months_under_rep": int((np.isin(rows.account, shared) & (rows.rep == rep)).sum()),
                "months_under_others": int(under_others.sum()),
            }
        )
    return pd.DataFrame(found)


def words(panel: Panel, rows: BookedMonths, effects: RepEffects, pair: Sequence[int]) -> str:
    """What identifies the difference of two reps, and how far it is shrunk."""
    first, second = pair
    ids = panel.reps.labels.ids
    lines, starts, told = [], [], 0
    for old, new in ((first, second), (second, first)):
        moved = handover(rows, old, new)
        told += moved.accounts
        if moved.accounts:
            starts.append(moved.start)
            error = "" if np.isnan(moved.error) else f" (standard error {moved.error:.2f} over accounts)"
            lines.append(
                f"{ids[old]} to {ids[new]}: {moved.accounts} accounts, {moved.before} account-months with revenue "
                f"before and {moved.after} after; log revenue changed by {moved.change:+.2f}{error} "
                "against all accounts of the same months."
            )
    difference = effects.effect[:, first] - effects.effect[:, second]
    low, high = np.quantile(difference, [0.05, 0.95])
    raw = effects.raw[first] - effects.raw[second]
    lines.append(
        f"Raw difference {ids[first]} - {ids[second]}: {raw:+.2f} in log revenue per account-month; given the account "
        f"{difference.mean():+.2f} (90 % interval {low:+.2f} to {high:+.2f})."
    )
    if starts:
        lines.append(before_and_after(rows, pair, int(np.median(starts))))
    if not told:
        lines.append(
            f"No account went from one of the two to the other: {ids[first]} and {ids[second]} are compared through "
            "third reps at best, and else by the prior alone."
        )
    spread = ", ".join(f"{name} {values.mean():.2f}" for name, values in effects.scale.items())
    lines.append(f"SDs of log revenue: {spread}. Pareto shape of the draws {effects.k_hat:.2f} (good below 0.7).")
    return "\n".join(lines)


def before_and_after(rows: BookedMonths, pair: Sequence[int], start: int) -> str:
    """The raw difference of two reps before and from the month of the handover: what went along with the books."""
    value = against_team(rows)
    found = []
    for period in (rows.month < start, rows.month >= start):
        means = [value[period & (rows.rep == rep)] for rep in pair]
        found.append(means[0].mean() - means[1].mean() if all(len(part) for part in means) else np.nan)
    return (
        f"Raw difference before {np.datetime64(start, 'M')}: {found[0]:+.2f}, from then on {found[1]:+.2f}: what turns "
        "round with the books is the books'; what stays is the reps' own, or that of accounts they kept."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Fit and print."""
    options = argparse.ArgumentParser(prog="python -m experiments.book_swap", description=__doc__)
    options.add_argument("config", metavar="CONFIG", type=Path, help="YAML file")
    options.add_argument("--reps", metavar="ID", nargs=2, required=True, help="the two reps, by id")
    options.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change a key; repeatable")
    options.add_argument("--debug", action="store_true", help="show tracebacks")
    arguments = options.parse_args(argv)
    try:
        config = load_config(arguments.config, arguments.set)
        panel = panel_of(config)
        rows = rows_of(panel)
        pair = chosen(panel, rows, arguments.reps)
    except EngineError as error:
        print(traceback.format_exc() if arguments.debug else error, file=sys.stderr)
        return error.exit_code
    effects = rep_effects(rows, len(panel.reps.labels), DRAWS, seed_for(config.seed, "book swap"))
    print(effects_table(panel, rows, effects, pair).to_string(index=False, float_format="{:+.2f}".format))
    print(words(panel, rows, effects, pair))
    return 0


if __name__ == "__main__":
    sys.exit(main())
