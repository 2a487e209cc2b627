"""Plotly's own script, compressed once for a page that works offline."""

import base64
import gzip
from functools import lru_cache
from importlib import resources


@lru_cache
def plotly_script() -> str:
    """``plotly.min.js`` as it is."""
    return resources.files("plotly").joinpath("package_data/plotly.min.js").read_text(encoding="utf-8")


@lru_cache
def compressed_plotly() -> str:
    """The script, gzipped without a time and in base64: two megabytes instead of five.

    The page unpacks it with ``DecompressionStream``, which all browsers have since 2023; one without shows the tables
    and says why there are no figures.
    """
    return base64.b64encode(gzip.compress(plotly_script().encode("utf-8"), 9, mtime=0)).decode("ascii")
