"""The question ``conversion``: stage conversion of every rep, shrunk, with the chance of being below the team."""

from typing import cast

import numpy as np
import pandas as pd
from pydantic import BaseModel

from engine.config import RunOptions
from engine.errors import InputRefusedError, Problem
from engine.finished import FinishedRun
from engine.planning.conversion_settings import ConversionSettings
from engine.planning.pooled_rates import chance_below_team, claims, pooled_rates
from engine.planning.questions import Answer
from engine.planning.rep_names import with_names
from engine.planning.stage_counts import HISTORY, StageCounts, stage_counts
from engine.seeds import seed_for
from models.panel import NONE, Bools, Floats, Ints, Panel
from models.win_rates import rep_win_probability

SMALLEST_TEAM = 3
"""Reps with deals below which a manager's team is too small to be compared with: the company stands in."""

LIKE_FOR_LIKE = "closed > won, like for like"
"""The step whose rates come from the posterior of the closing model: the same kind of deal for every rep."""


def answer(run: FinishedRun, settings: BaseModel, _options: RunOptions) -> Answer:
    """Compare every rep's conversion with the rest of the team.

    Raises
    ------
    InputRefusedError
        When no deal has closed, or none in the days asked for.
    """
    asked = cast(ConversionSettings, settings)
    panel = run.panel
    chosen = created_between(panel, asked)
    counts = stage_counts(panel, chosen)
    if not counts.tried[-1].any():
        mend = "widen since and until" if panel.has_pipeline else "conversion needs a table of opportunities"
        raise InputRefusedError([Problem("conversion", "no closed deal", "deals that were won or lost", mend)])
    rng = np.random.default_rng(seed_for(run.config.seed, "planning conversion"))
    team, standing_in = teams(panel, counts.tried[-1])
    steps, rates, notes = _rates(run, counts, asked.draws, rng)
    frame = conversion_table(panel, counts, (steps, rates), team, asked.error_rate)
    totals = steps_table(counts, (steps, rates))
    flagged = frame["called_below"]
    lines = (
        f"From {counts.source}: {int(counts.tried[-1].sum()):,} closed deals of {_reps(counts)} reps.",
        f"{frame.loc[flagged, 'rep'].nunique()} of {frame['rep'].nunique()} active reps are called below their team "
        f"somewhere ({int(flagged.sum())} of {len(frame)} pairs of rep and step); of these claims at most "
        f"{asked.error_rate:.0%} are expected to be wrong.",
    )
    notes += team_notes(standing_in) + (
        "Rates are shrunk towards the company's, the more the fewer deals a rep has. p_below: chance that the rep is "
        "below the rest of the team, deals as weights. called_below: of the reps called at a step at most the asked "
        "share is wrong on average, however many are compared; the steps of a rep go together and are not independent.",
    )
    metrics = {"pairs": float(len(frame)), "pairs_below": float(flagged.sum())}
    metrics |= {f"spread_step_{i}": float(spread) for i, spread in enumerate(totals["spread_mean"], 1)}
    tables = with_names(run, {"conversion": frame, "conversion_steps": totals, "conversion_below": frame[flagged]})
    title = f"Stage conversion of reps, as of {panel.as_of}"
    return Answer(title, tables, lines, metrics, notes, ("conversion_steps", "conversion_below"))


def created_between(panel: Panel, asked: ConversionSettings) -> Bools:
    """Deals [deal] created in the days asked for."""
    created, chosen = panel.deals.created, np.ones(len(panel.deals), dtype=bool)
    if asked.since is not None:
        chosen &= created >= np.datetime64(asked.since)
    if asked.until is not None:
        chosen &= created <= np.datetime64(asked.until)
    return chosen


def teams(panel: Panel, closed: Ints) -> tuple[Ints, int]:
    """Team [rep]: the manager's, NONE (the company) where it has too few reps with deals; and how many these are."""
    manager = panel.reps.manager
    sizes = np.bincount(manager[(manager != NONE) & (closed > 0)], minlength=len(panel.managers) + 1)
    small = (manager == NONE) | (sizes[manager] < SMALLEST_TEAM)
    return np.where(small, NONE, manager), int((small & (closed > 0)).sum())


def team_notes(standing_in: int) -> tuple[str, ...]:
    """What is said where reps are compared with the company."""
    if not standing_in:
        return ()
    return (f"{standing_in} reps have no team of {SMALLEST_TEAM} or more: the company stands in for it.",)


