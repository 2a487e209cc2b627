"""The question compensation: hand-computed payouts, refused plans, and a mean cost that no mean future pays."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from engine.errors import InputRefusedError
from engine.planning.business import known_customers, share_by_rank, split_revenue
from engine.planning.compensation import payout_periods
from engine.planning.compensation_settings import CompensationSettings, Terms, Tier, plan_problems
from engine.planning.payout import Earned, accelerated, earned_multiple, pay
from engine.planning.payout_tables import SalesToPay, Team, compensation, with_accelerator
from engine.planning.questions import read_settings
from engine.simulation.outcomes import Cells
from models.panel import NONE, Floats, Labels
from tests.simulation_inputs import make_panel

REPS = ["A", "B", "C", "D"]
PLAN: dict[str, object] = {
    "name": "fifty-fifty",
    "per": "horizon",
    "target_incentive": 10_000,
    "shares": {"individual": 0.5, "team": 0.5},
    "team": "manager",
    "tiers": [{"start": 0.0, "rate": 0.8}, {"start": 0.5, "rate": 1.2}, {"start": 1.0, "rate": 2.0}],
    "cap": 2.0,
}
"""Below half of quota 0.8 a point, then 1.2 (so 100 % pays 100 %), beyond quota 2.0, at most twice the target."""


def plan(**changes: object) -> CompensationSettings:
    return CompensationSettings.model_validate(PLAN | changes)


def terms(**changes: object) -> Terms:
    return plan(**changes).terms()


def earned(
    revenue: Floats, quota: float, team: Floats | float = np.nan, target: float = 10_000, new: float = 0.0
) -> Earned:
    """Rows of ``revenue`` are paths, columns periods; one rep."""
    total = np.asarray(revenue, dtype=float)[:, None, :]
    attained = np.broadcast_to(np.asarray(team, dtype=float), total.shape)
    periods = total.shape[2]
    return Earned(
        new * total, (1 - new) * total, np.full((1, periods), quota), attained, np.full((1, periods), float(target))
    )


def sales(revenue: Floats, quota: Floats, manager: list[int], share: float = 0.0) -> SalesToPay:
    """One payout period; attainment of a manager's team from the same revenue."""
    total = np.asarray(revenue, dtype=float)[:, :, None]
    member = np.array(manager)
    names = [name for name in dict.fromkeys(manager) if name != NONE]
    parts = [total[:, member == m].sum(axis=1) / np.asarray(quota)[member == m].sum() for m in names]
    team = np.stack(parts, axis=1) if parts else np.zeros((len(total), 0, 1))
    ids = np.array(REPS[: total.shape[1]])
    bosses = np.array([f"M{m}" for m in names])
    return SalesToPay(
        reps=Labels(ids, np.char.add("Rep ", ids)),
        managers=Labels(bosses, bosses),
        manager=member,
        revenue=total,
        new_share=np.full(total.shape, share),
        quota=np.asarray(quota, dtype=float)[:, None],
        quota_source=np.full(len(ids), "given"),
        years=np.full((len(ids), 1), 0.25),
        horizon_years=0.25,
        teams={"manager": Team(team, member)},
    )


@pytest.mark.parametrize(
    ("attainment", "multiple"),
    [(-0.2, 0.0), (0.0, 0.0), (0.25, 0.2), (0.5, 0.4), (0.8, 0.76), (1.0, 1.0), (1.3, 1.6), (3.0, 5.0)],
)
def test_marginal_tiers_add_up(attainment: float, multiple: float) -> None:
    own = terms()
    assert earned_multiple(np.array(attainment), own, own.tiers) == pytest.approx(multiple)


@pytest.mark.parametrize(("attainment", "multiple"), [(0.25, 0.2), (0.5, 0.6), (0.8, 0.96), (1.0, 2.0), (1.3, 2.6)])
def test_retroactive_tiers_pay_the_rate_reached_from_the_first_sale(attainment: float, multiple: float) -> None:
    own = terms(tiers_are="retroactive")
    assert earned_multiple(np.array(attainment), own, own.tiers) == pytest.approx(multiple)


