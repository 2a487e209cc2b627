"""What moved the number since the run before: from one mean to the next, step by step, and every step has a name.

The rule this module keeps: start + steps = end, to the cent (``test_the_waterfall_balances_to_the_cent``). Each deal's
part of the mean (what it booked, or its expected revenue) is compared between the runs: the steps of deals are exact;
what no deal explains is told apart as orders, business still to come, revisions, and the rest of the simulation.

A deal that stays open is amount x chance x (revenue per amount when won). Its change is split over the three by their
Shapley value, so that no order of the three is preferred. The chance goes on to what the model learned (two posteriors
on the same deals) and what the deal did: pushed out or pulled in when its expected close left or entered the horizon
and the chance moved that way, else what its new stage is worth, and growing older with less time left.
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from engine.deals.revision import split
from engine.deals.snapshot import NotComparableError, Snapshot
from models.calendar import month_number
from models.panel import LOST, OPEN, WON, Bools, Dates, Floats, Ints

CENT = Decimal("0.01")

STEPS = {
    "won": "won: deals that were open, what they brought less what was expected",
    "won_outside": "won outside the horizon: no longer expected in it",
    "lost": "lost: deals that were open",
    "created": "created: deals that are new in the pipeline, open or already won",
    "pulled_in": "pulled in: the expected close moved into the horizon",
    "pushed_out": "pushed out: the expected close moved beyond the horizon",
    "amount_up": "amount up",
    "amount_down": "amount down",
    "stage_moved": "stage moved: what another stage does to the chance",
    "aged": "older, less time left: the chance of deals that stay open",
    "orders_booked": "orders booked",
    "still_to_come": "deals and orders still to come: less time left, estimates revised",
    "model_revised": "model learned: other chances and amounts for the same deals",
    "data_revised": "data revised: deals and bookings of the past that were changed, added late or removed",
    "rest": "combination and noise: what other methods and the simulation's error add",
}
"""Steps in the order they are told, each with its words."""

DEAL_STEPS = tuple(step for step in STEPS if step not in ("orders_booked", "still_to_come", "rest"))
"""Steps that deals take part in."""


@dataclass(frozen=True)
class Waterfall:
    """The change between two runs.

    Attributes
    ----------
    run : name of the earlier run's folder
    steps : measure (mean, p50), step, amount (`Decimal`, whole cents), deals, what; each measure adds up to its ``end``
    deals : opportunity_id, before, after, change, and one column a step of `DEAL_STEPS`; the largest change first
    """

    run: str
    steps: pd.DataFrame
    deals: pd.DataFrame


def compare(earlier: Snapshot, later: Snapshot, seed: int) -> Waterfall:
    """Explain the change of the mean from one run to a later one that speaks of the same months.

    Parameters
    ----------
    seed : of the shocks under which what the model learned is worked out

    Raises
    ------
    NotComparableError
        When the months or the currencies differ, or the earlier run is not the earlier one.
    """
    _check(earlier, later)
    both = earlier.deals.merge(later.deals, "outer", left_index=True, right_index=True, suffixes=("_0", "_1"))
    parts = _deal_parts(both, earlier, later, seed)
    amounts = dict.fromkeys(STEPS, 0.0) | {step: float(parts[step].sum()) for step in DEAL_STEPS}
    old, new = _orders(earlier, later)
    amounts["orders_booked"] = new
    amounts["data_revised"] += old
    amounts["still_to_come"] = later.new - earlier.new
    counts = {step: int((parts[step] != 0).sum()) for step in DEAL_STEPS}
    return Waterfall(earlier.run, _table(earlier, later, amounts, counts), _moved(both, parts))


def _check(earlier: Snapshot, later: Snapshot) -> None:
    if not np.array_equal(earlier.months, later.months):
        raise NotComparableError(f"nothing to compare: {earlier.run} speaks of other months than {later.run}")
    if earlier.currency != later.currency:
        raise NotComparableError(f"nothing to compare: {earlier.run} is in {earlier.currency}")
    if earlier.panel.as_of >= later.panel.as_of:
        raise NotComparableError(f"nothing to compare: {earlier.run} is not as of an earlier day than {later.run}")


def _deal_parts(both: pd.DataFrame, earlier: Snapshot, later: Snapshot, seed: int) -> pd.DataFrame:
    """What every deal adds to every step of `DEAL_STEPS`; each row sums to the deal's change."""
    parts = pd.DataFrame(0.0, index=both.index, columns=list(DEAL_STEPS))
    change = _after(both) - _before(both)
    known, now = both["index_0"].notna(), both["index_1"].notna()
    open_ = known & (both["outcome_0"] == OPEN)
    inside = both["in_horizon_1"].eq(True)
    created = ~known & (_created(both, later) > earlier.panel.as_of)
    stays = open_ & (both["outcome_1"] == OPEN)
    found = {
        "won": open_ & (both["outcome_1"] == WON) & inside,
        "won_outside": open_ & (both["outcome_1"] == WON) & ~inside,
        "lost": open_ & (both["outcome_1"] == LOST),
        "created": created,
        "data_revised": (known & ~open_) | (~known & ~created) | (open_ & ~now),
    }
    for step, rows in found.items():
        parts.loc[rows, step] = change[rows]
    if stays.any():
        parts.loc[stays] = _stay_parts(both[stays], earlier, later, seed)
    return parts


