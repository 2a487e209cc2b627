"""The embedded demo company: a simulated CRM whose truth is known.

The rule this module keeps: the same seed gives the same tables and the same truth, on every machine; every part of the
world draws from a stream of its own, so a change to one part leaves the draws of the others alone.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.demo import daily_work, tables, world
from engine.demo.accounts import make_accounts
from engine.demo.arrivals import make_new_deals
from engine.demo.clock import FIRST_DAY, LAST_DAY, MONTHS
from engine.demo.deals import run_deals
from engine.demo.orders import make_order_lines
from engine.demo.people import make_people
from engine.demo.plans import first_judgement, make_calls, make_quotas
from engine.demo.truth import DemoTruth
from engine.seeds import seed_for
from models.panel import Floats, Ints

WIN_LOGIT_TO_LOG = 0.7
"""Log revenue per logit of winning at a win rate of 0.3: 1 - 0.3."""


@dataclass(frozen=True)
class DemoCompany:
    """A simulated company.

    Attributes
    ----------
    tables : by name, with the columns of `engine.config.data.TABLES`; they reach a year beyond `clock.TODAY`, and
        cutting as of a date is the reader's work
    truth : the parameters the tables were drawn with
    """

    tables: dict[str, pd.DataFrame]
    truth: DemoTruth


def demo_company(seed: int) -> DemoCompany:
    """Simulate a company from 2023-07-01 to 2027-06-30.

    About 40 reps (five leave, ten are hired, seven of them in the last year before 2026-06-30), 8 territories in 3
    regions, 500 accounts, 5 products, 10,000 opportunities up to 2026-06-30, orders without a deal, unfair quotas and
    biased calls.

    Parameters
    ----------
    seed : which company

    Returns
    -------
    tables and truth
    """
    people = make_people(_stream(seed, "people"))
    accounts = make_accounts(_stream(seed, "accounts"), people)
    closing = world.make_closing(_stream(seed, "closing"), people)
    amounts = world.make_amounts(_stream(seed, "amounts"), people)
    arrivals = world.make_arrivals(_stream(seed, "arrivals"), people)
    order_truth = world.make_orders(_stream(seed, "order truth"), people, accounts)
    human = world.make_human(_stream(seed, "human"), people)
    new = make_new_deals(_stream(seed, "new deals"), people, accounts, arrivals)
    course = run_deals(_stream(seed, "deals"), new, closing, amounts)
    orders = make_order_lines(_stream(seed, "orders"), accounts, order_truth)
    bookings = tables.bookings_table(people, accounts, (new, course), orders)
    daily = _daily_revenue(bookings, people.rep_ids)
    month = np.repeat(np.arange(len(MONTHS)), _month_lengths())
    revenue = np.bincount(month, daily.sum(axis=0))
    ramp = 1.0 - np.exp(-people.tenure() / arrivals.ramp_months)
    strength = arrivals.territory[people.home] + arrivals.rep
    strength += WIN_LOGIT_TO_LOG * (closing.win_territory[people.home] + closing.win_rep)
    quotas = make_quotas(_stream(seed, "quotas"), people, revenue, ramp, strength)
    calls = make_calls(_stream(seed, "calls"), people, daily, human)
    categories = first_judgement(_stream(seed, "categories"), new.rep, human)
    frames = {
        **tables.deal_tables(people, accounts, new, course, categories),
        "bookings": bookings,
        **tables.account_tables(accounts, people),
        **tables.people_tables(people),
        "products": tables.products_table(),
        "quotas": tables.quotas_table(people, quotas),
        "rep_forecasts": tables.calls_table(people, calls),
    }
    ids = tables.opportunity_ids(len(new))
    frames |= {
        "leads": daily_work.leads_table(_stream(seed, "leads"), people, new, ids),
        "activities": daily_work.activities_table(_stream(seed, "activities"), people, accounts, (new, course), ids),
        "contracts": daily_work.contracts_table(_stream(seed, "contracts"), accounts, order_truth),
        "rep_hours": daily_work.hours_table(_stream(seed, "hours"), people),
    }
    never = ids[course.never]
    return DemoCompany(frames, DemoTruth(closing, amounts, arrivals, order_truth, human, never))


def _stream(seed: int, part: str) -> np.random.Generator:
    """The random numbers of one part of the world."""
    return np.random.default_rng(seed_for(seed, f"demo {part}"))


def _month_lengths() -> Ints:
    """[month] days."""
    return np.diff(np.append(MONTHS, MONTHS[-1] + 1).astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)


def _daily_revenue(bookings: pd.DataFrame, rep_ids: np.ndarray) -> Floats:
    """[rep, day] booked money."""
    days = int((LAST_DAY - FIRST_DAY).astype(np.int64)) + 1
    rep = pd.Index(rep_ids).get_indexer(bookings["rep"])
    day = (bookings["date"].to_numpy().astype("datetime64[D]") - FIRST_DAY).astype(np.int64)
    return np.bincount(rep * days + day, bookings["amount"], minlength=len(rep_ids) * days).reshape(-1, days)
