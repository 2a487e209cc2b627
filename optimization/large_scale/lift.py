"""The rules of a dense case in the two forms the large path knows: bands of single books and budgets of the whole plan.

Nothing here knows a rule by name. A row about one rep becomes one end of a band on the metric that its coefficients
are; a row over all reps becomes a budget, which gets a price on the pairs it counts (Everett 1963, Generalized Lagrange
multiplier method, doi:10.1287/opre.11.3.399). Rules that are settled before solving (permissions, locks, families) are
in the blocks already. A minimum over the whole plan is no budget and has no place: such a rule is refused by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimization.problem import Bools, Floats, Ints
from optimization.pulp_model import Key
from optimization.rules import RULES, Case, Row, rows_of

ROUNDING = 1e-9
"""Excess over a limit, relative to it, that is rounding."""

SUPPORTED = {
    name: "permissions and blocks, before solving" if rule.rows is None else "bands of books or budgets of the plan"
    for name, rule in RULES.items()
}
"""How each rule gets into the large path. A rule whose rows ask a minimum of the whole plan is refused when used."""


@dataclass(frozen=True)
class Bands:
    """Rules about single books: ``low <= sum over the book of amount <= high``.

    Attributes
    ----------
    amount : [metric, block, rep] what a block adds to the metric of a rep
    low, high : [rep, metric] infinite where there is no limit
    low_key, high_key : rule and key behind each finite end, by (rep, metric)
    names : [metric] name of the first rule that uses it
    """

    amount: Floats
    low: Floats
    high: Floats
    low_key: dict[tuple[int, int], Key]
    high_key: dict[tuple[int, int], Key]
    names: tuple[str, ...]

    def excess(self, plan: Ints) -> Floats:
        """[rep, metric] by how much the books of a plan [block] lie outside, beyond rounding."""
        use = book_sums(self.amount, plan, len(self.low))
        size = ROUNDING * np.maximum(book_sums(np.abs(self.amount), plan, len(self.low)), 1e-9)
        return np.maximum(np.maximum(use - self.high, self.low - use) - size, 0.0)


@dataclass(frozen=True)
class Budgets:
    """Rules about the whole plan: ``sum of amount over its pairs <= limit``; ``key`` names each.

    Attributes
    ----------
    amount : [budget, block, rep]
    limit : [budget]
    """

    amount: Floats
    limit: Floats
    key: tuple[Key, ...]

    def excess(self, plan: Ints) -> Floats:
        """[budget] by how much a plan [block] is over, beyond rounding."""
        use = self.amount[:, np.arange(len(plan)), plan].sum(axis=1)
        return np.maximum(use - self.limit - ROUNDING * np.maximum(1.0, np.abs(self.limit)), 0.0)


def book_sums(amount: Floats, plan: Ints, reps: int) -> Floats:
    """[rep, metric] sums of ``amount`` [metric, block, rep] over the books of a plan [block]."""
    blocks = np.arange(len(plan))
    sums = [np.bincount(plan, one[blocks, plan], reps) for one in amount]
    return np.array(sums).reshape(len(amount), reps).T


def refused(case: Case) -> tuple[str, ...]:
    """Names of the rules in force that the large path does not know."""
    rows = rows_of(case)
    return tuple(dict.fromkeys(r.rule for r in rows if r.rule not in SUPPORTED or (r.rep is None and r.sense == ">=")))


def refuse(case: Case) -> None:
    """Stop where a rule in force is not supported.

    Raises
    ------
    ValueError
        Naming every such rule and the way out.
    """
    if names := refused(case):
        raise ValueError(
            f"the large path does not know these rules: {', '.join(names)}; leave them out, or set"
            " allocation.method=model, which knows every rule and takes longer"
        )


def bands_of(rows: Sequence[Row], blocks: int, reps: int) -> Bands:
    """Bands of the rows about single reps; rows of one rep with the same coefficients share a metric."""
    amounts: list[Floats] = []
    names: list[str] = []
    ends: dict[bool, dict[tuple[int, int], tuple[float, Key]]] = {False: {}, True: {}}
    known: list[list[Floats]] = [[] for _ in range(reps)]
    for row in rows:
        if row.rep is None:
            continue
        mine = known[row.rep]
        metric = next((k for k, one in enumerate(mine) if np.array_equal(one, row.coefficient)), len(mine))
        if metric == len(mine):
            mine.append(row.coefficient)
            if metric == len(amounts):
                amounts.append(np.zeros((blocks, reps)))
                names.append(row.rule)
            amounts[metric][:, row.rep] = row.coefficient
        upper, where = row.sense == "<=", (row.rep, metric)
        before = ends[upper].get(where)
        if before is None or (row.limit < before[0] if upper else row.limit > before[0]):
            ends[upper][where] = (row.limit, (row.rule, row.key))
    low, high = np.full((reps, len(amounts)), -np.inf), np.full((reps, len(amounts)), np.inf)
    for limit, found in ((low, ends[False]), (high, ends[True])):
        for where, (value, _) in found.items():
            limit[where] = value
    keys = [{where: key for where, (_, key) in found.items()} for found in (ends[False], ends[True])]
    shape = (len(amounts), blocks, reps)
    return Bands(np.array(amounts).reshape(shape), low, high, keys[0], keys[1], tuple(names))


def budgets_of(rows: Sequence[Row], blocks: int, reps: int) -> Budgets:
    """Budgets of the rows over all reps."""
    plans = [row for row in rows if row.rep is None]
    amount = np.array([row.coefficient for row in plans]).reshape(len(plans), blocks, reps)
    return Budgets(amount, np.array([row.limit for row in plans]), tuple((row.rule, row.key) for row in plans))


def least_per_block(value: Floats, allowed: Bools, number: int) -> Bools:
    """[block, rep] the allowed pairs of least value, at most ``number`` per block; ties are spread over reps."""
    blocks, reps = value.shape
    chosen = np.zeros((blocks, reps), dtype=bool)
    turned = (np.arange(reps) - np.arange(blocks)[:, None]) % reps
    dear = np.where(allowed, value, np.inf)
    if number >= reps:
        return allowed.copy()
    unit = 1e-12 * max(float(np.abs(value[allowed]).max(initial=0.0)), 1e-12)
    order = np.argpartition(dear + unit * turned, number - 1, axis=1)[:, :number]
    np.put_along_axis(chosen, order, values=True, axis=1)
    return chosen & allowed
