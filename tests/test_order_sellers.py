from dataclasses import replace

import numpy as np

from models.order_sellers import (
    draw_first_sellers,
    draw_sellers,
    handovers,
    newcomers,
    next_sellers,
    rep_visits,
    successors,
)
from models.panel import NONE, Ints, Panel
from tests.order_panels import FIRST_MONTH, with_orders


def company(account: Ints, month: Ints, rep: Ints, accounts: int) -> Panel:
    """Six reps; owners are guesses, each account's being rep 5."""
    panel = with_orders(account, FIRST_MONTH + month, np.full(len(account), 100.0), accounts, "2025-12-31")
    return replace(
        panel,
        orders=replace(panel.orders, rep=rep),
        accounts=replace(panel.accounts, owner=np.full(accounts, 5), inferred_owner=np.ones(accounts, dtype=bool)),
    )


def every_quarter(reps: list[list[int]]) -> Panel:
    """Account i orders every third month, booked by ``reps[i]`` one after another."""
    size = np.array([len(row) for row in reps])
    account = np.repeat(np.arange(len(reps)), size)
    place = np.arange(len(account)) - np.repeat(np.cumsum(size) - size, size)
    return company(account, 3 * place, np.concatenate([np.array(row) for row in reps]), len(reps))


def drawn_sellers(panel: Panel, draws: int, rng: np.random.Generator) -> Ints:
    visits = rep_visits(panel)
    return draw_sellers(panel, visits, next_sellers(panel, visits), 3, draws, rng)


def test_the_rep_who_booked_last_books_next() -> None:
    panel = every_quarter([[1, 1, 1, 2], [3, 3]])
    sellers = next_sellers(panel, rep_visits(panel))
    assert sellers.likely.tolist() == [2, 3]
    assert sellers.other.tolist() == [1, 3]
    assert 0.8 < sellers.keeps[0] < 1.0
    assert sellers.keeps[1] == 1.0


def test_who_only_stands_in_gives_the_account_back() -> None:
    stood_in = [[1, 0, 1, 1, 0, 1], [2, 0, 2, 0, 2, 2], [3, 0, 3, 3, 3, 3]]
    taken = [[1, 4, 4, 4], [2, 4, 4, 4], [3, 4, 4, 4]]
    panel = every_quarter([*stood_in, *taken, [1, 1, 0], [1, 1, 4]])
    sellers = next_sellers(panel, rep_visits(panel))
    assert sellers.likely[[6, 7]].tolist() == [0, 4]
    assert sellers.other[[6, 7]].tolist() == [1, 1]
    assert sellers.keeps[6] < 0.3
    assert sellers.keeps[7] > 0.9


def test_owners_on_record_and_reps_who_left() -> None:
    panel = every_quarter([[1, 1], [1, 1], [2, 2]])
    accounts = replace(panel.accounts, inferred_owner=np.array([False, True, True]))
    active = np.arange(6) != 2
    panel = replace(panel, accounts=accounts, reps=replace(panel.reps, active=active))
    sellers = next_sellers(panel, rep_visits(panel))
    assert sellers.likely.tolist() == [5, 1, 5]  # on record; booked last; has left, so the owner
    assert sellers.keeps.tolist() == [1.0, 1.0, 1.0]


def test_a_month_belongs_to_the_rep_of_most_of_it_and_returns_to_nobody() -> None:
    panel = company(np.array([0, 0, 0, 1]), np.array([0, 0, 3, 0]), np.array([1, 2, NONE, 3]), 2)
    panel = replace(panel, orders=replace(panel.orders, amount=np.array([10.0, 90.0, 50.0, -5.0])))
    visits = rep_visits(panel)
    assert (visits.account.tolist(), visits.rep.tolist()) == ([0], [2])
    nobody = next_sellers(panel, visits)
    assert nobody.likely.tolist() == [2, 5]


def test_handovers_are_counted_by_rep_and_cycle() -> None:
    panel = every_quarter([[1, 1, 2], [1, 1, 2], [1, 1, 1], [3, 3, 3]])
    moved, orders = handovers(panel, rep_visits(panel), 3)
    found = sorted(zip(moved.tolist(), orders.tolist(), strict=True))
    assert found == [(0.0, 1.0), (0.0, 1.0), (0.0, 3.0), (2.0, 3.0)]
    none, _ = handovers(company(np.array([0]), np.array([0]), np.array([1]), 1), rep_visits(every_quarter([[1]])), 3)
    assert not len(none)


