"""Regression of what a horizon still brings on what a place shows at its beginning: a ridge on square roots."""

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from engine.methods.error_paths import monthly, with_errors
from engine.methods.protocol import Forecast, Question, booked_by_place
from engine.methods.snapshots import Past, Snapshot, look_back
from models.panel import Floats, Panel

PENALTIES = np.logspace(-2, 4, 13)
YEAR, HALF, QUARTER = 12, 6, 3


def forecast(panel: Panel, question: Question) -> Forecast:
    """Pipeline, booked so far, revenue of the last quarter, half year and year: weights by cross-validated ridge."""
    past = look_back(panel, question)
    months = np.arange(question.months[0] - 120, question.months[-1] + 1)
    revenue = booked_by_place(panel, past.places, months)

    def rule(now: Snapshot, others: tuple[Snapshot, ...]) -> Floats:
        design = np.concatenate([_features(past, other, revenue, months[0]) for other in others])
        outcome = np.concatenate([other.remaining.sum(axis=1) for other in others])
        model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(design, np.sqrt(np.maximum(outcome, 0.0)))
        root = model.predict(_features(past, now, revenue, months[0]))
        # The mean of a square is the square of the mean plus the variance, here that of the ridge's own misses.
        spread = float(np.mean((np.sqrt(np.maximum(outcome, 0.0)) - model.predict(design)) ** 2))
        return monthly(np.maximum(root, 0.0) ** 2 + spread * (root > 0), now, others)

    return with_errors(rule, past, question)


def _features(past: Past, when: Snapshot, revenue: Floats, first_month: int) -> Floats:
    """[place, feature] square roots of money known on the day."""
    places = len(past.places)
    last = int(when.day.astype("datetime64[M]").astype(np.int64)) - first_month  # the running month is not looked at
    sums = [revenue[:, max(last - back, 0) : last].sum(axis=1) for back in (QUARTER, HALF, YEAR)]
    year_ago = revenue[:, max(last - YEAR, 0) : max(last - YEAR + len(when.months), 0)].sum(axis=1)
    pipeline = np.bincount(when.place, when.amount, minlength=places)
    young = np.bincount(when.place, when.amount * (when.age < 8), minlength=places)
    number = np.bincount(when.place, minlength=places)
    return np.sqrt(
        np.maximum(np.column_stack([*sums, year_ago, pipeline, young, number, when.booked.sum(axis=1)]), 0.0)
    )
