"""The way from a problem to a plan: start, rounds of linearising and solving, improvement on the paths, certificate."""

import time
from dataclasses import replace

import numpy as np

from optimization import linearise
from optimization.aim import aimed
from optimization.audit import Evidence, audit, violations
from optimization.checks import check
from optimization.confidence import confidence
from optimization.fairness import attained, clustered_floor, p_attain, present_owner, spread
from optimization.families import active_reps
from optimization.futures import Futures, chances, choose_paths, lay_out, margins
from optimization.infeasible import explain
from optimization.large_scale.fair_relaxation import relax_columns
from optimization.large_scale.focus import a_few_handfuls
from optimization.large_scale.paths import chance_large, first_large, rounds_large, searching, sums_large
from optimization.levels import levels_of
from optimization.plan import Certificate, Infeasible, TerritoryPlan
from optimization.pools import pools_of
from optimization.problem import NONE, Floats, Ints, TerritoryProblem
from optimization.pulp_model import SOLVER, Solution, build, solve_integral
from optimization.reasons import reasons
from optimization.relaxation import relax_model
from optimization.rounding import Question, solve_near_relaxation
from optimization.rules import Case, build_case
from optimization.scores import Linear, build_goal
from optimization.search import LEAST_GAIN, improve_linear, improve_on_paths
from optimization.settings import AllocationSettings
from optimization.sums import counted
from optimization.work import Found, Work, goal_around, present, worth

__all__ = ["Found", "Work", "certified", "certified_by_chance", "first_plan", "rounds", "solve"]

STAY_POINTS = 1.0
"""Points an account's move costs while a first plan that keeps the rules is sought: the present plan is only mended."""

UNSTUCK_ROUNDS, UNSTUCK_POINTS = 2, 0.25
"""Linearised rounds on all paths at most, and the points beyond the band from which they are worth their time."""

MONEY_SHARES = (0.5, 0.2, 0.0)
"""Shares of the weights on money under which a plan is loosened."""

_PARTS = "beyond the band, plus weighted mean deviation, plus weighted money at risk from moves and revenue given up"

BOUND_KIND = {
    "attainment": "last linearised problem, in points: spread of the chance of quota around the level of each pool of "
    "reps who can exchange accounts "
    + _PARTS.replace("beyond the band", "beyond the band less what noise adds", 1)
    + ", plus weighted lack of the lowest chance; over all plans that change at most {step:.0%} of a quota's"
    " worth of each book; chances are linear around the plan on the planning paths",
    "potential": "in points: spread of expected revenue against fair share " + _PARTS + "; over all plans",
    "hours": "in points: spread of hours against fair share " + _PARTS + "; over all plans",
}
"""Which quantity objective, bound and gap speak of."""

LARGE_KIND = "; prices from column generation over all allowed pairs"
"""Said of the bound of the large path."""


def solve(problem: TerritoryProblem, settings: AllocationSettings, seed: int) -> TerritoryPlan | Infeasible:
    """Assign every account to a rep.

    The same problem, settings and seed give the same plan on any number of threads, unless the certificate says
    otherwise (a time limit cut the search off).

    Raises
    ------
    ValueError
        The arrays do not describe a problem; every fault is listed.
    """
    check(problem)
    began = time.monotonic()
    if counted(problem, settings):
        return explain(problem, settings)
    work = Work(build_case(problem, settings), began + settings.time_limit, seed)
    early = searching(work, began) if work.large else work
    first = first_plan(early)
    if first is None:
        return explain(problem, settings)
    work, early = (aimed(one, first.plan) for one in (work, early))
    if work.large:
        return _by_large_path(work, early, first)
    if settings.fairness == "attainment":
        return _by_chance(work, first)
    return _by_sums(work, first)


def first_plan(work: Work) -> Found | None:
    """Present plan, or mended with few moves where it breaks a rule; None when no plan was found."""
    case = work.case
    if work.large:
        return first_large(work)
    found = present(case)
    if found is not None:
        return Found(found, repeatable=True)
    if not case.blocks.allowed.any(axis=1).all():
        return None
    goal = build_goal(case, np.zeros(len(case.problem.rep_ids), dtype=bool))
    linear = linearise.by_money(case, goal, case.blocks.allowed.argmax(axis=1))
    stay = Linear(**{**vars(linear), "cost": linear.cost + STAY_POINTS * case.blocks.moved_accounts})
    return _optimise(work, stay, None, case.settings.integer_pairs)


def _optimise(work: Work, linear: Linear, start: Ints | None, pairs: int) -> Found | None:
    """Solve a linear problem: one integer program up to ``pairs`` pairs, else the rounded relaxation."""
    case, allowed = work.case, work.case.blocks.allowed
    if allowed.sum() <= pairs:
        answer = solve_integral(case, build(case, linear, allowed), work.effort, start)
        return _kept(case, answer, start)
    return _kept(case, solve_near_relaxation(case, Question(linear), work.effort, start), start)