def test_nothing_below_the_threshold_and_all_of_it_at_the_threshold() -> None:
    own = terms(threshold=0.5)
    found = earned_multiple(np.array([0.49, 0.5, np.nan]), own, own.tiers)
    assert found == pytest.approx([0.0, 0.4, 0.0])


def test_fifty_fifty_with_accelerators_agrees_with_a_hand_computed_table() -> None:
    """Two teams; quota 100 each. Worked out by hand, per future:

    team of A and B: own 1.2 and 0.4 (team 0.8), 1.6 and 0.9 (1.25); team of C alone, own and team the same.
    multiples: 1.2 -> 0.4 + 0.6 + 0.4 = 1.4; 0.4 -> 0.32; 0.8 -> 0.4 + 0.36 = 0.76; 1.6 -> 2.2; 0.9 -> 0.88;
    1.25 -> 1.5; C: 1.0 -> 1.0; 2.0 -> 3.0, which the cap of 2 cuts.
    """
    tables, aggregates = compensation(
        plan(), sales(np.array([[120.0, 40.0, 100.0], [160.0, 90.0, 200.0]]), np.full(3, 100.0), [0, 0, 1])
    )
    payouts = tables["payouts"].set_index("rep")
    first = {"A": 5_000 * (1.4 + 0.76), "B": 5_000 * (0.32 + 0.76), "C": 10_000.0}
    second = {"A": 5_000 * (2.2 + 1.5), "B": 5_000 * (0.88 + 1.5), "C": 20_000.0}
    assert first == {"A": 10_800, "B": 5_400, "C": 10_000}
    assert second == {"A": 18_500, "B": 11_900, "C": 20_000}
    for rep in first:
        assert payouts.loc[rep, "payout_mean"] == pytest.approx((first[rep] + second[rep]) / 2)
    assert payouts.loc["A", "individual_mean"] == pytest.approx(5_000 * (1.4 + 2.2) / 2)
    assert payouts.loc["A", "team_mean"] == pytest.approx(5_000 * (0.76 + 1.5) / 2)
    assert payouts.loc["C", "p_cap"] == 0.5
    assert payouts.loc["C", "cut_by_cap_mean"] == pytest.approx(5_000)
    cost = tables["payout_cost"].set_index("key")
    assert cost.loc["", "cost_mean"] == pytest.approx((26_200 + 50_400) / 2)
    assert cost.loc["M0", "cost_mean"] == pytest.approx((16_200 + 30_400) / 2)
    assert cost.loc["", "target_incentive"] == 30_000
    assert cost.loc["", "cost_share_of_revenue"] == pytest.approx((26_200 + 50_400) / (260 + 450))
    assert cost.loc["", "p_over_target"] == 0.5
    assert aggregates["cost_p95"] == pytest.approx(26_200 + 0.95 * 24_200)


def test_the_mean_over_futures_is_not_the_payout_of_the_mean_future() -> None:
    """Own pay only. Half the futures bring 60 % of quota, half 140 %: at the mean, 100 %, the plan pays 10,000.

    But 60 % pays 5,200 and 140 % pays 18,000: the accelerator makes luck worth more than bad luck costs.
    """
    own = plan(shares={"individual": 1.0, "team": 0.0})
    tables, _ = compensation(own, sales(np.array([[60.0], [140.0]]), np.array([100.0]), [NONE]))
    row = tables["payouts"].iloc[0]
    assert row["payout_of_mean"] == pytest.approx(10_000)
    assert row["payout_mean"] == pytest.approx((5_200 + 18_000) / 2)
    total = tables["payout_cost"].iloc[0]
    assert total["cost_mean"] - total["cost_of_mean_path"] == pytest.approx(1_600)


