"""The large path: bounds below the optimum, plans within their bands, an audit that believes nobody."""

import itertools
import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.large_scale import certificate as rechecked
from optimization.large_scale import neighbourhoods, pricing
from optimization.large_scale import solve as way
from optimization.large_scale.certificate import (
    book_bound,
    certify,
    impossible,
    plan_cost,
    price_bound,
    project,
    violations,
)
from optimization.large_scale.checks import check
from optimization.large_scale.passes import book_loads
from optimization.large_scale.plain import solve_plain
from optimization.large_scale.programs import Chosen, Part, Relaxed
from optimization.large_scale.settings import BandedSettings
from optimization.large_scale.solve import solve_banded
from optimization.problem import NONE, BandedProblem, Floats

QUICK = BandedSettings(seconds=20.0, rounds=6)
"""Few rounds: ends by itself long before the clock."""


def small_problem(rng: np.random.Generator, accounts: int, reps: int, metrics: int = 2) -> BandedProblem:
    """Any small problem: ties, negative values, oversized accounts, closed reps, one-sided and missing bands."""
    count = rng.integers(1, reps + 1, accounts)
    pair_rep = np.concatenate([rng.permutation(reps)[:c] for c in count]).astype(np.int64)
    pairs = len(pair_rep)
    cost = rng.choice([rng.integers(-5, 20, pairs).astype(float), rng.normal(3, 5, pairs).round(3)])
    use = rng.choice([rng.integers(0, 6, (pairs, metrics)).astype(float), rng.lognormal(0, 1, (pairs, metrics))])
    if rng.random() < 0.3:
        use -= rng.integers(0, 3, (pairs, metrics))
    if rng.random() < 0.3:
        use[rng.integers(pairs)] *= 20
    fair = use.sum(axis=0) / reps * accounts / pairs
    width = rng.uniform(0.1, 1.5)
    low = np.where(rng.random((reps, metrics)) < 0.5, -np.inf, fair - width * abs(fair))
    high = np.where(rng.random((reps, metrics)) < 0.3, np.inf, fair + width * abs(fair) + rng.random())
    if rng.random() < 0.2:
        high[0] = np.maximum(low[0], 0.0)
    return BandedProblem(
        account_ids=np.array([f"A{i}" for i in range(accounts)]),
        rep_ids=np.array([f"R{r}" for r in range(reps)]),
        metric_ids=tuple(f"m{k}" for k in range(metrics)),
        start=np.concatenate([[0], np.cumsum(count)]),
        pair_rep=pair_rep,
        cost=np.array(cost),
        use=np.array(use),
        low=np.minimum(low, high),
        high=high,
        owner=np.full(accounts, NONE),
    )


def worths(problem: BandedProblem, price: Floats, seed: int) -> Floats:
    """Prices of accounts that fit the prices of bands on every second seed, and any on the others."""
    rng = np.random.default_rng(seed)
    priced = problem.cost + (project(problem, price)[problem.pair_rep] * problem.use).sum(axis=1)
    return np.minimum.reduceat(priced, problem.start[:-1]) + rng.normal(0, 3, len(problem.owner)) * (seed % 2)


def brute_force(problem: BandedProblem) -> float:
    """Least cost over all plans that hold every band; infinite where there is none. Written out, and nobody's code."""
    spans = [range(a, b) for a, b in itertools.pairwise(problem.start.tolist())]
    choices = np.array(list(itertools.product(*spans)))  # [plan, account]
    good = np.ones(len(choices), dtype=bool)
    for r, k in itertools.product(range(len(problem.rep_ids)), range(len(problem.metric_ids))):
        amount = np.where(problem.pair_rep[choices] == r, problem.use[choices, k], 0.0).sum(axis=1)
        good &= (amount <= problem.high[r, k] + 1e-9) & (amount >= problem.low[r, k] - 1e-9)
    return float(problem.cost[choices].sum(axis=1)[good].min(initial=math.inf))


