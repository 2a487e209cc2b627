"""Every number of kpis.csv that is no posterior, recomputed by SQL from the tables alone, agrees to the cent.

The SQL knows nothing of `engine.kpis`: it joins the typed tables itself and has periods, places and windows of its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from engine.kpis.table import Kpis, kpis
from engine.results import ForecastResult
from engine.track_record import read_table
from models.panel import OPEN
from tests.kpi_company import chances, demo, maven

CENT = 0.005

BASE = """
CREATE TABLE people AS SELECT r.id AS rep, r.manager, r.territory, t.region FROM reps r
  LEFT JOIN territories t ON t.id = r.territory;
CREATE TABLE deals AS SELECT o.id, o.rep, o.product, o.account, o.created, o.closed, o.outcome, o.expected_close,
    o.stage, p.manager, t.region, s.source,
    CASE WHEN (SELECT count(territory) FROM accounts) > 0 THEN a.territory ELSE p.territory END AS territory,
    CASE WHEN o.outcome = 'won' THEN o.won_amount END AS booked,
    coalesce(CASE WHEN o.amount > 0 THEN o.amount END, pr.list_price) AS shown,
    CASE WHEN o.outcome = 'won' THEN o.won_amount ELSE coalesce(CASE WHEN o.amount > 0 THEN o.amount END, pr.list_price)
      END AS worth
  FROM opportunities o LEFT JOIN people p ON p.rep = o.rep LEFT JOIN accounts a ON a.id = o.account
  LEFT JOIN territories t ON t.id = CASE WHEN (SELECT count(territory) FROM accounts) > 0 THEN a.territory
    ELSE p.territory END LEFT JOIN products pr ON pr.id = o.product
  LEFT JOIN (SELECT opportunity, any_value(source) AS source FROM leads GROUP BY 1) s ON s.opportunity = o.id
  WHERE o.created IS NOT NULL;
CREATE TABLE revenue AS
  SELECT d.rep, d.product, d.account, d.closed AS day, d.booked AS amount, d.manager, d.territory, d.region, d.source,
    b.cost FROM deals d LEFT JOIN (SELECT opportunity, sum(cost) AS cost FROM bookings GROUP BY 1) b
    ON b.opportunity = d.id WHERE d.outcome = 'won'
  UNION ALL SELECT b.rep, b.product, b.account, b.date, b.amount, p.manager, a.territory, t.region, NULL, b.cost
  FROM bookings b LEFT JOIN people p ON p.rep = b.rep LEFT JOIN accounts a ON a.id = b.account
  LEFT JOIN territories t ON t.id = a.territory WHERE b.opportunity IS NULL;
CREATE TABLE furthest AS SELECT h.opportunity AS id, max(CASE h.stage WHEN 'Qualify' THEN 0 WHEN 'Proposal' THEN 1
    WHEN 'Negotiate' THEN 2 END) AS stage FROM stage_history h GROUP BY 1;
CREATE TABLE offers AS SELECT d.*, f.stage AS far,
  (f.stage IS NOT NULL AND (f.stage >= 1 OR d.outcome = 'won')) AS offered
  FROM deals d LEFT JOIN furthest f ON f.id = d.id;
CREATE TABLE home_leads AS SELECT l.*, p.manager, p.territory, p.region, NULL AS product, o.outcome, o.offered
  FROM leads l LEFT JOIN people p ON p.rep = l.rep LEFT JOIN offers o ON o.id = l.opportunity;
CREATE TABLE home_activities AS SELECT a.*, p.manager, p.territory, p.region, NULL AS product, NULL AS source
  FROM activities a LEFT JOIN people p ON p.rep = a.rep;
CREATE TABLE home_hours AS SELECT a.*, p.manager, p.territory, p.region, NULL AS product, NULL AS source
  FROM rep_hours a LEFT JOIN people p ON p.rep = a.rep;
CREATE TABLE home_revenue AS SELECT v.day, v.amount, v.rep, p.manager, p.territory, p.region, NULL AS product,
  NULL AS source FROM revenue v JOIN people p ON p.rep = v.rep;
