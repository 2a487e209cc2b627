"""The guard finds attributes that give the outcome away, and leaves the others alone."""

import numpy as np
import pandas as pd
import pytest

from engine.data.leakage import find_leaks

AS_OF = np.datetime64("2025-12-31")


def deals(seed: int, filled: str) -> pd.DataFrame:
    """A thousand deals; ``filled`` says when the account is filled in."""
    rng = np.random.default_rng(seed)
    created = pd.Timestamp("2024-06-01") + pd.to_timedelta(rng.integers(0, 570, 1000), "D")
    cycle = rng.exponential(120, 1000).astype(int) + 1
    closed = created + pd.to_timedelta(cycle, "D")
    ended = closed <= pd.Timestamp(AS_OF)
    won = rng.random(1000) < 0.4
    outcome = np.where(ended, np.where(won, "won", "lost"), "open")
    age = np.where(ended, cycle, (pd.Timestamp(AS_OF) - created).days)
    chance = rng.random(1000)
    known = {
        "early": chance < 0.7,
        "at closing": ended | (chance < 0.3),
        "with age": age > 30,
        "when won": (outcome == "won") | (chance < 0.5),
    }[filled]
    frame = pd.DataFrame({"created": created, "closed": closed.where(ended), "outcome": outcome})
    return frame.assign(account=pd.Series("A1", index=frame.index, dtype="str").where(known), product="P1")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("filled", ["early", "with age"])
def test_an_attribute_filled_in_before_the_outcome_is_not_barred(seed: int, filled: str) -> None:
    assert find_leaks(deals(seed, filled), AS_OF) == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("filled", "groups"), [("at closing", ("closed", "open")), ("when won", ("won", "lost"))])
def test_an_attribute_filled_in_with_the_outcome_is_barred(seed: int, filled: str, groups: tuple[str, str]) -> None:
    [leak] = find_leaks(deals(seed, filled), AS_OF)
    assert leak.attribute == "account"
    assert leak.groups == groups
    assert leak.shares[0] > 0.95
    assert leak.p_value < 1e-6


def test_amounts_known_only_when_won_are_barred() -> None:
    table = deals(1, "early")
    table["amount"] = np.where(table["outcome"] == "won", 100.0, np.where(table["outcome"] == "lost", 0.0, np.nan))
    assert [leak.attribute for leak in find_leaks(table, AS_OF)] == ["amount"]
