"""Experience with accounts like this one: what it is, what its worth is learned to be, and when a reason says so."""

from dataclasses import replace

import numpy as np
import pytest

from engine.planning.similarity import Effect, leads, learned, moved_accounts, similarity
from models.panel import NONE, Ints, Labels, Orders, Panel
from optimization.problem import TerritoryProblem
from optimization.reasons import ASSIGNED, REASONS, SIMILAR
from optimization.settings import AllocationSettings
from optimization.solve import solve
from tests.simulation_inputs import make_panel
from tests.territories import problem_of

ACCOUNTS, REPS = 40, 4


def company(rows: list[tuple[int, int, int, float]], segment: Ints | None = None) -> Panel:
    """Company without deals: orders (account, rep, month, amount), half of the accounts in each of two segments."""
    base = make_panel(deals=1, reps=REPS, accounts=ACCOUNTS)
    account, rep, month, amount = (np.array(column) for column in zip(*rows, strict=True))
    orders = Orders(account, rep, np.full(len(rows), NONE), month, amount.astype(float), int(month.min()))
    halves = np.arange(ACCOUNTS) % 2 if segment is None else segment
    nothing = np.full(ACCOUNTS, NONE)
    two = Labels(np.array(["big", "small"]), np.array(["big", "small"]))
    deals = replace(base.deals, won_amount=np.full(len(base.deals), np.nan))
    return replace(
        base, deals=deals, orders=orders, segments=two, as_of=np.datetime64("2026-06-30"),
        industries=Labels(np.zeros(0, dtype=np.str_), np.zeros(0, dtype=np.str_)),
        products=replace(base.products, labels=Labels(np.zeros(0, dtype=np.str_), np.zeros(0, dtype=np.str_))),
        accounts=replace(base.accounts, segment=halves, industry=nothing),
    )  # fmt: skip


def specialists() -> list[tuple[int, int, int, float]]:
    """Reps 0 and 1 sell to even accounts, 2 and 3 to odd ones, in every month of three years."""
    return [(a, 2 * (a % 2) + (a // 2) % 2, month, 100.0) for a in range(ACCOUNTS) for month in range(642, 678)]


def test_a_rep_leads_where_past_sales_lie() -> None:
    lead = leads(company(specialists()))
    assert (lead[0, :2] > 0.1).all()
    assert (lead[0, 2:] < -0.1).all()
    np.testing.assert_allclose(lead.sum(axis=1), 0.0, atol=1e-12)
    assert (np.abs(lead) < 1).all()


def test_what_the_account_itself_brought_says_nothing() -> None:
    rows = specialists()
    big = [(a, r, m, 20 * v if a == 0 else v) for a, r, m, v in rows]
    lead = leads(company(big))
    assert lead[0, 0] < lead[0, 1], "rep 0 sold most to account 0 itself, which says nothing about it"
    assert lead[2, 0] > lead[0, 0] + 0.05, "for another account of the segment it counts"


def test_nothing_known_means_nobody_leads() -> None:
    rows = [(0, 0, 670, 0.0)]
    assert (leads(company(rows)) == 0).all()
    unknown = company(specialists(), segment=np.full(ACCOUNTS, NONE))
    np.testing.assert_allclose(leads(unknown), 0.0, atol=1e-12)


def movers(worth: float, seed: int = 0) -> Panel:
    """Half of the accounts go to another rep at month 660; each unit of experience gained multiplies revenue."""
    rng, rows, lead = np.random.default_rng(seed), [], leads(company(specialists()))
    for a in range(ACCOUNTS):
        old = 2 * (a % 2) + (a // 2) % 2
        new = int(rng.integers(0, REPS)) if a % 4 < 2 else old
        after = 100.0 * 0.8 * np.exp(worth * (lead[a, new] - lead[a, old]) + 0.05 * rng.normal())
        rows += [(a, old if m < 660 else new, m, 100.0 if m < 660 or new == old else after) for m in range(642, 678)]
    return company(rows)


def test_moves_are_found_with_their_change_of_revenue() -> None:
    found = moved_accounts(movers(0.0))
    assert len(found.account) >= 10
    assert (found.old != found.new).all()
    assert (found.account % 4 < 2).all()
    assert np.median(found.change) == pytest.approx(np.log(0.8), abs=0.1)


def test_the_worth_of_experience_is_learned_from_moves_and_shrunk_to_the_prior() -> None:
    none, much = (movers(worth) for worth in (0.0, 2.0))
    less, more = (learned(panel, leads(panel), 0.4) for panel in (none, much))
    assert less.value < 0.4 < more.value < 2.0
    assert more.deviation < 0.2, "moves narrow the prior, whose deviation is half its mean"
    sure = learned(much, leads(much), 0.01)
    assert sure.value == pytest.approx(0.01, abs=0.003), "a firm prior stays"
    still = company(specialists())
    assert learned(still, leads(still), 0.1) == Effect(0.1, 0.05, 0)
    assert learned(much, leads(much), 0.0).value == 0.0


def test_similarity_counts_from_the_present_rep() -> None:
    lead = np.array([[0.2, -0.2], [0.2, -0.2], [0.0, 0.0]])
    ratio = similarity(lead, np.array([0, NONE, 1]), 0.5)
    np.testing.assert_allclose(ratio, [[1.0, 0.8], [1.1, 0.9], [1.0, 1.0]])
    assert (similarity(lead, np.array([0, 0, 0]), 1e3) >= 0).all()


def test_the_reason_says_when_the_new_owner_fits_best() -> None:
    base = problem_of(np.full(12, 100.0), np.repeat([0, 1, NONE], 4), np.full(2, 600.0), paths=400)
    fit = np.ones((12, 2))
    fit[8:10] = [1.2, 1.0]
    wanted = AllocationSettings(confidence_groups=0)
    for problem, said in ((replace(base, fit=fit), True), (base, False)):
        reasons = reasons_of(problem, wanted)
        assert set(reasons) <= set(REASONS)
        assert (ASSIGNED + SIMILAR in reasons) == said


def reasons_of(problem: TerritoryProblem, wanted: AllocationSettings) -> tuple[str, ...]:
    plan = solve(problem, wanted, 0)
    assert hasattr(plan, "reason")
    return plan.reason
