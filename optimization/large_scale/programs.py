"""Linear and integer programs over chosen pairs, passed to HiGHS as arrays (PuLP would build longer than they solve).

Every program has one row per account (exactly one rep), one per band, and for the linear ones two elastic columns per
band, so that too few pairs are never infeasible. HiGHS keeps one thread per program: programs run side by side instead,
and the thread setting of a process must not change.
"""

from dataclasses import dataclass

import highspy
import numpy as np
from scipy.sparse import csc_array

from optimization.problem import BandedProblem, Floats, Ints


@dataclass(frozen=True)
class Part:
    """Pairs of some accounts between some reps; bands are what is left for these accounts.

    Attributes
    ----------
    pair : [column] index of the pair in the problem
    account, rep : [column] which row of each kind the pair stands in
    low, high : [rep row, metric]
    accounts : number of account rows
    """

    pair: Ints
    account: Ints
    rep: Ints
    low: Floats
    high: Floats
    accounts: int


@dataclass(frozen=True)
class Relaxed:
    """Answer of a linear program: values [column], prices [rep row, metric], objective; ``solved`` false: no answer.

    ``outside`` is what lies outside the bands, all rows together.
    """

    value: Floats
    price: Floats
    objective: float
    solved: bool
    outside: float = 0.0


def whole_part(problem: BandedProblem, pair: Ints) -> Part:
    """All accounts and reps, with these pairs only."""
    accounts = len(problem.account_ids)
    account = np.repeat(np.arange(accounts), np.diff(problem.start))[pair]
    return Part(pair, account, problem.pair_rep[pair], problem.low, problem.high, accounts)


def relax(problem: BandedProblem, part: Part, seconds: float, elastic: Floats) -> Relaxed:
    """Linear relaxation; ``elastic`` [metric] is what a unit outside a band costs."""
    solver = _solver(seconds)
    solver.passModel(_model(problem, part, elastic, integral=False))
    solver.run()
    solution, columns = solver.getSolution(), len(part.pair)
    solved = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    if not solved:
        return Relaxed(np.zeros(columns), np.zeros(part.low.shape), -np.inf, solved)
    dual, value = np.array(solution.row_dual)[part.accounts :], np.array(solution.col_value)
    return Relaxed(
        value[:columns],
        -dual.reshape(part.low.shape),
        solver.getInfo().objective_function_value,
        solved,
        float(value[columns:].sum()),
    )  # fmt: skip


def _solver(seconds: float) -> highspy.Highs:
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("time_limit", max(float(seconds), 0.01))
    return solver


def _model(problem: BandedProblem, part: Part, elastic: Floats | None, integral: bool) -> highspy.HighsLp:
    """Columns: the pairs, then for each band what goes over and what lacks."""
    columns, metrics = len(part.pair), part.low.shape[1]
    bands = part.low.size
    rows = [part.account, *(part.accounts + part.rep * metrics + k for k in range(metrics))]
    values = [np.ones(columns), *(problem.use[part.pair, k] for k in range(metrics))]
    row, value = np.stack(rows, axis=1).ravel(), np.stack(values, axis=1).ravel()
    column = np.repeat(np.arange(columns), metrics + 1)
    cost, extra = problem.cost[part.pair], 0
    if elastic is not None:
        extra = 2 * bands
        row = np.concatenate([row, np.tile(part.accounts + np.arange(bands), 2)])
        value = np.concatenate([value, np.repeat([-1.0, 1.0], bands)])
        column = np.concatenate([column, columns + np.arange(extra)])
        cost = np.concatenate([cost, np.tile(np.broadcast_to(elastic, part.low.shape).ravel(), 2)])
    matrix = csc_array((value, (row, column)), shape=(part.accounts + bands, columns + extra))
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = columns + extra, part.accounts + bands
    model.col_cost_ = cost
    model.col_lower_ = np.zeros(columns + extra)
    model.col_upper_ = np.concatenate([np.ones(columns), np.full(extra, highspy.kHighsInf)])
    model.row_lower_ = np.concatenate([np.ones(part.accounts), part.low.ravel()])
    model.row_upper_ = np.concatenate([np.ones(part.accounts), part.high.ravel()])
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = matrix.indptr
    model.a_matrix_.index_ = matrix.indices
    model.a_matrix_.value_ = matrix.data
    if integral:
        integer, continuous = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
        model.integrality_ = [integer] * columns + [continuous] * extra
    return model


@dataclass(frozen=True)
class Effort:
    """Limits of an integer program.

    Attributes
    ----------
    seconds, nodes : most of each
    apart : absolute difference between two plans' costs that is of no interest
    seed : of the solver
    elastic : [rep row, metric] what a unit outside a band costs; None: bands must hold
    """

    seconds: float
    nodes: int
    apart: float
    seed: int
    elastic: Floats | None = None


@dataclass(frozen=True)
class Chosen:
    """Answer of an integer program.

    Attributes
    ----------
    column : [account row] column used, None when the solver has none
    optimal : the solver says that nothing better exists
    timed_out : the clock ended the search
    """

    column: Ints | None
    optimal: bool
    timed_out: bool


def choose(problem: BandedProblem, part: Part, begun: Ints, effort: Effort) -> Chosen:
    """Integer program over a part from the columns ``begun`` [account row]. Only a proposal: the caller rechecks it."""
    solver = _solver(effort.seconds)
    solver.setOptionValue("mip_max_nodes", int(effort.nodes))
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.setOptionValue("mip_abs_gap", float(effort.apart))
    solver.setOptionValue("random_seed", int(effort.seed))
    solver.passModel(_model(problem, part, effort.elastic, integral=True))
    value = np.zeros(len(part.pair))
    value[begun] = 1.0
    if effort.elastic is not None:
        value = np.concatenate([value, *(side.ravel() for side in _outside(problem, part, begun))])
    start = highspy.HighsSolution()
    start.col_value = list(value)
    solver.setSolution(start)
    solver.run()
    status = solver.getModelStatus()
    optimal, timed_out = status == highspy.HighsModelStatus.kOptimal, status == highspy.HighsModelStatus.kTimeLimit
    used = np.flatnonzero(np.array(solver.getSolution().col_value)[: len(part.pair)] > 0.5)
    column = np.full(part.accounts, -1)
    if len(used) == part.accounts:
        column[part.account[used]] = used
    if (column < 0).any():
        return Chosen(None, False, timed_out)
    return Chosen(column, optimal, timed_out)


def _outside(problem: BandedProblem, part: Part, column: Ints) -> tuple[Floats, Floats]:
    """[rep row, metric] what goes over and what lacks with these columns [account row]."""
    amount = np.zeros(part.low.shape)
    np.add.at(amount, part.rep[column], problem.use[part.pair[column]])
    return (amount - part.high).clip(min=0), (part.low - amount).clip(min=0)
