"""The Schaake shuffle: new values in the order of old paths, so that what hangs together keeps doing so.

References
----------
Clark et al. (2004), The Schaake shuffle, doi:10.1175/1525-7541(2004)005<0243:TSSAMF>2.0.CO;2.
"""

import numpy as np

from models.panel import Floats


def in_order_of(template: Floats, ascending: Floats) -> Floats:
    """Values put back so that, entry by entry, they rank over paths as the template does.

    Parameters
    ----------
    template : [path, ...]
    ascending : [path, ...] values sorted along the first axis

    Examples
    --------
    >>> in_order_of(np.array([5.0, 1.0, 3.0]), np.array([10.0, 20.0, 30.0])).tolist()
    [30.0, 10.0, 20.0]
    """
    ranks = np.argsort(np.argsort(template, axis=0, kind="stable"), axis=0, kind="stable")
    return np.asarray(np.take_along_axis(ascending, ranks, axis=0))
