"""The question slump: the recursion against enumeration, learned numbers, what is seen and what is a false alarm."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, nbinom

from engine.planning.slump import judged_reps, slump_table, usual_counts
from engine.planning.slump_alarms import Alarms, Judged, area_under_curve, false_alarms, lasting_chances, shuffled
from engine.planning.slump_history import complete_months, expected_counts, presence, ramp, rep_history
from engine.planning.slump_model import Chain, Population, judge, learn, log_chances, simulated, usual_tail
from models.panel import WON, Floats, Ints, Labels
from tests.simulation_inputs import make_panel

CHAIN = Chain(depth=0.5, enter=1 / 60, leave=1 / 6)
LEARNED = Population(shape=4.0, noise=0.1)


def company(seed: int, reps: int = 15, slumps: int = 0, months: int = 30, rate: float = 2.5) -> Ints:
    """Counts with seasons and market shocks that hit all; the first reps' last six months bring 40 %."""
    rng = np.random.default_rng([seed, 9])
    level = rate * rng.gamma(LEARNED.shape, 1 / LEARNED.shape, reps)
    market = np.exp(0.3 * np.sin(np.arange(months) * np.pi / 6) + rng.normal(0, 0.2, months))
    mean = level[:, None] * market
    mean[:slumps, -6:] *= 0.4
    return simulated(mean, LEARNED.noise, rng)


def answered(count: Ints, seed: int, replicates: int = 199) -> tuple[Judged, Alarms]:
    """All that the question does with counts."""
    expected = expected_counts(count, np.ones(count.shape))
    population = learn(count, expected, CHAIN)
    judged = Judged(count, expected, judge(count, expected, population, CHAIN, 3))
    return judged, false_alarms(judged, (population, CHAIN), 3, replicates, np.random.default_rng([seed, 10]))


def test_log_chances_are_the_negative_binomials() -> None:
    count, mean = np.array([0, 3, 40]), np.array([0.5, 2.0, 30.0])
    size = 1 / 0.2
    assert log_chances(count, mean, 0.2) == pytest.approx(nbinom.logpmf(count, size, size / (size + mean)))
    assert log_chances(np.array(3), np.array(0.0), 0.2) == 0


def test_the_recursion_agrees_with_all_sequences_of_states() -> None:
    """Five months, 32 sequences, every rate of the grid."""
    count, expected = np.array([[3, 2, 0, 1, 0]]), np.array([[2.0, 3.0, 2.5, 0.0, 2.0]])
    found = judge(count, expected, LEARNED, CHAIN, 2)
    move = np.array([[1 - CHAIN.enter, CHAIN.enter], [CHAIN.leave, 1 - CHAIN.leave]])
    often = CHAIN.enter / (CHAIN.enter + CHAIN.leave)
    total = now = two = 0.0
    for states in product((0, 1), repeat=5):
        prior = (often if states[0] else 1 - often) * np.prod(
            [move[a, b] for a, b in zip(states, states[1:], strict=False)]
        )
        mean = LEARNED.rates[:, None] * expected[0] * np.where(states, CHAIN.depth, 1.0)
        weight = prior * np.exp(log_chances(count[0], mean, LEARNED.noise).sum(axis=1)).mean()
        total, now = total + weight, now + weight * states[-1]
        two += weight * (states[-1] * states[-2])
    assert found.log_likelihood[0] == pytest.approx(np.log(total))
    assert found.slump[0] == pytest.approx(now / total)
    assert found.lasting[0] == pytest.approx(two / total)
    assert found.rate[0].sum() == pytest.approx(1.0)


def test_the_table_of_many_histories_gives_what_the_recursion_gives() -> None:
    count, expected = company(1, reps=40), np.full(30, 2.5)
    one_by_one = judge(count, np.tile(expected, (40, 1)), LEARNED, CHAIN, 3).lasting
    assert lasting_chances(count, expected, LEARNED, CHAIN, 3) == pytest.approx(one_by_one)
    many = count * 300  # too large for a table
    large = judge(many, np.tile(300 * expected, (40, 1)), LEARNED, CHAIN, 3).lasting
    assert lasting_chances(many, 300 * expected, LEARNED, CHAIN, 3) == pytest.approx(large)


