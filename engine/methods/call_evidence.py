"""The engine's paths in the light of the reps' calls: a call is one more measurement, with its own bias and noise.

What a rep says will still come, ``c``, is taken as

    ``log c = level + slope * log R + habit * log usual + rep + noise``

where ``R`` is what really came and ``usual`` what usually comes to the rep at this point of a horizon. Level, slope,
habit, the reps' biases and the (heavy-tailed) noise are learned on horizons that ended by the as-of date. By Bayes'
rule each rep's paths are weighted by the likelihood of the call; the weighted quantiles go back onto the paths in their
old order, so what reps, territories and months have in common stays (Schaake shuffle).

References
----------
Clark et al. (2004), The Schaake shuffle, doi:10.1175/1525-7541(2004)005<0243:TSSAMF>2.0.CO;2.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from engine.methods.human_call import booked_by_rep, calls_on
from engine.methods.protocol import Forecast, MethodUnavailableError, Question
from engine.methods.snapshots import Past, Snapshot, look_back
from models.panel import NONE, Floats, Panel

TAIL = 4.0
"""Degrees of freedom of the noise: a call may be far off."""

PRIOR_CALLS = 3.0
"""Calls that the team's bias is worth beside a rep's own."""

FEWEST_CALLS = 30
"""Calls of ended horizons below which nothing is learned."""

FLOOR = 0.05
"""Share of a usual rep's revenue below which amounts count as equal."""


@dataclass(frozen=True)
class CallModel:
    """What calls say.

    Attributes
    ----------
    level, slope, habit : coefficients above
    rep : [rep] bias
    noise : scale of the Student noise
    floor : money added to every amount before its log
    """

    level: float
    slope: float
    habit: float
    rep: Floats
    noise: float
    floor: float

    def log_likelihood(self, call: float, to_come: Floats, usual: float, rep: int) -> Floats:
        """Log likelihood [path] of one rep's call, were ``to_come`` [path] to come."""
        mean = self.level + self.slope * np.log(to_come + self.floor) + self.habit * np.log(usual + self.floor)
        away = (np.log(call + self.floor) - mean - self.rep[rep]) / self.noise
        return np.asarray(student.logpdf(away, TAIL))


def weigh(panel: Panel, question: Question, forecast: Forecast) -> Forecast:
    """Condition paths on the calls known on the day.

    Raises
    ------
    MethodUnavailableError
        Without calls for this horizon, or too few for ended ones to know what they are worth.
    """
    past = look_back(panel, question)
    called = calls_on(panel, past.now)
    model = learn(panel, past)
    usual = _usual(past, past.before)
    booked = booked_by_rep(past, past.now)
    total = forecast.total.astype(float)
    for rep in np.flatnonzero(~np.isnan(called)):
        mine = np.flatnonzero(forecast.places.rep == rep)
        to_come = np.maximum(total[:, mine].sum(axis=(1, 2)) - booked[rep], 0.0)
        if not (to_come > 0).any():
            continue
        call = max(float(called[rep] - booked[rep]), 0.0)
        weight = model.log_likelihood(call, to_come, float(usual[rep]), int(rep))
        after = _reweighted(to_come, np.exp(weight - weight.max()))
        factor = np.divide(after, to_come, out=np.zeros_like(after), where=to_come > 0)
        certain = total[:, mine].min(axis=0)  # what is booked is in every path
        total[:, mine] = certain + (total[:, mine] - certain) * factor[:, None, None]
    return Forecast(forecast.places, total.astype(np.float32))


def learn(panel: Panel, past: Past) -> CallModel:
    """Least squares over reps and ended horizons, the reps' biases shrunk to zero.

    Raises
    ------
    MethodUnavailableError
        With fewer than `FEWEST_CALLS` calls.
    """
    rows = []
    for i, then in enumerate(past.before):
        try:
            called = calls_on(panel, then)
        except MethodUnavailableError:
            continue
        came = _by_rep(past, then.remaining.sum(axis=1))
        usual = _usual(past, past.before[:i] + past.before[i + 1 :])
        seen = np.flatnonzero(~np.isnan(called))
        call = np.maximum(called - booked_by_rep(past, then), 0.0)
        rows.append(np.column_stack([seen, call[seen], np.maximum(came[seen], 0.0), usual[seen]]))
    table = np.concatenate(rows) if rows else np.zeros((0, 4))
    if len(table) < FEWEST_CALLS:
        raise MethodUnavailableError(f"needs {FEWEST_CALLS} calls for horizons that have ended, got {len(table)}")
    floor = FLOOR * float(np.median(table[:, 2][table[:, 2] > 0])) if (table[:, 2] > 0).any() else 1.0
    logs = np.log(table[:, 1:] + floor)
    design = np.column_stack([np.ones(len(logs)), logs[:, 1], logs[:, 2]])
    ridge = np.diag([0.0, 1.0, 1.0])
    weight = np.ones(len(logs))
    for _ in range(20):  # iteratively reweighted: the maximum of a Student likelihood
        left = design.T @ (design * weight[:, None]) + ridge
        coefficients = np.linalg.solve(left, design.T @ (weight * logs[:, 0]) + ridge @ np.array([0.0, 1.0, 0.0]))
        residual = logs[:, 0] - design @ coefficients
        rep, number = table[:, 0].astype(int), np.zeros(len(panel.reps.labels))
        np.add.at(number, rep, weight)
        bias = np.bincount(rep, weight * residual, minlength=len(number)) / (number + PRIOR_CALLS)
        left_over = residual - bias[rep]
        noise = max(float(np.sqrt(np.mean(weight * left_over**2))), 0.02)
        weight = (TAIL + 1) / (TAIL + (left_over / noise) ** 2)
    level, slope, habit = (float(value) for value in coefficients)
    return CallModel(level, slope, habit, bias, noise, floor)


def _usual(past: Past, others: tuple[Snapshot, ...]) -> Floats:
    """[rep] mean of what came at this point of other horizons, halfway to the team's."""
    if not others:
        return np.ones(len(past.panel.reps.labels))
    came = np.array([_by_rep(past, other.remaining.sum(axis=1)) for other in others])
    active = came > 0
    team = float(came[active].mean()) if active.any() else 1.0
    own = np.maximum(came, 0.0).sum(axis=0)
    return (own + team) / (active.sum(axis=0) + 1)


def _by_rep(past: Past, values: Floats) -> Floats:
    known = past.places.rep != NONE
    return np.bincount(past.places.rep[known], values[known], minlength=len(past.panel.reps.labels))


def _reweighted(values: Floats, weight: Floats) -> Floats:
    """Values [path] whose distribution is the weighted one, in the order of the old ones."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weight[order])
    cumulative = (cumulative - 0.5 * weight[order]) / cumulative[-1]
    wanted = (np.arange(len(values)) + 0.5) / len(values)
    after = np.empty_like(values)
    after[order] = np.interp(wanted, cumulative, values[order])
    return after