def test_a_book_moves_as_one_and_to_a_colleague_nearby() -> None:
    rng = np.random.default_rng(1)
    # Reps 0 to 3 with thirty accounts each; every fourth cycle one of them takes another's whole book.
    rep = np.repeat(np.arange(4), 30)
    rows = np.empty((120, 9), dtype=np.int64)
    for cycle in range(9):
        if cycle % 4 == 3:
            giver, taker = rng.permutation(4)[:2]
            rep = np.where(rep == giver, taker, rep)
        rows[:, cycle] = rep
    panel = every_quarter(rows.tolist())
    territory = np.where(np.isin(rep, np.unique(rep)[:2]), 0, 1)
    panel = replace(panel, accounts=replace(panel.accounts, territory=territory))
    drawn = drawn_sellers(panel, 400, rng)
    mine = np.flatnonzero(rep == np.unique(rep)[0])
    left = (drawn[:, mine] != rep[mine]).mean(axis=1)
    assert ((left < 0.15) | (left > 0.85)).mean() > 0.9
    assert 0.01 < (left > 0.85).mean() < 0.3
    for row in drawn[:, mine][left > 0.85]:
        to = row[row != rep[mine]]
        assert len(np.unique(to)) == 1
    neighbours = (drawn[:, mine] != rep[mine]) & np.isin(drawn[:, mine], np.unique(rep)[:2])
    assert neighbours.sum() > 0.9 * (drawn[:, mine] != rep[mine]).sum()


def test_where_nobody_else_sells_the_book_stays() -> None:
    panel = every_quarter([[1, 1], [1, 1]])
    panel = replace(panel, reps=replace(panel.reps, active=np.arange(6) == 1))
    colleague, _ = successors(panel, np.array([1, 1]))
    assert (colleague[1] == NONE).all()
    assert (drawn_sellers(panel, 50, np.random.default_rng(2)) == 1).all()


def test_accounts_without_a_rep_fall_to_their_owner() -> None:
    panel = company(np.array([0]), np.array([0]), np.array([NONE]), 2)
    panel = replace(panel, accounts=replace(panel.accounts, owner=np.array([4, NONE])))
    drawn = drawn_sellers(panel, 200, np.random.default_rng(3))
    assert (drawn[:, 0] == 4).mean() > 0.8
    assert (drawn[:, 1] == NONE).all()


def test_newcomers_are_told_from_those_who_were_there_when_the_export_began() -> None:
    # Reps 0 and 1 sell from the start (rep 1 from the second month on), rep 4 from month 12 on.
    account = np.arange(10)
    month = np.array([0, 1, 1, 4, 5, 12, 13, 13, 20, 20])
    panel = company(account, month, np.array([0, 1, 1, 1, 0, 4, 4, 0, 4, 0]), 10)
    panel = replace(panel, accounts=replace(panel.accounts, territory=np.array([0] * 9 + [1])))
    new, first = newcomers(panel, rep_visits(panel), 3)
    assert sorted(zip(new.tolist(), first.tolist(), strict=True)) == [(0.0, 1.0), (0.0, 1.0), (0.0, 2.0), (2.0, 3.0)]


def test_new_customers_go_to_those_who_hold_accounts_there_and_to_newcomers() -> None:
    rng = np.random.default_rng(4)
    account = np.arange(60)
    rep = np.where(account < 30, account % 3 == 0, 2).astype(np.int64)  # 20 accounts of rep 0, 10 of rep 1, 30 of rep 2
    panel = company(account, account % 30, rep, 60)
    territory = np.where(account < 30, 0, 1)
    panel = replace(
        panel,
        accounts=replace(panel.accounts, territory=territory),
        reps=replace(panel.reps, territory=np.array([0, 0, 1, 2, 2, 2]), active=np.arange(6) != 5),
    )
    visits = rep_visits(panel)
    found = draw_first_sellers(panel, visits, next_sellers(panel, visits), 3, 3000, rng)
    assert found.territory.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert found.rep.tolist() == [0, 1, NONE, 2, NONE, 3, 4, NONE]
    for where in range(3):
        np.testing.assert_allclose(found.share[:, found.territory == where].sum(axis=1), 1.0)
    share = found.share.mean(axis=0)
    assert share[2] < 0.1  # nobody new was seen
    assert abs(share[0] / share[1] - 2.0) < 0.1
    assert found.share[:, 0].std() > 0.05
    nobody = replace(panel, reps=replace(panel.reps, active=np.zeros(6, dtype=bool)))
    alone = draw_first_sellers(nobody, visits, next_sellers(nobody, visits), 3, 10, rng)
    assert set(alone.rep[alone.territory == 2].tolist()) == {NONE}
    np.testing.assert_allclose(alone.share[:, alone.territory == 2], 1.0)
