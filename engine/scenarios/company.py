"""What a change is made to: a company with its posterior and targets, and what is fixed around it.

A change is a pure function ``(company, change, ask) -> company``. Entities it does not touch keep their ids, and so
their random streams: differences between a scenario and its base are differences of decisions alone.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.planning.quotas import QuotaBook
from models.draws import AmountDraws, ArrivalDraws, ClosingDraws, Draws, OrderDraws
from models.panel import Floats, Ints, Labels, Panel

COPY = "\x1f"
"""In the id of a copy of a segment or stage, between the id of the original and a number."""


@dataclass(frozen=True)
class Company:
    """Panel, posterior and targets: the whole input of a simulation and of the chances of quota."""

    panel: Panel
    draws: Draws
    quotas: QuotaBook


@dataclass(frozen=True)
class Frame:
    """What no scenario changes.

    Attributes
    ----------
    months : [month] forecast months since 1970-01
    simulated : [month] months from the day after the as-of date to the end of the forecast
    seed : root of what is drawn for a scenario alone, such as the skill of a hire
    disruption : share of revenue that an account loses when it changes rep
    output : parent folder of all runs
    """

    months: Ints
    simulated: Ints
    seed: int
    disruption: float
    output: Path


def with_panel(company: Company, **parts: Any) -> Company:
    """The company with other parts of its panel."""
    return replace(company, panel=replace(company.panel, **parts))


def with_closing(company: Company, **parts: Any) -> Company:
    """The company with other arrays of `ClosingDraws`."""
    return replace(company, draws=replace(company.draws, closing=replace(closing(company), **parts)))


def with_amounts(company: Company, **parts: Any) -> Company:
    """The company with other arrays of `AmountDraws`."""
    return replace(company, draws=replace(company.draws, amounts=replace(amounts(company), **parts)))


def with_arrivals(company: Company, **parts: Any) -> Company:
    """The company with other arrays of `ArrivalDraws`."""
    return replace(company, draws=replace(company.draws, arrivals=replace(arrivals(company), **parts)))


def with_orders(company: Company, **parts: Any) -> Company:
    """The company with other arrays of `OrderDraws`."""
    return replace(company, draws=replace(company.draws, orders=replace(orders(company), **parts)))


def closing(company: Company) -> ClosingDraws:
    """The leg, which the caller has checked to be there."""
    assert company.draws.closing is not None
    return company.draws.closing


def amounts(company: Company) -> AmountDraws:
    """The leg, which the caller has checked to be there."""
    assert company.draws.amounts is not None
    return company.draws.amounts


def arrivals(company: Company) -> ArrivalDraws:
    """The leg, which the caller has checked to be there."""
    assert company.draws.arrivals is not None
    return company.draws.arrivals


def orders(company: Company) -> OrderDraws:
    """The leg, which the caller has checked to be there."""
    assert company.draws.orders is not None
    return company.draws.orders


def added(values: Floats, columns: Ints, shift: float | Floats) -> Floats:
    """A copy of [D, column] with ``shift`` (one number, or one a draw) added to some columns."""
    changed = np.array(values, dtype=float)
    changed[:, columns] += np.asarray(shift, dtype=float).reshape(-1, 1)
    return changed


def columns_of(labels: Labels, index: int) -> Ints:
    """A member and the copies that earlier changes made of it."""
    root = str(labels.ids[index]).split(COPY)[0]
    return np.flatnonzero([str(key).split(COPY)[0] == root for key in labels.ids])


def copied(labels: Labels, sources: Ints) -> Labels:
    """The labels with copies of some members at the end."""
    ids = [f"{str(labels.ids[i]).split(COPY)[0]}{COPY}{len(labels) + n}" for n, i in enumerate(sources)]
    names = [str(labels.names[i]) for i in sources]
    return Labels(np.append(labels.ids.astype(object), ids).astype(str), np.append(labels.names, names))


def grown[T](items: T, **values: Any) -> T:
    """A dataclass of parallel arrays with one row more at the end; nested labels are given whole.

    Optional columns (those with a default) that are not given are unknown for the new row: NaN or an empty text.
    """
    parts = {}
    for field in fields(items):  # type: ignore[arg-type]
        old = getattr(items, field.name)
        if old is None or isinstance(old, Labels):
            parts[field.name] = values.get(field.name)
            continue
        optional = field.default is None
        unknown = np.nan if old.dtype.kind == "f" else ""
        new = values.get(field.name, unknown) if optional else values[field.name]
        parts[field.name] = np.append(old, np.array([new], dtype=old.dtype))
    return type(items)(**parts)
