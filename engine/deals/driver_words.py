"""Drivers of a deal in words: the largest few with their points, and facts that the model does not use without any.

Reps are not named, so that a page without names may show the words; texts of the CRM (stage, product, segment,
territory) come as they are and are escaped where they are written.
"""

from collections.abc import Callable

import numpy as np

from engine.deals.chances import GROUPS
from engine.deals.drivers import Drivers
from models.deal_weeks import has_stages
from models.panel import Floats, Ints, Labels, Panel, Texts

LARGEST = 3
"""Drivers that are spelled out; the others are summed up as the rest."""

TEXT = 40
"""Characters of a text of the CRM that are shown."""


def sentences(panel: Panel, index: Ints, drivers: Drivers) -> list[str]:
    """One sentence a deal.

    Such as ``age 94 days -8, stage Proposal -3, rest -1: -12 points on the 21 % of a typical open deal; not in the
    model: past its expected close, which moved later 2 times``.

    Parameters
    ----------
    index : [deal] into `models.panel.Deals`, in the order of ``drivers``
    """
    named = np.stack([names(panel, index) for names in NAMES.values()], axis=1)  # [deal, group]
    rounded = np.rint(100 * drivers.points).astype(int)
    order = np.argsort(-np.abs(drivers.points), axis=1, kind="stable")[:, :LARGEST]
    total = np.rint(100 * drivers.points.sum(axis=1)).astype(int)
    facts = unused_facts(panel, index)
    typical = f"{100 * drivers.typical:.0f} %"
    return [
        _sentence([(named[i, g], rounded[i, g]) for g in order[i] if rounded[i, g]], int(total[i]), typical) + facts[i]
        for i in range(len(index))
    ]


def _sentence(largest: list[tuple[str, int]], total: int, typical: str) -> str:
    """Points are whole and add up: what is not spelled out is the rest."""
    rest = total - sum(points for _, points in largest)
    parts = [*largest, ("rest", rest)] if rest else largest
    if not parts:
        return f"close to the {typical} of a typical open deal"
    words = ", ".join(f"{name} {points:+d}" for name, points in parts)
    return f"{words}: {total:+d} points on the {typical} of a typical open deal"


def unused_facts(panel: Panel, index: Ints) -> list[str]:
    """What people look at and the model does not use: an expected close that has passed or was moved later; [deal]."""
    late = panel.deals.expected_close[index] <= panel.as_of
    texts = []
    for overdue, pushes in zip(late, panel.deals.pushes[index], strict=True):
        moved = "" if not pushes else "moved later once" if pushes == 1 else f"moved later {pushes} times"
        facts = ["past its expected close"] * bool(overdue)
        facts += [f"which {moved}" if overdue else f"expected close {moved}"] * bool(moved)
        texts.append(f"; not in the model: {', '.join(facts)}" if facts else "")
    return texts


def _age(panel: Panel, index: Ints) -> Texts:
    days = (panel.as_of - panel.deals.created[index]).astype("timedelta64[D]").astype(np.int64)
    unknown = np.isnat(panel.deals.created[index])
    return np.array(["age unknown" if gone else f"age {n} days" for n, gone in zip(days, unknown, strict=True)])


def _stage(panel: Panel, index: Ints) -> Texts:
    if not has_stages(panel):
        return np.full(len(index), "stage")
    return _called("stage", panel.stages, panel.deals.stage[index])


def _amount(panel: Panel, index: Ints) -> Texts:
    amount: Floats = panel.deals.list_amount[index]
    return np.array([f"amount {value:,.0f}" if value > 0 else "amount unknown" for value in amount])


def _product(panel: Panel, index: Ints) -> Texts:
    return _called("product", panel.products.labels, panel.deals.product[index])


def _segment(panel: Panel, index: Ints) -> Texts:
    return _called("segment", panel.segments, panel.deals.segment[index])


def _territory(panel: Panel, index: Ints) -> Texts:
    return _called("territory", panel.territories, panel.deals.territory[index])


def _rep(_panel: Panel, index: Ints) -> Texts:
    return np.full(len(index), "its rep")


def _called(kind: str, labels: Labels, index: Ints) -> Texts:
    names = [f"{kind} {str(name)[:TEXT]}" for name in labels.names] + [f"no {kind}"]
    return np.array(names)[index]


NAMES: dict[str, Callable[[Panel, Ints], Texts]] = dict(
    zip(GROUPS, (_age, _stage, _amount, _product, _segment, _territory, _rep), strict=True)
)
"""What each group of covariates is called for a deal."""
