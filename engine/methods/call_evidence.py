"""The engine's paths in the light of the reps' calls: a call is one more measurement, with its own bias and noise.

What a rep says will still come, ``c``, is taken as

    ``log c = level + slope * log R + habit * log usual + rep + mood + noise``

where ``R`` is what really came after it and ``usual`` what usually comes to the rep at this point of a horizon. Level,
slope, habit, the reps' biases, the mood of a whole horizon and the (heavy-tailed) noise are learned on horizons that
ended by the as-of date. By Bayes' rule each rep's paths are weighted by the likelihood of the call; the weighted
quantiles go back onto the paths in their old order, so what reps, territories and months have in common stays (Schaake
shuffle).

The mood keeps forty calls from passing for forty independent measurements of the company. On a path the mean of the
calls' deviations would be mood and averaged noise, which weighs the path as a whole; what is left of each call, after
the mood expected on that path, weighs the rep.

References
----------
Clark et al. (2004), The Schaake shuffle, doi:10.1175/1525-7541(2004)005<0243:TSSAMF>2.0.CO;2.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from engine.methods.human_call import booked_by_rep, by_rep, calls_on
from engine.methods.protocol import Forecast, MethodUnavailableError, Question
from engine.methods.snapshots import Past, Snapshot, look_back
from models.panel import Floats, Ints, Panel

TAIL = 4.0
"""Degrees of freedom of the noise: a call may be far off."""

PRIOR_CALLS = 3.0
"""Calls that the team's bias is worth beside a rep's own."""

FEWEST_CALLS = 30
"""Calls of ended horizons below which nothing is learned."""

USUAL_MOOD, PRIOR_HORIZONS = 0.1, 2.0
"""Prior of what all calls of a horizon are off by, and the horizons it is worth."""

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
    mood : SD of what all calls of a horizon are off by
    floor : money added to every amount before its log
    """

    level: float
    slope: float
    habit: float
    rep: Floats
    noise: float
    mood: float
    floor: float

    def off(self, call: Floats, to_come: Floats, usual: Floats, rep: Ints) -> Floats:
        """Deviation [path, caller] of the calls [caller] from what they would be, were ``to_come`` [path, caller]."""
        mean = self.level + self.slope * np.log(to_come + self.floor) + self.habit * np.log(usual + self.floor)
        return np.asarray(np.log(call + self.floor) - mean - self.rep[rep])

    def weights(self, off: Floats) -> Floats:
        """Weight [path, caller] of every path for every caller, the largest of a caller being one."""
        common = off.mean(axis=1, keepdims=True)
        spread = self.mood**2 + self.noise**2 / off.shape[1]
        own = off - common * self.mood**2 / spread
        log_weight = student.logpdf(own / self.noise, TAIL) - 0.5 * common**2 / spread
        return np.asarray(np.exp(log_weight - log_weight.max(axis=0)))


def weigh(panel: Panel, question: Question, forecast: Forecast) -> Forecast:
    """Condition paths on the calls known on the day.

    Raises
    ------
    MethodUnavailableError
        Without calls for this horizon, or too few for ended ones to know what they are worth.
    """
    past = look_back(panel, question)
    said = calls_on(past, past.now)
    model = learn(panel, past)
    booked = booked_by_rep(past, past.now)
    total = forecast.total.astype(float)
    mine = {rep: np.flatnonzero(forecast.places.rep == rep) for rep in np.flatnonzero(~np.isnan(said.call)).tolist()}
    sums = {rep: np.maximum(total[:, at].sum(axis=(1, 2)) - booked[rep], 0.0) for rep, at in mine.items()}
    callers = np.array([rep for rep, to_come in sums.items() if (to_come > 0).any()], dtype=np.int64)
    if not len(callers):
        return forecast
    to_come = np.stack([sums[rep] for rep in callers.tolist()], axis=1)
    since_call = to_come + np.maximum(said.since[callers], 0.0)
    weight = model.weights(model.off(said.to_come[callers], since_call, _usual(past, past.before)[callers], callers))
    for i, rep in enumerate(callers.tolist()):
        after = _reweighted(to_come[:, i], weight[:, i])
        factor = np.divide(after, to_come[:, i], out=np.zeros_like(after), where=to_come[:, i] > 0)
        certain = total[:, mine[rep]].min(axis=0)  # what is booked is in every path
        total[:, mine[rep]] = certain + (total[:, mine[rep]] - certain) * factor[:, None, None]
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
            said = calls_on(past, then)
        except MethodUnavailableError:
            continue
        came = np.maximum(by_rep(past, then.remaining.sum(axis=1)) + said.since, 0.0)
        usual = _usual(past, past.before[:i] + past.before[i + 1 :])
        seen = np.flatnonzero(~np.isnan(said.call))
        rows.append(np.column_stack([seen, said.to_come[seen], came[seen], usual[seen], np.full(len(seen), i)]))
    table = np.concatenate(rows) if rows else np.zeros((0, 5))
    if len(table) < FEWEST_CALLS:
        raise MethodUnavailableError(f"needs {FEWEST_CALLS} calls for horizons that have ended, got {len(table)}")
    floor = FLOOR * float(np.median(table[:, 2][table[:, 2] > 0])) if (table[:, 2] > 0).any() else 1.0
    logs = np.log(table[:, 1:4] + floor)
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
    return CallModel(level, slope, habit, bias, noise, _mood(left_over, table[:, 4].astype(int), noise), floor)


def _mood(left_over: Floats, horizon: Ints, noise: float) -> float:
    """SD of the horizons' mean deviations beyond what noise explains, `PRIOR_HORIZONS` of `USUAL_MOOD` beside them."""
    _, place, number = np.unique(horizon, return_inverse=True, return_counts=True)
    mean = np.bincount(place, left_over) / number
    beyond = np.maximum(mean**2 - noise**2 / number, 0.0)
    return float(np.sqrt((beyond.sum() + PRIOR_HORIZONS * USUAL_MOOD**2) / (len(number) + PRIOR_HORIZONS)))


def _usual(past: Past, others: tuple[Snapshot, ...]) -> Floats:
    """[rep] mean of what came at this point of other horizons, halfway to the team's."""
    if not others:
        return np.ones(len(past.panel.reps.labels))
    came = np.array([by_rep(past, other.remaining.sum(axis=1)) for other in others])
    active = came > 0
    team = float(came[active].mean()) if active.any() else 1.0
    own = np.maximum(came, 0.0).sum(axis=0)
    return (own + team) / (active.sum(axis=0) + 1)


def _reweighted(values: Floats, weight: Floats) -> Floats:
    """Values [path] whose distribution is the weighted one, in the order of the old ones."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weight[order])
    cumulative = (cumulative - 0.5 * weight[order]) / cumulative[-1]
    wanted = (np.arange(len(values)) + 0.5) / len(values)
    after = np.empty_like(values)
    after[order] = np.interp(wanted, cumulative, values[order])
    return after