def seeded(seed: int) -> tuple[BandedProblem, Floats]:
    rng = np.random.default_rng(seed)
    problem = small_problem(rng, int(rng.integers(1, 8)), int(rng.integers(1, 5)), int(rng.integers(1, 3)))
    return problem, rng.normal(0, 2, problem.low.shape)


@pytest.mark.parametrize("block", range(10))
def test_a_bound_is_never_above_the_optimum(block: int) -> None:
    """500 problems: bounds from the search's own prices and from any prices; plans hold, and are best where settled."""
    feasible = 0
    for seed in range(50 * block, 50 * block + 50):
        problem, price = seeded(seed)
        best = brute_force(problem)
        assert price_bound(problem, price) <= best
        assert book_bound(problem, worths(problem, price, seed), price) <= best
        assert best == math.inf or not impossible(problem, price)
        plan = solve_banded(problem, BandedSettings(seconds=20.0, rounds=5), seed)
        found = plan.certificate
        assert found.bound <= best
        assert found.feasible == (not violations(problem, plan.rep))
        if found.feasible:
            feasible += 1
            assert found.objective == pytest.approx(plan_cost(problem, plan.rep))
            assert found.objective >= best - 1e-9 * max(1.0, abs(best))
        if found.feasible and (plan.settled or found.objective - found.bound < 1e-9):
            assert found.objective == pytest.approx(best, abs=1e-9)
    assert feasible >= 20


def test_small_problems_are_solved_to_the_optimum() -> None:
    """All but a few of those with a plan: a search that only rounds would find half of them."""
    missed = possible = 0
    for seed in range(1000, 1060):
        problem, _ = seeded(seed)
        best = brute_force(problem)
        if best < math.inf:
            found = solve_banded(problem, QUICK, seed).certificate
            possible += 1
            missed += not found.feasible or found.objective > best + 1e-6
    assert possible >= 30
    assert missed <= 1


@pytest.mark.parametrize("seed", range(4))
def test_both_paths_agree_within_the_sum_of_their_gaps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    use = rng.integers(5, 25, (5, 40)).astype(float)
    problem = BandedProblem.from_table(rng.integers(10, 50, (5, 40)).astype(float), use, 0.9 * use.sum(axis=1) / 5)
    large, plain = solve_banded(problem, QUICK), solve_plain(problem, QUICK)
    assert large.certificate.feasible
    assert plain.certificate.feasible
    apart = abs(large.certificate.objective - plain.certificate.objective)
    gaps = [one.certificate.objective - one.certificate.bound for one in (large, plain)]
    assert apart <= sum(gaps) + 1e-6


def table_problem() -> BandedProblem:
    """Three reps, nine accounts: capacity for about three each."""
    rng = np.random.default_rng(5)
    use = rng.integers(2, 6, (3, 9)).astype(float)
    return BandedProblem.from_table(rng.integers(1, 9, (3, 9)).astype(float), use, np.full(3, 16.0))


def test_the_audit_catches_a_wrong_plan() -> None:
    problem = table_problem()
    everything_to_one = np.zeros(9, dtype=np.int64)
    found = certify(problem, everything_to_one, 0.0, (0.0, ""))
    assert not found.feasible
    assert found.violations[0].startswith("resource: rep 1 has")
    for rep in (np.full(9, NONE), np.full(9, 3), np.zeros(8, dtype=np.int64)):
        found = certify(problem, rep, 0.0, (0.0, ""))
        assert not found.feasible
        assert found.objective == math.inf