def test_a_cap_turns_the_difference_round() -> None:
    """With a cap at the target, bad luck costs and good luck pays nothing."""
    own = plan(shares={"individual": 1.0, "team": 0.0}, cap=1.0)
    tables, _ = compensation(own, sales(np.array([[60.0], [140.0]]), np.array([100.0]), [NONE]))
    assert tables["payouts"].iloc[0]["payout_mean"] == pytest.approx((5_200 + 10_000) / 2)
    assert tables["payouts"].iloc[0]["payout_of_mean"] == pytest.approx(10_000)


def test_a_recoverable_draw_is_taken_back_from_what_later_months_earn() -> None:
    """Commission 100, 0, 500, 160 with a draw of 200 a month: advances of 100 and 200, of which the third month gives
    back 300 (what it earns beyond its own draw), and 40 advanced in the last month stay owed.
    """
    paid = pay(
        terms(
            target_incentive=0, cap=None, commission={"new": 0.1, "existing": 0.1}, draw={"amount": 200},
            shares={"individual": 1.0, "team": 0.0},
        ),
        earned(np.array([[1_000.0, 0.0, 5_000.0, 1_600.0]]), np.nan, target=0),
    )  # fmt: skip
    assert paid.paid[0, 0] == pytest.approx([200, 200, 200, 200])
    assert paid.advance[0, 0] == pytest.approx([100, 200, -300, 40])
    assert paid.owed[0, 0] == pytest.approx(40)


def test_a_recoverable_draw_never_takes_a_month_below_the_draw() -> None:
    own = terms(
        target_incentive=0,
        cap=None,
        commission={"new": 0.1, "existing": 0.1},
        draw={"amount": 200, "recoverable": True},
    )
    paid = pay(own, earned(np.array([[0.0, 2_500.0, 9_000.0]]), np.nan, target=0))
    assert paid.paid[0, 0] == pytest.approx([200, 200, 750])
    assert paid.owed[0, 0] == 0
    assert paid.paid.sum() == pytest.approx(0.1 * 11_500)


def test_a_draw_that_is_not_recoverable_stays_paid() -> None:
    own = terms(
        target_incentive=0,
        cap=None,
        commission={"new": 0.1, "existing": 0.1},
        draw={"amount": 200, "recoverable": False},
    )
    paid = pay(own, earned(np.array([[1_000.0, 0.0, 5_000.0]]), np.nan, target=0))
    assert paid.paid[0, 0] == pytest.approx([200, 200, 500])
    assert paid.owed[0, 0] == 0


def test_new_and_existing_business_are_paid_and_credited_apart() -> None:
    own = terms(
        shares={"individual": 1.0, "team": 0.0}, cap=None, tiers=[{"start": 0, "rate": 1}],
        commission={"new": 0.10, "existing": 0.02}, credit={"new": 2.0, "existing": 0.5},
    )  # fmt: skip
    paid = pay(own, earned(np.array([[100.0]]), 100.0, new=0.3))
    assert paid.commission_new[0, 0, 0] == pytest.approx(3.0)
    assert paid.commission_existing[0, 0, 0] == pytest.approx(1.4)
    assert paid.attainment[0, 0, 0] == pytest.approx((2 * 30 + 0.5 * 70) / 100)
    assert paid.paid[0, 0, 0] == pytest.approx(9_500 + 4.4)


def test_a_rep_without_quota_or_team_earns_no_incentive() -> None:
    paid = pay(terms(), earned(np.array([[500.0]]), np.nan))
    assert paid.paid.sum() == 0
    assert paid.silent.all()


