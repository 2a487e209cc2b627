"""Known accounts that come back more often: the bookings leg."""

import numpy as np

from engine.scenarios.asking import Ask
from engine.scenarios.company import Company, added, orders, with_orders
from engine.scenarios.reference import MOST_DRAWS, rate, shift_to, thinned
from engine.scenarios.settings import Retention
from models.order_history import DUE, DUE_2, DUE_3, DUE_MORE


def retention(company: Company, change: Retention, ask: Ask) -> Company:
    """Shift the log odds of ordering in due months so that the stated share fewer of the due orders are missed.

    Whoever misses fewer orders lapses less often by itself; accounts that order without a cycle have no due month.
    """
    ask.leg("orders", "orders of known accounts")
    ask.done()
    of = orders(company)
    draws = thinned(np.arange(company.draws.count), MOST_DRAWS)
    state = of.state
    for due in (DUE, DUE_2, DUE_3, DUE_MORE):
        season = (of.season if due == DUE else of.missed)[draws]  # [D, 12, grade]
        log_odds = (of.base + of.state[:, due])[draws][:, None, None] + season
        missed = 1 - rate(log_odds)
        state = added(state, np.array([due]), shift_to(log_odds, 1 - missed * (1 - change.fewer_missed)))
    return with_orders(company, state=state)
