"""The funnel: how many deals went on from each stage, and what stands in it today."""

import numpy as np
import pandas as pd

from engine.kpis.facts import Facts
from engine.kpis.intervals import jeffreys
from engine.planning.stage_counts import stage_counts
from models.panel import NONE, Floats, Ints

COLUMNS = [
    "level",
    "key",
    "key_name",
    "step",
    "tried",
    "passed",
    "undecided",
    "rate",
    "low",
    "high",
    "open_now",
    "open_value",
]

LEAD_STEP = "lead > opportunity"


def funnel(facts: Facts) -> pd.DataFrame:
    """One row a step and company, manager or rep with a deal in it; the steps in the order of the sales process."""
    panel = facts.panel
    counts = stage_counts(panel, np.ones(len(panel.deals), dtype=bool))
    stage, value = _standing(facts)
    blocks = [_lead_block(facts)] if "opportunity" in facts.frames.get("leads", ()) else []
    for i, step in enumerate(counts.steps):
        here = stage == i if len(counts.steps) > 1 else stage >= 0
        here = here if i < len(panel.stages) else np.zeros(len(stage), dtype=bool)
        rep = facts.deals["rep"].to_numpy()
        standing = np.bincount(rep[here & (rep >= 0)], minlength=len(panel.reps.labels))
        worth = np.bincount(rep[here & (rep >= 0)], value[here & (rep >= 0)], len(panel.reps.labels))
        columns = (counts.tried[i], counts.passed[i], counts.undecided[i], standing, worth)
        blocks.append((step, columns))
    rows = [_summed(facts, step, columns) for step, columns in blocks]
    frame = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=COLUMNS)
    order = frame["level"].map({"company": 0, "manager": 1, "rep": 2})
    return frame.assign(_order=order).sort_values("_order", kind="stable", ignore_index=True)[COLUMNS]


def _standing(facts: Facts) -> tuple[Ints, Floats]:
    """[deal] stage of an open deal, NONE of a closed one; and its amount, 0 when unknown."""
    opened = (facts.deals["outcome"] == "open").to_numpy()
    return np.where(opened, facts.deals["stage"], NONE), facts.deals["amount"].fillna(0.0).to_numpy()


def _lead_block(facts: Facts) -> tuple[str, tuple[np.ndarray, ...]]:
    """Leads of every rep, and those that became an opportunity."""
    leads = facts.at_home(facts.frames["leads"])
    known = leads[leads["rep"] != NONE]
    reps = len(facts.panel.reps.labels)
    tried = np.bincount(known["rep"], minlength=reps)
    passed = np.bincount(known.loc[known["opportunity"].notna(), "rep"], minlength=reps)
    nothing = np.zeros(reps, dtype=np.int64)
    return LEAD_STEP, (tried, passed, nothing, nothing, np.zeros(reps))


def _summed(facts: Facts, step: str, columns: tuple[np.ndarray, ...]) -> pd.DataFrame:
    """Rows of a step for the company, managers and reps, from its columns [rep]."""
    panel = facts.panel
    manager = panel.reps.manager
    parts = []
    everyone = np.zeros(len(manager), dtype=np.int64)
    for level, member, labels in (
        ("company", everyone, facts.labels("company")),
        ("manager", manager, panel.managers),
        ("rep", np.arange(len(manager)), panel.reps.labels),
    ):
        inside = member != NONE
        sums = [np.bincount(member[inside], part[inside], len(labels)) for part in columns]
        tried, passed, undecided, standing, worth = sums
        kept = np.flatnonzero((tried > 0) | (undecided > 0) | (standing > 0))
        low, high = jeffreys(passed[kept], tried[kept])
        with np.errstate(invalid="ignore"):
            rate = passed[kept] / tried[kept]
        frame = {"level": level, "key": labels.ids[kept], "key_name": labels.names[kept], "step": step}
        whole = {"tried": tried, "passed": passed, "undecided": undecided}
        counted = {name: part[kept].astype(np.int64) for name, part in whole.items()}
        rest = {"rate": rate, "low": low, "high": high, "open_now": standing[kept].astype(np.int64)}
        parts.append(pd.DataFrame(frame | counted | rest | {"open_value": worth[kept]}))
    return pd.concat(parts, ignore_index=True)