def test_a_weak_month_is_no_slump_and_six_weak_months_are() -> None:
    """Four wins a month for two years; then once 0, or half a year of 0 and 1, or six times 4."""
    before = [4, 5, 3, 4, 4, 6, 2, 4, 3, 5, 4, 4] * 2
    endings = ([4, 4, 4, 4, 4, 0], [0, 1, 1, 0, 1, 0], [4, 4, 4, 4, 4, 4])
    count = np.array([before + ending for ending in endings])
    expected = np.full(count.shape, 4.0)
    states = judge(count, expected, LEARNED, CHAIN, 3)
    tail = usual_tail(count, expected, states.rate, LEARNED)
    assert states.lasting[0] < 0.1
    assert tail[0] < 0.1  # weak it is
    assert states.lasting[1] > 0.8
    assert states.slump[1] > states.lasting[1]
    assert states.lasting[2] < 0.02
    assert tail[2] > 0.4


def test_shape_and_noise_are_learned() -> None:
    """120 reps drawn from the model itself, slumps included: within 40 % of the truth."""
    rng = np.random.default_rng(3)
    truth, expected = Population(shape=5.0, noise=0.2), np.full((120, 36), 3.0)
    rate = rng.gamma(truth.shape, 1 / truth.shape, 120)
    count = simulated(rate[:, None] * expected * np.where(_states(rng, 120, 36), CHAIN.depth, 1.0), truth.noise, rng)
    found = learn(count, expected, CHAIN)
    assert found.shape == pytest.approx(truth.shape, rel=0.4)
    assert found.noise == pytest.approx(truth.noise, rel=0.4)


def _states(rng: np.random.Generator, reps: int, months: int) -> np.ndarray:
    slump = np.zeros((reps, months), dtype=bool)
    slump[:, 0] = rng.random(reps) < CHAIN.enter / (CHAIN.enter + CHAIN.leave)
    for t in range(1, months):
        stay = rng.random(reps) < np.where(slump[:, t - 1], 1 - CHAIN.leave, CHAIN.enter)
        slump[:, t] = stay
    return slump


def test_chances_of_a_slump_are_calibrated() -> None:
    """2,000 reps drawn from the model: among those with chances below 10 %, 10 to 50 % and above 50 %, and in total,
    as many are in a slump as the chances say, within 4 standard errors; and the chances separate (area above 0.8).
    """
    rng = np.random.default_rng(4)
    expected = np.full((2_000, 24), 4.0)
    slump = _states(rng, 2_000, 24)
    rate = rng.gamma(LEARNED.shape, 1 / LEARNED.shape, 2_000)
    count = simulated(rate[:, None] * expected * np.where(slump, CHAIN.depth, 1.0), LEARNED.noise, rng)
    states = judge(count, expected, LEARNED, CHAIN, 3)
    for chance, true in ((states.slump, slump[:, -1]), (states.lasting, slump[:, -3:].all(axis=1))):
        for chosen in (chance < 0.1, (chance >= 0.1) & (chance < 0.5), chance >= 0.5, chance >= 0):
            error = np.sqrt((chance * (1 - chance))[chosen].sum())
            assert abs((true - chance)[chosen].sum()) < 4 * error
        assert area_under_curve(chance[true], chance[~true]) > 0.8


def test_long_slumps_are_seen_and_short_ones_are_not_at_five_per_cent_false_alarms() -> None:
    """What the answer says about visibility: halved for a month hardly more than the false alarms, halved for six
    months often, a quarter for six months nearly always; and these shares hold on fresh histories.
    """
    expected = np.full((4, 36), 5.0)
    count = np.full((4, 36), 5)
    judged = Judged(count, expected, judge(count, expected, LEARNED, CHAIN, 3))
    alarms = false_alarms(judged, (LEARNED, CHAIN), 3, 1_999, np.random.default_rng(5))
    seen = alarms.visible.set_index(["rate_left_share", "months"])["seen_share"].to_dict()
    worse = alarms.visible.set_index(["rate_left_share", "months"])["worse_than_usual_share"].to_dict()
    assert seen[0.5, 1] < 0.3
    assert seen[0.5, 6] > 0.6
    assert seen[0.25, 6] > 0.95
    assert worse[0.5, 1] < worse[0.5, 3] < worse[0.5, 6] < worse[0.25, 6]
    rng = np.random.default_rng(6)
    usual = 5.0 * LEARNED.rates[rng.choice(40, 2_000, p=judged.states.rate[0])][:, None] * np.ones(36)
    bad = usual * np.where(np.arange(36) >= 30, 0.5, 1.0)
    scores = [lasting_chances(simulated(m, 0.1, rng), expected[0], LEARNED, CHAIN, 3) for m in (usual, bad)]
    bound = np.quantile(scores[0], 0.95, method="higher")
    assert (scores[1] > bound).mean() == pytest.approx(seen[0.5, 6], abs=0.07)


