"""Names of the months of a horizon and of the quarters and years that it holds whole."""

import numpy as np

from models.panel import Ints

MONTHS_PER_QUARTER = 3


def periods(months: Ints, fiscal_year_start: int) -> list[tuple[str, Ints]]:
    """Names and column indices of the months and of every quarter and year that the horizon holds whole.

    A fiscal year is named after the calendar year it ends in; with a year from January they are the same.
    """
    named = [(str(np.datetime64(int(month), "M")), np.array([i])) for i, month in enumerate(months)]
    shifted = months - (fiscal_year_start - 1)
    year = 1970 + shifted // 12 + (fiscal_year_start > 1)
    quarter = shifted % 12 // MONTHS_PER_QUARTER + 1
    for label, length in (
        (np.char.add(np.char.add(year.astype(str), "-Q"), quarter.astype(str)), 3),
        (year.astype(str), 12),
    ):
        for name in dict.fromkeys(label.tolist()):
            columns = np.flatnonzero(label == name)
            if len(columns) == length:
                named.append((name, columns))
    if len(months) > 1 and not any(len(columns) == len(months) for _, columns in named):
        span = f"{np.datetime64(int(months[0]), 'M')}..{np.datetime64(int(months[-1]), 'M')}"
        named.append((span, np.arange(len(months))))
    return named
