"""The demo company as its CRM and its ledger would export it."""

import numpy as np
import pandas as pd

from engine.demo.accounts import INDUSTRIES, SEGMENTS, Accounts
from engine.demo.arrivals import NewDeals
from engine.demo.clock import MONTHS, as_dates
from engine.demo.deals import Course
from engine.demo.orders import OrderLines
from engine.demo.people import REGIONS, People
from engine.demo.plans import QUARTER_STARTS, Calls, Quotas
from engine.demo.world import COST_SHARES, LIST_PRICES, LOST_STAGE, PRODUCT_IDS, PRODUCT_NAMES, STAGES, WON_STAGE
from models.panel import NONE, OPEN, WON, Ints, Texts

OUTCOMES = np.array(["open", "won", "lost"])
CATEGORIES = np.array(["Pipeline", "Best case", "Commit"])


def people_tables(people: People) -> dict[str, pd.DataFrame]:
    """Reps and territories."""
    reps = {
        "id": people.rep_ids,
        "name": people.rep_names,
        "start": _dates(people.start),
        "end": _dates(people.end),
        "fte": people.fte,
        "role": people.rep_roles,
        "manager": people.rep_managers,
        "territory": people.territory_ids[people.home],
    }
    territories = {
        "id": people.territory_ids,
        "name": people.territory_names,
        "region": np.array(REGIONS)[people.territory_region],
    }
    return {"reps": pd.DataFrame(reps), "territories": pd.DataFrame(territories)}


def products_table() -> pd.DataFrame:
    """Products."""
    columns = {"id": PRODUCT_IDS, "name": PRODUCT_NAMES, "list_price": LIST_PRICES, "cost": LIST_PRICES * COST_SHARES}
    return pd.DataFrame(columns)


def account_tables(accounts: Accounts, people: People) -> dict[str, pd.DataFrame]:
    """Accounts with their last owner, and every change of owner; a few accounts have no owner on record."""
    known = ~accounts.owner_hidden
    table = {
        "id": accounts.ids,
        "name": accounts.names,
        "segment": np.array(SEGMENTS)[accounts.segment],
        "industry": np.array(INDUSTRIES)[accounts.industry],
        "territory": people.territory_ids[accounts.territory],
        "owner": _texts(people.rep_ids, np.where(known, accounts.owner[:, -1], NONE)),
        "parent": _texts(accounts.ids, accounts.parent),
        "hours": accounts.hours,
        "locked": accounts.locked,
    }
    before = np.column_stack([np.full(len(accounts), NONE), accounts.owner[:, :-1]])
    account, month = np.nonzero((accounts.owner != before) & known[:, None])
    first = MONTHS.astype("datetime64[M]").astype("datetime64[D]")[month]
    owners = {
        "account": accounts.ids[account],
        "rep": people.rep_ids[accounts.owner[account, month]],
        "valid_from": _dates(first),
    }
    return {"accounts": pd.DataFrame(table), "account_owners": pd.DataFrame(owners)}


def deal_tables(
    people: People, accounts: Accounts, new: NewDeals, course: Course, categories: Ints
) -> dict[str, pd.DataFrame]:
    """Opportunities and their stage history, which ends with the closing; ``categories`` index `CATEGORIES`."""
    ids = opportunity_ids(len(new))
    closed_stage = np.array(["", WON_STAGE, LOST_STAGE])[course.outcome]
    names = np.append(accounts.names, "Inbound enquiry")[new.account]
    opportunities = {
        "id": ids,
        "name": np.array([f"{name} - {PRODUCT_NAMES[p]}" for name, p in zip(names, new.product, strict=True)]),
        "account": _texts(accounts.ids, new.account),
        "rep": people.rep_ids[new.rep],
        "product": np.array(PRODUCT_IDS)[new.product],
        "stage": np.where(course.outcome == OPEN, np.array(STAGES)[course.stage], closed_stage),
        "amount": new.list_amount,
        "created": _dates(as_dates(new.created)),
        "closed": _dates(as_dates(course.closed)),
        "outcome": OUTCOMES[course.outcome],
        "won_amount": course.won_amount,
        "expected_close": _dates(as_dates(course.expected)),
        "category": CATEGORIES[categories],
    }
    history = course.history
    gone = np.flatnonzero(course.outcome != OPEN)
    deal = np.concatenate([history.deal, gone])
    order = np.argsort(deal, kind="stable")
    rows = {
        "opportunity": ids[deal],
        "stage": np.concatenate([np.array(STAGES)[history.stage], closed_stage[gone]]),
        "date": _dates(as_dates(np.concatenate([history.day, course.closed[gone]]))),
        "expected_close": _dates(as_dates(np.concatenate([history.expected, course.expected[gone]]))),
        "amount": new.list_amount[deal],
    }
    return {
        "opportunities": pd.DataFrame(opportunities),
        "stage_history": pd.DataFrame(rows).iloc[order].reset_index(drop=True),
    }