CREATE TABLE home_wins AS SELECT d.closed, d.rep, p.manager, p.territory, p.region, NULL AS product, NULL AS source
  FROM deals d JOIN people p ON p.rep = d.rep WHERE d.outcome = 'won';
CREATE TABLE begun AS SELECT d.*, l.begin FROM deals d
  JOIN (SELECT opportunity, min(created) AS begin FROM leads GROUP BY 1) l ON l.opportunity = d.id;
CREATE TABLE months AS SELECT 'month' AS grain, strftime(m, '%Y-%m') AS period, m AS first,
    (m + INTERVAL 1 MONTH)::DATE AS stop FROM (SELECT unnest(generate_series(date_trunc('month', first_day),
    as_of::TIMESTAMP, INTERVAL 1 MONTH))::DATE AS m FROM clock);
CREATE TABLE periods AS SELECT * FROM (
  SELECT * FROM months WHERE first > (SELECT date_trunc('month', as_of) - INTERVAL 13 MONTH FROM clock)
  UNION ALL SELECT 'quarter', year(first) || '-Q' || quarter(first), date_trunc('quarter', first)::DATE,
    (date_trunc('quarter', first) + INTERVAL 3 MONTH)::DATE FROM months WHERE
    date_trunc('quarter', first) > (SELECT date_trunc('quarter', as_of) - INTERVAL 36 MONTH FROM clock) GROUP BY 2, 3, 4
  UNION ALL SELECT 'year', year(first)::VARCHAR, date_trunc('year', first)::DATE,
    (date_trunc('year', first) + INTERVAL 1 YEAR)::DATE FROM months GROUP BY 2, 3, 4);
