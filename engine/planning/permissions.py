"""Who may own an account beyond its region, as named permissions, and what distances and rates mean for the books.

Every permission lets the present owner keep an account, but for the radius where `Permissions.radius_binds_owner` says
so, and but for accounts reserved for new hires. Where a permission would leave an account to nobody, it says so by
leaving no rep: the plan is refused with the rule's name, never bent in silence. Leavers' books are the exception: where
the rep or team they should go back to is not there, anybody may have them.
"""

from dataclasses import dataclass, replace

import numpy as np

from engine.config.schema import Allocation, Permissions
from engine.errors import InputRefusedError, Problem
from engine.planning.decisions import ACCEPT, ASSIGN, Decisions
from models.panel import NONE, Bools, Floats, Ints, Panel, Texts
from optimization.problem import TerritoryProblem

UNKNOWN = "unknown"
"""Segment of accounts that have none on record; it asks for nothing."""

EARTH_KM = 6371.0088
"""Mean radius of the earth (IUGG), km."""


@dataclass(frozen=True)
class Places:
    """Where the problem's rows and columns lie in the panel.

    Attributes
    ----------
    panel : the company
    reps : [problem rep] index into `Panel.reps`
    owner : [account] problem rep who owns it, NONE for nobody (or a rep who has no part in the problem)
    last_day : last day of the planning horizon
    """

    panel: Panel
    reps: Ints
    owner: Ints
    last_day: np.datetime64

    @property
    def holds(self) -> Bools:
        """[account, problem rep] whether the rep is the present owner."""
        found: Bools = self.owner[:, None] == np.arange(len(self.reps))
        return found


COLUMNS = {
    "segment": ("accounts.segment", "reps.segments"),
    "language": ("accounts.language", "reps.languages"),
    "skill": ("accounts.skill", "reps.skills"),
    "places": ("accounts.latitude and longitude", "reps.latitude and longitude"),
}
"""Columns that a setting needs, of accounts and of reps."""


def check_permissions(panel: Panel, asked: Allocation) -> None:
    """Refuse settings that no column can answer.

    Raises
    ------
    InputRefusedError
        With every setting whose columns no table has.
    """
    if not asked.enabled:
        return
    accounts, reps, wanted = panel.accounts, panel.reps, asked.permissions
    there = {
        "segment": (bool((panel.segments.ids != UNKNOWN).any()), reps.segments is not None),
        "language": (accounts.language is not None, reps.languages is not None),
        "skill": (accounts.skill is not None, reps.skills is not None),
        "places": (
            accounts.latitude is not None and accounts.longitude is not None,
            reps.latitude is not None and reps.longitude is not None,
        ),
    }
    asks: list[tuple[str, str]] = [(f"allocation.permissions.match: {trait}", trait) for trait in wanted.match]
    asks += [("allocation.permissions.max_radius_km", "places")] if wanted.max_radius_km is not None else []
    asks += [("allocation.max_travel_km", "places")] if asked.max_travel_km is not None else []
    lacking = [
        (key, column)
        for key, need in asks
        for column, known in zip(COLUMNS[need], there[need], strict=True)
        if not known
    ]
    lacking += _lacking_one_column(panel, asked)
    if lacking:
        mend = "add it, or take the setting out"
        raise InputRefusedError([Problem(key, "no such data", f"data with {column}", mend) for key, column in lacking])


def _lacking_one_column(panel: Panel, asked: Allocation) -> list[tuple[str, str]]:
    """Settings that need one column, or one of two, and what they lack."""
    accounts, reps, book = panel.accounts, panel.reps, asked.permissions.leavers_book
    no_hours, no_start = bool(np.isnan(accounts.hours).all()), bool(np.isnat(reps.start).all())
    no_rate = accounts.commission is None and reps.commission is None
    needs = (
        ("bands.commission", asked.bands.commission is not None and no_rate, "reps.commission or accounts.commission"),
        ("bands.hours", asked.bands.hours is not None and no_hours, "accounts.hours"),
        ("min_hours", asked.min_hours is not None and no_hours, "accounts.hours"),
        ("hire_min_share", asked.hire_min_share is not None and no_start, "reps.start"),
        ("hire_min_accounts", asked.hire_min_accounts is not None and no_start, "reps.start"),
        (
            "permissions.leavers_book",
            book == "previous_owner" and accounts.previous_owner is None,
            "table account_owners",
        ),
        ("permissions.leavers_book", book == "team" and bool((reps.manager == NONE).all()), "reps.manager"),
    )
    return [(f"allocation.{key}", column) for key, missing, column in needs if missing]