def _kept(case: Case, answer: Solution, start: Ints | None) -> Found | None:
    """Solver's plan if the audit finds that it keeps every rule (a solver's word is not enough), else the start."""
    repeatable = answer.status in ("optimal", "limit")
    if answer.plan is not None and not violations(case.problem, case.settings, case.blocks.to_accounts(answer.plan)):
        return Found(answer.plan, repeatable)
    return None if start is None else Found(start, repeatable)


def _by_large_path(work: Work, early: Work, first: Found) -> TerritoryPlan:
    """Plan of the large path; ``early`` is the work with the deadline of the search."""
    case, fairness = work.case, work.case.settings.fairness
    if fairness == "attainment":
        found, futures, interval = chance_large(early, first)
        return certified_by_chance(work, futures, interval, found)
    goal = build_goal(case, np.zeros(len(case.problem.rep_ids), dtype=bool))
    make = linearise.by_money if fairness == "potential" else linearise.by_hours
    found = sums_large(early, make(case, goal, first.plan), first)
    return certified(work, found, make(case, goal, found.plan), np.inf)


def _by_sums(work: Work, first: Found) -> TerritoryPlan:
    """Plan for fairness by potential or hours, whose scores are exactly linear."""
    case = work.case
    goal = build_goal(case, np.zeros(len(case.problem.rep_ids), dtype=bool))
    make = linearise.by_money if case.settings.fairness == "potential" else linearise.by_hours
    linear = make(case, goal, first.plan)
    begun, _ = improve_linear(case, linear, first.plan, work.deadline)
    found = _optimise(work, linear, begun, case.settings.integer_pairs) or first
    plan, ended = improve_linear(case, linear, found.plan, work.deadline)
    best = min((plan, begun, first.plan), key=linear.value)
    linear = make(case, goal, best)
    return certified(work, Found(best, first.repeatable and found.repeatable and ended), linear, np.inf)


def _by_chance(work: Work, first: Found) -> TerritoryPlan:
    """Plan for fairness by the chance of quota."""
    case, settings = work.case, work.case.settings
    paths = len(case.problem.value)
    futures = lay_out(case, choose_paths(paths, settings.search_paths))
    interval = linearise.attainable(case, futures)
    found = _loosened(work, futures, interval, rounds(work, futures, interval, first))
    if futures.paths < paths:
        futures = lay_out(case, np.arange(paths))
        plan, ended = improve_on_paths(
            case, goal_around(work, futures, interval, found.plan), futures, found.plan, work.deadline
        )
        found = _loosened(work, futures, interval, Found(plan, found.repeatable and ended))
        found = _unstuck(work, futures, interval, found)
    plan = min((found.plan, first.plan), key=lambda one: worth(work, futures, interval, one))
    return certified_by_chance(work, futures, interval, Found(plan, found.repeatable))


def certified_by_chance(work: Work, futures: Futures, interval: tuple[Floats, Floats], found: Found) -> TerritoryPlan:
    """Certificate of a plan by the chances of quota around it, and how sure it is of each account."""
    case, step = work.case, work.case.settings.step_share
    goal = goal_around(work, futures, interval, found.plan)
    linear = linearise.by_chance(case, goal, futures, found.plan, step)
    answer = certified(work, found, linear, step)
    # after the certificate: where time is short, the bound has it
    sure, on_time = confidence(case, goal, found.plan, work.deadline, a_few_handfuls if work.large else None)
    repeatable = answer.certificate.repeatable and on_time
    return replace(answer, confidence=sure, certificate=replace(answer.certificate, repeatable=repeatable))


def rounds(work: Work, futures: Futures, interval: tuple[Floats, Floats], first: Found) -> Found:
    """Linearise, solve, improve by moves and swaps on the paths; accept only what is better on the paths.

    The first round uses the normal stand-in, the others the chance itself. A round that does not improve halves the
    step of the next; two in a row end the work. Integer programs of the linear stand-ins are not worth their time here:
    rounding and moves on the paths reached as good chances in a twentieth of it.
    """
    if work.large:
        return rounds_large(work, futures, interval, first)
    case, step, failed = work.case, work.case.settings.step_share, 0
    goal = goal_around(work, futures, interval, first.plan)
    plan, repeatable = improve_on_paths(case, goal, futures, first.plan, work.deadline, thorough=False)
    around = first.plan
    for number in range(case.settings.rounds):
        goal = goal_around(work, futures, interval, plan)
        make = linearise.by_chance if number else linearise.by_normal
        found = _optimise(work, make(case, goal, futures, around, step), around, 0)
        if found is None:
            return Found(plan, repeatable=False)
        tried, ended = improve_on_paths(case, goal, futures, found.plan, work.deadline, thorough=False)
        around, repeatable = tried, repeatable and found.repeatable and ended
        if worth(work, futures, interval, tried) < worth(work, futures, interval, plan) - LEAST_GAIN:
            plan, failed = tried, 0
            continue
        step, failed = step / 2, failed + 1
        if failed == 2 or time.monotonic() > work.deadline:
            break
    return Found(plan, repeatable and first.repeatable)