"""

NO_TABLE = {
    "stage_history": "opportunity VARCHAR, stage VARCHAR, date DATE",
    "bookings": "date DATE, amount DOUBLE, rep VARCHAR, account VARCHAR, product VARCHAR, opportunity VARCHAR, "
    "cost DOUBLE",
    "territories": "id VARCHAR, region VARCHAR",
    "leads": "id VARCHAR, created DATE, source VARCHAR, rep VARCHAR, first_touch DATE, qualified DATE, "
    "opportunity VARCHAR",
    "activities": "rep VARCHAR, date DATE, type VARCHAR, minutes DOUBLE",
    "rep_hours": "rep VARCHAR, month DATE, paid DOUBLE, selling DOUBLE",
    "quotas": 'level VARCHAR, key VARCHAR, start DATE, "end" DATE, amount DOUBLE',
    "rep_forecasts": "rep VARCHAR, as_of DATE, period_start DATE, amount DOUBLE",
    "contracts": 'account VARCHAR, start DATE, "end" DATE, amount DOUBLE',
}

MISSING = {
    "reps": {"start": "DATE", "end": "DATE", "fte": "DOUBLE"},
    "opportunities": {"amount": "DOUBLE", "expected_close": "DATE"},
    "accounts": {"territory": "VARCHAR"},
}
"""Columns that a company may lack and the SQL names."""

ALL = ("company", "region", "territory", "manager", "rep", "product", "source")
PEOPLE = ALL[:5]
LEADS = (*PEOPLE, "source")


@dataclass(frozen=True)
class Query:
    """Rows of a view, and the aggregates of a cell."""

    view: str
    day: str
    numerator: str
    denominator: str
    where: str = "true"
    levels: tuple[str, ...] = ALL
    value: str = ""


WON, CLOSED = "count(*) FILTER (outcome = 'won')", "outcome <> 'open'"
DAYS, LEAD_DAYS = "date_diff('day', created, closed)", "date_diff('day', begin, closed)"
WAIT = "date_diff('day', created, first_touch)"

QUERIES = {
    "win_rate": Query("deals", "closed", WON, "count(*)", CLOSED),
    "win_rate_value": Query(
        "deals",
        "closed",
        "coalesce(sum(worth) FILTER (outcome = 'won'), 0)",
        "sum(worth)",
        f"{CLOSED} AND worth IS NOT NULL",
    ),
    "win_rate_cohort_closed_only": Query("deals", "created", WON, "count(*)", CLOSED),
    "win_rate_cohort": Query(
        "(SELECT deals.*, chance.p FROM deals LEFT JOIN chance USING (id))",
        "created",
        "sum(CASE outcome WHEN 'won' THEN 1 WHEN 'lost' THEN 0 ELSE p END)",
        "count(*)",
    ),
    "average_won_deal": Query("deals", "closed", "sum(booked)", "count(*)", "outcome = 'won' AND booked IS NOT NULL"),
    "proposal_rate": Query(
        "offers", "created", "count(*) FILTER (offered)", "count(*)", f"far IS NOT NULL AND (offered OR {CLOSED})"
    ),
    "closing_rate": Query("offers", "closed", WON, "count(*)", f"offered AND {CLOSED}"),
    "sales_cycle_won_mean": Query("deals", "closed", f"sum({DAYS})", "count(*)", "outcome = 'won'"),
    "sales_cycle_lost_mean": Query("deals", "closed", f"sum({DAYS})", "count(*)", "outcome = 'lost'"),
    "sales_cycle_from_lead_won_mean": Query("begun", "closed", f"sum({LEAD_DAYS})", "count(*)", "outcome = 'won'"),
    "sales_cycle_from_lead_lost_mean": Query("begun", "closed", f"sum({LEAD_DAYS})", "count(*)", "outcome = 'lost'"),
    "sales_cycle_won_median": Query(
        "deals", "closed", "NULL", "count(*)", "outcome = 'won'", value=f"quantile_cont({DAYS}, 0.5)"
    ),
    "sales_cycle_lost_median": Query(
        "deals", "closed", "NULL", "count(*)", "outcome = 'lost'", value=f"quantile_cont({DAYS}, 0.5)"
    ),
    "sales_cycle_from_lead_won_median": Query(
        "begun", "closed", "NULL", "count(*)", "outcome = 'won'", value=f"quantile_cont({LEAD_DAYS}, 0.5)"
    ),
    "sales_cycle_from_lead_lost_median": Query(
        "begun", "closed", "NULL", "count(*)", "outcome = 'lost'", value=f"quantile_cont({LEAD_DAYS}, 0.5)"
    ),
    "leads_generated": Query("home_leads", "created", "count(*)", "NULL", levels=LEADS, value="count(*)"),
    "leads_handed_over": Query(
        "home_leads", "created", "count(*)", "NULL", "rep IS NOT NULL", levels=LEADS, value="count(*)"
    ),
    "leads_followed_up": Query("home_leads", "created", "count(first_touch)", "count(*)", "rep IS NOT NULL", LEADS),
    "lead_to_opportunity": Query("home_leads", "created", "count(opportunity)", "count(*)", levels=LEADS),
    "lead_qualification_rate": Query(
        "home_leads", "created", "count(qualified)", "count(*)", "first_touch IS NOT NULL", LEADS
    ),
    "lead_follow_up_days_mean": Query(
        "home_leads", "created", f"sum({WAIT})", "count(*)", "first_touch IS NOT NULL", LEADS
    ),
    "lead_follow_up_days_median": Query(
        "home_leads", "created", "NULL", "count(*)", "first_touch IS NOT NULL", LEADS, f"quantile_cont({WAIT}, 0.5)"
    ),
    "lead_follow_up_days_p90": Query(
        "home_leads", "created", "NULL", "count(*)", "first_touch IS NOT NULL", LEADS, f"quantile_cont({WAIT}, 0.9)"
    ),
    "proposal_rate_per_lead": Query("home_leads", "created", "count(*) FILTER (offered)", "count(*)", levels=LEADS),
    "closing_rate_per_lead": Query("home_leads", "created", WON, "count(*)", levels=LEADS),
    "conversion_by_source": Query("home_leads", "created", WON, "count(*)", levels=("source",)),
    "revenue": Query("revenue", "day", "sum(amount)", "NULL", value="sum(amount)"),
    "deals_won": Query("deals", "closed", "count(*)", "NULL", "outcome = 'won'", value="count(*)"),
    "deals_lost": Query("deals", "closed", "count(*)", "NULL", "outcome = 'lost'", value="count(*)"),
    "deals_created": Query("deals", "created", "count(*)", "NULL", value="count(*)"),
    "margin": Query("revenue", "day", "sum(amount - cost)", "NULL", "cost IS NOT NULL", value="sum(amount - cost)"),
    "margin_rate": Query("revenue", "day", "sum(amount - cost)", "nullif(sum(amount), 0)", "cost IS NOT NULL"),
    "talk_minutes": Query(
        "home_activities", "date", "sum(minutes)", "NULL", "type = 'call'", PEOPLE, value="sum(minutes)"
    ),
    "selling_time_share": Query("home_hours", "month", "sum(selling)", "sum(paid)", levels=PEOPLE),
    **{
        name: Query("home_activities", "date", "count(*)", "NULL", f"type = '{kind}'", PEOPLE, value="count(*)")
        for kind, name in {"call": "calls", "email": "emails", "meeting": "meetings", "record": "new_records"}.items()
    },
}
"""Numbers that are an aggregate of the rows of one view."""


def cells(query: Query) -> str:
    """SQL of one `Query`: level, key, period, value, numerator, denominator."""
    parts = []
    for level in query.levels:
        key = "''" if level == "company" else f"coalesce({level}, 'unassigned')"
        value = query.value or f"({query.numerator}) / ({query.denominator})"
        known = "true" if level == "company" else f"(SELECT count({level}) FROM {query.view} WHERE {query.where}) > 0"
        parts.append(
            f"SELECT '{level}' AS level, {key} AS key, p.period, {value} AS value, {query.numerator} AS numerator, "
            f"{query.denominator} AS denominator FROM {query.view} v JOIN periods p ON v.{query.day} >= p.first "
            f"AND v.{query.day} < p.stop WHERE ({query.where}) AND {known} GROUP BY ALL"
        )
    return " UNION ALL ".join(parts)


class Company:
    """A result, its numbers, and its tables in DuckDB."""

    def __init__(self, result: ForecastResult) -> None:
        assert result.tables is not None
        self.result = result
        self.kpis: Kpis = kpis(result, {"backtest": read_table(None)})
        self.table = self.kpis.table.assign(period=self.kpis.table["period"].str.split(" ").str[0])
        self.sql = duckdb.connect()
        for name, frame in result.tables.frames.items():
            absent = {column: kind for column, kind in MISSING.get(name, {}).items() if column not in frame}
            self.sql.register(f"raw_{name}", frame)
            more = "".join(f', CAST(NULL AS {kind}) AS "{column}"' for column, kind in absent.items())
            self.sql.execute(f"CREATE TABLE {name} AS SELECT *{more} FROM raw_{name}")
        for name, columns in NO_TABLE.items():
            if name not in result.tables.frames:
                self.sql.execute(f"CREATE TABLE {name} ({columns})")
        self.sql.execute(
            "CREATE TABLE clock AS SELECT (SELECT min(day) FROM (SELECT created AS day FROM opportunities UNION ALL "
            "SELECT closed FROM opportunities UNION ALL SELECT date FROM stage_history UNION ALL SELECT date FROM "
            f"bookings UNION ALL SELECT as_of FROM rep_forecasts))::DATE AS first_day, "
            f"DATE '{result.panel.as_of}' AS as_of"
        )
        deals = result.panel.deals
        opened = deals.outcome == OPEN
        self.sql.register("chance", pd.DataFrame({"id": deals.ids[opened], "p": chances(result.panel)}))
        self.sql.execute(BASE)

    def rows(self, kpi: str) -> pd.DataFrame:
        return self.table[self.table["kpi"] == kpi]

    def agrees(self, kpi: str, query: str, tolerance: float = CENT) -> int:
        """Compare every cell; both sides must have the same ones."""
        ours = self.rows(kpi)[["level", "key", "period", "value", "numerator", "denominator"]]
        theirs = self.sql.sql(query).df()
        theirs = theirs[theirs["value"].notna()]
        both = ours.merge(theirs, on=["level", "key", "period"], how="outer", suffixes=("", "_sql"), indicator=True)
        assert len(ours) == len(both), (kpi, both[both["_merge"] != "both"].head())
        assert (both["_merge"] == "both").all(), (kpi, both[both["_merge"] != "both"].head())
        for name in ("numerator", "denominator"):
            np.testing.assert_allclose(
                both[name].to_numpy(dtype=float), both[f"{name}_sql"].to_numpy(dtype=float), 0, tolerance, err_msg=kpi
            )
        found = both["value"].to_numpy(dtype=float), both["value_sql"].to_numpy(dtype=float)
        np.testing.assert_allclose(*found, rtol=1e-9, atol=1e-9, err_msg=kpi)
        return len(ours)


@pytest.fixture(scope="module")
def demo_company() -> Iterator[Company]:
    company = Company(demo())
    yield company
    company.sql.close()


@pytest.fixture(scope="module")
def maven_company(sales_data: Callable[[str], Path]) -> Iterator[Company]:
    company = Company(maven(str(sales_data("maven_crm"))))
    yield company
    company.sql.close()


@pytest.mark.parametrize("kpi", QUERIES)
def test_aggregates_of_the_demo(demo_company: Company, kpi: str) -> None:
    assert demo_company.agrees(kpi, cells(QUERIES[kpi])) > 100


MAVEN = (
    "win_rate",
    "win_rate_value",
    "win_rate_cohort_closed_only",
    "win_rate_cohort",
    "average_won_deal",
    "sales_cycle_won_mean",
    "sales_cycle_lost_mean",
    "sales_cycle_won_median",
    "sales_cycle_lost_median",
    "revenue",
    "deals_won",
    "deals_lost",
    "deals_created",
)


@pytest.mark.parametrize("kpi", MAVEN)
def test_aggregates_of_maven(maven_company: Company, kpi: str) -> None:
    assert maven_company.agrees(kpi, cells(QUERIES[kpi])) > 100


def retained(numerator: str, denominator: str) -> str:
    """SQL of customers or revenue that stayed: twelve months to the end of a complete period, against those before."""
    parts = []
    places = {"company": "''", "territory": "a.territory", "region": "t.region", "rep": "w.rep"}
    for level, key in places.items():
        parts.append(
            f"""SELECT '{level}' AS level, coalesce({key}, 'unassigned') AS key, x.period,
            ({numerator}) / ({denominator}) AS value, {numerator} AS numerator, {denominator} AS denominator FROM (
              SELECT p.period, r.account, coalesce(round(sum(amount) FILTER (day < p.stop - INTERVAL 12 MONTH),
              2), 0) AS
              base, coalesce(round(sum(amount) FILTER (day >= p.stop - INTERVAL 12 MONTH), 2), 0) AS now
              FROM periods p, clock c, revenue r WHERE p.stop <= c.as_of + 1 AND r.day >= p.stop - INTERVAL 24 MONTH
              AND r.day < p.stop AND p.stop - INTERVAL 24 MONTH >= date_trunc('month', c.first_day + 30)
              AND r.account IS NOT NULL GROUP BY 1, 2) x
            JOIN accounts a ON a.id = x.account LEFT JOIN territories t ON t.id = a.territory
            LEFT JOIN owned w ON w.account = x.account WHERE x.base > 0 GROUP BY ALL"""
        )
    return " UNION ALL ".join(parts)


RETAINED = {
    "customer_retention": retained("count(*) FILTER (now > 0)", "count(*)"),
    "customer_churn": retained("count(*) FILTER (now <= 0)", "count(*)"),
    "net_revenue_retention": retained("sum(now)", "sum(base)"),
    "gross_revenue_retention": retained("sum(greatest(least(now, base), 0))", "sum(base)"),
}


@pytest.mark.parametrize("kpi", RETAINED)
def test_retention(demo_company: Company, kpi: str) -> None:
    panel = demo_company.result.panel
    owner = np.append(panel.reps.labels.ids, "")[panel.accounts.owner]
    owned = pd.DataFrame({"account": panel.accounts.labels.ids, "rep": pd.Series(owner).replace("", None)})
    demo_company.sql.register("owned", owned)
    assert demo_company.agrees(kpi, RETAINED[kpi]) > 100


def quotas(amount: str = "sum(v.amount)") -> str:
    """SQL of attainment: every quota by its share of days, where they cover the whole period."""
    parts = []
    for level in PEOPLE:
        key = "''" if level == "company" else f"coalesce({level}, 'unassigned')"
        parts.append(
            f"""SELECT q.level, q.key, q.period, coalesce(b.amount, 0) / q.quota AS value, coalesce(b.amount, 0) AS
            numerator, q.quota AS denominator FROM (
              SELECT level, coalesce(key, '') AS key, period, first, stop, sum(amount * days / length) AS quota FROM (
                SELECT q.*, p.period, p.first, p.stop, date_diff('day', q.start, q."end") + 1 AS length,
                date_diff('day', greatest(q.start, p.first), least(q."end" + INTERVAL 1 DAY, p.stop)) AS days
                FROM quotas q JOIN periods p ON q.start < p.stop AND q."end" >= p.first WHERE q.level = '{level}')
              GROUP BY ALL HAVING sum(days) >= date_diff('day', first, stop)) q
            LEFT JOIN (SELECT {key} AS key, p.period, {amount} AS amount FROM revenue v JOIN periods p ON v.day >=
            p.first
              AND v.day < p.stop GROUP BY 1, 2) b ON b.key = q.key AND b.period = q.period WHERE q.quota > 0"""
        )
    return " UNION ALL ".join(parts)


def test_quota_attainment_and_the_reps_at_each_band(demo_company: Company) -> None:
    assert demo_company.agrees("quota_attainment", quotas()) > 1000
    for band in (50, 80, 100, 120):
        parts = [
            f"""SELECT '{level}' AS level, {"''" if level == "company" else f"p.{level}"} AS key, q.period,
            avg((q.value >= {band / 100})::INT) AS value, sum((q.value >= {band / 100})::INT) AS numerator, count(*) AS
            denominator FROM ({quotas()}) q JOIN people p ON p.rep = q.key WHERE q.level = 'rep' GROUP BY ALL"""
            for level in PEOPLE[:-1]
        ]
        assert demo_company.agrees(f"reps_at_{band}_percent", " UNION ALL ".join(parts)) > 100


def staffed(weight: str) -> str:
    """SQL of revenue by the reps' homes over mean heads of the known days of a period."""
    parts = []
    for level in PEOPLE:
        key = "''" if level == "company" else f"coalesce({level}, 'unassigned')"
        parts.append(
            f"""SELECT '{level}' AS level, h.key, h.period, coalesce(b.amount, 0) / h.heads AS value,
            coalesce(b.amount, 0) AS numerator, h.heads AS denominator FROM (
              SELECT key, period, sum(weight * greatest(date_diff('day', greatest(begin, opens), least(leave,
              closes)), 0)
              / date_diff('day', opens, closes)) AS heads FROM (
                SELECT {key.replace(level, f"people.{level}")} AS key, p.period, {weight} AS weight,
                coalesce(r.start, c.first_day)::DATE AS begin,
                coalesce(r."end" + INTERVAL 1 DAY, DATE '2999-01-01')::DATE AS leave, greatest(p.first,
                c.first_day)::DATE
                AS opens, least(p.stop, c.as_of + 1)::DATE AS closes
                FROM reps r JOIN people ON people.rep = r.id, periods p, clock c) GROUP BY 1, 2 HAVING heads > 0) h
            LEFT JOIN (SELECT {key} AS key, p.period, sum(v.amount) AS amount FROM home_revenue v JOIN periods p
              ON v.day >= p.first AND v.day < p.stop GROUP BY 1, 2) b ON b.key = h.key AND b.period = h.period"""
        )
    return " UNION ALL ".join(parts)


