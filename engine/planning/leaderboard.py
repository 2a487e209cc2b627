"""The question ``leaderboard``: the chance of each rank of every rep over simulated futures."""

from typing import cast

import numpy as np
import pandas as pd
from pydantic import BaseModel
from scipy.stats import rankdata

from engine.config import RunOptions
from engine.errors import InputRefusedError, Problem
from engine.finished import FinishedRun
from engine.planning.leaderboard_settings import LeaderboardSettings
from engine.planning.questions import Answer
from engine.planning.quotas import capacity
from engine.planning.rep_names import with_names
from models.panel import Floats, Ints, Labels

PATHS_AT_ONCE = 2_000
"""Paths ranked at a time, so that memory does not grow with paths x reps."""

SMALLEST = 0.0005
"""Chances below this have no row in the table of ranks."""

MOST_COMPARISONS = 100_000_000
"""Pairs of reps x paths compared at most; beyond that every few paths stand for all."""

MOST_RANKS = 50
"""Ranks in the table of ranks; the others are summed up in the table of reps."""


def answer(run: FinishedRun, settings: BaseModel, _options: RunOptions) -> Answer:
    """Rank the reps who sell in the horizon on every stored path.

    Raises
    ------
    InputRefusedError
        When fewer than two reps can be ranked.
    """
    asked = cast(LeaderboardSettings, settings)
    reps, value, left_out = ranked_values(run, asked.by)
    if len(reps) < 2:
        allowed = "at least two active reps" + (" with a quota" if asked.by == "attainment" else "")
        raise InputRefusedError([Problem("leaderboard", f"{len(reps)} reps to rank", allowed, "rank by revenue")])
    chance = rank_chances(value)
    labels = Labels(run.panel.reps.labels.ids[reps], run.panel.reps.labels.names[reps])
    board = leaderboard_table(labels, value, chance, asked.top)
    tables = {"leaderboard": board, "leaderboard_ranks": ranks_table(labels, chance)}
    horizon = run.config.horizon
    first = chance[:, 0]
    contenders, agreed = float((chance[:, : asked.top].sum(axis=1) >= 0.1).sum()), certainty(value)
    lines = (
        f"{len(reps)} reps on {len(value):,} simulated futures, ranked by {asked.by}.",
        f"The most likely winner wins with a chance of {first.max():.0%}. Reps with at least 5 % to win: "
        f"{int((first >= 0.05).sum())}; with at least 10 % for the top {asked.top}: {int(contenders)}.",
        f"Of two reps drawn at random, the one ahead on average is ahead in the end with {agreed:.0%}.",
    )
    notes: tuple[str, ...] = ("Tied reps share the chances of the ranks they tie for.",)
    if left_out:
        notes += (f"{left_out} reps are left out: no quota over the horizon.",)
    title = f"Leaderboard by {asked.by}, {horizon.start} to {horizon.end}, as of {run.panel.as_of}"
    metrics = {
        "reps": float(len(reps)),
        "effective_contenders_for_first": float(1.0 / (first**2).sum()),
        "reps_with_a_tenth_for_the_top": contenders,
        "p_order_of_a_pair": agreed,
    }
    return Answer(title, with_names(run, tables), lines, metrics, notes, ("leaderboard",))


def ranked_values(run: FinishedRun, by: str) -> tuple[Ints, Floats, int]:
    """Reps employed in the horizon, what they are ranked by [path, rep], and how many have no quota to be ranked by."""
    horizon, labels = run.config.horizon, run.panel.reps.labels
    span = (horizon.first_month, horizon.first_month + horizon.months - 1)
    reps = np.flatnonzero(capacity(run.panel, *span) > 0)
    value = run.level("rep").total[:, reps].sum(axis=2, dtype=np.float64)
    if by == "revenue":
        return reps, value, 0
    book = run.quotas()
    quota = np.array([book.target("rep", str(key), *span)[0] for key in labels.ids[reps]], dtype=float)
    kept = quota > 0
    return reps[kept], value[:, kept] / quota[kept], int((~kept).sum())


def rank_chances(value: Floats) -> Floats:
    """Chance [rep, rank] of each rank, the highest value first; tied reps share the ranks they tie for.

    Parameters
    ----------
    value : [path, rep]
    """
    paths, reps = value.shape
    ends = np.zeros((reps, reps + 1))  # differences along the ranks: a tie of n adds 1 / n to each of n ranks
    for first in range(0, paths, PATHS_AT_ONCE):
        part = -value[first : first + PATHS_AT_ONCE]
        best = rankdata(part, method="min", axis=1).astype(np.int64) - 1
        worst = rankdata(part, method="max", axis=1).astype(np.int64)
        rep = np.broadcast_to(np.arange(reps), best.shape)
        weight = 1.0 / (worst - best)
        np.add.at(ends, (rep, best), weight)
        np.add.at(ends, (rep, worst), -weight)
    return np.cumsum(ends, axis=1)[:, :-1].clip(min=0.0) / paths


def leaderboard_table(reps: Labels, value: Floats, chance: Floats, top: int) -> pd.DataFrame:
    """One row a rep, the best mean rank first."""
    count = len(reps)
    rank = np.arange(1, count + 1)
    running = np.cumsum(chance, axis=1)
    quarter = max(1, round(count / 4))
    low, high = ((running < q - 1e-12).sum(axis=1) + 1 for q in (0.05, 0.95))
    frame = pd.DataFrame(
        {
            "rep": reps.ids,
            "rep_name": reps.names,
            "mean": value.mean(axis=0),
            "rank_mean": chance @ rank,
            "rank_p05": np.minimum(low, count),
            "rank_p95": np.minimum(high, count),
            "p_first": chance[:, 0],
            f"p_top_{min(top, count)}": running[:, min(top, count) - 1],
            "p_top_quarter": running[:, quarter - 1],
            "p_last_quarter": chance[:, count - quarter :].sum(axis=1),
        }
    )
    return frame.sort_values(["rank_mean", "rep"], ignore_index=True)


def ranks_table(reps: Labels, chance: Floats) -> pd.DataFrame:
    """One row a rep and rank with a chance worth telling, for the first ranks."""
    rep, place = np.nonzero(chance[:, :MOST_RANKS] >= SMALLEST)
    frame = pd.DataFrame(
        {"rep": reps.ids[rep], "rep_name": reps.names[rep], "rank": place + 1, "chance": chance[rep, place]}
    )
    return frame.sort_values(["rank", "chance", "rep"], ascending=[True, False, True], ignore_index=True)


def certainty(value: Floats) -> float:
    """Chance that of two reps the one with the higher mean is ahead, averaged over all pairs; ties count half."""
    reps = value.shape[1]
    step = max(1, len(value) * reps**2 // MOST_COMPARISONS)
    sorted_value = value[::step, np.argsort(-value.mean(axis=0), kind="stable")]
    won = 0.0
    for i in range(reps - 1):
        ahead = sorted_value[:, i : i + 1] - sorted_value[:, i + 1 :]
        won += float((ahead > 0).mean(axis=0).sum() + 0.5 * (ahead == 0).mean(axis=0).sum())
    return won / (reps * (reps - 1) / 2)