def _stay_parts(rows: pd.DataFrame, earlier: Snapshot, later: Snapshot, seed: int) -> Floats:
    """Parts [deal, step] of deals that are open in both runs."""
    first, second = rows["index_0"].to_numpy(dtype=np.int64), rows["index_1"].to_numpy(dtype=np.int64)
    chance = rows[["chance_0", "chance_1"]].to_numpy()
    amount, rate = _amounts(rows, earlier.panel.deals.list_amount[first], later.panel.deals.list_amount[second])
    amount_part, chance_part, rate_part = _three(amount, chance, rate)
    learned, staged = np.zeros(len(rows)), np.zeros(len(rows))
    if earlier.closing is not None and later.closing is not None:
        sides = (earlier.panel, earlier.closing), (later.panel, later.closing)
        told = split(*sides, (first, second), later.months, seed)
        moved = chance[:, 1] - chance[:, 0]
        money = np.divide(chance_part, moved, out=np.zeros_like(moved), where=moved != 0)
        if told is not None:
            staged, learned = money * told[0], money * told[1]
    did = chance_part - learned
    pushed, pulled = _shifted(earlier, later, (first, second), did)
    rest = ~(pushed | pulled)
    found = dict.fromkeys(DEAL_STEPS, np.zeros(len(rows)))
    found |= {"pushed_out": np.where(pushed, did, 0.0), "pulled_in": np.where(pulled, did, 0.0)}
    found |= {"stage_moved": np.where(rest, staged, 0.0), "aged": np.where(rest, did - staged, 0.0)}
    found["amount_up"], found["amount_down"] = np.maximum(amount_part, 0.0), np.minimum(amount_part, 0.0)
    found["model_revised"] = learned + rate_part
    return np.stack([found[step] for step in DEAL_STEPS], axis=1)


def _amounts(rows: pd.DataFrame, before: Floats, after: Floats) -> tuple[Floats, Floats]:
    """Amount and revenue per amount when won, [deal, run].

    An amount known in one run only came or went: what the deal would bring stands for it. One known in neither cannot
    have moved: then all change of what the deal would bring is the model's.
    """
    chance, expected = rows[["chance_0", "chance_1"]].to_numpy(), rows[["expected_0", "expected_1"]].to_numpy()
    worth = np.divide(expected, chance, out=np.zeros_like(expected), where=chance > 0)
    # without a chance nothing is expected: then the other run says what the deal would bring
    worth = np.where(chance > 0, worth, worth[:, ::-1])
    listed = np.stack([before, after], axis=1)
    known = (listed > 0).sum(axis=1, keepdims=True)
    amount = np.where(known == 2, listed, np.where(known == 1, worth, 1.0))
    return amount, np.divide(worth, amount, out=np.zeros_like(worth), where=amount > 0)


