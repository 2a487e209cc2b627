"""Deals as weeks at risk: one row for every deal and week in which it was open at the start, or was created.

The rule this module keeps: a row's covariates are known before its outcome. The stage of a week is the one the deal was
in when the week began (the first stage in the week of creation), so a deal that moves to its last stage and closes in
one week closes from the stage before, exactly as the simulation will step it.
"""

from dataclasses import dataclass

import numpy as np

from models.calendar import WEEKS_PER_MONTH, last_complete_week, week_number
from models.panel import NONE, OPEN, Bools, Floats, Ints, Panel


@dataclass(frozen=True)
class DealWeeks:
    """Rows [row], sorted by deal and week.

    Attributes
    ----------
    deal : index into the panel's deals
    week : see `models.calendar`
    age : weeks since the week of creation
    stage, next_stage : at the start of the week and of the next; 0 without stage history
    closing : the deal closed in this week
    complete : the week was over at the as-of date; in the others a closing says who won, not that it closed so soon
    """

    deal: Ints
    week: Ints
    age: Ints
    stage: Ints
    next_stage: Ints
    closing: Bools
    complete: Bools


def deal_weeks(panel: Panel) -> DealWeeks:
    """Every week of exposure of every deal: from ``exposed`` to its closing or the last complete week.

    Open deals are right-censored, and weeks before ``exposed`` are left out (left truncation). Deals without a creation
    date, or that were never exposed in a complete week, have no rows.
    """
    deals = panel.deals
    last = last_complete_week(panel.as_of)
    dated = np.flatnonzero(~np.isnat(deals.created) & ~np.isnat(deals.exposed))
    closed = deals.outcome[dated] != OPEN
    start = week_number(deals.exposed[dated])
    end = np.where(closed, week_number(np.where(closed, deals.closed[dated], deals.created[dated])), last)
    count = np.maximum(end - start + 1, 0)
    deal = np.repeat(dated, count)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    week = np.repeat(start, count) + offset
    stage_at = _StageLookup.of(panel)
    return DealWeeks(
        deal=deal,
        week=week,
        age=np.maximum(week - np.repeat(week_number(deals.created[dated]), count), 0),
        stage=stage_at.at(deal, week),
        next_stage=stage_at.at(deal, week + 1),
        closing=np.repeat(closed, count) & (week == np.repeat(end, count)),
        complete=week <= last,
    )


def has_stages(panel: Panel) -> bool:
    """Whether stages can be used: only with a history is the stage of a past week known."""
    return len(panel.stage_moves.deal) > 0 and len(panel.stages) > 1


def size_edges(panel: Panel, bins: int) -> Floats:
    """Inner edges of the size classes on the log of the list amount.

    Known amounts fall into at most ``bins`` classes of about equal numbers; edges lie half way between two amounts, so
    no amount is on an edge. Where some amounts are unknown the first edge is minus infinity: bin 0 is theirs alone.
    """
    amounts = panel.deals.list_amount
    known = np.log(amounts[amounts > 0])
    if not known.size:
        return np.empty(0)
    levels = np.unique(known)
    cuts = np.quantile(known, np.arange(1, bins) / bins)
    below = np.searchsorted(levels, cuts, side="right") - 1
    below = np.unique(below[below < len(levels) - 1])
    edges = (levels[below] + levels[below + 1]) / 2
    return edges if known.size == amounts.size else np.append(-np.inf, edges)


def size_bin(amounts: Floats, edges: Floats) -> Ints:
    """Size class of list amounts; unknown or not positive: 0."""
    known = amounts > 0
    return np.where(known, np.searchsorted(edges, np.log(np.where(known, amounts, 1.0)), side="right"), 0)


def age_bin(age: Ints, bins: Ints) -> Ints:
    """Bin of ages in weeks; the last bin is open."""
    return np.searchsorted(bins, age, side="right") - 1


@dataclass(frozen=True)
class _StageLookup:
    """Stage of a deal at the start of a week: keys ``deal * span + week`` from which on a stage holds, ascending."""

    keys: Ints
    stages: Ints
    deals: Ints
    span: int
    first: int
    unknown: int

    @classmethod
    def of(cls, panel: Panel) -> "_StageLookup":
        if not has_stages(panel):
            empty = np.empty(0, dtype=np.int64)
            return cls(empty, empty, empty, 1, 0, 0)
        moves = panel.stage_moves
        kept = np.flatnonzero((moves.stage != NONE) & ~np.isnat(moves.date))
        order = kept[np.lexsort((moves.date[kept], moves.deal[kept]))]
        deal, stage = moves.deal[order], moves.stage[order]
        first_of_deal = np.append(True, deal[1:] != deal[:-1])
        first = int(week_number(panel.deals.created[~np.isnat(panel.deals.created)]).min()) - 1
        span = last_complete_week(panel.as_of) + 3 - first
        # A move takes effect at the start of the next week; the first one holds from the beginning.
        effect = np.where(first_of_deal, 0, np.clip(week_number(moves.date[order]) + 1 - first, 0, span - 1))
        unknown = int(np.bincount(stage[first_of_deal]).argmax())
        return cls(deal * span + effect, stage, deal, span, first, unknown)

    def at(self, deal: Ints, week: Ints) -> Ints:
        """Stage of each deal at the start of the week; the commonest first stage where a deal has no history."""
        if not self.keys.size:
            return np.zeros(len(deal), dtype=np.int64)
        position = np.searchsorted(self.keys, deal * self.span + week - self.first, side="right") - 1
        found = (position >= 0) & (self.deals[position] == deal)
        return np.where(found, self.stages[position], self.unknown)


def first_stages(panel: Panel) -> Ints:
    """How many deals began in each stage [stage]."""
    if not has_stages(panel):
        return np.zeros(max(len(panel.stages), 1), dtype=np.int64)
    lookup = _StageLookup.of(panel)
    begins = np.append(True, lookup.deals[1:] != lookup.deals[:-1])
    return np.bincount(lookup.stages[begins], minlength=len(panel.stages))


def shock_months(rows: DealWeeks) -> Ints:
    """Months since 1970-01 from the first to the last row, without gaps."""
    months = rows.week // WEEKS_PER_MONTH
    return np.arange(months.min(), months.max() + 1)
