"""Given targets of many members and periods at once."""

import numpy as np

from engine.kpis.facts import Facts
from models.panel import Floats, Ints


def given_targets(facts: Facts, level: str, first: Ints, last: Ints) -> Floats:
    """[member, period] given target; NaN unless every day of the period is covered.

    The same rule as `engine.planning.quotas.prorated`, for all periods of a member at once.

    Parameters
    ----------
    first, last : [period] months since 1970-01, both inclusive
    """
    quotas, labels = facts.panel.quotas, facts.labels(level)
    found = np.full((len(labels), len(first)), np.nan)
    here = np.flatnonzero(quotas.level == level)
    if not len(here) or not len(first):
        return found
    opens = first.astype("datetime64[M]").astype("datetime64[D]")
    stop = (last + 1).astype("datetime64[M]").astype("datetime64[D]")
    days = (stop - opens).astype(np.float64)
    place = {str(key): i for i, key in enumerate(labels.ids)}
    keys = np.where(level == "company", "", quotas.key[here])
    order = np.argsort(keys, kind="stable")
    for part in np.split(order, np.flatnonzero(keys[order][1:] != keys[order][:-1]) + 1):
        i = place.get(str(keys[part[0]]))
        if i is None:
            continue
        rows = here[part]
        begin, end = quotas.start[rows, None], quotas.end[rows, None] + np.timedelta64(1, "D")
        overlap = (np.minimum(end, stop) - np.maximum(begin, opens)).astype(np.float64).clip(min=0.0)  # [quota, period]
        amount = (quotas.amount[rows, None] * overlap / (end - begin).astype(np.float64)).sum(axis=0)
        found[i] = np.where(overlap.sum(axis=0) >= days, amount, np.nan)
    return found