@pytest.mark.parametrize(("kpi", "weight"), [("revenue_per_head", "1"), ("revenue_per_fte", "coalesce(r.fte, 1)")])
def test_revenue_per_rep(demo_company: Company, kpi: str, weight: str) -> None:
    assert demo_company.agrees(kpi, staffed(weight)) > 500


def test_calls_against_what_was_booked(demo_company: Company) -> None:
    """The first day of calls for every complete quarter, and the sums of the reps who called on it."""
    formulas = {
        "percent_difference": "called / booked - 1",
        "accuracy": "greatest(0, 1 - abs(called / booked - 1))",
        "ratio": "called / booked",
    }
    for name, formula in formulas.items():
        parts = [
            f"""SELECT '{level}' AS level, key, period, CASE WHEN booked > 0 THEN {formula} END AS value, called AS
            numerator, booked AS denominator FROM (
              SELECT {"''" if level == "company" else f"p.{level}"} AS key, q.period, sum(f.amount) AS called,
              sum(coalesce(b.amount, 0)) AS booked FROM periods q
              JOIN (SELECT period_start, min(as_of) AS day FROM rep_forecasts GROUP BY 1) d ON d.period_start = q.first
              JOIN rep_forecasts f ON f.period_start = q.first AND f.as_of = d.day JOIN people p ON p.rep = f.rep
              JOIN clock c ON q.stop <= c.as_of + 1 AND q.first >= c.first_day
              LEFT JOIN (SELECT v.rep, k.period, sum(v.amount) AS amount FROM revenue v JOIN periods k ON v.day >=
              k.first
                AND v.day < k.stop WHERE k.grain = 'quarter' GROUP BY 1, 2) b ON b.rep = f.rep AND b.period = q.period
              WHERE q.grain = 'quarter' GROUP BY ALL)"""
            for level in PEOPLE
        ]
        assert demo_company.agrees(f"call_{name}", " UNION ALL ".join(parts)) > 100


