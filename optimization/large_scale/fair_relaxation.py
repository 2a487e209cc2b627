"""The relaxed problem of fair books over few pairs, growing by pairs of negative reduced cost.

The linear program is that of `optimization.pulp_model` (fairness, rules, step), passed to HiGHS as arrays: blocks
choose reps in shares, each rep's score is one column, and the common level with what lies beyond the band around it
are columns, too. Its prices price every allowed pair, so pairs that were left out come in where they are worth it:
column generation, Gilmore and Gomory (1961), doi:10.1287/opre.9.6.849. The audit recomputes the bound from the
prices alone.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import highspy
import numpy as np
from scipy.sparse import csc_array

from optimization.large_scale.lift import Bands, Budgets, bands_of, budgets_of, least_per_block
from optimization.problem import Bools, Floats, Ints
from optimization.pulp_model import Effort, Key, Solution, step_rows
from optimization.rules import Case, Row, rows_of
from optimization.scores import Goal, Linear, unfairness_at

FIRST_PAIRS = 4
"""Pairs of a block in the first program: the cheapest."""

ENTERING = 3
"""Most pairs of a block that enter at a time."""

MOST_PROGRAMS = 40
"""Most linear programs."""

SMALL = 1e-7
"""Reduced cost, in points, that is none."""

DEAR = 10.0
"""Cost of a unit outside a rule, in multiples of what a unit could bring in points."""


@dataclass(frozen=True)
class Lifted:
    """A linear problem with its rules as bands and budgets.

    Attributes
    ----------
    linear : scores, costs and goal
    allowed : [block, rep]
    bands, budgets : rules, and the step that a round may take
    rules : bands of the rules alone
    """

    linear: Linear
    allowed: Bools
    bands: Bands
    budgets: Budgets
    rules: Bands

    def keeps(self, plan: Ints) -> bool:
        """Whether a plan [block] keeps every rule; the step of a round is none."""
        return not self.rules.excess(plan).any() and not self.budgets.excess(plan).any()


@dataclass(frozen=True)
class FairRelaxation:
    """Answer of the relaxation.

    Attributes
    ----------
    share : [block, rep] share of the block the rep has
    reduced : [block, rep] reduced costs; infinite where a pair is not allowed
    prices : by (rule, key), as `optimization.pulp_model.Solution.prices`
    charge : [budget] what a unit costs, at least zero
    level, over, under : points: common level, and what lies beyond the band around it
    score : [rep] points
    objective : points; what lies outside rules not counted
    outside : amount outside the rules, in units of a typical block; zero where the rules hold
    status : "optimal", or "time"
    """

    share: Floats
    reduced: Floats
    prices: dict[Key, float]
    charge: Floats
    level: float
    over: float
    under: float
    score: Floats
    objective: float
    outside: float
    status: str

    @property
    def solution(self) -> Solution:
        """The answer as a solver's, with no bound where time cut it off."""
        bound = self.objective if self.status == "optimal" else -np.inf
        return Solution(self.status, None, self.share, self.reduced, self.prices, bound)


def lift(case: Case, linear: Linear, further: Sequence[Row] = ()) -> Lifted:
    """Rules and step of a linear problem as bands and budgets, and ``further`` rows."""
    rules = rows_of(case)
    rows = [*rules, *step_rows(case, linear), *further]
    blocks, reps = case.blocks.allowed.shape
    rule_bands = bands_of(rules, blocks, reps)
    bands = rule_bands if len(rows) == len(rules) else bands_of(rows, blocks, reps)
    return Lifted(linear, case.blocks.allowed, bands, budgets_of(rows, blocks, reps), rule_bands)


def relax_columns(case: Case, linear: Linear, further: Sequence[Row], effort: Effort) -> Solution:
    """Relaxation by column generation, as `optimization.relaxation.Relaxer`; prices are empty where time was short."""
    found = relax_fair(lift(case, linear, further), effort.deadline)
    if found is None:
        return Solution("time", None, None, None, {}, -np.inf)
    return found.solution