def test_a_search_that_lies_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that reports a plan as held and cheap is rechecked from raw arrays."""
    problem = table_problem()

    def lie(*given: tuple) -> tuple[bool, bool]:
        best, _ = given[2]
        best.rep, best.cost, best.broken = np.zeros(9, dtype=np.int64), -100.0, 0.0
        return True, True

    monkeypatch.setattr(way, "_improve", lie)
    found = solve_banded(problem, QUICK).certificate
    assert not found.feasible
    assert found.objective == problem.cost[::3].sum()


def test_a_solver_that_did_not_run_cannot_raise_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """HiGHS has answered "Not Set" with objective 0 and zeros; here it even says that this is optimal."""
    problem = table_problem()

    def not_set(*given: Part) -> Relaxed:
        part = given[1]
        return Relaxed(np.zeros(len(part.pair)), np.full(part.low.shape, np.nan), 1e9, solved=True)

    monkeypatch.setattr(pricing, "relax", not_set)
    plan = solve_banded(problem, BandedSettings(seconds=20.0, rounds=3))
    assert 0 < plan.certificate.bound <= brute_force(problem)
    assert plan.certificate.feasible


def test_a_time_out_called_optimal_cannot_break_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Integer programs that answer with the first pair of every account and call it optimal."""
    problem = table_problem()

    def too_early(*given: Part) -> Chosen:
        part = given[1]
        return Chosen(np.searchsorted(part.account, np.arange(part.accounts)), optimal=True, timed_out=False)

    monkeypatch.setattr(neighbourhoods, "choose", too_early)
    found = solve_banded(problem, BandedSettings(seconds=20.0, rounds=8)).certificate
    assert found.feasible
    assert found.objective >= brute_force(problem)


@pytest.mark.parametrize("sets", [1, 2, 3])
def test_a_search_for_books_that_is_cut_short_still_bounds(monkeypatch: pytest.MonkeyPatch, sets: int) -> None:
    """With room for few sets most books are not found; the bound falls and stays below the optimum."""
    below = 0
    for seed in range(2000, 2060):
        problem, price = seeded(seed)
        worth = worths(problem, price, seed)
        full = book_bound(problem, worth, price)
        with monkeypatch.context() as changed:
            changed.setattr(rechecked, "SETS", sets)
            cut = book_bound(problem, worth, price)
        assert cut <= brute_force(problem)
        assert cut <= full + 1e-6 * max(1.0, abs(full)) or full == math.inf
        below += cut < full
    assert below > 0


def test_whole_books_bound_better_than_prices_of_bands() -> None:
    """Generalised assignment where the linear relaxation splits accounts: most of the gap to it is closed."""
    rng = np.random.default_rng(11)
    use = rng.integers(5, 26, (5, 60)).astype(float)
    cost = 111 - use + rng.integers(-10, 11, (5, 60)).astype(float)
    problem = BandedProblem.from_table(cost, use, np.floor(0.8 * use.sum(axis=1) / 5))
    found = solve_banded(problem, QUICK).certificate
    relaxation = pricing.solve_relaxation(problem, math.inf)
    loose = price_bound(problem, relaxation.price)
    assert "cheapest book" in found.bound_kind
    assert found.objective - found.bound < 0.5 * (found.objective - loose)


def test_a_rep_without_any_book_within_its_bands_has_an_infinite_bound() -> None:
    """Three accounts of size 2 and a band from 2.5 to 3.5: shares hold it, whole accounts do not."""
    problem = replace(
        BandedProblem.from_table(np.ones((2, 3)), np.full((2, 3), 2.0), np.array([3.5, 9.0])),
        low=np.array([[2.5], [-np.inf]]),
    )
    assert book_bound(problem, np.ones(3), np.zeros((2, 1))) == math.inf
    found = solve_banded(problem, QUICK).certificate
    assert not found.feasible
    assert found.bound == math.inf
    assert "proven" in found.bound_kind


def test_too_little_room_in_all_is_proven() -> None:
    """Half a unit less capacity than the least use; every rep by itself can be filled."""
    problem = table_problem()
    least = problem.use.reshape(9, 3).min(axis=1).sum()
    short = replace(problem, high=np.full((3, 1), (least - 0.5) / 3))
    found = solve_banded(short, QUICK).certificate
    assert not found.feasible
    assert found.bound == math.inf
    assert found.gap == math.inf
    assert "proven" in found.bound_kind
    assert not impossible(problem, np.full((3, 1), 1.0))