def velocities(levels: tuple[str, ...]) -> str:
    """SQL of sales velocity."""
    parts = []
    for level in levels:
        key = "''" if level == "company" else f"coalesce({level}, 'unassigned')"
        parts.append(
            f"""SELECT '{level}' AS level, c.key, c.period, o.open * c.won / c.n * c.amount / c.won / (c.days /
            c.won) AS
            value, o.open * c.won / c.n * c.amount / c.won AS numerator, c.days / c.won AS denominator FROM (
              SELECT {key} AS key, p.period, count(*) AS n, {WON} AS won, sum(booked) AS amount, sum({DAYS}) FILTER
              (outcome = 'won') AS days FROM deals d JOIN periods p ON d.closed >= p.first AND d.closed < p.stop
              WHERE {CLOSED} GROUP BY 1, 2 HAVING won > 0 AND days > 0) c
            JOIN (SELECT {key} AS key, p.period, count(*) AS open FROM deals d, periods p, clock k WHERE
              d.created <= least(p.stop - 1, k.as_of) AND (d.closed IS NULL OR d.closed > least(p.stop - 1, k.as_of))
              GROUP BY 1, 2) o ON o.key = c.key AND o.period = c.period"""
        )
    return " UNION ALL ".join(parts)


def test_velocity(demo_company: Company) -> None:
    assert demo_company.agrees("sales_velocity", velocities(ALL)) > 500