def bookings_table(
    people: People, accounts: Accounts, deals: tuple[NewDeals, Course], orders: OrderLines
) -> pd.DataFrame:
    """Every booked euro: one row a won deal, naming it, and the orders that came without one; sorted by date."""
    new, course = deals
    won = np.flatnonzero(course.outcome == WON)
    product = np.concatenate([new.product[won], orders.product])
    amount = np.concatenate([course.won_amount[won], orders.amount])
    none = np.full(len(orders.amount), NONE)
    table = {
        "date": _dates(as_dates(np.concatenate([course.closed[won], orders.day]))),
        "amount": amount,
        "rep": people.rep_ids[np.concatenate([new.rep[won], orders.rep])],
        "account": _texts(accounts.ids, np.concatenate([new.account[won], orders.account])),
        "product": np.array(PRODUCT_IDS)[product],
        "opportunity": _texts(opportunity_ids(len(new)), np.concatenate([won, none])),
        "cost": np.round(amount * COST_SHARES[product], 2),
    }
    return pd.DataFrame(table).sort_values("date", kind="stable", ignore_index=True)


def quotas_table(people: People, quotas: Quotas) -> pd.DataFrame:
    """Quotas of reps with capacity, of territories, regions and the company, quarter by quarter."""
    region = np.array([quotas.territory[people.territory_region == i].sum(axis=0) for i in range(len(REGIONS))])
    levels = [
        ("company", np.array([""]), quotas.company[None, :]),
        ("region", np.array(REGIONS), region),
        ("territory", people.territory_ids, quotas.territory),
        ("rep", people.rep_ids, quotas.rep),
    ]
    start = QUARTER_STARTS.astype("datetime64[M]").astype("datetime64[D]")
    end = (QUARTER_STARTS + 3).astype("datetime64[M]").astype("datetime64[D]") - np.timedelta64(1, "D")
    frames = []
    for level, keys, amounts in levels:
        key, quarter = np.nonzero(amounts > 0)
        columns = {
            "level": level,
            "key": keys[key],
            "start": _dates(start[quarter]),
            "end": _dates(end[quarter]),
            "amount": amounts[key, quarter],
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def calls_table(people: People, calls: Calls) -> pd.DataFrame:
    """The reps' own calls."""
    columns = {
        "rep": people.rep_ids[calls.rep],
        "as_of": _dates(calls.day),
        "period_start": _dates(calls.quarter),
        "amount": calls.amount,
    }
    return pd.DataFrame(columns)


def opportunity_ids(count: int) -> Texts:
    """Ids in order of creation."""
    return np.array([f"O{number:06d}" for number in range(1, count + 1)])


def _texts(ids: Texts, index: Ints) -> "pd.Series[str]":
    """Ids by index, missing where the index is NONE."""
    return pd.Series(np.append(ids, "")[index], dtype="str").where(index != NONE)


def _dates(dates: np.ndarray) -> np.ndarray:
    """Days as the microsecond dates of the tables."""
    return dates.astype("datetime64[us]")
