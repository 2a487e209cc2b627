"""What a plan pays on every simulated path: arrays in, arrays out.

The rule this module keeps: a payout is computed path by path and summed up afterwards. Tiers, thresholds, caps and
draws bend the curve, so the mean over paths is not the payout of the mean path (Jensen 1906, doi:10.1007/BF02418571;
tests/test_planning_compensation.py has numbers).
"""

from dataclasses import dataclass

import numpy as np

from engine.planning.compensation_settings import Terms, Tier
from models.panel import Bools, Floats


@dataclass(frozen=True)
class Earned:
    """What a group of reps brings in, by payout period.

    Attributes
    ----------
    new, existing : [path, rep, period] revenue with customers new and known at the as-of date
    quota : [rep, period] NaN where there is none
    team : [path, rep, period] attainment of the rep's team; NaN where it has no quota
    target : [rep, period] target incentive of the period, money
    """

    new: Floats
    existing: Floats
    quota: Floats
    team: Floats
    target: Floats


@dataclass(frozen=True)
class Payout:
    """What is paid.

    Attributes
    ----------
    attainment : [path, rep, period] credited revenue over quota, NaN without a quota
    individual, team : [path, rep, period] incentive by component, before the cap
    commission_new, commission_existing : [path, rep, period] before the cap
    paid : [path, rep, period] cash: after cap and draw
    advance : [path, rep, period] cash beyond what was earned; negative where an earlier advance is taken back
    owed : [path, rep] advances not yet taken back after the last period
    cut : [path, rep, period] what the cap took off
    silent : [path, rep, period] whether nothing was earned at all
    """

    attainment: Floats
    individual: Floats
    team: Floats
    commission_new: Floats
    commission_existing: Floats
    paid: Floats
    advance: Floats
    owed: Floats
    cut: Floats
    silent: Bools


def earned_multiple(attainment: Floats, terms: Terms, tiers: tuple[Tier, ...]) -> Floats:
    """Multiple of a component's target incentive that attainment earns, any shape; 0 for negative attainment.

    Marginal tiers: ``sum over k of rate_k * (min(a, start_{k+1}) - start_k)+``. Retroactive ones: ``rate_k * a`` with k
    the highest tier whose start a has reached. Nothing below the threshold; NaN attainment earns nothing.
    """
    a = np.nan_to_num(np.maximum(attainment, 0.0), nan=0.0)
    starts, rates = np.array([t.start for t in tiers]), np.array([t.rate for t in tiers])
    reached = np.searchsorted(starts, a, side="right") - 1
    if terms.tiers_are == "retroactive":
        earned = rates[reached] * a
    else:
        below = np.concatenate([[0.0], np.cumsum(rates[:-1] * np.diff(starts))])  # earned when a tier begins
        earned = below[reached] + rates[reached] * (a - starts[reached])
    return np.where(np.isfinite(attainment) & (a >= terms.threshold), earned, 0.0)


def pay(terms: Terms, earned: Earned) -> Payout:
    """Pay a group of reps with the same terms (but for the target incentive).

    The cap is on incentive plus commission. A draw tops up what was earned; a recoverable one is taken back from what
    later periods earn beyond their own draw, and what is then still owed is reported, not written off.
    """
    credited = terms.credit.new * earned.new + terms.credit.existing * earned.existing
    quota = np.where(earned.quota > 0, earned.quota, np.nan)
    attainment = credited / quota
    own = terms.shares.individual * earned.target * earned_multiple(attainment, terms, terms.tiers)
    team_tiers = terms.tiers if terms.team_tiers is None else terms.team_tiers
    team = terms.shares.team * earned.target * earned_multiple(earned.team, terms, team_tiers)
    new, existing = np.zeros_like(own), np.zeros_like(own)
    if terms.commission is not None:
        new, existing = terms.commission.new * earned.new, terms.commission.existing * earned.existing
    before = np.maximum(own + team + new + existing, 0.0)
    limit = np.full_like(earned.target, np.inf) if terms.cap is None else terms.cap * earned.target
    after = np.minimum(before, limit)
    paid, owed = with_draw(after, terms)
    return Payout(
        attainment=attainment,
        individual=own,
        team=team,
        commission_new=new,
        commission_existing=existing,
        paid=paid,
        advance=paid - after,
        owed=owed,
        cut=before - after,
        silent=before == 0,
    )


def with_draw(earned: Floats, terms: Terms) -> tuple[Floats, Floats]:
    """Cash [path, rep, period] after draws, and advances [path, rep] still owed after the last period."""
    owed = np.zeros(earned.shape[:2])
    if terms.draw is None:
        return earned, owed
    amount = terms.draw.amount
    if not terms.draw.recoverable:
        return np.maximum(earned, amount), owed
    paid = np.empty_like(earned)
    for t in range(earned.shape[2]):
        beyond = np.maximum(earned[:, :, t] - amount, 0.0)
        back = np.minimum(beyond, owed)
        paid[:, :, t] = np.maximum(earned[:, :, t], amount) - back
        owed = owed - back + np.maximum(amount - earned[:, :, t], 0.0)
    return paid, owed


def accelerated(tiers: tuple[Tier, ...], factor: float) -> tuple[Tier, ...]:
    """Tiers whose accelerators are ``factor`` times as strong.

    An accelerator is what a tier from quota on pays beyond the rate just under quota: 0 keeps that rate, 1 leaves the
    tiers as they are. Tiers that slow down stay as they are.
    """
    under = [tier.rate for tier in tiers if tier.start < 1.0]
    base = under[-1] if under else tiers[0].rate
    return tuple(
        Tier(start=tier.start, rate=base + factor * (tier.rate - base))
        if tier.start >= 1.0 and tier.rate > base
        else tier
        for tier in tiers
    )
