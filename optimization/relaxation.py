"""The linear relaxation of fair books, and the one question asked of it in a certificate: its prices."""

from collections.abc import Callable, Sequence

from optimization.pulp_model import Effort, Solution, add_row, build, relax
from optimization.rules import Case, Row
from optimization.scores import Linear

type Relaxer = Callable[[Case, Linear, Sequence[Row], Effort], Solution]
"""Answers the relaxation of a linear problem with further rows: prices by (rule, key) and the solver's bound."""


def relax_model(case: Case, linear: Linear, further: Sequence[Row], effort: Effort) -> Solution:
    """Solve the relaxation as one PuLP model over all allowed pairs."""
    model = build(case, linear, case.blocks.allowed)
    for row in further:
        add_row(model, row, None)
    return relax(case, model, effort)