def test_roles_and_reps_change_what_they_say_and_nothing_else() -> None:
    mixed = plan(
        roles={"hunter": {"target_incentive": 20_000, "commission": {"new": 0.1, "existing": 0}}},
        reps={"A": "hunter", "B": 5_000, "C": {"role": "hunter", "target_incentive": 1_000}},
    )
    assert mixed.terms_of("A")[0] == "hunter"
    assert mixed.terms_of("A")[1].target_incentive == 20_000
    assert mixed.terms_of("A")[1].shares == mixed.shares
    assert mixed.terms_of("B")[1].target_incentive == 5_000
    assert mixed.terms_of("B")[1].commission is None
    assert mixed.terms_of("C")[1].target_incentive == 1_000
    assert mixed.terms_of("D") == ("", mixed.terms())
    tables, _ = compensation(mixed, sales(np.full((1, 4), 100.0), np.full(4, 100.0), [0, 0, 0, 0], share=0.5))
    payouts = tables["payouts"].set_index("rep")["payout_mean"]
    assert payouts.to_dict() == pytest.approx({"A": 20_005, "B": 5_000, "C": 1_005, "D": 10_000})


@pytest.mark.parametrize(
    ("per", "paid"), [("year", 2_500), ("quarter", 10_000), ("month", 30_000), ("horizon", 10_000)]
)
def test_target_incentives_are_per_the_time_they_say(per: str, paid: float) -> None:
    """The horizon of `sales` is a quarter of a year."""
    tables, _ = compensation(plan(per=per), sales(np.full((1, 2), 100.0), np.full(2, 100.0), [0, 0]))
    assert tables["payouts"]["payout_mean"].to_numpy() == pytest.approx(paid)


def test_the_accelerator_alone_is_made_stronger() -> None:
    tiers = (Tier(start=0, rate=0.8), Tier(start=0.5, rate=1.2), Tier(start=1, rate=2.0), Tier(start=1.5, rate=0.5))
    assert [tier.rate for tier in accelerated(tiers, 0)] == pytest.approx([0.8, 1.2, 1.2, 0.5])
    assert accelerated(tiers, 1) == tiers
    assert [tier.rate for tier in accelerated(tiers, 2)] == pytest.approx([0.8, 1.2, 2.8, 0.5])


def test_cost_by_accelerator_has_the_plan_itself_in_the_middle() -> None:
    own = plan(shares={"individual": 1.0, "team": 0.0}, cap=None)
    tables, _ = compensation(own, sales(np.array([[60.0], [140.0]]), np.array([100.0]), [NONE]))
    found = tables["payout_accelerator"].set_index("accelerator")
    # 140 % pays 10,000 plus 40 points at 1.2 + factor x 0.8
    wanted = {f: (5_200 + 10_000 + 4_000 * (1.2 + f * 0.8)) / 2 for f in found.index}
    assert found["cost_mean"].to_dict() == pytest.approx(wanted)
    assert found["mean_difference"].to_dict()[1.0] == 0


def test_accelerators_of_roles_follow_and_what_they_inherit_stays_inherited() -> None:
    mixed = plan(roles={"own": {"tiers": [{"start": 0, "rate": 1}, {"start": 1, "rate": 3}]}, "as_plan": {"cap": 5}})
    changed = with_accelerator(mixed, 0.0)
    assert [tier.rate for tier in changed.terms("own").tiers] == [1, 1]
    assert changed.terms("as_plan").tiers == changed.terms().tiers
    assert [tier.rate for tier in changed.terms().tiers] == pytest.approx([0.8, 1.2, 1.2])


def test_the_curve_shows_what_the_plan_says() -> None:
    tables, _ = compensation(plan(), sales(np.full((1, 2), 100.0), np.full(2, 100.0), [0, 0]))
    curve = tables["payout_curve"].set_index("attainment")
    both, own = curve["multiple"].to_dict(), curve["own_multiple"].to_dict()
    assert both[1.0] == pytest.approx(1.0)
    assert own[1.3] == pytest.approx(0.8)
    assert both[2.0] == 2.0
    assert curve["multiple"].is_monotonic_increasing


