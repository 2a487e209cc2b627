"""A part of the deals with effects of its own: a copy of their segment that they are moved to.

The posterior has effects of segments, stages, products, territories and reps. What is asked of another part (deals in
a stage, accounts that change rep) is said by copying the segments of its members, effects included, and shifting the
copy.
"""

from dataclasses import dataclass, replace

import numpy as np

from engine.scenarios.company import Company, amounts, closing, copied, with_amounts, with_closing, with_panel
from models.panel import NONE, Bools, Floats, Ints


@dataclass(frozen=True)
class Shift:
    """What a part has beyond its segment: shifts of log odds to close and to win, and of log amounts."""

    close: float = 0.0
    win: float = 0.0
    amount: float = 0.0


def set_apart(company: Company, deals: Bools, accounts: Bools, shift: Shift) -> Company:
    """Give open deals [deal] and the new deals on accounts [account] effects of their own."""
    panel = company.panel
    used = np.concatenate([panel.deals.segment[deals], panel.accounts.segment[accounts]])
    if "account" in panel.barred:  # then the models see no segment of an account
        used = panel.deals.segment[deals]
    sources = np.unique(used)
    if not len(sources):
        return company
    place = {int(source): len(panel.segments) + n for n, source in enumerate(sources)}
    company = with_panel(
        company,
        segments=copied(panel.segments, np.maximum(sources, 0)),
        deals=replace(panel.deals, segment=_moved(panel.deals.segment, deals, place)),
        accounts=replace(panel.accounts, segment=_moved(panel.accounts.segment, accounts, place)),
    )
    if company.draws.closing is not None:
        old = closing(company)
        company = with_closing(
            company,
            close_segment=_grown(old.close_segment, sources, shift.close),
            win_segment=_grown(old.win_segment, sources, shift.win),
        )
    if company.draws.amounts is not None:
        company = with_amounts(company, segment=_grown(amounts(company).segment, sources, shift.amount))
    return company


def _moved(segment: Ints, mask: Bools, place: dict[int, int]) -> Ints:
    changed = segment.copy()
    for source, target in place.items():
        changed[mask & (segment == source)] = target
    return changed


def _grown(effects: Floats, sources: Ints, shift: float) -> Floats:
    """[D, segment] with shifted copies of some columns at the end; index NONE has no effect."""
    copies = np.where(sources == NONE, 0.0, effects[:, np.maximum(sources, 0)]) + shift
    return np.concatenate([effects, copies], axis=1)
