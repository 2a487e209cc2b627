"""Win-probability weighted: a logistic regression of "won within the horizon" on what an open deal shows today."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from engine.methods.error_paths import monthly, with_errors
from engine.methods.protocol import Forecast, MethodUnavailableError, Question
from engine.methods.snapshots import Past, Snapshot, look_back
from models.panel import Floats, Panel

AGE_EDGES = np.array([2, 4, 8, 13, 18, 26])
"""Inner edges of the classes of age, weeks."""


def forecast(panel: Panel, question: Question) -> Forecast:
    """Chance to be won in the horizon times the amount, plus what deals not yet created brought in earlier horizons."""
    if not panel.has_pipeline:
        raise MethodUnavailableError("needs closed opportunities")
    past = look_back(panel, question)

    def rule(now: Snapshot, others: tuple[Snapshot, ...]) -> Floats:
        open_value = win_chances(past, now, others) * now.amount
        total = np.bincount(now.place, open_value, minlength=len(past.places)) + created_later(past, others)
        return monthly(total, now, others)

    return with_errors(rule, past, question)


def win_chances(past: Past, now: Snapshot, others: tuple[Snapshot, ...]) -> Floats:
    """[open] chance of every open deal to be won within the horizon, learned at the other horizons."""
    features = np.concatenate([_features(past, other) for other in others])
    won = np.concatenate([other.won > 0 for other in others])
    if not len(won) or won.all() or not won.any():
        return np.full(len(now.deal), float(won.mean()) if len(won) else 0.0)
    if not len(now.deal):
        return np.zeros(0)
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(max_iter=500).fit(scaler.transform(features), won)
    return model.predict_proba(scaler.transform(_features(past, now)))[:, 1]


def _features(past: Past, when: Snapshot) -> Floats:
    """Dummies of age class, stage and product, and the log of the amount [open, feature]."""
    products, stages = len(past.panel.products.labels), max(len(past.panel.stages), 1)
    product = past.panel.deals.product[when.deal]
    return np.column_stack(
        [
            np.eye(len(AGE_EDGES) + 1)[np.digitize(when.age, AGE_EDGES)],
            np.eye(stages)[when.stage],
            np.eye(products + 1)[product],
            np.log1p(np.maximum(when.amount, 0.0)),
        ]
    )


def created_later(past: Past, others: tuple[Snapshot, ...]) -> Floats:
    """[place] mean revenue of earlier horizons that was not won from the deals open at their beginning."""
    count = len(past.places)
    later = [other.remaining.sum(axis=1) - np.bincount(other.place, other.won, minlength=count) for other in others]
    return np.maximum(np.mean(later, axis=0), 0.0) if later else np.zeros(len(past.places))
