"""The demo company: its tables keep the contract, and its truth is the one the tables were drawn from."""

import time

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import chi2

from engine.config.data import TABLES
from engine.demo.clock import FIRST_DAY, FIRST_WEEK, KNOWN_MONTHS, LAST_DAY, MONTHS, TODAY, WEEKS
from engine.demo.company import DemoCompany, demo_company
from engine.demo.people import make_people
from engine.demo.truth import ClosingTruth
from engine.demo.world import make_closing
from models.calendar import WEEKS_PER_MONTH, month_number, month_of_year, week_number, week_of_quarter, week_start

SEEDS = (1, 2, 3)
AS_OF = pd.Timestamp(TODAY)

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]


@pytest.fixture(scope="module", params=SEEDS)
def company(request: pytest.FixtureRequest) -> DemoCompany:
    return demo_company(request.param)


@pytest.fixture(scope="module")
def weeks(company: DemoCompany) -> pd.DataFrame:
    return deal_weeks(company)


def deal_weeks(company: DemoCompany) -> pd.DataFrame:
    """Every deal and week in which it was open, rebuilt from the tables alone, with what the truth says of it."""
    deals = company.tables["opportunities"]
    created = week_number(days(deals["created"]))
    closed = np.where(deals["closed"].isna(), FIRST_WEEK + WEEKS - 1, week_number(days(deals["closed"])))
    count = closed - created + 1
    deal = np.repeat(np.arange(len(deals)), count)
    week = np.repeat(created, count) + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    frame = pd.DataFrame({"deal": deal, "week": week, "age": week - created[deal]})
    frame["closing"] = deals["closed"].notna().to_numpy()[deal] & (week == closed[deal])
    frame["won"] = (deals["outcome"] == "won").to_numpy()[deal]
    frame["never"] = np.isin(deals["id"], company.truth.never_closing)[deal]
    frame["stage"] = stage_at_start(company, frame)
    for side in (0, 1):
        frame[("p_close", "p_win")[side]] = expit(logits(company, frame, side))
    return frame


def days(column: pd.Series) -> NDArray[np.datetime64]:
    return column.to_numpy().astype("datetime64[D]")


def positions(ids: NDArray[np.str_] | pd.Series, column: NDArray[np.str_] | pd.Series) -> Ints:
    """Index of every value of ``column`` in ``ids``, -1 where it is not there."""
    return pd.Index(ids).get_indexer(pd.Index(column))


def stage_at_start(company: DemoCompany, frame: pd.DataFrame) -> Ints:
    """Index of the stage when the week began; in the week of creation the first one."""
    deals, history = company.tables["opportunities"], company.tables["stage_history"]
    stages = company.truth.closing.stages
    rows = history[history["stage"].isin(stages)]
    entered = pd.DataFrame(
        {
            "deal": positions(deals["id"], rows["opportunity"]),
            "date": days(rows["date"]),
            "entered": positions(stages, rows["stage"]),
        }
    )
    created = days(deals["created"])[frame["deal"]]
    start = np.where(frame["age"] == 0, created, week_start(frame["week"].to_numpy()) - np.timedelta64(1, "D"))
    left = pd.DataFrame({"deal": frame["deal"], "date": start, "row": np.arange(len(frame))})
    left["date"] = left["date"].astype("datetime64[s]")
    entered["date"] = entered["date"].astype("datetime64[s]")
    found = pd.merge_asof(left.sort_values("date"), entered.sort_values("date", kind="stable"), on="date", by="deal")
    return found.sort_values("row")["entered"].to_numpy(dtype=np.int64)