@dataclass
class _Program:
    """The linear program under way: rows in the order coverage, bands, budgets, scores, fairness."""

    lifted: Lifted
    bands: Ints = field(init=False)
    unit: Floats = field(init=False)
    solver: highspy.Highs = field(init=False)
    pairs: Ints = field(init=False)
    rows: dict[str, Ints] = field(init=False)
    extra: int = field(init=False)

    def __post_init__(self) -> None:
        """Build the columns that are not pairs."""
        lifted = self.lifted
        blocks, reps = lifted.allowed.shape
        finite = np.isfinite(lifted.bands.low) | np.isfinite(lifted.bands.high)
        self.bands = np.full(finite.shape, -1)
        first = blocks
        self.bands[finite] = first + np.arange(finite.sum())
        first += int(finite.sum())
        self.rows = {"budget": first + np.arange(len(lifted.budgets.limit))}
        first += len(lifted.budgets.limit)
        self.rows["score"] = first + np.arange(reps)
        goal = lifted.linear.goal
        first += reps
        for name, inside in _sides(goal).items():
            self.rows[name] = first + np.arange(inside.sum())
            first += int(inside.sum())
        self.rows["all"] = np.arange(first)
        size = np.abs(lifted.bands.amount).mean(axis=1).T
        self.unit = np.where(size > 0, size, 1.0)
        self.pairs = np.zeros(0, dtype=np.int64)
        self.solver = highspy.Highs()
        for option, value in (("output_flag", False), ("threads", 1)):
            self.solver.setOptionValue(option, value)
        self.solver.passModel(self._model())

    def _model(self) -> highspy.HighsLp:
        """Rows, and the columns level, over, under, score [rep], excess [rep], and what lies outside rules."""
        lifted, goal, reps = self.lifted, self.lifted.linear.goal, self.lifted.allowed.shape[1]
        row, column, value = _Triplets(), 3 + np.arange(reps), 3 + reps + np.arange(reps)
        score, excess = column, value
        low, high = np.zeros(len(self.rows["all"])), np.full(len(self.rows["all"]), np.inf)
        blocks = lifted.allowed.shape[0]
        low[:blocks] = high[:blocks] = 1.0
        where = self.bands >= 0
        low[self.bands[where]] = (lifted.bands.low / self.unit)[where]
        high[self.bands[where]] = (lifted.bands.high / self.unit)[where]
        budget_unit = self.budget_unit
        low[self.rows["budget"]], high[self.rows["budget"]] = -np.inf, lifted.budgets.limit / budget_unit
        low[self.rows["score"]] = high[self.rows["score"]] = lifted.linear.base - goal.offset
        row.add(self.rows["score"], score, 1.0)
        for name, inside in _sides(goal).items():
            rows, sign, reps_in = self.rows[name], -1.0 if name.endswith("over") else 1.0, np.flatnonzero(inside)
            low[rows] = -goal.half_band
            row.add(rows, score[reps_in], sign)
            row.add(rows, np.zeros(len(rows), dtype=int), -sign)
            side = excess[reps_in] if name.startswith("mean") else np.full(len(rows), 1 if name == "over" else 2)
            row.add(rows, side, 1.0)
        rules = np.concatenate([self.bands[where], self.rows["budget"]])
        first = 3 + 2 * reps
        row.add(rules, first + np.arange(len(rules)), 1.0)
        row.add(rules, first + len(rules) + np.arange(len(rules)), -1.0)
        self.extra = first + 2 * len(rules)
        cost = np.zeros(self.extra)
        cost[:3] = [-goal.floor_weight, 1.0, 1.0 + goal.floor_weight]
        cost[excess] = np.where(goal.counted, goal.mean_weight, 0.0)
        gain = np.abs(lifted.linear.gain[lifted.allowed]).max(initial=0.0)
        cost[first:] = DEAR * ((1 + goal.floor_weight) * gain + np.ptp(lifted.linear.cost[lifted.allowed]) + 1.0)
        lower, upper = np.zeros(self.extra), np.full(self.extra, np.inf)
        lower[score], lower[0], upper[0] = -np.inf, goal.low, goal.high
        model = highspy.HighsLp()
        matrix = row.matrix((len(low), self.extra))
        model.num_col_, model.num_row_, model.col_cost_ = self.extra, len(low), cost
        model.col_lower_, model.col_upper_, model.row_lower_, model.row_upper_ = lower, upper, low, high
        model.offset_ = goal.floor_weight * (goal.high + goal.half_band)
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
        model.a_matrix_.value_ = matrix.data
        return model

    @property
    def budget_unit(self) -> Floats:
        """[budget] typical amount of a pair that counts."""
        amount = np.abs(self.lifted.budgets.amount)
        size = amount.sum(axis=(1, 2)) / np.maximum((amount > 0).sum(axis=(1, 2)), 1)
        return np.where(size > 0, size, 1.0)

    def add(self, wanted: Bools) -> int:
        """Add the pairs [block, rep] that are not in yet; how many."""
        lifted, reps = self.lifted, self.lifted.allowed.shape[1]
        flat = np.setdiff1d(np.flatnonzero(wanted), self.pairs)
        block, rep, columns = flat // reps, flat % reps, np.arange(len(flat))
        triplets = _Triplets()
        triplets.add(block, columns, 1.0)
        triplets.add(self.rows["score"][rep], columns, -lifted.linear.gain[block, rep])
        for k, amount in enumerate(lifted.bands.amount):
            inside = self.bands[rep, k] >= 0
            use = (amount[block, rep] / self.unit[rep, k])[inside]
            triplets.add(self.bands[rep, k][inside], columns[inside], use)
        for row, amount, unit in zip(self.rows["budget"], lifted.budgets.amount, self.budget_unit, strict=True):
            triplets.add(np.full(len(flat), row), columns, amount[block, rep] / unit)
        matrix = triplets.matrix((len(self.rows["all"]), len(flat)))
        self.solver.addCols(
            len(flat), lifted.linear.cost[block, rep], np.zeros(len(flat)), np.ones(len(flat)),
            matrix.nnz, matrix.indptr[:-1], matrix.indices, matrix.data,
        )  # fmt: skip
        self.pairs = np.concatenate([self.pairs, flat])
        return len(flat)

    def run(self, deadline: float) -> bool:
        """Solve; whether the solver says it is optimal."""
        # the limit counts from the first run of this solver
        spent = self.solver.getRunTime()
        self.solver.setOptionValue("time_limit", spent + max(deadline - time.monotonic(), 0.01))
        self.solver.run()
        return bool(self.solver.getModelStatus() == highspy.HighsModelStatus.kOptimal)

    def reduced(self, dual: Floats) -> Floats:
        """[block, rep] reduced costs of all allowed pairs at these prices [row]."""
        lifted = self.lifted
        value = lifted.linear.cost + dual[self.rows["score"]] * lifted.linear.gain
        for k, amount in enumerate(lifted.bands.amount):
            price = np.where(self.bands[:, k] >= 0, dual[self.bands[:, k]], 0.0) / self.unit[:, k]
            if price.any():
                value -= price * amount
        for row, amount, unit in zip(self.rows["budget"], lifted.budgets.amount, self.budget_unit, strict=True):
            if dual[row]:
                value -= dual[row] / unit * amount
        return np.where(lifted.allowed, value - dual[: len(value)][:, None], np.inf)

    def answer(self, dual: Floats, value: Floats, status: str) -> FairRelaxation:
        """Arrays and named prices of a solution."""
        lifted, goal, reps = self.lifted, self.lifted.linear.goal, self.lifted.allowed.shape[1]
        share = np.zeros(lifted.allowed.size)
        known = value[self.extra :]  # pairs that came in after the last program have no share
        share[self.pairs[: len(known)]] = known.clip(0.0, 1.0)
        prices = {key: float(d) for key, d in self._prices(dual)}
        fair = unfairness_at(value[3 : 3 + reps] + goal.offset, value[0], goal)
        cost = float((lifted.linear.cost.ravel() * share).sum())
        return FairRelaxation(
            share=share.reshape(lifted.allowed.shape),
            reduced=self.reduced(dual),
            prices=prices,
            charge=np.maximum(-dual[self.rows["budget"]] / self.budget_unit, 0.0),
            level=float(value[0]),
            over=float(value[1]),
            under=float(value[2]),
            score=value[3 : 3 + reps] + goal.offset,
            objective=float(fair) + cost,
            outside=float(value[3 + 2 * reps : self.extra].sum()),
            status=status,
        )

    def _prices(self, dual: Floats) -> list[tuple[Key, float]]:
        bands, found = self.lifted.bands, list[tuple[Key, float]]()
        for keys, sign in ((bands.low_key, 1.0), (bands.high_key, -1.0)):
            for (rep, metric), key in keys.items():
                price = dual[self.bands[rep, metric]] / self.unit[rep, metric]
                found.append((key, price if sign * price > 0 else 0.0))
        budgets = zip(self.lifted.budgets.key, dual[self.rows["budget"]] / self.budget_unit, strict=True)
        found += [(key, float(price)) for key, price in budgets]
        for name, inside in _sides(self.lifted.linear.goal).items():
            found += [
                ((name, str(r)), float(d)) for r, d in zip(np.flatnonzero(inside), dual[self.rows[name]], strict=True)
            ]
        return found


