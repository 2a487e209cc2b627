"""The models of the win-loss study, one protocol: training rows with outcome and test rows in, chances to win out."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array
from scipy.special import logit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, train_test_split

from engine.seeds import seed_for
from models.win_factors import views_of
from models.win_probability import fit_win_probability, win_chances
from models.win_settings import WinSettings
from models.win_table import WinTable, coded, learn_coding

Columns = dict[str, np.ndarray]

LEAVES = (8, 16, 32, 64)
"""Sizes of the boosted trees that are tried."""

MOST_CATEGORIES = 255
"""Most categories of a column that the boosting library takes; rarer ones are put together."""

LOGIT_BINS = 32
"""Quantile bins of an ordered column in the logit with main effects."""

INNER_FOLDS = 5
"""Folds of the training part that give its rows a boosted score that did not see them."""

SCORE = "boosted score"


@dataclass(frozen=True)
class Part:
    """What a model is given in one fold.

    Attributes
    ----------
    train : columns of the training rows
    won : [training row] 1 or 0
    test : columns of the rows to predict
    tuning : leaves and rounds of the boosted trees, found in the training rows
    seed : of everything random in this fold
    """

    train: Columns
    won: np.ndarray
    test: Columns
    tuning: tuple[int, int]
    seed: int

    @property
    def nobody(self) -> np.ndarray:
        """Zeros [test row]: outcomes of the rows to predict are not told."""
        return np.zeros(len(next(iter(self.test.values()))))


Method = Callable[[Part], np.ndarray]
"""To chances [test row]."""


def rows(columns: Columns, chosen: np.ndarray) -> Columns:
    """Some rows of all columns."""
    return {name: column[chosen] for name, column in columns.items()}


def base_rate(part: Part) -> np.ndarray:
    """The share won in the training part."""
    return part.nobody + part.won.mean()


def main_effects(part: Part) -> np.ndarray:
    """Logit with main effects, ordered columns in 32 quantile bins, scikit-learn's default ridge."""
    coding = learn_coding(part.train)
    table, other = coded(part.train, coding, part.won), coded(part.test, coding, part.nobody)
    views = {view.covariate: view.level for view in views_of(table, (LOGIT_BINS,))}  # the last view is the coarsest
    model = LogisticRegression(max_iter=1000).fit(_indicators(table, views), part.won)
    return model.predict_proba(_indicators(other, views))[:, 1]


def boosting(part: Part) -> np.ndarray:
    """Gradient boosting, tuned inside the training part."""
    return _boosted(part.train, part.won, part.test, (*part.tuning, part.seed))


def hierarchical(part: Part) -> np.ndarray:
    """The engine's hierarchical logit."""
    coding = learn_coding(part.train)
    model = fit_win_probability(coded(part.train, coding, part.won), WinSettings(), seed_for(part.seed, "fit"))
    return win_chances(model, coded(part.test, coding, part.nobody), seed_for(part.seed, "predict")).mean(axis=1)


def stacked(part: Part) -> np.ndarray:
    """The hierarchical logit with a boosted score as one covariate more.

    A training row's score comes from a fit to other training rows, a test row's from a fit to all of them.
    """
    how = (*part.tuning, part.seed)
    inside = np.zeros(len(part.won))
    folds = StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=seed_for(part.seed, "inner") % 2**32)
    for fit, held in folds.split(part.won, part.won):
        inside[held] = _boosted(rows(part.train, fit), part.won[fit], rows(part.train, held), how)
    train = {**part.train, SCORE: logit(inside)}
    test = {**part.test, SCORE: logit(boosting(part))}
    return hierarchical(replace(part, train=train, test=test))


METHODS: dict[str, Method] = {
    "base rate": base_rate,
    "logit, main effects": main_effects,
    "gradient boosting": boosting,
    "engine hierarchical": hierarchical,
    "engine hierarchical + boosted score": stacked,
}
"""By the name in the table; the engine's own begin with `engine`."""


def tuned(train: Columns, won: np.ndarray, seed: int) -> tuple[int, int]:
    """Leaves and rounds (by early stopping) of boosted trees: lowest log loss on a fifth of the training part."""
    fit, held = train_test_split(
        np.arange(len(won)), test_size=0.2, stratify=won, random_state=seed_for(seed, "tune") % 2**32
    )
    here, categorical = _matrix(rows(train, fit), rows(train, fit))
    there, _ = _matrix(rows(train, fit), rows(train, held))
    tried = []
    for leaves in LEAVES:
        model = _machine(leaves, 500, categorical, seed).set_params(early_stopping=True, n_iter_no_change=15)
        model.fit(here, won[fit], X_val=there, y_val=won[held])
        tried.append((log_loss(won[held], model.predict_proba(there)[:, 1]), leaves, model.n_iter_))
    _, leaves, rounds = min(tried)
    return leaves, rounds


def _boosted(train: Columns, won: np.ndarray, test: Columns, how: tuple[int, int, int]) -> np.ndarray:
    leaves, rounds, seed = how
    here, categorical = _matrix(train, train)
    there, _ = _matrix(train, test)
    return _machine(leaves, rounds, categorical, seed).fit(here, won).predict_proba(there)[:, 1]


def _machine(leaves: int, rounds: int, categorical: list[bool], seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=rounds,
        max_leaf_nodes=leaves,
        categorical_features=categorical,
        early_stopping=False,
        random_state=seed_for(seed, "boosting") % 2**32,
    )


def _matrix(train: Columns, wanted: Columns) -> tuple[np.ndarray, list[bool]]:
    """Numbers as they are, categories by falling frequency in the training part, unknown ones missing."""
    coding = learn_coding(train)
    table = coded(wanted, coding, np.zeros(len(next(iter(wanted.values())))))
    parts, categorical = [], []
    for c, (name, kind) in enumerate(coding.items()):
        categorical.append(not kind.ordered)
        if kind.ordered:
            parts.append(wanted[name].astype(float))
            continue
        seen = np.searchsorted(kind.categories, train[name].astype(str))
        place = np.argsort(np.argsort(-np.bincount(seen, minlength=kind.levels), kind="stable"))
        codes = table.codes[:, c]
        parts.append(np.where(codes < 0, np.nan, np.minimum(place[codes], MOST_CATEGORIES - 1)))
    return np.stack(parts, axis=1), categorical


def _indicators(table: WinTable, views: dict[int, np.ndarray]) -> csr_array:
    """Ones [row, level] of every covariate's coarsest view; unknown levels have none."""
    blocks, shift = [], 0
    for covariate, level in views.items():
        codes = level[table.codes[:, covariate]]
        blocks.append(np.where(codes < 0, -1, codes + shift))
        shift += int(level.max()) + 1
    columns = np.stack(blocks, axis=1)
    row = np.repeat(np.arange(len(columns)), columns.shape[1])
    known = columns.ravel() >= 0
    return csr_array((np.ones(int(known.sum())), (row[known], columns.ravel()[known])), shape=(len(columns), shift))