def with_permissions(problem: TerritoryProblem, places: Places, asked: Permissions) -> TerritoryProblem:
    """The problem with all that its accounts and reps say about who may own what, about distances and about rates."""
    names, pairs = permissions(places, asked)
    new = hires(places, asked.hire_months)
    return replace(
        problem,
        permission_ids=names,
        permits=pairs,
        travel=travel(places, asked),
        commission=commission(places),
        hire=new if new.any() else None,
    )


def excused(problem: TerritoryProblem, decisions: Decisions) -> TerritoryProblem:
    """The problem with every pair that people decided on permitted: who assigns by hand knows the reason."""
    if problem.permits is None:
        return problem
    row = {account: i for i, account in enumerate(problem.account_ids.tolist())}
    column = {rep: r for r, rep in enumerate(problem.rep_ids.tolist())}
    permits = problem.permits.copy()
    for decision in decisions:
        if decision.kind in (ASSIGN, ACCEPT) and decision.rep in column and decision.account in row:
            permits[:, row[decision.account], column[decision.rep]] = True
    return replace(problem, permits=permits)


def permissions(places: Places, asked: Permissions) -> tuple[Texts | None, Bools | None]:
    """Names [permission] and pairs [permission, account, problem rep] of all that forbid anything; None for none."""
    found: dict[str, Bools | None] = {
        "radius": within_radius(places, asked),
        **{str(trait): matching(places, trait) for trait in asked.match},
        "leavers": handed_back(places, asked.leavers_book),
        "reserved": for_hires(places, asked.hire_months),
    }
    kept = {name: pairs for name, pairs in found.items() if pairs is not None and not pairs.all()}
    if not kept:
        return None, None
    return np.array(list(kept)), np.array(list(kept.values()))


def distances(places: Places) -> Floats | None:
    """[account, problem rep] km from the rep's base as the crow flies, NaN where a place is unknown; None without any.

    The haversine formula on a sphere: at most 0.6 percent off.
    """
    accounts, reps = places.panel.accounts, places.panel.reps
    here, there = (accounts.latitude, accounts.longitude), (reps.latitude, reps.longitude)
    if here[0] is None or here[1] is None or there[0] is None or there[1] is None:
        return None
    north, east = (np.radians(part)[:, None] for part in (here[0], here[1]))
    base_north, base_east = np.radians(there[0][places.reps]), np.radians(there[1][places.reps])
    half = np.sin((north - base_north) / 2) ** 2
    half = half + np.cos(north) * np.cos(base_north) * np.sin((east - base_east) / 2) ** 2
    km: Floats = 2 * EARTH_KM * np.arcsin(np.sqrt(half.clip(0.0, 1.0)))
    return km


def travel(places: Places, asked: Permissions) -> Floats | None:
    """[account, problem rep] km a month, one way, to visit the account; zero where unknown, None without any place."""
    km, visits = distances(places), places.panel.accounts.visits
    if km is None:
        return None
    often = np.full(len(km), np.nan) if visits is None else visits
    return np.nan_to_num(km * np.where(np.isnan(often), asked.visits_per_month, often)[:, None], nan=0.0)


def within_radius(places: Places, asked: Permissions) -> Bools | None:
    """[account, problem rep] whether the account lies within the radius of the rep's base; unknown places do."""
    km = distances(places)
    if asked.max_radius_km is None or km is None:
        return None
    near: Bools = ~(km > asked.max_radius_km)
    return near if asked.radius_binds_owner else near | places.holds