def logits(company: DemoCompany, frame: pd.DataFrame, side: int) -> Floats:
    """True logit of closing (side 0) or of winning given closing (side 1) of every deal-week."""
    truth: ClosingTruth = company.truth.closing
    deals = company.tables["opportunities"].iloc[frame["deal"]]
    accounts = company.tables["accounts"].set_index("id")
    reps = company.tables["reps"].set_index("id")
    segment = positions(truth.segments, deals["account"].map(accounts["segment"]))
    size = np.log(deals["amount"].to_numpy()) - truth.size_center
    age = np.searchsorted(truth.age_bins, frame["age"], side="right") - 1
    week = week_of_quarter(frame["week"].to_numpy())
    stage = frame["stage"].to_numpy()
    month = frame["week"].to_numpy() // WEEKS_PER_MONTH - truth.months[0]
    if side == 0:
        total = truth.close_base + truth.close_age[age] + truth.close_stage[stage] + truth.close_week[week]
        total += np.append(truth.close_segment, 0.0)[segment] + truth.close_size_slope * size
        return total + truth.shocks[month, 0]
    territory = deals["account"].map(accounts["territory"]).fillna(deals["rep"].map(reps["territory"]))
    total = truth.win_base + truth.win_age[age] + truth.win_stage[stage] + truth.win_week[week]
    total += np.append(truth.win_segment, 0.0)[segment] + truth.win_size_slope * size
    total += truth.win_product[positions(truth.product_ids, deals["product"])]
    total += truth.win_territory[positions(truth.territory_ids, territory)]
    total += truth.win_rep[positions(truth.rep_ids, deals["rep"])]
    return total + truth.shocks[month, 1]


def assert_explained(happened: Floats, chance: Floats, group: NDArray[np.generic]) -> None:
    """Counts per group are as far from their expectation as chance makes them: chi-square over the groups."""
    sums = pd.DataFrame({"gap": happened - chance, "variance": chance * (1.0 - chance)}).groupby(group).sum()
    sums = sums[sums["variance"] > 5.0]
    statistic = float((sums["gap"] ** 2 / sums["variance"]).sum())
    assert chi2.ppf(1e-4, len(sums)) < statistic < chi2.ppf(1.0 - 1e-4, len(sums))


