"""Probability to win an opportunity from what is known before it closes, by partial pooling over many interactions.

`fit_win_probability` takes a table of codes and finds which combinations of covariates matter (`models.win_factors`),
fits all of them at once as pooled effects with learned scales and draws from the posterior (`models.crossed_logit`);
`win_chances` gives the chances of other rows, draw by draw. A combination that was not seen has an effect drawn from
its factor's prior, so a new kind of opportunity has an honest wide chance.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from models.crossed_logit import CrossedDraws, sample
from models.panel import Floats
from models.win_factors import Factor, View, key, search
from models.win_settings import WinSettings
from models.win_table import WinTable, summed


@dataclass(frozen=True)
class WinProbability:
    """A fitted model.

    Attributes
    ----------
    names : [covariate]
    views, factors : what the factors are
    draws : of the base and the effects
    cells : number of different rows that were fitted
    """

    names: tuple[str, ...]
    views: tuple[View, ...]
    factors: tuple[Factor, ...]
    draws: CrossedDraws
    cells: int

    def labels(self) -> list[str]:
        """Names of the factors, such as ``Region x Amount (8 bins)``."""
        return [" x ".join(self._label(self.views[i]) for i in factor.views) for factor in self.factors]

    def _label(self, view: View) -> str:
        return self.names[view.covariate] + (f" ({view.bins} bins)" if view.bins else "")


def fit_win_probability(table: WinTable, settings: WinSettings, seed: int) -> WinProbability:
    """Find the factors and draw from the posterior.

    Parameters
    ----------
    table : training rows
    settings : of search and sampler
    seed : of the draws

    Raises
    ------
    ValueError
        if the rows have only one outcome
    """
    won, count = table.success.sum(), table.count.sum()
    if not 0 < won < count:
        raise ValueError(f"{won:g} of {count:g} opportunities won: both outcomes are needed to learn a win probability")
    cells = summed(table)
    found = search(cells, settings)
    rng = np.random.default_rng(seed)
    draws = sample(found.cells, found.mode, (settings.warmup, settings.draws), settings.largest_scale, rng)
    return WinProbability(table.names, found.views, found.factors, draws, len(cells.count))


def win_chances(model: WinProbability, table: WinTable, seed: int) -> Floats:
    """Chances [row, draw] to win; their mean over draws is the predictive probability.

    Parameters
    ----------
    model : fitted
    table : rows under the coding that the model was fitted with; their outcomes are not looked at
    seed : of the effects of combinations that were not seen

    Raises
    ------
    ValueError
        if the covariates are not those of the model
    """
    if table.names != model.names:
        raise ValueError(f"covariates {list(table.names)}; the model knows {list(model.names)} in this order")
    rng = np.random.default_rng(seed)
    line = np.tile(model.draws.base, (len(table.codes), 1))
    for factor, effects, scale in zip(model.factors, model.draws.effects, model.draws.scale, strict=True):
        keys = key(table, model.views, factor.views)
        place = np.minimum(np.searchsorted(factor.keys, keys), len(factor.keys) - 1)
        seen = factor.keys[place] == keys
        line[seen] += effects[place[seen]]
        unseen, row = np.unique(keys[~seen], return_inverse=True)
        line[~seen] += (scale * rng.normal(size=(len(unseen), line.shape[1])))[row]
    return expit(line)