def _rates(
    run: FinishedRun, counts: StageCounts, draws: int, rng: np.random.Generator
) -> tuple[list[str], list[Floats], tuple[str, ...]]:
    """Names and draws [draw, rep] of every step, the closing model's last where the run has one."""
    steps = list(counts.steps)
    rates = [
        pooled_rates(tried, passed, draws, rng).rate for tried, passed in zip(counts.tried, counts.passed, strict=True)
    ]
    notes: tuple[str, ...] = ()
    if counts.source == HISTORY:
        notes = ("Deals still open count where they have passed a stage, not where they stand; undecided has them.",)
    else:
        notes = ("There is no stage history: won of closed deals only.",)
    if run.draws.closing is not None:
        steps.append(LIKE_FOR_LIKE)
        rates.append(rep_win_probability(run.draws.closing, run.panel))
        notes += (
            f"`{LIKE_FOR_LIKE}` is from the run's closing model, all deals: what is left of a rep when age, stage, "
            "size, segment, product, territory and month of the deals are the same for all.",
        )
    return steps, rates, notes


def conversion_table(
    panel: Panel, counts: StageCounts, found: tuple[list[str], list[Floats]], team: Ints, error_rate: float
) -> pd.DataFrame:
    """One row a step and active rep with a deal to judge by; the least likely to keep up with the team first."""
    steps, rates = found
    reps, managers = panel.reps.labels, panel.managers
    below, others, rows = np.full((len(steps), len(reps)), np.nan), np.full((len(steps), len(reps)), np.nan), []
    of_counts = [min(i, len(counts.steps) - 1) for i in range(len(steps))]  # the model's step has the last one's counts
    for i, rate in enumerate(rates):
        tried = counts.tried[of_counts[i]]
        below[i], others[i] = _against_team(rate, tried, team)
    below[:, ~panel.reps.active] = np.nan  # leavers are part of the team's record, but nobody coaches them
    value = np.stack([claims(step) for step in below])
    for i, rate in enumerate(rates):
        tried, passed, undecided = (part[of_counts[i]] for part in (counts.tried, counts.passed, counts.undecided))
        kept = np.flatnonzero((tried > 0) & panel.reps.active)
        low, high = np.quantile(rate[:, kept], [0.05, 0.95], axis=0)
        rows.append(
            pd.DataFrame(
                {
                    "step": steps[i],
                    "rep": reps.ids[kept],
                    "rep_name": reps.names[kept],
                    "team": np.append(managers.ids, "company")[team[kept]],
                    "team_name": np.append(managers.names, "company")[team[kept]],
                    "tried": tried[kept],
                    "passed": passed[kept],
                    "undecided": undecided[kept],
                    "raw_rate": passed[kept] / tried[kept],
                    "shrunk_rate": rate[:, kept].mean(axis=0),
                    "p05_rate": low,
                    "p95_rate": high,
                    "team_rate": others[i, kept],
                    "p_below": below[i, kept],
                    "wrong_claims_share": value[i, kept],
                    "called_below": value[i, kept] <= error_rate,
                }
            )
        )
    frame = pd.concat(rows, ignore_index=True)
    frame["_step"] = frame["step"].map({step: i for i, step in enumerate(steps)})
    frame = frame.sort_values(["_step", "p_below", "rep"], ascending=[True, False, True], ignore_index=True)
    return frame.drop(columns="_step")


def _against_team(rate: Floats, tried: Ints, team: Ints) -> tuple[Floats, Floats]:
    """Chance below the rest of the team and its rate, [rep] each; reps without a deal take no part.

    Who is compared with the company (team NONE) is compared with all reps, not only with others without a team.
    """
    below, others = chance_below_team(rate, tried, team)
    company_below, company_rate = chance_below_team(rate, tried, np.zeros_like(team))
    lone = team == NONE
    below, others = np.where(lone, company_below, below), np.where(lone, company_rate, others)
    return np.where(tried > 0, below, np.nan), np.where(tried > 0, others, np.nan)


def steps_table(counts: StageCounts, found: tuple[list[str], list[Floats]]) -> pd.DataFrame:
    """One row a step: the company's rate, and how far reps really differ beside how far their raw rates do."""
    rows = []
    for i, (step, rate) in enumerate(zip(*found, strict=True)):
        of = min(i, len(counts.steps) - 1)
        tried, passed = counts.tried[of], counts.passed[of]
        some = tried > 0
        spread = rate[:, some].std(axis=1)
        low, high = np.quantile(spread, [0.05, 0.95])
        rows.append(
            {
                "step": step,
                "tried": int(tried.sum()),
                "passed": int(passed.sum()),
                "undecided": int(counts.undecided[of].sum()),
                "rate": passed.sum() / max(tried.sum(), 1),
                "raw_spread": float((passed[some] / tried[some]).std()) if some.any() else np.nan,
                "spread_mean": float(spread.mean()),
                "spread_p05": float(low),
                "spread_p95": float(high),
            }
        )
    return pd.DataFrame(rows)


def _reps(counts: StageCounts) -> int:
    return int((counts.tried[-1] > 0).sum())
