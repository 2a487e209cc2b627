"""Pipeline coverage in closed form: equal deals, one win rate, no time. What the simulated answer is held against."""

from scipy.stats import binom

MOST_DEALS = 10_000_000
"""Beyond this no coverage is looked for."""


def deals_needed(quota_deals: int, win_rate: float, chance: float) -> int:
    """Smallest number n of equal, independent deals with ``P(Binomial(n, win_rate) >= quota_deals) >= chance``.

    Parameters
    ----------
    quota_deals : deals to win, at least 1
    win_rate, chance : inside (0, 1)

    Raises
    ------
    ValueError
        When an argument is outside its range.
    """
    if quota_deals < 1 or not 0.0 < win_rate < 1.0 or not 0.0 < chance < 1.0:
        raise ValueError(f"got quota_deals {quota_deals}, win_rate {win_rate}, chance {chance}: out of range")

    def enough(deals: int) -> bool:
        return bool(binom.sf(quota_deals - 1, deals, win_rate) >= chance)

    low, high = quota_deals - 1, quota_deals
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST_DEALS:
            raise ValueError(f"more than {MOST_DEALS} deals would be needed")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def required_coverage(quota_deals: int, win_rate: float, chance: float) -> float:
    """Open pipeline over quota that gives a chance of quota, when all deals are equal: `deals_needed` / quota.

    The rule of thumb 1 / win rate gives a chance of about one half; small quotas need more on top of it than large,
    since the number won varies more against its mean. A whole number of deals is asked for, nothing is interpolated.

    Examples
    --------
    >>> required_coverage(2, 0.25, 0.8), required_coverage(32, 0.25, 0.8)
    (5.5, 4.5)
    """
    return deals_needed(quota_deals, win_rate, chance) / quota_deals
