"""Other targets: no revenue changes."""

from dataclasses import replace

import numpy as np

from engine.scenarios.asking import Ask
from engine.scenarios.company import Company, Frame
from engine.scenarios.settings import Quota
from models.panel import NONE, Quotas


def quota(company: Company, change: Quota, ask: Ask) -> Company:
    """Set a target over the horizon, or scale it."""
    if (change.amount is None) == (change.relative is None):
        came = "both `amount` and `relative`" if change.amount is not None else "neither `amount` nor `relative`"
        ask.refuse("level", came, "one of the two", "say how the change is meant")
    panel = company.panel
    labels = {
        "region": panel.regions,
        "territory": panel.territories,
        "manager": panel.managers,
        "rep": panel.reps.labels,
    }.get(change.level)
    key = ""
    if labels is None:
        if change.key not in (None, "", "company"):
            ask.refuse("key", f"`{change.key}`", "no key: there is one company", "remove it")
    elif change.key is None:
        ask.refuse("key", "nothing", f"the id or name of a {change.level}", "add `key`")
    else:
        index = ask.member("key", change.level, labels, change.key)
        key = str(labels.ids[index]) if index != NONE else ""
    ask.done()
    first, last = int(ask.frame.months[0]), int(ask.frame.months[-1])
    amount = change.amount
    if change.relative is not None:
        now, _ = company.quotas.target(change.level, key, first, last)
        if not np.isfinite(now):
            ask.stop("relative", "a change of no target", "a level and key with a target", "set an `amount`")
        amount = now * (1 + change.relative)
    return with_target(company, change.level, key, float(amount or 0.0), ask.frame)


def with_target(company: Company, level: str, key: str, amount: float, frame: Frame) -> Company:
    """The company with one target over the horizon in place of all that the member had; spread over it by days."""
    given = company.quotas.given
    kept = ~((given.level == level) & ((given.key == key) | (level == "company")))
    start = np.datetime64(int(frame.months[0]), "M").astype("datetime64[D]")
    end = np.datetime64(int(frame.months[-1]) + 1, "M").astype("datetime64[D]") - np.timedelta64(1, "D")
    texts = {"level": level, "key": key}
    numbers = {"start": start, "end": end, "amount": amount}
    # An empty column of texts comes back from a run's file without a type, hence `astype`.
    columns = {name: getattr(given, name)[kept].astype(object) for name in texts}
    parts = {name: np.append(columns[name], text).astype(str) for name, text in texts.items()}
    for name, value in numbers.items():
        column = getattr(given, name)[kept]
        parts[name] = np.append(column, np.array([value], dtype=column.dtype))
    return replace(company, quotas=replace(company.quotas, given=Quotas(**parts)))
