"""Automatic ARIMA of every series (statsforecast), reconciled with MinT: slow, so it is only asked by name.

References
----------
Hyndman and Khandakar (2008), Automatic time series forecasting, doi:10.18637/jss.v027.i03.
"""

from engine.methods.ets import reconciled
from engine.methods.series import Series
from models.panel import Floats


def draw(history: Series, horizon: int, paths: int, seed: int) -> Floats:
    """Joint paths [path, bottom, horizon].

    Raises
    ------
    StatsforecastMissingError
        Where statsforecast is not installed.
    """
    return reconciled(history, horizon, paths, seed, "AutoARIMA")
