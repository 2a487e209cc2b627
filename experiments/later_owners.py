"""What not knowing the later owners costs: ``python -m experiments.later_owners CONFIG [--set KEY=VALUE]``.

Runs the engine's legs at the origins of the config's `backtest` section and scores the rep level twice: as forecast,
and with every account's simulated revenue under the reps who truly booked it in the horizon. Who that was is known only
afterwards, so the second row is a diagnostic of the risk in ownership: never a forecast, never combined, never stored.
Companies and territories are the same in both.
"""

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from engine.config import RunConfig, load_config
from engine.data import build_panel, cut
from engine.data.tables import Tables
from engine.errors import EngineError
from engine.methods.engine_legs import EngineLegs, at_places
from engine.methods.protocol import Forecast, MethodUnavailableError, Places, Question
from engine.methods.registry import LEGS, methods
from engine.seeds import seed_for
from engine.simulation.cells import Revenue, booked_revenue
from engine.simulation.outcomes import Cells, Paths
from experiments.backtest import prepare
from experiments.backtest_table import origin_scores
from experiments.folds import Fold, labelled
from experiments.replay import tables_of
from experiments.truth import score_rows, truth_of
from models.panel import NONE, Floats, Ints, Panel, Texts

TRUE_OWNERS = f"{LEGS}_true_owners"
"""Name of the second row: not a method that could be asked for a forecast."""

SHOWN = ["n", "scrps", "wape", "bias", "coverage50", "coverage80", "coverage95"]


def later_shares(panel: Panel, later: Panel, months: Ints) -> pd.DataFrame:
    """Who booked what is yet to come: share of each rep in the revenue of an account after the as-of date.

    Parameters
    ----------
    panel, later : as of the origin, and as of the horizon's end
    months : [month] of the horizon

    Returns
    -------
    frame with account, owner (indices of ``panel``; owner NONE for a rep nobody knew) and share; shares of an account
    sum to one, accounts without revenue to come are missing
    """
    known, true = (_by_account_and_rep(part, months) for part in (panel, later))
    change = true.sub(known, fill_value=0.0)
    to_come = change[change > 0].rename("amount").reset_index()
    placed = to_come.assign(
        account=_index(panel.accounts.labels.ids, to_come["account"]),
        owner=_index(panel.reps.labels.ids, to_come["rep"]),
    )
    placed = placed[placed["account"] != NONE]
    sums = placed.groupby(["account", "owner"], as_index=False)["amount"].sum()
    share = sums["amount"] / sums.groupby("account")["amount"].transform("sum")
    return sums.assign(share=share)[["account", "owner", "share"]]


def _by_account_and_rep(panel: Panel, months: Ints) -> pd.Series:
    """Revenue in the horizon by ids of account and rep, of those with both."""
    revenue = booked_revenue(panel)
    kept = np.isin(revenue.month, months) & (revenue.account != NONE) & (revenue.rep != NONE)
    frame = pd.DataFrame(
        {
            "account": panel.accounts.labels.ids[revenue.account[kept]],
            "rep": panel.reps.labels.ids[revenue.rep[kept]],
            "amount": revenue.amount[kept],
        }
    )
    return frame.groupby(["account", "rep"])["amount"].sum()


def _index(ids: Texts, wanted: pd.Series) -> Ints:
    """Index of every id, NONE for those that are not there."""
    return np.asarray(pd.Index(ids).get_indexer(pd.Index(wanted)), dtype=np.int64)


