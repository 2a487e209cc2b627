"""How often a rep without a slump looks like one, and what slumps could be seen at all: by simulated histories.

The chance of a slump is a posterior; whether to raise a flag is another question, since a company looks at all its reps
every month. So the chances are set beside those of histories of the same reps without a slump, of two kinds: simulated
ones (same exposure, rates drawn from their posterior), and the rep's own months in random order, which keep whatever is
peculiar about the rep but the order. The larger share of these that look at least as bad is the chance of a false
alarm; over all reps it is corrected for their number (Benjamini and Hochberg 1995,
doi:10.1111/j.2517-6161.1995.tb02031.x).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, rankdata

from engine.planning.slump_model import Chain, Population, States, filtered, log_chances, means, simulated
from models.panel import Bools, Floats, Ints

AT_ONCE = 500
"""Histories filtered at a time."""

MOST_HISTORIES, FEWEST = 200_000, 199
"""Histories of each kind without a slump for all reps together at most, and for one rep at least."""

ROUNDING = 1e-9
"""Chances this close are the same."""

LARGEST_TABLE = 400
"""Counts above which chances are computed one by one instead of looked up."""

SIGHTINGS = ((0.5, 1), (0.5, 3), (0.5, 6), (0.25, 3), (0.25, 6), (0.0, 3))
"""Slumps whose visibility is counted: what is left of the rate, and for how many months up to now."""

FALSE_ALARMS = 0.05
"""False alarms a rep and month at which visibility is counted."""


@dataclass(frozen=True)
class Judged:
    """Reps to judge: counts and expected counts at rate 1 [rep, month], and what they say."""

    count: Ints
    expected: Floats
    states: States


@dataclass(frozen=True)
class Alarms:
    """Chances of false alarms.

    Attributes
    ----------
    p_value : [rep] share of the rep's histories without a slump that look at least as bad, the larger of two kinds
    q_value : [rep] share of wrong flags expected when this rep and all surer ones are flagged
    visible : one row a kind of slump: share seen at 5 % false alarms, and chance to look worse than no slump
    """

    p_value: Floats
    q_value: Floats
    visible: pd.DataFrame

    def flags(self, rate: float) -> Bools:
        """Reps to flag when this share of the flags may be wrong."""
        return np.asarray(self.q_value <= rate, dtype=bool)


def lasting_chances(count: Ints, expected: Floats, population: Population, chain: Chain, lasting: int) -> Floats:
    """Chance [history] of a lasting slump for many counts [history, month] of one rep with ``expected`` [month]."""
    most = int(count.max(initial=0)) + 1
    mean = means(expected, population, chain)  # [month, GRID, 2]
    parts = [count[first : first + AT_ONCE] for first in range(0, len(count), AT_ONCE)]
    if most > LARGEST_TABLE:
        chances = (log_chances(part[:, :, None, None], mean, population.noise) for part in parts)
    else:
        table = log_chances(np.arange(most)[None, :, None, None], mean[:, None], population.noise)
        months = np.arange(count.shape[1])
        chances = (table[months, part] for part in parts)
    return np.concatenate([filtered(chance, chain, lasting).lasting for chance in chances])


def false_alarms(
    judged: Judged, model: tuple[Population, Chain], lasting: int, replicates: int, rng: np.random.Generator
) -> Alarms:
    """Count false alarms rep by rep.

    Parameters
    ----------
    model : what is learned, and what is believed before data
    replicates : histories of each kind without a slump per rep; slumps are put into a tenth as many
    """
    population, chain = model
    reps = len(judged.count)
    replicates = min(replicates, max(FEWEST, MOST_HISTORIES // max(reps, 1)))
    few, pools = max(replicates // 10, 50), np.zeros((2, reps, replicates))
    seen, worse = np.zeros(len(SIGHTINGS)), np.zeros(len(SIGHTINGS))
    for rep in range(reps):
        expected = judged.expected[rep]
        rate = rng.choice(population.rates, size=replicates, p=judged.states.rate[rep])
        usual = rate[:, None] * expected
        injected = np.concatenate([_with_slump(usual[:few], *kind) for kind in SIGHTINGS])
        drawn = simulated(np.concatenate([usual, injected]), population.noise, rng)
        count = np.concatenate([drawn, shuffled(judged.count[rep], expected, replicates, rng)])
        chance = lasting_chances(count, expected, population, chain, lasting)
        without, found, pools[1, rep] = np.split(chance, [replicates, len(drawn)])
        pools[0, rep] = without
        parts = found.reshape(len(SIGHTINGS), few)
        seen += (parts > np.quantile(without, 1 - FALSE_ALARMS, method="higher")).mean(axis=1)
        worse += [area_under_curve(part, without) for part in parts]
    kinds = pd.DataFrame(SIGHTINGS, columns=["rate_left_share", "months"])
    # Of no reps nothing is counted.
    kinds["seen_share"], kinds["worse_than_usual_share"] = seen / max(reps, 1), worse / max(reps, 1)
    bound = judged.states.lasting - ROUNDING
    own = (1 + (pools >= bound[:, None]).sum(axis=2)).max(axis=0) / (1 + replicates)
    return Alarms(own, _corrected(bound, pools), kinds)


def shuffled(count: Ints, expected: Floats, times: int, rng: np.random.Generator) -> Ints:
    """Histories [times, month] of a rep's months in random order.

    A count moves to another month at its ratio to what was expected, rounded up or down at random.
    """
    there = np.flatnonzero(expected > 0)
    source = rng.permuted(np.tile(there, (times, 1)), axis=1)
    moved = count[source] * expected[there] / expected[source]
    found = np.zeros((times, len(count)), dtype=np.int64)
    found[:, there] = np.floor(moved + rng.random(moved.shape))
    return found


def _corrected(lasting: Floats, pools: Floats) -> Floats:
    """Corrected shares [rep] among the histories [kind, rep, history] of all reps, the larger of the two kinds.

    The chance of any flag without slumps is at most the sum over reps of the chances to pass the bound, which is what
    the share over all reps holds down; it is fine-grained however many reps there are.
    """
    if not len(lasting):
        return lasting
    ordered = np.sort(pools.reshape(len(pools), -1), axis=1)
    size = ordered.shape[1]
    shares = [(1 + size - np.searchsorted(row, lasting, side="left")) / (1 + size) for row in ordered]
    return np.asarray(false_discovery_control(np.max(shares, axis=0)))


def _with_slump(mean: Floats, depth: float, months: int) -> Floats:
    """Means [history, month] with the last months cut to a share."""
    share = np.ones(mean.shape[1])
    share[-months:] = depth
    return mean * share


def area_under_curve(positive: Floats, negative: Floats) -> float:
    """Chance that a positive scores higher than a negative, ties half: the area under the ROC curve."""
    rank = rankdata(np.concatenate([positive, negative]))[: len(positive)].sum()
    return float((rank - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative)))