def _three(*factors: Floats) -> tuple[Floats, Floats, Floats]:
    """Shapley parts [deal] of three factors [deal, run] in the change of their product."""
    parts = []
    for i in range(3):
        own, (x, y) = factors[i], [factors[j] for j in range(3) if j != i]
        together = (x[:, 0] * y[:, 0] + x[:, 1] * y[:, 1]) / 3
        apart = (x[:, 0] * y[:, 1] + x[:, 1] * y[:, 0]) / 6
        parts.append((own[:, 1] - own[:, 0]) * (together + apart))
    return parts[0], parts[1], parts[2]


def _shifted(earlier: Snapshot, later: Snapshot, index: tuple[Ints, Ints], did: Floats) -> tuple[Bools, Bools]:
    """Which deals were pushed out and pulled in: the expected close crossed the end and the chance went that way."""
    before, after = earlier.panel.deals.expected_close[index[0]], later.panel.deals.expected_close[index[1]]
    end = (later.months[-1] + 1).astype("datetime64[M]").astype("datetime64[D]")  # first day after the horizon
    was_late, is_late = before >= end, after >= end
    known = ~(np.isnat(before) | np.isnat(after))
    return known & ~was_late & is_late & (did < 0), known & was_late & ~is_late & (did > 0)


def _created(both: pd.DataFrame, later: Snapshot) -> Dates:
    """[deal] creation as the later run knows it, NaT where it does not know the deal."""
    index = both["index_1"].fillna(-1).to_numpy(dtype=np.int64)
    return np.append(later.panel.deals.created, np.datetime64("NaT", "D"))[index]


def _before(both: pd.DataFrame) -> pd.Series:
    return (both["booked_0"] + both["expected_0"]).fillna(0.0)


def _after(both: pd.DataFrame) -> pd.Series:
    return (both["booked_1"] + both["expected_1"]).fillna(0.0)


def _orders(earlier: Snapshot, later: Snapshot) -> tuple[float, float]:
    """Change of booked orders: of months that had ended by the earlier date, and of the months since."""
    change = later.orders - earlier.orders
    running = int(month_number(np.array([earlier.panel.as_of + np.timedelta64(1, "D")]))[0])
    return float(change[later.months < running].sum()), float(change[later.months >= running].sum())


def _table(earlier: Snapshot, later: Snapshot, amounts: dict[str, float], counts: dict[str, int]) -> pd.DataFrame:
    """Steps of the mean, then the P50 with the change of the distance between the two as its remainder."""
    start, end = cents(earlier.mean), cents(later.mean)
    exact = {step: cents(amount) for step, amount in amounts.items()}
    exact["rest"] = end - start - sum((exact[step] for step in STEPS if step != "rest"), Decimal(0))
    low, high = cents(earlier.p50), cents(later.p50)
    rows = [
        ("mean", "start", start, None, f"expected at {earlier.run}"),
        *(("mean", step, exact[step], counts.get(step), words) for step, words in STEPS.items()),
        ("mean", "end", end, None, "expected now"),
        ("p50", "start", low, None, f"P50 at {earlier.run}"),
        ("p50", "mean_moved", end - start, None, "all steps of the mean together"),
        ("p50", "shape_changed", high - low - (end - start), None, "the spread and the skew of the futures changed"),
        ("p50", "end", high, None, "P50 now"),
    ]
    frame = pd.DataFrame(rows, columns=["measure", "step", "amount", "deals", "what"])
    return frame.astype({"deals": "Int64"})


def cents(amount: float) -> Decimal:
    """Money in whole cents."""
    return Decimal(repr(float(amount))).quantize(CENT) + Decimal(0)  # no negative zero


def _moved(both: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    """See `Waterfall.deals`."""
    before, after = _before(both), _after(both)
    frame = pd.DataFrame({"before": before, "after": after, "change": after - before}).join(parts)
    frame = frame[(parts != 0).any(axis=1)].reset_index()
    order = frame["change"].abs().rename("size").to_frame().assign(id=frame["opportunity_id"])
    return frame.loc[order.sort_values(["size", "id"], ascending=[False, True]).index].reset_index(drop=True)