def under_owners(cells: Cells, sample: Paths, booked: Floats, shares: pd.DataFrame) -> Forecast:
    """Paths by place with what was yet to come under the later owners; what was booked stays where it was.

    Parameters
    ----------
    cells : [cell] of the simulation
    sample : [path, cell, month] revenue, what is booked included
    booked : [cell, month] booked by the as-of date
    shares : see `later_shares`; cells of accounts that are not in it stay with their rep
    """
    rows = pd.DataFrame({"account": cells.account, "cell": np.arange(len(cells))})
    rows = rows.merge(shares, how="left", on="account")
    stays = rows["share"].isna().to_numpy()
    cell = rows["cell"].to_numpy()
    owner = np.where(stays, cells.rep[cell], rows["owner"].fillna(NONE)).astype(np.int64)
    share = rows["share"].fillna(1.0).to_numpy()
    pairs = np.concatenate([np.stack([cells.territory[cell], owner]), np.stack([cells.territory, cells.rep])], axis=1)
    places, place = np.unique(pairs, axis=1, return_inverse=True)
    size = (places.shape[1], len(cells))
    moving = csr_array((share, (place[: len(cell)], cell)), shape=size)
    staying = csr_array((np.ones(len(cells)), (place[len(cell) :], np.arange(len(cells)))), shape=size)
    fixed = staying @ booked
    total = np.stack([moving @ (path - booked) + fixed for path in sample]).astype(np.float32)
    return Forecast(Places(rep=places[1], territory=places[0]), total)


def booked_by_cell(revenue: Revenue, cells: Cells, months: Ints) -> Floats:
    """[cell, month] what was booked in the months of the horizon by the as-of date."""
    kept = np.isin(revenue.month, months)
    names = ("account", "rep", "product")
    rows = pd.DataFrame({name: getattr(revenue, name)[kept] for name in names})
    rows = rows.assign(slot=revenue.month[kept] - months[0], amount=revenue.amount[kept])
    found = rows.merge(pd.DataFrame({name: getattr(cells, name) for name in names}).reset_index(names="cell"))
    table = np.zeros((len(cells), len(months)))
    np.add.at(table, (found["cell"].to_numpy(), found["slot"].to_numpy()), found["amount"].to_numpy())
    return table


def both_scores(config: RunConfig, tables: Tables, fold: Fold, legs: EngineLegs) -> pd.DataFrame:
    """Targets of the rep level at one origin, as forecast and under the true later owners."""
    panel = build_panel(cut(tables, np.datetime64(fold.as_of, "D")), config)
    later = build_panel(cut(tables, np.datetime64(fold.end, "D")), config)
    months = np.arange(fold.first_month, fold.first_month + fold.months)
    # The seed of the backtest: the first row is the one of its table.
    question = Question(months, config.backtest.paths, seed_for(config.seed, f"{LEGS} {fold.as_of}"))
    outcomes = legs.outcomes(panel, question)
    booked = booked_by_cell(booked_revenue(panel), outcomes.cells, months)
    moved = under_owners(outcomes.cells, outcomes.sample, booked, later_shares(panel, later, months))
    truth = truth_of(panel, later, months)
    answers = {LEGS: at_places(outcomes), TRUE_OWNERS: moved}
    rows = pd.concat([score_rows(name, answer, truth, config.backtest.target) for name, answer in answers.items()])
    return labelled(rows[rows["level"] == "rep"], fold)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the origins and print both scores side by side."""
    options = argparse.ArgumentParser(prog="python -m experiments.later_owners", description=__doc__)
    options.add_argument("config", metavar="CONFIG", type=Path, help="YAML file with a `backtest` section")
    options.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change a key; repeatable")
    options.add_argument("--debug", action="store_true", help="show tracebacks")
    arguments = options.parse_args(argv)
    try:
        config = load_config(arguments.config, arguments.set)
        folds = prepare(config).folds
    except EngineError as error:
        print(traceback.format_exc() if arguments.debug else error, file=sys.stderr)
        return error.exit_code
    legs, tables = methods(config)[LEGS], tables_of(config)
    assert isinstance(legs, EngineLegs)
    frames = []
    for fold in folds:
        try:
            frames.append(both_scores(config, tables, fold, legs))
        except MethodUnavailableError as reason:
            print(f"{fold.as_of}: {reason}", file=sys.stderr)
    if not frames:
        print("no origin could be scored", file=sys.stderr)
        return 2
    scores = origin_scores(pd.concat(frames, ignore_index=True).assign(company=config.name))
    print(scores[["as_of", "method", *SHOWN]].to_string(index=False, float_format="{:.3f}".format))
    print("\nmean over origins")
    print(scores.groupby("method")[SHOWN[1:]].mean().to_string(float_format="{:.3f}".format))
    return 0


if __name__ == "__main__":
    sys.exit(main())