def _unstuck(work: Work, futures: Futures, interval: tuple[Floats, Floats], found: Found) -> Found:
    """Linearised rounds on all paths, where the descent ended with reps outside the band.

    A descent by single moves and trades may end there although a plan further away is better; the linear problem sees
    all books at once.
    """
    case, step = work.case, work.case.settings.step_share
    for _ in range(UNSTUCK_ROUNDS):
        goal = goal_around(work, futures, interval, found.plan)
        score = (chances(margins(futures, found.plan)) - goal.offset)[goal.extreme]
        if not len(score) or np.ptp(score) <= 2 * goal.half_band + UNSTUCK_POINTS or time.monotonic() > work.deadline:
            break
        linear = linearise.by_chance(case, goal, futures, found.plan, step)
        tried = _optimise(work, linear, found.plan, 0)
        if tried is None:
            break
        plan, ended = improve_on_paths(case, goal, futures, tried.plan, work.deadline)
        found = replace(found, repeatable=found.repeatable and tried.repeatable and ended)
        if worth(work, futures, interval, plan) >= worth(work, futures, interval, found.plan) - LEAST_GAIN:
            break
        found = replace(found, plan=plan)
    return found


def _loosened(work: Work, futures: Futures, interval: tuple[Floats, Floats], found: Found) -> Found:
    """Leave the local optimum by descending with money weighing less, and come back under the true weights.

    Source of the idea: Glover and Hao (2011), The case for strategic oscillation, doi:10.1007/s10479-009-0597-1.
    """
    case, plan, repeatable = work.case, found.plan, found.repeatable
    own = case.settings.weights
    for share in MONEY_SHARES:
        weights = own.model_copy(update={"move_cost": share * own.move_cost, "potential": share * own.potential})
        loose = replace(case, settings=case.settings.model_copy(update={"weights": weights}))
        goal = goal_around(work, futures, interval, plan)
        away, on_time = improve_on_paths(loose, goal, futures, plan, work.deadline, thorough=False)
        tried, ended = improve_on_paths(case, goal, futures, away, work.deadline, thorough=False)
        repeatable = repeatable and on_time and ended
        if worth(work, futures, interval, tried) < worth(work, futures, interval, plan) - LEAST_GAIN:
            plan = tried
    return Found(plan, repeatable)


def certified(work: Work, found: Found, linear: Linear, step_share: float) -> TerritoryPlan:
    """Verify a plan on the fresh paths, recheck it and its bound from raw arrays, and put it into words."""
    case, problem, settings = work.case, work.case.problem, work.case.settings
    relaxer = relax_columns if work.large else relax_model
    relaxed = found.relaxed or relaxer(case, linear, (), work.effort)
    rep = case.blocks.to_accounts(found.plan)
    evidence = Evidence(case.blocks.block, linear.goal, linear.gain, step_share, relaxed.prices)
    finding = audit(problem, settings, rep, evidence)
    chance, active = p_attain(problem, rep, fresh=True), active_reps(problem)
    pool = pools_of(case.blocks.allowed)
    rows: tuple[dict[str, float | str], ...] = ()
    saturated = linear.goal.counted & ~linear.goal.extreme
    if settings.fairness == "attainment" and not finding.violations:
        levels = levels_of(case, linear, rep, step_share, work.effort, relaxer)
        rows, saturated = levels.rows, levels.saturated
    gap = (finding.objective - finding.bound) / max(abs(finding.objective), 1e-9)
    certificate = Certificate(
        objective=finding.objective,
        bound=finding.bound,
        bound_solver=relaxed.bound,
        bound_kind=BOUND_KIND[settings.fairness].format(step=settings.step_share) + LARGE_KIND * work.large,
        gap=gap,
        levels=({"name": "weighted objective, points", "value": finding.objective, "bound": finding.bound}, *rows),
        feasible=not finding.violations,
        violations=finding.violations,
        solver=SOLVER,
        repeatable=found.repeatable and relaxed.status == "optimal",
        p_attain_min=float(chance[active].min(initial=1.0)),
        p_attain_max=float(chance[active].max(initial=0.0)),
        p_attain_spread=spread(chance, active),
        p_attain_spread_within=max(
            (spread(chance, linear.goal.extreme & (pool == number)) for number in np.unique(pool)), default=0.0
        ),
        noise_floor=clustered_floor(attained(problem, rep, fresh=True), active),
        saturated=saturated,
    )
    moved = (rep != problem.owner) & (problem.owner != NONE)
    return TerritoryPlan(
        rep=rep,
        p_attain_before=p_attain(problem, present_owner(problem), fresh=True),
        p_attain=chance,
        reason=reasons(case, rep, linear),
        move_cost=np.where(moved, problem.move_cost, 0.0),
        confidence=np.full(len(rep), np.nan),
        certificate=certificate,
    )
