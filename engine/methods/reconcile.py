"""Projection of forecasts of every series to coherent ones of the bottom series.

Wickramasuriya, Athanasopoulos and Hyndman (2019), "Optimal forecast reconciliation for hierarchical and grouped time
series through trace minimization", doi:10.1080/01621459.2018.1448825. With diagonal error variances it is weighted
least squares (WLS); with their covariance shrunk to the diagonal it is MinT.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from models.panel import Floats


def wls(summing: Floats, variances: Floats) -> Floats:
    """Projection [bottom, series] with error variances [series] of the base forecasts.

    With `variances` the number of bottom series under each series this is structural scaling; it needs no history.
    A variance at or near zero is raised to a millionth of their mean.
    """
    floor = max(float(variances.mean()) * 1e-6, np.finfo(float).tiny)
    weighted = summing.T / np.maximum(variances, floor)  # [bottom, series]
    return np.asarray(np.linalg.solve(weighted @ summing, weighted))


def mint(summing: Floats, errors: Floats) -> Floats:
    """Projection [bottom, series] from base errors [origin, series], correlations shrunk to none.

    The intensity is that of Schäfer and Strimmer (2005), doi:10.2202/1544-6115.1175. Fewer than three origins, or
    errors that do not vary, give `wls` on structural variances.
    """
    count, series = errors.shape
    spread = np.sqrt((errors**2).mean(axis=0)) if count else np.zeros(series)
    if count < 3 or not spread.any():
        return wls(summing, summing.sum(axis=1))
    spread = np.maximum(spread, 1e-6 * spread.max())
    scores = errors / spread
    correlation = scores.T @ scores / count
    noise = ((scores**2).T @ (scores**2) / count - correlation**2) / (count - 1)  # variance of each correlation
    off = ~np.eye(series, dtype=bool)
    signal = float((correlation[off] ** 2).sum())
    intensity = 1.0 if signal == 0 else min(1.0, max(0.01, float(noise[off].sum()) / signal))
    correlation[off] *= 1 - intensity
    np.fill_diagonal(correlation, 1.0)  # a series without any error would have none with itself either
    factor = cho_factor(correlation * np.outer(spread, spread))
    weighted = cho_solve(factor, summing).T  # [bottom, series]
    return np.asarray(np.linalg.solve(weighted @ summing, weighted))