class _Triplets:
    """Entries of a sparse matrix."""

    def __init__(self) -> None:
        self.parts: list[tuple[Ints, Ints, Floats]] = []

    def add(self, row: Ints, column: Ints, value: Floats | float) -> None:
        """Append entries."""
        self.parts.append((row, column, np.broadcast_to(np.asarray(value, dtype=float), row.shape)))

    def matrix(self, shape: tuple[int, int]) -> csc_array:
        """The matrix by columns."""
        row, column, value = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        return csc_array((value, (row, column)), shape=shape)


def _sides(goal: Goal) -> dict[str, Bools]:
    """Rows of fairness by name, and [rep] for whom."""
    return {"over": goal.extreme, "under": goal.extreme, "meanover": goal.counted, "meanunder": goal.counted}


def relax_fair(lifted: Lifted, deadline: float, begun: Bools | None = None) -> FairRelaxation | None:
    """Solve the relaxation over all allowed pairs; None when not even the first program was solved in time.

    Parameters
    ----------
    deadline : on the monotonic clock
    begun : [block, rep] pairs of the first program besides the cheapest
    """
    program, linear = _Program(lifted), lifted.linear
    first = least_per_block(linear.cost, lifted.allowed, FIRST_PAIRS)
    first[np.arange(len(first)), linear.around] = lifted.allowed[np.arange(len(first)), linear.around]
    program.add(first if begun is None else (first | begun) & lifted.allowed)
    dual, value, status = None, None, "time"
    for _ in range(MOST_PROGRAMS):
        if not program.run(deadline):
            break
        solution = program.solver.getSolution()
        dual, value = np.array(solution.row_dual), np.array(solution.col_value)
        reduced = program.reduced(dual)
        entering = least_per_block(reduced, lifted.allowed, ENTERING) & (reduced < -SMALL)
        if not program.add(entering):
            status = "optimal"
            break
        if time.monotonic() > deadline:
            break
    return None if dual is None or value is None else program.answer(dual, value, status)
