"""The question ``slump``: a weak month told apart from a lasting slump."""

from typing import cast

import numpy as np
import pandas as pd
from pydantic import BaseModel

from engine.config import RunOptions
from engine.errors import InputRefusedError, Problem
from engine.finished import FinishedRun
from engine.planning.questions import Answer
from engine.planning.rep_names import with_names
from engine.planning.slump_alarms import FALSE_ALARMS, Alarms, Judged, false_alarms
from engine.planning.slump_history import History, rep_history
from engine.planning.slump_model import Chain, Population, States, judge, learn, usual_tail
from engine.planning.slump_settings import SlumpSettings
from engine.seeds import seed_for
from models.panel import Bools, Floats, Ints, Labels, Panel

USUAL_RAMP = 4.0
"""Months of the ramp where the run has learned none."""

WEAK = 0.1
"""A month is called weak when a usual one brings as little with at most this chance."""

LONGEST = 12
"""Months up to which the age of a slump is told."""


def answer(run: FinishedRun, settings: BaseModel, _options: RunOptions) -> Answer:
    """Judge every active rep's last months.

    Raises
    ------
    InputRefusedError
        When no rep has enough complete months with something to count.
    """
    asked = cast(SlumpSettings, settings)
    panel = run.panel
    learned = None if run.draws.arrivals is None else float(run.draws.arrivals.ramp_months.mean())
    history = rep_history(panel, asked.measure, asked.months, learned or USUAL_RAMP)
    reps = judged_reps(panel, history, asked.least_months)
    if not len(reps):
        allowed = f"active reps with {asked.least_months} complete months of {history.measure} or more"
        raise InputRefusedError([Problem("slump", "no rep to judge", allowed, "lower least_months, or change measure")])
    model = learned_model(history, asked)
    count, expected = history.count[reps], history.expected[reps]
    judged = Judged(count, expected, judge(count, expected, *model, asked.lasting))
    rng = np.random.default_rng(seed_for(run.config.seed, "planning slump"))
    alarms = false_alarms(judged, model, asked.lasting, asked.replicates, rng)
    flags = alarms.flags(asked.false_discovery)
    labels = Labels(panel.reps.labels.ids[reps], panel.reps.labels.names[reps])
    tables = {
        "slump": slump_table(labels, judged, model, alarms, flags),
        "slump_months": months_table(labels, history.months, judged, model[0]),
        "slump_visible": alarms.visible,
    }
    active, watched = int(panel.reps.active.sum()), int((alarms.p_value <= FALSE_ALARMS).sum())
    lines = (
        f"{len(reps)} of {active} active reps judged by {history.measure} of {len(history.months)} complete months.",
        f"{int(flags.sum())} flagged as in a slump of {asked.lasting} months or more; were nobody in one, there would "
        f"be a flag with a chance of at most {asked.false_discovery:.0%}.",
        f"{watched} look as bad as chance makes 1 rep in 20 look: among {len(reps)} reps "
        f"{FALSE_ALARMS * len(reps):.1f} of these are expected without any slump.",
    )
    metrics = {
        "reps": float(len(reps)),
        "reps_flagged": float(flags.sum()),
        "reps_watched": float(watched),
        "mean_p_lasting": float(judged.states.lasting.mean()),
        "noise": model[0].noise,
        "rate_variance": 1 / model[0].shape,
    }
    title, notes = f"A weak month or a lasting slump, as of {panel.as_of}", _notes(asked, history, active - len(reps))
    return Answer(title, with_names(run, tables), lines, metrics, notes, ("slump", "slump_visible"))


def learned_model(history: History, asked: SlumpSettings) -> tuple[Population, Chain]:
    """What is learned from all reps, leavers too, and what is believed before data."""
    chain = Chain(asked.depth, 1 / asked.usual_months, 1 / asked.slump_months)
    there = history.expected.sum(axis=1) > 0
    return learn(history.count[there], history.expected[there], chain), chain


def judged_reps(panel: Panel, history: History, least: int) -> Ints:
    """Active reps who are there now and have been for long enough."""
    if not len(history.months):
        return np.zeros(0, dtype=np.int64)
    there = (history.exposure > 0).sum(axis=1) >= least
    return np.flatnonzero(there & panel.reps.active & (history.expected[:, -1] > 0))