def test_all_problems_of_a_plan_come_at_once(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(
        "target_incentive: -5\nshares: {individual: 0.5, team: 0.6}\n"
        "tiers: [{start: 0.0, rate: 0.8}, {start: 0.8, rate: -1}]\n"
        "team_tiers: [{start: 0.0, rate: 0.8}, {start: 1.2, rate: 2}, {start: 1.0, rate: 1}]\n"
        "roles: {hunter: {cap: 2}}\nreps: {R001: huntr, R002: farmer}\ncapp: 3\n"
    )
    with pytest.raises(InputRefusedError) as refused:
        read_settings("compensation", path)
    said = str(refused.value)
    assert len(refused.value.problems) == 6
    for part in (
        "line 1, target_incentive: got -5",
        "these add up to 1.1",
        "tiers.1.rate: got -1",
        "these are 0, 1.2, 1;",
        "did you mean `hunter`?",
        "`farmer` of R002",
        "did you mean `cap`?",
    ):
        assert part in said


@pytest.mark.parametrize("tiers", [[], [{"start": 0.5, "rate": 1}], [{"start": 0, "rate": 1}, {"start": 0, "rate": 2}]])
def test_tiers_rise_from_zero(tiers: list[dict[str, float]]) -> None:
    with pytest.raises(ValidationError, match="rise from 0"):
        plan(tiers=tiers)


def test_what_only_the_company_can_tell_is_refused_together() -> None:
    wrong = plan(target_incentive=0, reps={"AA": {"role": None}, "Z": {}}, roles={"x": {"cap": 1.5}})
    problems = plan_problems(wrong, set(REPS))
    assert [problem.where for problem in problems] == ["reps.AA", "reps.Z", "cap", "roles.x.cap", "compensation"]
    assert "did you mean `A`?" in problems[0].mend
    assert not plan_problems(plan(reps={"A": 7}), set(REPS))
    assert not plan_problems(plan(target_incentive=0, cap=None, draw={"amount": 10}), set(REPS))


def test_periods_follow_fiscal_quarters() -> None:
    assert [c.tolist() for c in payout_periods(5, "quarter", 1)] == [[0, 1], [2, 3, 4]]
    assert [c.tolist() for c in payout_periods(3, "month", 0)] == [[0], [1], [2]]
    assert [c.tolist() for c in payout_periods(5, "horizon", 1)] == [[0, 1, 2, 3, 4]]


def test_new_business_is_what_accounts_without_earlier_revenue_buy() -> None:
    """Accounts: 0 has bought, 1 has not. Cells: rep 0 with each, rep 0 without account, nobody with account 0."""
    cells = Cells(
        account=np.array([0, 1, NONE, 0]),
        rep=np.array([0, 0, 0, NONE]),
        product=np.zeros(4, dtype=np.int64),
        territory=np.zeros(4, dtype=np.int64),
    )
    sample = np.array([[[1.0], [2.0], [4.0], [8.0]]], dtype=np.float32)
    new, existing = split_revenue(cells, sample, np.array([True, False]), 2)
    assert new[0, :, 0].tolist() == [6.0, 0.0]
    assert existing[0, :, 0].tolist() == [1.0, 0.0]


def test_known_customers_bought_before_the_horizon() -> None:
    panel = make_panel(deals=200, reps=4, accounts=60)
    month = int(panel.as_of.astype("datetime64[M]").astype(np.int64))
    before, now = known_customers(panel, month), known_customers(panel, month + 1)
    bought = set(panel.orders.account[panel.orders.month < month].tolist())
    won = (panel.deals.outcome == 1) & (panel.deals.account != NONE) & (panel.deals.won_amount > 0)
    won &= panel.deals.closed < panel.as_of.astype("datetime64[M]")
    assert set(np.flatnonzero(before)) == bought | set(panel.deals.account[won].tolist())
    assert (now | before).sum() == now.sum() > 0


def test_shares_go_by_rank_and_totals_stay() -> None:
    """The sample's small quarters are all new business and its large ones all existing: so are the stored paths'."""
    new, existing = np.array([[[10.0]], [[0.0]]]), np.array([[[0.0]], [[100.0]]])
    share = share_by_rank(np.array([[[7.0]], [[500.0]], [[90.0]], [[8.0]]]), new, existing)
    assert share[:, 0, 0].tolist() == [1.0, 0.0, 0.0, 1.0]
