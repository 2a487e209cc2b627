"""How many deals of each rep went on from each stage: from stage history, or won of closed where there is none.

A deal counts by the furthest stage it was in, so a stage that was skipped counts as passed and one that was returned to
counts once; a won deal has passed them all, wherever it was won from. A lost deal is a no at its furthest stage and a
yes at every earlier one: without open deals the rates of the steps multiply to won of closed. Deals still
open say nothing yet about their furthest stage and are left out there; `undecided` counts them, because slow deals are
more often lost ones: the more of them, the more the rates are those of quick deals.
"""

from dataclasses import dataclass

import numpy as np

from models.panel import LOST, NONE, OPEN, WON, Bools, Ints, Panel

HISTORY, CLOSED_ONLY = "stage history", "closed deals only"


@dataclass(frozen=True)
class StageCounts:
    """Counts of what was tried and what succeeded.

    Attributes
    ----------
    steps : [step] names, such as "Proposal > Negotiate"; the last is "closed > won"
    tried, passed, undecided : [step, rep]
    source : `HISTORY` or `CLOSED_ONLY`
    """

    steps: tuple[str, ...]
    tried: Ints
    passed: Ints
    undecided: Ints
    source: str


def stage_counts(panel: Panel, chosen: Bools) -> StageCounts:
    """Count the chosen deals [deal] by step and rep."""
    deals, reps = panel.deals, len(panel.reps.labels)
    kept = chosen & (deals.rep != NONE)
    furthest = furthest_stage(panel)
    steps: list[str] = []
    rows: list[tuple[Ints, Ints, Ints]] = []

    def count(name: str, tried: Bools, passed: Bools, undecided: Bools) -> None:
        steps.append(name)
        groups = (kept & tried, kept & tried & passed, kept & undecided)
        one, two, three = (np.bincount(deals.rep[group], minlength=reps).astype(np.int64) for group in groups)
        rows.append((one, two, three))

    won, open_now = deals.outcome == WON, deals.outcome == OPEN
    history = bool((furthest[kept] != NONE).any()) and len(panel.stages) > 1
    if history:
        names = [*panel.stages.names.tolist(), "won"]
        for s in range(len(panel.stages)):
            beyond = (furthest > s) | (won & (furthest != NONE))
            lost_here = (furthest == s) & (deals.outcome == LOST)
            count(f"{names[s]} > {names[s + 1]}", beyond | lost_here, beyond, open_now & (furthest == s))
    count("closed > won", ~open_now, won, open_now)
    tried, passed, undecided = (np.stack(part) for part in zip(*rows, strict=True))
    return StageCounts(tuple(steps), tried, passed, undecided, HISTORY if history else CLOSED_ONLY)


def furthest_stage(panel: Panel) -> Ints:
    """Furthest stage [deal] that a deal is known to have entered; NONE for a deal without history.

    A history of one row a deal at most tells no moves: then there is none.
    """
    furthest = np.full(len(panel.deals), NONE)
    moves = panel.stage_moves
    if len(moves.deal) and np.bincount(moves.deal).max() > 1:
        known = moves.stage != NONE
        np.maximum.at(furthest, moves.deal[known], moves.stage[known])
    return furthest