def known(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    return frame[frame[column] <= AS_OF]


def test_same_seed_same_company_and_another_seed_another() -> None:
    first, again, other = demo_company(7), demo_company(7), demo_company(8)
    for name, frame in first.tables.items():
        pd.testing.assert_frame_equal(frame, again.tables[name])
    assert not first.tables["bookings"].equals(other.tables["bookings"])
    np.testing.assert_array_equal(first.truth.closing.win_rep, again.truth.closing.win_rep)
    assert not np.array_equal(first.truth.closing.win_rep, other.truth.closing.win_rep)


def test_a_company_takes_less_than_three_seconds() -> None:
    start = time.perf_counter()
    demo_company(4)
    assert time.perf_counter() - start < 3.0


def test_size_of_the_company(company: DemoCompany) -> None:
    tables = company.tables
    deals = known(tables["opportunities"], "created")
    reps = tables["reps"]
    assert len(reps) == 40
    assert reps["end"].notna().sum() == 5
    assert (reps["start"] > AS_OF - pd.DateOffset(years=1)).sum() == 7
    assert reps["start"].max() <= AS_OF
    assert reps["manager"].nunique() == 6
    assert len(tables["territories"]) == 8
    assert tables["territories"]["region"].nunique() == 3
    assert len(tables["products"]) == 5
    assert tables["accounts"]["segment"].nunique() == 3
    assert tables["accounts"]["industry"].nunique() == 6
    assert 9_500 < len(deals) < 10_600
    is_open = deals["closed"].isna() | (deals["closed"] > AS_OF)
    assert 1_100 < is_open.sum() < 1_700
    seen = known(tables["account_owners"], "valid_from")["account"].nunique()
    assert seen == 500 - tables["accounts"]["owner"].isna().sum()
    assert 500 < len(tables["accounts"]) < 580
    assert tables["accounts"]["locked"].sum() == 10
    assert tables["accounts"]["parent"].notna().sum() > 30


def test_rates_are_sensible(company: DemoCompany) -> None:
    tables = company.tables
    deals = known(tables["opportunities"], "closed")
    assert (deals["outcome"] == "won").mean() == pytest.approx(0.3, abs=0.04)
    assert (deals["closed"] - deals["created"]).dt.days.mean() / 7 == pytest.approx(10.0, abs=1.5)
    bookings = known(tables["bookings"], "date")
    orders = bookings[bookings["opportunity"].isna()]
    assert 0.25 < orders["amount"].sum() / bookings["amount"].sum() < 0.36
    settled = bookings[bookings["date"] >= "2024-07-01"]
    quarterly = settled.groupby(["rep", settled["date"].dt.to_period("Q")])["amount"].sum()
    assert 250_000 < quarterly.mean() < 400_000


def test_tables_have_the_columns_of_the_contract(company: DemoCompany) -> None:
    assert set(company.tables) == set(TABLES)
    for name, (required, optional) in TABLES.items():
        columns = set(company.tables[name].columns)
        assert set(required) <= columns <= {*required, *optional}
        for column in company.tables[name].columns:
            kind = company.tables[name][column].dtype
            assert kind in ("float64", "bool", "str", "datetime64[us]")


def test_every_reference_is_known(company: DemoCompany) -> None:
    tables = company.tables
    ids = {name: set(tables[name]["id"]) for name in ("opportunities", "accounts", "reps", "products", "territories")}
    for table, column, target in [
        ("opportunities", "account", "accounts"),
        ("opportunities", "rep", "reps"),
        ("opportunities", "product", "products"),
        ("stage_history", "opportunity", "opportunities"),
        ("bookings", "rep", "reps"),
        ("bookings", "account", "accounts"),
        ("bookings", "product", "products"),
        ("bookings", "opportunity", "opportunities"),
        ("accounts", "owner", "reps"),
        ("accounts", "parent", "accounts"),
        ("accounts", "territory", "territories"),
        ("account_owners", "account", "accounts"),
        ("account_owners", "rep", "reps"),
        ("reps", "territory", "territories"),
        ("rep_forecasts", "rep", "reps"),
    ]:
        assert set(tables[table][column].dropna()) <= ids[target], (table, column)
    for name, members in ids.items():
        assert len(members) == len(tables[name])
    assert tables["accounts"]["name"].is_unique
    assert tables["reps"]["name"].is_unique


def test_nothing_happens_out_of_order(company: DemoCompany) -> None:
    tables = company.tables
    deals, history = tables["opportunities"], tables["stage_history"]
    assert deals["created"].min() >= pd.Timestamp(FIRST_DAY)
    assert deals["created"].is_monotonic_increasing
    assert (deals["closed"].isna() | (deals["closed"] >= deals["created"])).all()
    assert (deals["closed"].isna() == (deals["outcome"] == "open")).all()
    assert deals["closed"].max() <= pd.Timestamp(LAST_DAY)
    assert (deals["created"].dt.day_of_week < 5).all()
    assert (deals["closed"].dropna().dt.day_of_week < 5).all()
    joined = history.merge(deals, left_on="opportunity", right_on="id", suffixes=("", "_deal"))
    assert (joined["date"] >= joined["created"]).all()
    assert (joined["closed"].isna() | (joined["date"] <= joined["closed"])).all()
    assert (history.groupby("opportunity")["date"].diff().dropna() >= pd.Timedelta(0)).all()
    last = joined.groupby("opportunity").tail(1)
    assert (last["stage"] == last["stage_deal"]).all()
    assert (last["expected_close"] == last["expected_close_deal"]).all()
    calls = tables["rep_forecasts"].merge(tables["reps"], left_on="rep", right_on="id")
    assert (calls["as_of"] >= calls["start"]).all()
    assert (calls["end"].isna() | (calls["as_of"] <= calls["end"])).all()
    assert (calls["as_of"] >= calls["period_start"]).all()


def test_won_deals_are_booked_once_and_orders_under_the_owner(company: DemoCompany) -> None:
    tables = company.tables
    bookings = tables["bookings"]
    won = tables["opportunities"].query("outcome == 'won'")
    booked = bookings.dropna(subset="opportunity").merge(won, left_on="opportunity", right_on="id")
    assert len(booked) == len(won) == bookings["opportunity"].notna().sum()
    assert (booked["amount_x"] == booked["won_amount"]).all()
    assert (booked["date"] == booked["closed"]).all()
    assert (booked["rep_x"] == booked["rep_y"]).all()
    orders = bookings[bookings["opportunity"].isna()]
    owners = tables["account_owners"].sort_values("valid_from")
    then = pd.merge_asof(orders, owners, left_on="date", right_on="valid_from", by="account")
    known_owner = then["rep_y"].notna()
    assert known_owner.mean() > 0.97
    assert (then["rep_x"] == then["rep_y"])[known_owner].all()
    assert (orders["amount"] > 0).all()


def test_nobody_owns_accounts_or_opens_deals_outside_the_employment(company: DemoCompany) -> None:
    tables = company.tables
    reps = tables["reps"].set_index("id")
    owners = tables["account_owners"]
    assert (owners["valid_from"] >= owners["rep"].map(reps["start"])).all()
    until = owners.groupby("account")["valid_from"].shift(-1).fillna(pd.Timestamp(LAST_DAY)) - pd.Timedelta(days=1)
    end = owners["rep"].map(reps["end"])
    assert (end.isna() | (until <= end)).all()
    deals = tables["opportunities"]
    assert (deals["created"] >= deals["rep"].map(reps["start"])).all()
    last = deals["rep"].map(reps["end"])
    assert (last.isna() | (deals["created"] <= last)).all()


def test_families_lie_in_one_territory_under_one_owner(company: DemoCompany) -> None:
    accounts = company.tables["accounts"]
    children = accounts.dropna(subset="parent").merge(accounts, left_on="parent", right_on="id")
    assert (children["territory_x"] == children["territory_y"]).all()
    assert (children["owner_x"] == children["owner_y"]).all()
    assert children["parent_y"].isna().all()


def test_truth_is_aligned_with_its_ids(company: DemoCompany) -> None:
    tables, truth = company.tables, company.truth
    assert list(truth.closing.rep_ids) == list(tables["reps"]["id"])
    assert list(truth.closing.territory_ids) == list(tables["territories"]["id"])
    assert list(truth.closing.product_ids) == list(tables["products"]["id"])
    assert set(truth.closing.segments) == set(tables["accounts"]["segment"])
    assert list(truth.orders.account_ids) == list(tables["accounts"]["id"])
    assert truth.closing.shocks.shape == (len(MONTHS), 2)
    assert truth.arrivals.mean.shape == (40, len(MONTHS))
    assert truth.orders.level.shape == (len(tables["accounts"]), len(MONTHS))
    for effect, ids in [
        (truth.closing.win_rep, truth.closing.rep_ids),
        (truth.closing.win_territory, truth.closing.territory_ids),
        (truth.closing.win_product, truth.closing.product_ids),
        (truth.closing.win_segment, truth.closing.segments),
        (truth.closing.close_stage, truth.closing.stages),
        (truth.closing.close_age, truth.closing.age_bins),
        (truth.closing.win_age, truth.closing.age_bins),
        (truth.closing.close_week, np.arange(12)),
        (truth.amounts.rep, truth.amounts.rep_ids),
        (truth.amounts.product, truth.amounts.product_ids),
        (truth.arrivals.rep, truth.arrivals.rep_ids),
        (truth.arrivals.territory, truth.arrivals.territory_ids),
        (truth.arrivals.season, np.arange(12)),
        (truth.orders.season, np.arange(12)),
        (truth.orders.first_season, np.arange(12)),
    ]:
        assert len(effect) == len(ids)
        assert effect.sum() == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(truth.closing.stage_move.sum(axis=1), 1.0)
    assert set(truth.never_closing) <= set(tables["opportunities"].query("outcome == 'open'")["id"])


def test_true_chance_to_close_explains_the_closings(weeks: pd.DataFrame) -> None:
    mortal = weeks[~weeks["never"]]
    happened, chance = mortal["closing"].to_numpy(dtype=float), mortal["p_close"].to_numpy()
    for group in ("age", "stage", "week"):
        assert_explained(happened, chance, mortal[group].to_numpy())
    assert_explained(happened, chance, mortal["week"].to_numpy() // WEEKS_PER_MONTH)
    assert not weeks.loc[weeks["never"], "closing"].any()


def test_true_chance_to_win_explains_the_wins(company: DemoCompany, weeks: pd.DataFrame) -> None:
    closings = weeks[weeks["closing"]]
    happened, chance = closings["won"].to_numpy(dtype=float), closings["p_win"].to_numpy()
    deals = company.tables["opportunities"].iloc[closings["deal"]]
    for group in (deals["rep"], deals["product"], closings["stage"], closings["week"] // WEEKS_PER_MONTH):
        assert_explained(happened, chance, group.to_numpy())


def test_a_wrong_truth_would_be_noticed(company: DemoCompany, weeks: pd.DataFrame) -> None:
    closings = weeks[weeks["closing"]]
    rep = company.tables["opportunities"]["rep"].to_numpy()[closings["deal"]]
    flat = np.full(len(closings), closings["won"].mean())
    with pytest.raises(AssertionError):
        assert_explained(closings["won"].to_numpy(dtype=float), flat, rep)


def test_stage_moves_follow_the_true_matrix(company: DemoCompany, weeks: pd.DataFrame) -> None:
    later = weeks.shift(-1)
    stays = weeks[(later["deal"] == weeks["deal"]) & (weeks["age"] > 0)]
    counts = np.zeros((3, 3))
    np.add.at(counts, (stays["stage"], later["stage"][stays.index].astype(int)), 1)
    np.testing.assert_allclose(counts / counts.sum(axis=1, keepdims=True), company.truth.closing.stage_move, atol=0.01)


def test_arrivals_follow_the_true_rates(company: DemoCompany) -> None:
    truth, deals = company.truth.arrivals, company.tables["opportunities"]
    rep = positions(truth.rep_ids, deals["rep"])
    counts = np.zeros(truth.mean.shape)
    np.add.at(counts, (rep, month_number(days(deals["created"])) - truth.months[0]), 1)
    variance = truth.mean + truth.mean**2 / truth.dispersion
    score = (counts.sum(axis=1) - truth.mean.sum(axis=1)) / np.sqrt(variance.sum(axis=1))
    assert chi2.ppf(1e-4, len(score)) < (score**2).sum() < chi2.ppf(1.0 - 1e-4, len(score))
    assert (counts[truth.mean == 0] == 0).all()
    assert truth.mean[:, :KNOWN_MONTHS].sum() == pytest.approx(10_000)


def test_hires_ramp(company: DemoCompany) -> None:
    deals = company.tables["opportunities"]
    reps = company.tables["reps"].set_index("id")
    hires = reps[(reps["start"] > pd.Timestamp(FIRST_DAY)) & (reps["start"] < AS_OF)]
    tenure = (deals["created"] - deals["rep"].map(hires["start"])).dt.days / 30.4
    early, late = ((tenure >= a) & (tenure < a + 3) for a in (0, 9))
    assert 0.1 < early.sum() / late.sum() < 0.6  # the ramp says 0.28 against 0.88


def test_deals_rush_at_the_end_of_a_quarter(weeks: pd.DataFrame) -> None:
    quarter_week = week_of_quarter(weeks["week"].to_numpy())
    rush, calm = (weeks["closing"][quarter_week == w].mean() for w in (11, 4))
    assert rush > 1.8 * calm


def test_won_amounts_have_mass_at_list_and_at_zero(company: DemoCompany) -> None:
    truth, deals = company.truth.amounts, company.tables["opportunities"]
    won = deals[deals["outcome"] == "won"]
    ratio = won["won_amount"] / won["amount"]
    assert (ratio == 0).mean() == pytest.approx(truth.zero, abs=0.006)
    assert (ratio == 1).mean() == pytest.approx(truth.exact, abs=0.025)
    free = np.log(ratio[(ratio > 0) & (ratio != 1)].to_numpy())
    assert np.median(free) == pytest.approx(truth.base, abs=0.05)
    low, high = np.quantile(free, [0.16, 0.84])
    assert free.std() > 1.15 * (high - low) / 2  # heavy tails
    price = company.tables["products"].set_index("id")["list_price"]
    assert ((deals["amount"] / deals["product"].map(price)) % 1 == 0).all()


def test_monthly_shocks_are_correlated() -> None:
    rng = np.random.default_rng(5)
    worlds = [make_closing(rng, make_people(rng)) for _ in range(40)]
    shocks = np.concatenate([world.shocks for world in worlds])
    np.testing.assert_allclose(shocks.std(axis=0), worlds[0].shock_scale, rtol=0.06)
    assert np.corrcoef(shocks.T)[0, 1] == pytest.approx(worlds[0].shock_correlation, abs=0.06)
    assert np.std([world.win_rep for world in worlds]) == pytest.approx(0.35, abs=0.03)
    assert np.std([world.win_territory for world in worlds]) == pytest.approx(0.2, abs=0.03)


def test_orders_come_on_the_true_cycles(company: DemoCompany) -> None:
    truth, bookings = company.truth.orders, company.tables["bookings"]
    orders = bookings[bookings["opportunity"].isna()]
    ordered = np.zeros((len(truth.account_ids), len(truth.months)), dtype=bool)
    account = positions(truth.account_ids, orders["account"])
    ordered[account, month_number(days(orders["date"])) - truth.months[0]] = True
    since = truth.months - truth.phase[:, None]
    cycle = np.maximum(truth.cycle, 1)[:, None]
    due = (truth.cycle[:, None] > 0) & (since >= 0) & (since % cycle == 0) & (truth.months < truth.lapsed[:, None])
    assert not ordered[truth.cycle == 0].any()
    assert not ordered[truth.months >= truth.lapsed[:, None]].any()
    logit = truth.base + truth.season[month_of_year(truth.months)] + truth.account[:, None] + truth.shocks
    again = due & (since > 0)
    month = np.broadcast_to(truth.months, due.shape)[again]
    assert_explained(ordered[again].astype(float), expit(logit)[again], month)
    late = ordered & ~due
    assert late[:, 1:].sum() == (late[:, 1:] & (due & ~ordered)[:, :-1]).sum()
    repeat = (truth.cycle > 0) & (truth.phase < truth.months[KNOWN_MONTHS])
    assert 0.5 < repeat.sum() / 500 < 0.72


def test_new_customers_come_in_a_wave(company: DemoCompany) -> None:
    truth = company.truth.orders
    new = truth.phase[truth.phase >= truth.months[12]]  # every starting customer has ordered by then
    counts = np.bincount(month_of_year(new), minlength=12)
    assert counts[[8, 9, 10]].sum() > 1.5 * counts[[0, 1, 2]].sum()


def test_quotas_add_up_and_are_unfair(company: DemoCompany) -> None:
    quotas = company.tables["quotas"]
    assert set(quotas["level"]) == {"company", "region", "territory", "rep"}
    sums = quotas.groupby(["level", "start"])["amount"].sum().unstack("level")
    assert len(sums) == 16
    np.testing.assert_allclose(sums["region"], sums["territory"])
    assert ((sums["rep"] / sums["company"]).between(0.9, 1.2)).all()
    assert (quotas["end"] > quotas["start"]).all()
    bookings = company.tables["bookings"]
    quarter = bookings["date"].dt.to_period("Q").dt.start_time.rename("start")
    booked = bookings.groupby(["rep", quarter])["amount"].sum().rename_axis(["key", "start"])
    rep = quotas[(quotas["level"] == "rep") & (quotas["start"] >= "2024-07-01")].set_index(["key", "start"])["amount"]
    attained = (booked.reindex(rep.index).fillna(0.0) >= rep).groupby("key").mean()
    assert attained.min() < 0.2
    assert attained.max() > 0.8


def test_calls_are_biased_as_the_truth_says(company: DemoCompany) -> None:
    calls, bookings = company.tables["rep_forecasts"], company.tables["bookings"]
    quarter = bookings["date"].dt.to_period("Q").dt.start_time
    actual = bookings.groupby(["rep", quarter])["amount"].sum()
    joined = calls.merge(actual.rename_axis(["rep", "period_start"]).rename("actual").reset_index())
    early = joined[(joined["as_of"] - joined["period_start"]).dt.days < 30]
    sums = early.groupby("rep")[["amount", "actual"]].sum()
    ratio = sums["amount"] / sums["actual"]
    bias = pd.Series(company.truth.human.bias, index=company.truth.human.rep_ids)
    assert ratio[bias > 1.15].mean() > ratio[bias < 0.85].mean() + 0.2