def test_a_proof_that_the_clock_cut_off_is_not_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = BandedProblem.from_table(np.ones((2, 5)), np.full((2, 5), 2.0), np.full(2, 4.0))  # room for four of five

    def late(_problem: BandedProblem, deadline: float) -> Floats:
        time.sleep(max(deadline - time.monotonic(), 0.0) + 0.01)
        return np.zeros((2, 1))

    monkeypatch.setattr(way, "infeasibility_prices", late)
    plan = solve_banded(problem, BandedSettings(seconds=1.0, rounds=0))
    assert not plan.certificate.feasible
    assert not plan.repeatable


def test_prices_that_the_clock_cut_off_are_not_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(problem: BandedProblem, deadline: float) -> pricing.Relaxation:
        found = pricing.solve_relaxation(problem, deadline)
        time.sleep(max(deadline - time.monotonic(), 0.0) + 0.01)
        return found

    assert solve_banded(table_problem(), BandedSettings(seconds=60.0, rounds=0)).repeatable
    monkeypatch.setattr(way, "solve_relaxation", late)
    assert not solve_banded(table_problem(), BandedSettings(seconds=2.0, rounds=0)).repeatable


def test_a_plan_to_begin_from_is_never_made_worse() -> None:
    problem = table_problem()
    begun = solve_banded(problem, QUICK)
    again = solve_banded(problem, BandedSettings(seconds=20.0, rounds=1), begun=begun.rep)
    assert again.certificate.objective <= begun.certificate.objective
    with pytest.raises(ValueError, match="begun"):
        solve_banded(problem, QUICK, begun=np.full(9, NONE))


def test_wrong_prices_only_weaken_the_bound() -> None:
    problem = table_problem()
    best = brute_force(problem)
    for price in (np.full((3, 1), 1e6), np.full((3, 1), -5.0), np.full((3, 1), np.nan), np.zeros((3, 1))):
        assert price_bound(problem, price) <= best
    assert (project(problem, np.full((3, 1), -5.0)) == 0).all()  # there is no lower limit to price


def test_whole_costs_round_the_bound_up_and_others_do_not() -> None:
    problem = table_problem()
    bound = price_bound(problem, np.full((3, 1), 0.3))
    assert bound == round(bound)
    parted = price_bound(replace(problem, cost=problem.cost + 0.25), np.full((3, 1), 0.3))
    assert parted != round(parted)
    assert bound - 1 < parted - 9 * 0.25 <= bound


def test_same_seed_same_plan_on_any_number_of_threads() -> None:
    rng = np.random.default_rng(3)
    use = rng.integers(1, 100, (4, 24)).astype(float)
    cost = rng.integers(10, 50, (4, 24)).astype(float)
    problem = BandedProblem.from_table(cost, use, np.floor(0.8 * use.sum(axis=1) / 4))
    plans = [solve_banded(problem, QUICK.model_copy(update={"threads": t, "rounds": 4}), 7) for t in (1, 2, 2)]
    assert all(plan.repeatable for plan in plans)
    assert all(np.array_equal(plan.rep, plans[0].rep) for plan in plans)


def test_a_time_limit_says_so_and_leaves_an_audited_plan() -> None:
    rng = np.random.default_rng(3)
    use = rng.integers(1, 100, (20, 400)).astype(float)
    cost = 111 - use + rng.integers(-10, 10, (20, 400))
    problem = BandedProblem.from_table(cost.astype(float), use, np.floor(0.8 * use.sum(axis=1) / 20))
    plan = solve_banded(problem, BandedSettings(seconds=2.0))
    assert not plan.repeatable
    assert plan.certificate.bound <= plan.certificate.objective