def slump_table(
    reps: Labels, judged: Judged, model: tuple[Population, Chain], alarms: Alarms, flags: Bools
) -> pd.DataFrame:
    """One row a rep, the surest slump first."""
    population, chain = model
    count, expected, states = judged.count, judged.expected, judged.states
    usual = usual_counts(expected, states, population)
    tail = usual_tail(count, expected, states.rate, population)
    frame = pd.DataFrame(
        {
            "rep": reps.ids,
            "rep_name": reps.names,
            "last_month": count[:, -1],
            "usual_month": usual[:, -1],
            "last_3": count[:, -3:].sum(axis=1),
            "usual_3": usual[:, -3:].sum(axis=1),
            "last_6": count[:, -6:].sum(axis=1),
            "usual_6": usual[:, -6:].sum(axis=1),
            "p_usual_so_low": tail,
            "p_slump": states.slump,
            "p_lasting": states.lasting,
            "slump_age": slump_age(judged, model),
            "p_false_alarm": alarms.p_value,
            "q_value": alarms.q_value,
            "flagged": flags,
            "verdict": verdicts(alarms, tail, flags),
        }
    )
    return frame.sort_values(["p_lasting", "rep"], ascending=[False, True], ignore_index=True)


def verdicts(alarms: Alarms, tail: Floats, flags: Bools) -> np.ndarray:
    """A few words [rep]."""
    said = np.where(tail <= WEAK, "weak month, as chance brings", "as usual")
    said = np.where(alarms.p_value <= FALSE_ALARMS, "watch: as bad by chance in 1 of 20", said)
    return np.where(flags, "lasting slump", said)


def usual_counts(expected: Floats, states: States, population: Population) -> Floats:
    """Counts [rep, month] expected of the rep when in no slump, at the posterior mean of the rate."""
    return np.asarray(expected * (states.rate @ population.rates)[:, None])


def slump_age(judged: Judged, model: tuple[Population, Chain]) -> Floats:
    """Median months [rep] that the present slump has gone on, if there is one."""
    population, chain = model
    longest = min(LONGEST, judged.count.shape[1])
    chances = [judge(judged.count, judged.expected, population, chain, m).lasting for m in range(1, longest + 1)]
    share = np.array(chances) / np.maximum(chances[0], 1e-300)
    return np.asarray((share >= 0.5).sum(axis=0), dtype=float)


def months_table(reps: Labels, months: Ints, judged: Judged, population: Population) -> pd.DataFrame:
    """One row a rep and month in which the rep was there."""
    rep, month = np.nonzero(judged.expected > 0)
    usual = usual_counts(judged.expected, judged.states, population)
    return pd.DataFrame(
        {
            "rep": reps.ids[rep],
            "rep_name": reps.names[rep],
            "month": months[month].astype("datetime64[M]").astype(str),
            "count": judged.count[rep, month],
            "usual": usual[rep, month],
        }
    )


def _notes(asked: SlumpSettings, history: History, too_short: int) -> tuple[str, ...]:
    notes = [
        f"Counted are {history.measure}, not money. Usual is the rep's own rate, shrunk to the company's, times what "
        "the month brought to the other reps: a slump of all is no slump of one.",
        f"Assumed before data: a slump leaves {asked.depth:.0%} of the usual rate, comes every {asked.usual_months:g} "
        f"months and lasts {asked.slump_months:g}.",
        "p_false_alarm: share of histories without a slump (simulated, or the rep's months in random order) that look "
        "as bad. q_value: share of wrong flags among reps at least as sure.",
        f"slump_visible: share of slumps seen at {FALSE_ALARMS:.0%} false alarms a rep, before the number of reps is "
        "accounted for: the rest cannot be seen in these counts.",
    ]
    notes.append(
        f"slump_age: median months that the present slump has gone on, if there is one; {LONGEST} stands for more. "
        "Accounts taken away, or fewer leads, look like a slump."
    )
    if too_short:
        notes.append(f"{too_short} active reps have less than {asked.least_months} months of history: not judged.")
    return tuple(notes)
