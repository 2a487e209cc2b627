"""From the targets of all folds to the one table: scores by origin, pooled, and differences to the engine."""

import numpy as np
import pandas as pd

from engine.methods.registry import CALL, ENGINE, LEGS
from engine.scoring import ACCURACY_FORMULA, block_bootstrap_error, score
from engine.seeds import seed_for
from engine.track_record import COLUMNS
from experiments.truth import QUANTILE_COLUMNS

ALL = "all"
"""Value of ``as_of`` in rows pooled over origins, and of ``weeks_in`` in rows pooled over weeks."""

MEANS = ["scrps", "wape", "bias", "accuracy"]


def backtest_table(targets: pd.DataFrame) -> pd.DataFrame:
    """Rows by origin, then pooled by week of the horizon, then over all origins.

    Parameters
    ----------
    targets : one row a company (several demo companies are told apart by ``company``), method, origin, level, member
        and period
    """
    by_origin = origin_scores(targets)
    weeks = sorted(by_origin["weeks_in"].unique())
    parts = [_pooled(by_origin[by_origin["weeks_in"] == week], week) for week in weeks] if len(weeks) > 1 else []
    table = pd.concat([_against(by_origin), *parts, _pooled(by_origin, ALL)], ignore_index=True)
    return table.assign(accuracy_formula=ACCURACY_FORMULA)[COLUMNS]


def origin_scores(targets: pd.DataFrame) -> pd.DataFrame:
    """Scores of every company, method, level and origin."""
    keys = ["company", "method", "level", "as_of", "weeks_in"]
    rows = []
    for key, group in targets.groupby(keys, sort=False):
        scores = score(group["actual"].to_numpy(dtype=float), group[QUANTILE_COLUMNS].to_numpy(dtype=float))
        rows.append(dict(zip(keys, key, strict=True)) | vars(scores))
    return pd.DataFrame(rows)


def _against(by_origin: pd.DataFrame) -> pd.DataFrame:
    """Value added over the call, and difference to the engine, origin by origin."""
    keys = ["company", "level", "as_of"]
    call = by_origin[by_origin["method"] == CALL].set_index(keys)["wape"]
    engine = by_origin[by_origin["method"] == reference(by_origin)].set_index(keys)["scrps"]
    at = pd.MultiIndex.from_frame(by_origin[keys])
    return by_origin.assign(
        value_added_over_call=call.reindex(at).to_numpy() - by_origin["wape"].to_numpy(),
        difference_to_engine=by_origin["scrps"].to_numpy() - engine.reindex(at).to_numpy(),
        standard_error=np.nan,
    )


def reference(by_origin: pd.DataFrame) -> str:
    """The engine: its combination where there is one, else its legs."""
    return ENGINE if (by_origin["method"] == ENGINE).any() else LEGS


def _pooled(by_origin: pd.DataFrame, week: object) -> pd.DataFrame:
    """One row a method and level: paired means over the origins at which the method answered."""
    compared = _against(by_origin)
    rows = []
    for (method, level), group in compared.groupby(["method", "level"], sort=False):
        group = group.sort_values(["company", "as_of"])
        difference = group["difference_to_engine"].dropna().to_numpy()
        rng = np.random.default_rng(seed_for(0, f"{method} {level} {week}"))
        row = {"method": method, "level": level, "as_of": ALL, "weeks_in": week, "n": int(group["n"].sum())}
        row |= {name: float(group[name].mean()) for name in MEANS}
        for name in ("coverage50", "coverage80", "coverage95"):
            row[name] = float(np.average(group[name], weights=group["n"]))
        row["value_added_over_call"] = float(group["value_added_over_call"].mean())
        row["difference_to_engine"] = float(difference.mean()) if len(difference) else np.nan
        row["standard_error"] = block_bootstrap_error(difference, rng)
        rows.append(row)
    return pd.DataFrame(rows)


def readable(table: pd.DataFrame) -> str:
    """The pooled part for a terminal: best scaled CRPS first, level by level."""
    pooled = table[table["as_of"] == ALL].drop(columns=["as_of", "accuracy_formula"])
    order = {level: i for i, level in enumerate(pooled["level"].unique())}
    pooled = pooled.assign(_level=pooled["level"].map(order), _week=pooled["weeks_in"].astype(str).ne(ALL))
    pooled = pooled.sort_values(["_week", "weeks_in", "_level", "scrps"], key=_sortable)
    return pooled.drop(columns=["_level", "_week"]).to_string(index=False, float_format="{:.3f}".format, na_rep="")


def _sortable(column: pd.Series) -> pd.Series:
    """Mixed weeks (numbers and ``all``) as texts."""
    return column.astype(str).str.zfill(4) if column.name == "weeks_in" else column
