"""Quotas that give every rep the same chance, checked on futures that the fit has not seen.

A quota with chance c is the largest amount that the rep's simulated revenue reaches on a share c of the paths.
"""

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from pydantic import BaseModel

from engine.config import RunOptions
from engine.errors import InputRefusedError, Problem
from engine.finished import FinishedRun
from engine.planning.books import plan_futures
from engine.planning.fairness_test import fairness_rows, in_words
from engine.planning.futures import (
    FAR,
    RepFutures,
    Span,
    asked_reps,
    beside_forecast,
    company_goal,
    planning_span,
    rep_futures,
    targets,
)
from engine.planning.noise import cluster_means, errors, expected_spread
from engine.planning.question_settings import QuotasSettings
from engine.planning.questions import Answer
from engine.planning.verification import ALL, EVEN, ODD
from engine.seeds import seed_for
from engine.simulation.outcomes import Paths
from models.panel import NONE, Bools, Floats, Ints
from optimization.fairness import expected_range

LADDER = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Chances of quota for which the over-assignment is shown."""

BISECTIONS = 60
"""Halvings of an interval of chances: beyond the last bit of a double."""


@dataclass(frozen=True)
class EqualQuotas:
    """Quotas of the reps, fitted.

    Attributes
    ----------
    chance : that every rep gets on the paths of the fit, before rounding
    quota : [rep] money; NaN where no positive quota has this chance
    step : money that quotas are multiples of
    """

    chance: float
    quota: Floats
    step: float


def answer(run: FinishedRun, settings: BaseModel, options: RunOptions) -> Answer:
    """Fit on one half of the paths, check on the other, and set the spread beside its noise floor.

    Raises
    ------
    InputRefusedError
        When the books of a plan are asked for and the run has none, or no rep sells in the horizon.
    """
    asked = cast(QuotasSettings, settings)
    span = planning_span(run.config)
    fitting, checking = (ALL, ALL) if asked.check == "same" else (EVEN, ODD)
    futures = plan_futures if asked.plan else rep_futures
    fit = futures(run, span, asked.paths, "quotas fit", options, fitting)
    check = futures(run, span, asked.paths, "quotas check", options, checking)
    reps = asked_reps(run.panel, span)
    if not len(reps):
        came = f"no rep who sells in {span}"
        raise InputRefusedError([Problem("RUN", came, "at least one active rep", "ask about another run")])
    goal, source = company_goal(run, span, asked.goal, fit.company)
    ordered = np.sort(fit.rep[:, reps], axis=0)
    chance = asked.chance if asked.chance is not None else balanced_chance(ordered, goal)
    raw = quotas_with(ordered, chance)
    step = asked.round_to or sensible_step(raw)
    quota = rounded(raw, step, goal if asked.chance is None else None)
    found = EqualQuotas(chance, np.where(quota > 0, quota, np.nan), step)
    return _composed(run, asked, (span, reps), (fit, check, ordered), found, (goal, source))


def quotas_with(ordered: Paths, chance: float) -> Floats:
    """[rep] largest amount that a share ``chance`` of the paths reaches; ``ordered`` [path, rep] ascending per rep."""
    paths = len(ordered)
    needed = min(max(math.ceil(chance * paths - 1e-9), 1), paths)
    return ordered[paths - needed].astype(np.float64)


def balanced_chance(ordered: Paths, goal: float) -> float:
    """Chance at which equal-chance quotas add up to the goal; the nearest end where none does."""
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if quotas_with(ordered, middle).clip(min=0.0).sum() >= goal:
            low = middle
        else:
            high = middle
    return low


def sensible_step(quota: Floats) -> float:
    """Largest power of ten below a thousandth of the least positive quota, at least a hundredth of the currency."""
    positive = quota[quota > 0]
    return max(10.0 ** math.floor(math.log10(positive.min() / 1000)), 0.01) if len(positive) else 1.0


def rounded(quota: Floats, step: float, total: float | None) -> Floats:
    """Multiples of ``step``: the nearest, or with a total by largest remainder, so that they add up to it.

    Only what rounding moved is handed out: a total that the quotas miss by more than a step each stays missed.
    """
    units = quota.clip(min=0.0) / step
    if total is None:
        return np.round(units) * step
    whole = np.floor(units + 1e-9)
    left = round(min(total / step, units.sum() + len(units)) - whole.sum())
    order = np.argsort(whole - units, kind="stable")
    whole[order[: max(min(left, len(order)), 0)]] += 1
    return whole * step


def over_assignment(ordered: Paths, company: Paths, goal: float, chances: tuple[float, ...]) -> pd.DataFrame:
    """What the quotas add up to at every chance: computed, where folklore has a percentage."""
    rows = []
    for chance in chances:
        total = float(quotas_with(ordered, chance).clip(min=0.0).sum())
        rows.append(
            {
                "chance": chance,
                "quotas": total,
                "goal": goal,
                "over_assignment_share": total / goal - 1.0,
                "chance_company_reaches_goal": float((company >= goal).mean()),
                "chance_company_reaches_quotas": float((company >= total).mean()),
                "reps_expected_at_quota": chance * ordered.shape[1],
            }
        )
    return pd.DataFrame(rows)


def noise_of(fit: RepFutures, check: RepFutures, columns: Ints, quota: Floats, paired: bool, seed: int) -> Floats:
    """[sample, rep] errors of the checked chances if the truth were one chance; see `engine.planning.noise.errors`."""
    parts = [cluster_means(part.rep[:, columns] >= quota, part.draw) for part in (fit, check)]
    return errors(parts[0], parts[1], paired=paired, seed=seed)


def _composed(
    run: FinishedRun,
    asked: QuotasSettings,
    where: tuple[Span, Ints],
    paths: tuple[RepFutures, RepFutures, Paths],
    found: EqualQuotas,
    goal: tuple[float, str],
) -> Answer:
    """Tables and words."""
    (span, reps), (fit, check, ordered) = where, paths
    has = np.isfinite(found.quota)
    columns = reps[has]
    checked = np.full(len(reps), np.nan)
    checked[has] = (check.rep[:, columns] >= found.quota[has]).mean(axis=0)
    spread = float(np.ptp(checked[has])) if has.sum() > 1 else 0.0
    seed = seed_for(run.config.seed, "quotas noise")
    error = noise_of(fit, check, columns, found.quota[has], asked.check == "same", seed)
    floor = expected_spread(error)
    counting = expected_range(int(has.sum())) * math.sqrt(found.chance * (1 - found.chance) / asked.paths)
    now, source = targets(run, span, reps)
    table = _table(run, (reps, has), (fit, check), found, (now, source))
    sizes = {"expected revenue": table["revenue_mean"].to_numpy(), "accounts": table["accounts"].to_numpy(dtype=float)}
    sets = {"now": now, "equal chance": found.quota}
    tests = pd.DataFrame(fairness_rows(check.rep[:, reps], sets, sizes, {"equal chance": error}, seed))
    ladder = tuple(sorted({*LADDER, found.chance}))
    assigned = over_assignment(ordered, fit.company, goal[0], ladder)
    total = float(np.nansum(found.quota))
    given = np.isfinite(now)
    before = table["chance_now"].to_numpy()
    lines = (
        f"Goal          {goal[0]:,.0f} {run.config.currency} ({goal[1]}); "
        f"the company reaches it with {(fit.company >= goal[0]).mean():.1%}",
        f"Quotas        add up to {total:,.0f} {run.config.currency}, {total / goal[0] - 1:+.1%} over the goal; "
        f"every rep has a chance of {found.chance:.1%}",
        f"Checked       on {asked.paths:,} other paths ({_draws_in_words(asked.check)}): chances "
        f"{np.nanmin(checked):.2%} to {np.nanmax(checked):.2%}"
        if has.any()
        else "Checked       no rep has a quota",
        f"Spread        {100 * spread:.2f} points over {int(has.sum())} reps; noise floor {100 * floor:.2f} points: "
        f"{spread / floor if floor > 0 else 0.0:.1f} times (counting noise of the check alone {100 * counting:.2f})",
        f"Now           chances {_range_of(before[given])} with the quotas there are"
        if given.any()
        else "Now           no rep has a quota",
        *in_words(tests),
    )
    metrics = {
        "chance": found.chance,
        "spread": spread,
        "noise_floor": floor,
        "counting_floor": counting,
        "over_assignment": total / goal[0] - 1.0,
        "quotas": total,
        "goal": goal[0],
        "reps": float(has.sum()),
    }
    title = f"Quotas with the same chance for every rep, {span}"
    tables = {"quotas": table, "over_assignment": assigned, "fairness": tests}
    notes = _notes(run, asked, reps, has)
    notes += _about_goal(asked, goal[0], total, float(fit.rep[:, reps].sum(axis=1).mean() / fit.company.mean()))
    if not asked.plan:
        notes += beside_forecast(run, span, fit.company)
    return Answer(title, tables, lines, metrics, notes, ("quotas", "over_assignment"))


def _about_goal(asked: QuotasSettings, goal: float, total: float, theirs: float) -> tuple[str, ...]:
    """Cautions on the sum: a goal out of reach, and revenue that belongs to no rep asked about."""
    notes = []
    if asked.chance is None and abs(total / goal - 1.0) > FAR:
        notes.append("No single chance makes quotas add up to the goal: these are at the end of what there is.")
    if abs(theirs - 1.0) > FAR:
        notes.append(
            f"These reps bring {theirs:.0%} of the company's expected revenue; the rest is of others or of nobody, and "
            "quotas that add up to the goal ask them for that part too."
        )
    return tuple(notes)


def _draws_in_words(check: str) -> str:
    return "the same posterior draws" if check == "same" else "posterior draws held out"


def _range_of(chance: Floats) -> str:
    return f"{np.nanmin(chance):.0%} to {np.nanmax(chance):.0%}"


def _table(
    run: FinishedRun,
    whose: tuple[Ints, Bools],
    futures: tuple[RepFutures, RepFutures],
    found: EqualQuotas,
    present: tuple[Floats, list[str]],
) -> pd.DataFrame:
    """One row a rep: revenue, quota now, quota with the same chance."""
    (reps, has), (fit, check), (now, source) = whose, futures, present
    panel = run.panel
    own = check.rep[:, reps]
    low, middle, high = np.quantile(own, [0.1, 0.5, 0.9], axis=0)
    counts = np.bincount(panel.accounts.owner[panel.accounts.owner != NONE], minlength=len(panel.reps.labels))
    reached = [(part.rep[:, reps] >= found.quota).mean(axis=0) for part in (fit, check)]
    return pd.DataFrame(
        {
            "rep": panel.reps.labels.ids[reps],
            "rep_name": panel.reps.labels.names[reps],
            "accounts": counts[reps],
            "revenue_mean": own.mean(axis=0, dtype=np.float64),
            "revenue_p10": low,
            "revenue_p50": middle,
            "revenue_p90": high,
            "quota_now": now,
            "quota_source": source,
            "chance_now": np.where(np.isfinite(now), (own >= now).mean(axis=0), np.nan),
            "quota": found.quota,
            "chance_fit": np.where(has, reached[0], np.nan),
            "chance": np.where(has, reached[1], np.nan),
        }
    )


def _notes(run: FinishedRun, asked: QuotasSettings, reps: Ints, has: Bools) -> tuple[str, ...]:
    """What the numbers rest on."""
    notes = [
        "The noise floor is the mean spread that reps with one true chance would show: it counts the noise of the fit "
        "and of the check, and that paths share posterior draws, shocks and months (covariance of the means by draw)."
    ]
    if asked.check == "same":
        notes.append(
            "Fit and check see the same posterior; check=held_out also counts the noise of a finite posterior."
        )
    left = run.panel.reps.labels.names[reps[~has]]
    if len(left):
        notes.append(f"No positive quota gives this chance, so none is set: {', '.join(left)}.")
    if asked.plan:
        notes.append("Revenue is that of the plan's books: accounts under their new owners, as the plan values them.")
    return tuple(notes)
