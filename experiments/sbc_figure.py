"""Figure of simulation-based calibration: per quantity the ECDF of the ranks less that of uniform ones, with its band.

References
----------
Saeilynoja, Buerkner and Vehtari (2022), doi:10.1007/s11222-022-10090-6.
"""

import textwrap
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from experiments.sbc_ranks import LEVEL, Null, band, null_of
from experiments.sbc_run import RANKED, SEED, Ranks
from models.panel import Ints

COLUMNS = 7
FONT, WIDTH = 6.5, 25
DOTS, COLOURS = 100, 24
LOOK: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "calibration",
    "font.size": FONT,
    "path.simplify_threshold": 0.5,
}


def draw(ranks: Ranks, table: pd.DataFrame, path: Path) -> None:
    """Write one panel a quantity: dark band for a single test at the level, light for all after Bonferroni's share.

    Parameters
    ----------
    ranks : by model and quantity
    table : of `experiments.sbc_run.judge`, for the verdicts
    path : .svg or .png
    """
    rejected = set(table.loc[table["verdict"] != "uniform", ["model", "quantity"]].itertuples(index=False, name=None))
    nulls: dict[int, Null] = {}
    with mpl.rc_context(LOOK):
        rows = sum(-(-len(quantities) // COLUMNS) for quantities in ranks.values())
        figure = Figure(figsize=(COLUMNS * 1.6, rows * 1.25), layout="constrained")
        grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        first = 0
        for model, quantities in ranks.items():
            for i, (quantity, values) in enumerate(quantities.items()):
                if len(values) not in nulls:
                    nulls[len(values)] = null_of(len(values), RANKED, SEED)
                axes = grid[first + i // COLUMNS, i % COLUMNS]
                _panel(axes, values, nulls[len(values)], LEVEL / len(table))
                colour = "firebrick" if (model, quantity) in rejected else "black"
                title = textwrap.fill(f"{model.replace('_', ' ')}: {quantity}", WIDTH)
                axes.set_title(title, fontsize=FONT, color=colour)
            first += -(-len(quantities) // COLUMNS)
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    """Write the figure; a .png with few colours, which is a third of the size."""
    if path.suffix != ".png":
        figure.savefig(path, metadata={"Date": None})
        return
    picture = BytesIO()
    figure.savefig(picture, dpi=DOTS)
    Image.open(picture).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def _panel(axes: Axes, ranks: Ints, null: Null, strict: float) -> None:
    """One quantity."""
    axes.set_axis_on()
    at = np.arange(1, null.draws + 1) / (null.draws + 1)
    for level, colour in ((strict, "#e6ebf2"), (LEVEL, "#c3d0e3")):
        low, high = band(null, level)
        axes.fill_between(at, low / null.fits - at, high / null.fits - at, color=colour, linewidth=0, step="mid")
    below = np.cumsum(np.bincount(ranks, minlength=null.draws + 1))[:-1]
    axes.plot(at, below / null.fits - at, color="black", linewidth=0.7)
    axes.set_xticks([0, 1], ["0", "1"])
    axes.set_yticks([-0.1, 0, 0.1])
    axes.spines[["top", "right"]].set_visible(False)
