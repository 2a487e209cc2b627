"""What `optimization` answers: a plan with its certificate, or the named rules that cannot hold together."""

from dataclasses import dataclass

from optimization.problem import Bools, Floats, Ints


@dataclass(frozen=True)
class Certificate:
    """What anybody can recheck about a plan without knowing the solver.

    Attributes
    ----------
    objective : value of the plan under the objective that was minimised, recomputed from raw arrays
    bound : lower bound on that objective, recomputed from dual prices and raw arrays
    bound_solver : the bound the solver reported
    bound_kind : in words, which quantity the bound and the gap speak of
    gap : (objective - bound) / max(abs(objective), 1e-9)
    levels : the weighted objective, then one entry per lexicographic level: name, value, bound (see
        `optimization.levels`)
    feasible : every rule holds on the raw arrays
    violations : in words, one per rule and key that does not hold
    solver : name and version
    repeatable : false when a time limit cut the search off
    p_attain_min, p_attain_max, p_attain_spread : over active reps with a quota, on fresh paths
    p_attain_spread_within : largest spread within a pool of reps who can exchange accounts, saturated single reps left
        out: what accounts can even; the rest of the spread lies between pools
    noise_floor : spread that equal chances would show on the fresh paths by simulation noise alone, posterior included
    saturated : [rep] true where no eligible book, or no plan for the rep's pool, brings the rep to the last level
    """

    objective: float
    bound: float
    bound_solver: float
    bound_kind: str
    gap: float
    levels: tuple[dict[str, float | str], ...]
    feasible: bool
    violations: tuple[str, ...]
    solver: str
    repeatable: bool
    p_attain_min: float
    p_attain_max: float
    p_attain_spread: float
    p_attain_spread_within: float
    noise_floor: float
    saturated: Bools


@dataclass(frozen=True)
class TerritoryPlan:
    """An assignment.

    Attributes
    ----------
    rep : [account] index of the rep who owns it in the plan
    p_attain_before : [rep] chance of quota with the present owners, fresh paths; accounts without owner count for
        nobody
    p_attain : [rep] chance of quota with the plan, fresh paths
    reason : [account] why it moved or stayed, one of `optimization.reasons.REASONS`
    move_cost : [account] money, zero where the account stays
    confidence : [account] share of the groups of posterior draws in which the account also goes there, see
        `optimization.confidence`; NaN where it was not asked for
    certificate : see `Certificate`
    """

    rep: Ints
    p_attain_before: Floats
    p_attain: Floats
    reason: tuple[str, ...]
    move_cost: Floats
    confidence: Floats
    certificate: Certificate


@dataclass(frozen=True)
class Infeasible:
    """No plan exists.

    Attributes
    ----------
    conflicts : sets of named rules that cannot hold together
    repairs : in words, what would make a plan possible, cheapest first
    status : "proven" (each set cannot hold together, and can without any one of its rules), else "unknown (time)"
    """

    conflicts: tuple[tuple[str, ...], ...]
    repairs: tuple[str, ...]
    status: str = "proven"