def test_velocity_of_maven(maven_company: Company) -> None:
    assert (
        maven_company.agrees("sales_velocity", velocities(("company", "territory", "manager", "rep", "product"))) > 100
    )


def test_activities_per_win(demo_company: Company) -> None:
    one = cells(Query("home_activities", "date", "count(*)", "NULL", levels=PEOPLE, value="count(*)"))
    other = cells(Query("home_wins", "closed", "count(*)", "NULL", levels=PEOPLE, value="count(*)"))
    query = (
        "SELECT a.level, a.key, a.period, a.value / w.value AS value, a.value AS numerator, w.value AS denominator "
        f"FROM ({one}) a JOIN ({other}) w USING (level, key, period)"
    )
    assert demo_company.agrees("activities_per_win", query) > 500


def test_coverage_of_the_horizon(demo_company: Company) -> None:
    """Nothing is booked in the horizon yet, so the quotas of the quarter are what is missing."""
    for kpi, kept in (("pipeline_coverage_open", "true"), ("pipeline_coverage", "expected_close < DATE '2026-10-01'")):
        parts = []
        for level in PEOPLE:
            key = "''" if level == "company" else level
            parts.append(
                f"""SELECT q.level, coalesce(q.key, '') AS key, '2026-Q3' AS period, coalesce(o.value, 0) / q.amount AS
                value, coalesce(o.value, 0) AS numerator, q.amount AS denominator FROM quotas q LEFT JOIN (
                SELECT {key} AS key, sum(shown) AS value FROM deals WHERE outcome = 'open' AND coalesce({kept}, true)
                GROUP BY 1) o ON o.key = coalesce(q.key, '') WHERE q.level = '{level}' AND q.start = DATE '2026-07-01'
                AND q.amount > 0"""
            )
        ours = demo_company.rows(kpi)
        given = ours[(ours["level"] != "rep") | ours["key"].isin(_given(demo_company))]
        theirs = demo_company.sql.sql(" UNION ALL ".join(parts)).df()
        both = given.merge(theirs, on=["level", "key"], how="inner", suffixes=("", "_sql"))
        assert len(both) == len(given) > 40
        np.testing.assert_allclose(both["numerator"], both["numerator_sql"], rtol=0, atol=CENT)
        np.testing.assert_allclose(both["denominator"], both["denominator_sql"], rtol=0, atol=CENT)


