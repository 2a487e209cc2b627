"""Who wins? ``python -m experiments.win_loss [DIR] [--folds 5] [--seed N] [--json]`` on won and lost opportunities.

Every model predicts opportunities that it was not fitted to, in stratified folds. Log loss and area under the ROC curve
are over all held-out predictions together. Calibration error: the predictions are cut at their deciles; the mean
over the bins, weighted by their rows, of |mean predicted - share won|. Cells: the largest |mean predicted - share won|
over the combinations of the columns of ``--cells`` with enough rows.

Without ``--outcome`` the columns are those of IBM's sample of won and lost opportunities.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from engine.errors import EngineError, InputRefusedError, Problem
from experiments.win_loss_data import Opportunities, Question, read
from experiments.win_loss_study import Score, study

ROOT = Path(__file__).parents[1]

DURATION = "a duration or count that goes on until the opportunity closes: known only at close"

IBM = Question(
    outcome="Opportunity Result",
    won="Won",
    identifier="Opportunity Number",
    barred={
        "Elapsed Days In Sales Stage": DURATION,
        "Sales Stage Change Count": DURATION,
        "Total Days Identified Through Closing": DURATION,
        "Total Days Identified Through Qualified": DURATION,
        "Ratio Days Identified To Total Days": DURATION,
        "Ratio Days Validated To Total Days": DURATION,
        "Ratio Days Qualified To Total Days": DURATION,
    },
    suspect=("Revenue From Client Past Two Years (USD)",),
    cells=("Region", "Supplies Subgroup"),
)
"""Columns of IBM's sample."""

ROWS_PER_FOLD = 10
"""Fewest opportunities of each outcome in a fold."""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.win_loss", description=__doc__)
    data = Path(os.environ.get("SALES_DATA") or ROOT / "../shared/data")
    parser.add_argument("path", nargs="?", type=Path, default=data / "ibm_win_loss", help="CSV file, or its folder")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--outcome", help="column of the outcome; the options below then describe the file")
    parser.add_argument("--won", default="Won", help="value of the outcome for a won opportunity")
    parser.add_argument("--bar", action="append", default=[], metavar="COLUMN=REASON", help="column not to be used")
    parser.add_argument("--id", help="column whose equal values stay in one fold")
    parser.add_argument("--suspect", nargs="+", default=[], help="columns to run with and without")
    parser.add_argument("--cells", nargs="+", default=[], help="columns whose combinations are checked")
    parser.add_argument("--least-rows", type=int, default=200, help="rows of a combination that is checked")
    return parser.parse_args()


def _question(options: argparse.Namespace) -> Question:
    if options.outcome is None:
        return IBM
    bare = [bar for bar in options.bar if not bar.partition("=")[2]]
    if bare:
        raise InputRefusedError([Problem("--bar", b, "COLUMN=REASON", "say why it is not known before") for b in bare])
    barred = {name: why for name, _, why in (bar.partition("=") for bar in options.bar)}
    cells, suspect = tuple(options.cells), tuple(options.suspect)
    return Question(options.outcome, options.won, barred, options.id, suspect, cells)


def _enough(data: Opportunities, folds: int) -> None:
    """Refuse numbers of folds in which a model could meet one outcome only."""
    fewest = int(min(data.won.sum(), (1 - data.won).sum()))
    most = fewest // ROWS_PER_FOLD
    if not 2 <= folds <= most:
        mend = "give more opportunities" if most < 2 else "choose another number"
        raise InputRefusedError(
            [Problem("--folds", str(folds), f"2 to {most} (the rarer outcome has {fewest} rows)", mend)]
        )


def _show(question: Question, data: Opportunities, options: argparse.Namespace, lines: list[Score]) -> None:
    barred = dict(question.barred)
    if question.identifier:
        barred[question.identifier] = "identifier: its equal values stay in one fold"
    won = f"{len(data.won):,} opportunities, {data.won.mean():.3f} won; {options.folds} folds, seed {options.seed}"
    if options.json:
        print(json.dumps({"rows": len(data.won), "used": list(data.columns), "barred": barred}))
        for line in lines:
            print(json.dumps(asdict(line)))
        return
    print(won, "used: " + "; ".join(data.columns), sep="\n")
    for name, why in barred.items():
        print(f"barred: {name}: {why}")
    for columns in dict.fromkeys(line.columns for line in lines):
        head = f"{'model':36s} log loss    AUC  calibration  to boosting  largest gap  seconds"
        print(f"\n{columns}\n{head}")
        for s in (line for line in lines if line.columns == columns):
            scores = f"{s.log_loss:8.4f}  {s.auc:.3f}  {s.calibration_error:11.4f}  {s.ratio_to_boosting:11.3f}"
            print(f"{s.model:36s} {scores}  {s.largest_gap:11.3f}  {s.seconds:7.1f}")
    if question.cells:
        print(
            f"\nlargest gap over {lines[0].cells} cells of {' x '.join(question.cells)} with {options.least_rows} rows"
        )


def main() -> int:
    """Read, run, print."""
    options = _options()
    try:
        question = _question(options)
        data = read(options.path, question)
        _enough(data, options.folds)
    except EngineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    _show(question, data, options, study(data, question.suspect, options.folds, options.seed, options.least_rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