FAULTS = [
    ({"account_ids": np.array(["a"] * 9)}, "account_ids are not unique: a"),
    ({"cost": np.full(27, np.nan)}, "cost has values that are not finite"),
    ({"low": np.full((3, 1), 20.0)}, "no amount lies in the band: resource of rep 1"),
    ({"pair_rep": np.zeros(27, dtype=np.int64)}, "an account lists a rep twice"),
    ({"pair_rep": np.full(27, 3)}, "pair_rep must be an index"),
    ({"owner": np.full(9, 7)}, "owner must be an index"),
    ({"use": np.zeros((27, 2))}, "use has shape (27, 2), not (27, 1)"),
]


@pytest.mark.parametrize(("change", "said"), FAULTS)
def test_bad_input_is_named(change: dict, said: str) -> None:
    with pytest.raises(ValueError, match="not an assignment problem") as caught:
        check(replace(table_problem(), **change))
    assert said in str(caught.value)


def test_every_fault_is_listed() -> None:
    broken = replace(table_problem(), cost=np.full(27, np.inf), owner=np.full(9, -2), rep_ids=np.array(["r"] * 3))
    with pytest.raises(ValueError, match="rep_ids are not unique.*cost has values.*owner must be"):
        check(broken)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**20), accounts=st.integers(0, 7), reps=st.integers(1, 9), closed=st.booleans(),
    twice=st.booleans(), lonely=st.booleans(),
)  # fmt: skip
def test_odd_problems_give_a_clear_error_or_a_right_plan(
    seed: int, accounts: int, reps: int, closed: bool, twice: bool, lonely: bool
) -> None:
    """One rep, more reps than accounts, no accounts, closed reps, doubled ids, accounts nobody may own."""
    rng = np.random.default_rng(seed)
    problem = small_problem(rng, max(accounts, 1), reps)
    if accounts == 0:
        problem = replace(
            problem, account_ids=problem.account_ids[:0], start=np.zeros(1, dtype=np.int64), owner=problem.owner[:0],
            pair_rep=problem.pair_rep[:0], cost=problem.cost[:0], use=problem.use[:0],
        )  # fmt: skip
    if closed:
        problem = replace(problem, low=np.minimum(problem.low, 0.0), high=np.zeros_like(problem.high))
    if twice and accounts > 1:
        problem = replace(problem, account_ids=np.repeat(problem.account_ids[:1], accounts))
    if lonely and accounts > 1:
        last = problem.start[-2]
        problem = replace(
            problem, start=np.append(problem.start[:-1], last), pair_rep=problem.pair_rep[:last],
            cost=problem.cost[:last], use=problem.use[:last],
        )  # fmt: skip
    try:
        plan = solve_banded(problem, BandedSettings(seconds=20.0, rounds=2))
    except ValueError as error:
        said = str(error)
        expected = (twice or lonely) and accounts > 1
        if not expected or ("not unique" not in said and "no candidate rep" not in said):
            raise
        return
    assert plan.certificate.feasible == (not violations(problem, plan.rep))
    assert len(plan.rep) == accounts


def test_disconnected_eligibility_is_solved_in_its_parts() -> None:
    """Accounts 0 to 4 know reps 0 and 1 only, 5 to 9 reps 2 and 3."""
    rng = np.random.default_rng(0)
    pair_rep = np.concatenate([np.tile([0, 1], 5), np.tile([2, 3], 5)])
    problem = BandedProblem(
        account_ids=np.array([f"A{i}" for i in range(10)]), rep_ids=np.array(list("abcd")), metric_ids=("accounts",),
        start=np.arange(11) * 2, pair_rep=pair_rep, cost=rng.random(20), use=np.ones((20, 1)),
        low=np.full((4, 1), 2.0), high=np.full((4, 1), 3.0), owner=np.full(10, NONE),
    )  # fmt: skip
    plan = solve_banded(problem, QUICK)
    assert plan.certificate.feasible
    assert plan.certificate.objective == pytest.approx(brute_force(problem))
    pairs = np.flatnonzero(problem.pair_rep == np.repeat(plan.rep, 2))
    assert book_loads(problem, pairs).sum() == 10
