"""The main job's outcomes moved to what the combination says, in the light of a stored backtest.

The combination speaks of places (rep and territory). Every path of a place's cells is scaled to the combination's path
of that place, so accounts and products follow, levels still add up, and paths keep their order. What is booked stays.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from engine.config import RunConfig
from engine.methods.combination import Combination, combine
from engine.methods.engine_legs import at_places
from engine.methods.protocol import Forecast, MethodUnavailableError, Question, place_of
from engine.methods.registry import LEGS, REFINEMENTS, rivals
from engine.seeds import seed_for
from engine.simulation.cells import booked_revenue, sum_by, unique_cells, with_territory
from engine.simulation.outcomes import Cells, LevelOutcomes, Outcomes, Paths
from engine.track_record import TrackRecord, read_combination
from models.panel import NONE, Floats, Ints, Panel

MOST_PATHS = 2000
"""Paths of single cells that a run with a track record simulates for its combination."""

FEWEST_PATHS = 400
"""Paths below which quantiles are too rough: the legs stay alone then."""

SMALL = 0.005
"""Weight below which a method is not asked."""


def in_the_light_of(record: TrackRecord, config: RunConfig, panel: Panel, outcomes: Outcomes) -> Outcomes:
    """Outcomes moved to the combination that a stored backtest has learned; as they are where there is none.

    Parameters
    ----------
    outcomes : simulated with `MOST_PATHS` sample paths; a company too large for `FEWEST_PATHS` of them stays with the
        legs alone
    """
    start = np.datetime64(int(outcomes.months[0]), "M").astype("datetime64[D]")
    passed = (panel.as_of + np.timedelta64(1, "D") - start) / np.timedelta64(7, "D")
    learned = read_combination(record, max(float(passed), 0.0))
    if learned is None or len(outcomes.sample) < FEWEST_PATHS:
        return outcomes
    combination = Combination(**learned)
    if combination.weights.get(LEGS) == 1 and combination.spread == 1:
        return outcomes  # the legs alone: all their paths instead of a sample of them
    return combine_outcomes(config, panel, outcomes, combination)


def combine_outcomes(config: RunConfig, panel: Panel, outcomes: Outcomes, combination: Combination) -> Outcomes:
    """Outcomes of the same company whose levels follow the combination; deals and accounts' values stay as they are.

    Parameters
    ----------
    outcomes : with a sample of at least `FEWEST_PATHS` paths
    combination : weights by method, learned on horizons that ended by the as-of date
    """
    legs = at_places(outcomes)
    question = Question(outcomes.months, len(outcomes.sample), config.seed)
    answers = _ask(panel, question, legs, combination.weights)
    combined = combine(answers, combination)
    booked = _booked(panel, outcomes)
    sample = _scaled(outcomes.cells, outcomes.sample, booked, (legs, combined))
    levels = {name: _level(panel, outcomes, name, sample) for name in outcomes.levels}
    return replace(outcomes, levels=levels, sample=sample, paths=len(sample))


def _ask(panel: Panel, question: Question, legs: Forecast, weights: Mapping[str, float]) -> dict[str, Forecast]:
    """Answers of the methods that count, in the order of the weights; one that fails now gives its weight away."""
    methods = rivals()
    answers: dict[str, Forecast] = {}
    for name, weight in weights.items():
        asked = replace(question, seed=seed_for(question.seed, name))
        try:
            if name == LEGS:
                answers[name] = legs
            elif name in REFINEMENTS:
                answers[name] = _refined(name, panel, asked, legs)
            elif weight >= SMALL:
                answers[name] = methods[name](panel, asked)
        except MethodUnavailableError:
            continue
    return answers if answers else {LEGS: legs}


def _refined(name: str, panel: Panel, question: Question, legs: Forecast) -> Forecast:
    """A refinement of the legs; the legs themselves where it has nothing to go by: they inherit its weight."""
    try:
        return REFINEMENTS[name][1](panel, question, legs)
    except MethodUnavailableError:
        return legs


def _booked(panel: Panel, outcomes: Outcomes) -> Floats:
    """[cell, month] revenue up to the as-of date."""
    revenue = booked_revenue(panel)
    sites = {
        "cells": np.stack(
            [outcomes.cells.account, outcomes.cells.rep, outcomes.cells.product, outcomes.cells.territory], axis=1
        ),
        "booked": with_territory(panel, revenue.account, revenue.rep, revenue.product),
    }
    slot = revenue.month - outcomes.months[0]
    inside = (slot >= 0) & (slot < len(outcomes.months))
    sites["booked"] = sites["booked"][inside]
    _, where = unique_cells(sites)
    table = np.zeros((int(max(where["cells"].max(), where["booked"].max(initial=0))) + 1, len(outcomes.months)))
    np.add.at(table, (where["booked"], slot[inside]), revenue.amount[inside])
    return np.asarray(table[where["cells"]])


def _scaled(cells: Cells, sample: Paths, booked: Floats, paths: tuple[Forecast, Forecast]) -> Paths:
    """Sample [path, cell, month] with every place's revenue to come scaled to the combination's."""
    legs, combined = paths
    where = place_of(legs.places, cells.rep, cells.territory)
    at_legs = place_of(combined.places, legs.places.rep, legs.places.territory)
    certain = sum_by(booked, where, len(legs.places))
    old = np.maximum(legs.total - certain, 0.0)
    new = np.maximum(combined.total[:, at_legs] - certain, 0.0)
    to_come = np.maximum(sample - booked, 0.0)
    factor = np.divide(new, old, out=np.zeros_like(new, dtype=float), where=old > 0)
    scaled = booked + to_come * factor[:, where]
    # Where the legs bring nothing to a place there is nothing to scale: its cells share by what they usually bring.
    usual = to_come.mean(axis=0)
    of_place = sum_by(usual, where, len(legs.places))
    share = np.where(of_place[where] > 0, usual / np.maximum(of_place[where], 1e-12), _even(where)[:, None])
    scaled += np.where((old == 0)[:, where], new[:, where] * share, 0.0)
    return np.asarray(scaled, dtype=np.float32)


def _even(where: Ints) -> Floats:
    return np.asarray(1 / np.bincount(where)[where])


def _level(panel: Panel, outcomes: Outcomes, name: str, sample: Paths) -> LevelOutcomes:
    """One level from the sample; expected open and new revenue keep their proportion."""
    before = outcomes.levels[name]
    member = _members(panel, outcomes.cells, name, before)
    total = np.zeros((len(sample), len(before.keys), sample.shape[2]), dtype=np.float32)
    order = np.argsort(member, kind="stable")
    present, starts = np.unique(member[order], return_index=True)
    total[:, present] = np.add.reduceat(sample[:, order], starts, axis=1)
    expected = before.open + before.new
    ratio = np.divide(total.mean(axis=0) - before.booked, expected, out=np.ones_like(expected), where=expected > 0)
    return replace(before, total=total, open=before.open * ratio, new=before.new * ratio)


def _members(panel: Panel, cells: Cells, name: str, level: LevelOutcomes) -> Ints:
    """[cell] index into the level's keys; the last one for cells without a member."""
    index = {
        "company": np.zeros(len(cells), dtype=np.int64),
        "region": np.append(panel.territory_region, NONE)[cells.territory],
        "territory": cells.territory,
        "manager": np.append(panel.reps.manager, NONE)[cells.rep],
        "rep": cells.rep,
        "product": cells.product,
    }[name]
    return np.where(index == NONE, len(level.keys) - 1, index)