def _given(company: Company) -> list[str]:
    found = company.sql.sql("SELECT key FROM quotas WHERE level = 'rep' AND start = DATE '2026-07-01'").df()
    return found["key"].tolist()


def test_renewals_and_cohorts(demo_company: Company) -> None:
    renewed = """SELECT 'company' AS level, '' AS key, p.period, avg(r::INT) AS value, sum(r::INT) AS numerator,
        count(*) AS
        denominator FROM (SELECT x."end", EXISTS (SELECT 1 FROM contracts y WHERE y.account = x.account AND
        y.start > x.start AND abs(date_diff('day', x."end", y.start)) <= 31) AS r FROM contracts x, clock c
        WHERE x."end" <= c.as_of - 31) e JOIN periods p ON e."end" >= p.first AND e."end" < p.stop GROUP BY ALL"""
    ours = demo_company.rows("contract_renewal_rate").query("level == 'company'")
    both = ours.merge(
        demo_company.sql.sql(renewed).df(), on=["level", "key", "period"], how="outer", suffixes=("", "_sql")
    )
    assert len(both) == len(ours) > 10
    np.testing.assert_array_equal(both[["numerator", "denominator"]], both[["numerator_sql", "denominator_sql"]])
    cohort = """WITH b AS (SELECT account, year(day) AS y, sum(amount) AS s FROM revenue WHERE account IS NOT NULL
        GROUP BY
        1, 2 HAVING s > 0), f AS (SELECT account, min(y) AS y FROM b GROUP BY 1) SELECT f.y AS cohort, b.y AS later,
        count(*) AS kept, (SELECT count(*) FROM f g WHERE g.y = f.y) AS size FROM f JOIN b USING (account)
        WHERE b.y > f.y AND b.y < 2026 GROUP BY 1, 2 ORDER BY 1, 2"""
    theirs = demo_company.sql.sql(cohort).df()
    mine = demo_company.rows("cohort_retention")
    assert mine["numerator"].tolist() == theirs["kept"].tolist()
    assert mine["denominator"].tolist() == theirs["size"].tolist()


def test_no_number_of_the_demo_goes_unchecked(demo_company: Company) -> None:
    """Whoever adds a number adds its SQL; what is a posterior's is named here."""
    checked = {*QUERIES, *RETAINED, "quota_attainment", "revenue_per_head", "revenue_per_fte", "sales_velocity"}
    checked |= {f"reps_at_{band}_percent" for band in (50, 80, 100, 120)}
    checked |= {f"call_{name}" for name in ("percent_difference", "accuracy", "ratio")}
    checked |= {"activities_per_win", "pipeline_coverage", "pipeline_coverage_open"}
    checked |= {"contract_renewal_rate", "cohort_retention"}
    posterior = {"stage_conversion", "stage_conversion_below_team"}
    assert set(demo_company.table["kpi"].unique()) == checked | posterior