def matching(places: Places, trait: str) -> Bools | None:
    """[account, problem rep] whether the rep has all that the account asks for; None where no table says.

    An account's segment, language and skills are words; a rep has a list of words. An account without a word may go to
    anybody; a rep with an empty list has none.
    """
    panel = places.panel
    wanted = {
        "segment": np.append(np.char.lower(panel.segments.ids), "")[panel.accounts.segment],  # NONE is the last
        "language": panel.accounts.language,
        "skill": panel.accounts.skill,
    }[trait]
    have = {"segment": panel.reps.segments, "language": panel.reps.languages, "skill": panel.reps.skills}[trait]
    if wanted is None or have is None:
        return None
    lists = [set(str(words).split("|")) - {""} for words in have[places.reps]]
    wanted = np.where(wanted == UNKNOWN, "", wanted)
    kinds, kind = np.unique(wanted, return_inverse=True)
    fits = np.array([[set(str(words).split("|")) - {""} <= known for known in lists] for words in kinds], dtype=bool)
    pairs: Bools = fits.reshape(len(kinds), len(lists))[kind] | places.holds
    return pairs


def handed_back(places: Places, way: str) -> Bools | None:
    """[account, problem rep] who may have the accounts of leavers; None where anybody may.

    A leaver is a rep with accounts who has no part in the problem, or whose last day lies within the planning horizon.
    A leaver's accounts do not stay with a leaver who is still in the problem, unless nobody else is left.
    """
    panel, reps = places.panel, places.reps
    if way == "anyone":
        return None
    count = len(panel.reps.labels)
    leaves = np.ones(count + 1, dtype=bool)
    leaves[reps] = False
    leaves[:count] |= ~np.isnat(panel.reps.end) & (panel.reps.end <= places.last_day)
    leaves[NONE] = False
    owner, stays = panel.accounts.owner, ~leaves[reps]
    if way == "team":
        manager = np.append(panel.reps.manager, NONE)
        back = (manager[owner][:, None] == panel.reps.manager[reps]) & (manager[owner] != NONE)[:, None] & stays
    else:
        before = panel.accounts.previous_owner
        back = (np.full(len(owner), NONE) if before is None else before)[:, None] == reps
        back = back & stays
    pairs: Bools = ~leaves[owner][:, None] | back
    pairs[~pairs.any(axis=1)] = True
    return pairs


def hires(places: Places, months: int) -> Bools:
    """[problem rep] started within so many months before the as-of date, or starts after it."""
    month = places.panel.as_of.astype("datetime64[M]")
    day = places.panel.as_of.astype("datetime64[D]") - month.astype("datetime64[D]")
    since = (month - np.timedelta64(months, "M")).astype("datetime64[D]") + day
    start = places.panel.reps.start[places.reps]
    found: Bools = ~np.isnat(start) & (start > since)
    return found


def for_hires(places: Places, months: int) -> Bools | None:
    """[account, problem rep] reserved accounts go to new hires, whoever owns them now; None where none is reserved.

    Without any new hire they stay open to all: there is nobody to keep them for.
    """
    reserved, new = places.panel.accounts.reserved, hires(places, months)
    if reserved is None or not new.any():
        return None
    pairs: Bools = ~reserved[:, None] | new
    return pairs


def commission(places: Places) -> Floats | None:
    """[account, problem rep] share of revenue paid to the rep: the account's own rate, else the rep's; None if unknown.

    Where some rates are unknown, they are taken to be the mean of the known ones.
    """
    panel = places.panel
    own, rate = panel.accounts.commission, panel.reps.commission
    rates = np.full(len(places.reps), np.nan) if rate is None else rate[places.reps]
    accounts = np.full(len(panel.accounts.labels), np.nan) if own is None else own
    found = np.where(np.isnan(accounts)[:, None], rates, accounts[:, None])
    known = np.isfinite(found)
    return np.where(known, found, found[known].mean()) if known.any() else None