@pytest.mark.parametrize("companies", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_flags_come_with_slumps_and_hardly_without(companies: int) -> None:
    """Companies without a slump (half of them companies with slumps whose months are shuffled), and as many with three.

    Stated: a flag without a slump in at most one company of ten. The counts of such companies, and of single chances
    below 5 %, may be as large as a binomial allows with a chance of 1 in 10,000. With three slumps at 40 % for six
    months at least one company of three sees one, and most flags are right.
    """
    rng = np.random.default_rng(7)
    quiet = [company(seed) for seed in range(companies // 2)]
    quiet += [rng.permuted(company(seed, slumps=3), axis=1) for seed in range(companies // 2, companies)]
    false = [answered(count, seed)[1] for seed, count in enumerate(quiet)]
    assert sum(bool(alarms.flags(0.1).any()) for alarms in false) <= binom.isf(1e-4, companies, 0.1)
    small = sum(int((alarms.p_value <= 0.05).sum()) for alarms in false)
    assert small <= binom.isf(1e-4, 15 * companies, 0.05)
    flags = [answered(company(seed, slumps=3), seed)[1].flags(0.1) for seed in range(100, 100 + companies)]
    right, made = sum(int(f[:3].sum()) for f in flags), sum(int(f.sum()) for f in flags)
    assert 3 * sum(bool(f[:3].any()) for f in flags) >= companies
    assert right / made > 0.6


def test_months_in_random_order_keep_counts_and_their_ratio_to_what_was_expected() -> None:
    rng = np.random.default_rng(12)
    same = shuffled(np.array([5, 0, 2, 7]), np.array([1.0, 1.0, 0.0, 1.0]), 200, rng)
    assert (np.sort(same, axis=1) == [0, 0, 5, 7]).all()
    assert not same[:, 2].any()
    assert {tuple(row) for row in same} > {(5, 0, 0, 7), (7, 5, 0, 0)}
    halved = shuffled(np.array([10, 10]), np.array([2.0, 1.0]), 2_000, rng)
    assert halved[:, 0].mean() == pytest.approx((10 + 20) / 2, rel=0.05)
    assert halved[:, 1].mean() == pytest.approx((10 + 5) / 2, rel=0.05)


def test_a_rep_whose_months_jump_is_not_flagged_for_jumping() -> None:
    """Customers of one rep order every third month: far noisier than the others, but that is no slump."""
    rng = np.random.default_rng(13)
    count = simulated(np.full((12, 30), 6.0), 0.02, rng)
    count[0] = np.tile([18, 0, 0], 10)
    shares = []
    for seed in range(3):
        jumping = count.copy()
        jumping[0] = rng.permutation(count[0])
        shares.append(answered(jumping, seed)[1].flags(0.1)[0])
    assert not any(shares)


def test_a_slump_of_all_is_no_slump_of_one() -> None:
    count = company(40, reps=20, rate=6.0)
    rng = np.random.default_rng(41)
    market = simulated(0.4 * count[:, -6:].astype(float), 0.01, rng)
    judged, alarms = answered(np.column_stack([count[:, :-6], market]), 41)
    assert judged.states.lasting.mean() < 0.15
    assert not alarms.flags(0.1).any()


def test_a_month_is_expected_from_the_others_only() -> None:
    """Whatever a rep brings in the last month, what was expected of the rep there stays the same (rates fixed)."""
    count = np.full((30, 24), 10)
    more = count.copy()
    more[0, -1] = 0
    low, usual = expected_counts(more, np.ones(count.shape)), expected_counts(count, np.ones(count.shape))
    assert low[0, -1] == pytest.approx(usual[0, -1], rel=0.02)
    doubled = count.copy()
    doubled[:, -1] *= 2
    assert expected_counts(doubled, np.ones(count.shape))[0, -1] == pytest.approx(2 * 10, rel=0.1)


def test_few_reps_do_not_make_a_market() -> None:
    """Two reps: one counts nothing. With so few to go by, the other is hardly expected to bring less."""
    count = np.array([[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0], [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]])
    assert expected_counts(count, np.ones(count.shape))[1, -1] > 1.5


def test_history_counts_wins_by_rep_and_month() -> None:
    panel = make_panel(deals=400, reps=5, accounts=40)
    panel = replace(panel, as_of=np.datetime64("2026-07-10"))
    history = rep_history(panel, "auto", 12, 4.0)
    assert history.measure == "deals won"
    assert str(history.months[-1].astype("datetime64[M]")) == "2026-06"  # July is not over
    assert len(history.months) == 12
    won = panel.deals.outcome == WON
    month = panel.deals.closed.astype("datetime64[M]").astype(np.int64)
    for rep in range(5):
        assert history.count[rep, -1] == (won & (panel.deals.rep == rep) & (month == history.months[-1])).sum()
    orders = rep_history(panel, "orders", 12, 4.0)
    inside = np.isin(panel.orders.month, orders.months)
    assert orders.count.sum() == inside.sum()


def test_only_complete_months_count() -> None:
    panel = replace(make_panel(), first_day=np.datetime64("2024-01-02"), as_of=np.datetime64("2026-06-29"))
    first, last = complete_months(panel)
    assert (str(np.datetime64(first, "M")), str(np.datetime64(last, "M"))) == ("2024-02", "2026-05")
    panel = replace(panel, first_day=np.datetime64("2024-01-01"), as_of=np.datetime64("2026-06-30"))
    first, last = complete_months(panel)
    assert (str(np.datetime64(first, "M")), str(np.datetime64(last, "M"))) == ("2024-01", "2026-06")


def test_presence_and_ramp_follow_dates() -> None:
    """Rep 1 starts on 15 May 2026 and leaves on 10 August; rep 0 has no dates."""
    panel = make_panel(deals=60, reps=3)
    months = np.arange(np.datetime64("2026-04", "M").astype(int), np.datetime64("2026-10", "M").astype(int))
    none = np.zeros(0, dtype=np.int64)
    there = presence(panel, months, (none, none))
    assert there[1] == pytest.approx([0, 17 / 31, 1, 1, 10 / 31, 0])
    grown = ramp(panel, months, 4.0, 0.0)
    assert grown[0] == pytest.approx(1.0)
    assert grown[1, 3] == pytest.approx(1 - np.exp(-2.5 / 4))
    assert ramp(panel, months, 4.0, 2.0)[1, 3] == pytest.approx(1 - np.exp(-0.5 / 4))


def test_new_reps_and_leavers_are_not_judged() -> None:
    panel = make_panel(deals=400, reps=6, accounts=40)
    history = rep_history(panel, "wins", 12, 4.0)
    active = panel.reps.active.copy()
    active[0] = False
    reps = judged_reps(replace(panel, reps=replace(panel.reps, active=active)), history, 3)
    assert 0 not in reps
    assert 1 not in reps  # since 15 May
    assert set(reps) <= {2, 4}


def test_the_table_says_it_in_words() -> None:
    before = [4, 5, 3, 4, 4, 6, 2, 4, 3, 5, 4, 4] * 2
    count = np.array([before + ending for ending in ([4, 4, 4, 4, 4, 0], [0, 1, 1, 0, 1, 0], [4] * 6)])
    expected: Floats = np.full(count.shape, 4.0)
    judged = Judged(count, expected, judge(count, expected, LEARNED, CHAIN, 3))
    alarms = false_alarms(judged, (LEARNED, CHAIN), 3, 999, np.random.default_rng(8))
    ids = np.array(["W", "S", "U"])
    table = slump_table(Labels(ids, ids), judged, (LEARNED, CHAIN), alarms, alarms.flags(0.1)).set_index("rep")
    assert table["verdict"].to_dict() == {"W": "weak month, as chance brings", "S": "lasting slump", "U": "as usual"}
    assert table["slump_age"].to_dict()["S"] == pytest.approx(6, abs=1)
    assert table["last_3"].to_dict() == {"W": 8, "S": 1, "U": 12}
    usual = usual_counts(expected, judged.states, LEARNED)[:, -1]
    assert table["usual_month"].to_dict()["U"] == pytest.approx(usual[2])
    assert usual[2] == pytest.approx(4, rel=0.15)
