"""Rounds of search: passes of chains and integer programs side by side, the better tool getting more turns."""

import time
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace

import numpy as np

from optimization.large_scale.certificate import plan_cost, violations
from optimization.large_scale.field import Field, reach_limit
from optimization.large_scale.neighbourhoods import (
    FIRST_SIZE,
    NODES,
    PER_ACCOUNT,
    Gain,
    Group,
    book_losses,
    broken_cost,
    draw_groups,
    improve_group,
    links,
    merge,
    room_to_settle,
)
from optimization.large_scale.passes import Climate, run_pass
from optimization.large_scale.relinking import relink
from optimization.problem import Ints

CLIMATES = (
    Climate(warm=10.0, cool=0.2, reach=2.5, nodes=300),
    Climate(warm=2.0, cool=0.1, reach=2.5, nodes=300),
    Climate(warm=5.0, cool=0.2, reach=1.5, nodes=3000),
    Climate(warm=5.0, cool=0.1, reach=2.0, nodes=1000),
    Climate(warm=20.0, cool=0.2, reach=4.0, nodes=300),
    Climate(warm=3.0, cool=0.1, reach=1.5, nodes=10000),
)
"""Climates in the order in which they take their turns."""

SIDES = 2
"""Jobs of a round; the number of threads changes only how long they take."""

GROUPS = 4
"""Integer programs of a side in a round."""

SLICE = 2.0
"""Most seconds of one integer program over a group; one that takes them makes the result depend on the clock."""

KEPT = 20
"""Plans kept for merging."""

PARENTS, MOST_PARENTS = 3, 6
"""Plans merged in one program at first, and at most."""

PARENTS_OF_CHILDREN = 10
"""Best of the plans kept, between which children start."""

STALE = 30
"""Rounds of relinking without a plan worth keeping after which merges have their turn."""

RELINK_ROUNDS = 2.5e6
"""Rounds of relinking in the first turn, times the square of the accounts; twice as many in the next."""

LARGEST_RELINKED = 200
"""Accounts above which children take longer than they are worth (at 400, 26 s for no gain)."""

MERGE_NODES = 3000
"""Most branch-and-bound nodes of a merge."""

DEARER = 2.0
"""Factor of the cost outside a band from one round of programs to the next."""

GROWS, SHRINKS = 0.8, 0.6
"""Shares of programs solved to the end in a round above and below which groups grow and shrink."""

PATIENCE = 4
"""Rounds of programs without a gain after which passes have their turn again."""

MOST_STEPS = 3e5
"""Chains tried in a pass of the first turn, in small problems."""

STEPS_PER_SECOND, ENOUGH_PER_ACCOUNT = 15_000, 150
"""Chains tried in a pass of the first turn in larger ones: per second of the search, up to so many per account."""

MOST_PER_ACCOUNT, FEW_PER_ACCOUNT = 1000.0, 100.0
"""Chains tried per account in a pass of the first turn: at most, and below which integer programs come first."""

SETTLE_SHARE = 0.3
"""Share of the time left that the attempt to settle a small problem may take."""


@dataclass
class Best:
    """Best plan [account, as reps] so far; its cost; what broken bands cost on top, at ``price`` times the least."""

    rep: Ints
    cost: float
    broken: float
    price: float = 20.0

    @property
    def feasible(self) -> bool:
        """Every band holds."""
        return self.broken == 0.0

    def offer(self, field: Field, rep: Ints) -> bool:
        """Take a plan if it is better: any that holds all bands before any that does not, then by cost."""
        cost = plan_cost(field.problem, rep)
        if self.feasible and cost >= self.cost:
            return False
        broken = 0.0
        if violations(field.problem, rep):
            broken = max(self.price * float(broken_cost(field, rep).sum()), np.finfo(float).tiny)
        better = broken == 0.0 if self.feasible else broken == 0.0 or cost + broken < self.cost + self.broken
        if better:
            self.rep, self.cost, self.broken = rep, cost, broken
        return better


class Search:
    """Passes of chains, then integer programs while they gain, and again with other climates and more effort.

    ``around``: there is a plan already, so integer programs around it come first. ``seconds`` is what the whole search
    is given: larger problems have longer passes where it is long.
    """

    def __init__(self, field: Field, seed: int, deadline: float, seconds: float, around: bool = False) -> None:
        self.field, self.deadline = field, deadline
        self.streams = np.random.SeedSequence(seed)
        self.rng = np.random.default_rng(self.streams.spawn(1)[0])
        whole = np.array_equal(field.problem.cost, np.round(field.problem.cost))
        self.apart = 0.999 if whole else 0.05 * field.heat
        self.turn, self.dry, self.size = 0, 0, float(FIRST_SIZE)
        self.settled, self.attempted = False, 0
        enough = max(MOST_STEPS, ENOUGH_PER_ACCOUNT * len(field.first))
        self.steps = float(np.clip(STEPS_PER_SECOND * seconds, MOST_STEPS, enough))
        self.phase = self._round_of_programs if around else self._round_of_passes
        self.pool: list[tuple[float, Ints]] = []
        self.parents, self.tired, self.unmerged = PARENTS, False, False
        self.relinked, self.bred = 0, 0
        open_below = bool(np.isneginf(field.problem.low).all())  # relinking is measured to pay there only
        self.relinks = open_below and len(field.first) <= LARGEST_RELINKED
        self.shared = links(field, reach_limit(field, PER_ACCOUNT))

    @property
    def cycle(self) -> int:
        """How often all climates had their turn."""
        return self.turn // len(CLIMATES)

    def round(self, best: Best, pool: Executor) -> bool:
        """One round; false when the clock had a part in it."""
        return self.phase(best, pool)

    def _round_of_passes(self, best: Best, pool: Executor) -> bool:
        jobs = []
        for _ in range(SIDES):
            climate = CLIMATES[self.turn % len(CLIMATES)]
            steps = min(self.steps / len(self.field.first), MOST_PER_ACCOUNT)
            climate = replace(climate, steps=steps * 2.0**self.cycle)
            self.turn += 1
            stream = self.streams.spawn(1)[0]
            jobs.append(pool.submit(run_pass, self.field, climate, self.field.first, stream, self.deadline))
        timely = True
        for outcome in [job.result() for job in jobs]:
            timely &= outcome.ended
            plan = outcome.last if outcome.best is None else outcome.best
            best.offer(self.field, self.field.problem.pair_rep[plan])
            if outcome.best is not None:
                self._keep(outcome.best)
        shortened = len(self.field.first) > MOST_STEPS / FEW_PER_ACCOUNT
        if self.turn % len(CLIMATES) == 0:
            self.unmerged = True  # where books are too many to relink, programs bring plans worth merging sooner
            breed = self.relinks and self.bred < self.cycle  # once in a turn; its plans are merged afterwards
            self.phase, self.dry = self._round_of_relinks if breed else self._round_of_programs, 0
        elif self.turn % len(CLIMATES) == SIDES and (shortened or not best.feasible):
            self.phase, self.dry = self._round_of_programs, 0  # passes alone are not enough here
        return timely

    def _keep(self, plan: Ints) -> bool:
        """Keep a plan of pairs among the best ones, each cost once; whether it is new."""
        cost = plan_cost(self.field.problem, self.field.problem.pair_rep[plan])
        if any(abs(cost - known) <= 1e-9 * max(1.0, abs(cost)) for known, _ in self.pool):
            return False
        self.pool = sorted([*self.pool, (cost, plan)], key=lambda one: one[0])[:KEPT]
        return any(kept is plan for _, kept in self.pool)

    def _round_of_relinks(self, best: Best, pool: Executor) -> bool:
        """Children between plans drawn from those kept, which they join if they are good enough."""
        if best.feasible:
            self._keep(np.flatnonzero(self.field.problem.pair_rep == best.rep[self.field.account]))
        parents = [plan for _, plan in self.pool[:PARENTS_OF_CHILDREN]]
        most = RELINK_ROUNDS * 2.0 ** (self.cycle - 1) / len(self.field.first) ** 2
        if len(parents) < 2 or self.dry >= STALE or self.relinked >= max(most, 1.0):
            self.phase, self.dry, self.relinked, self.bred = self._round_of_merges, 0, 0, self.cycle
            return True
        self.relinked += 1
        streams = self.streams.spawn(SIDES)
        jobs = [pool.submit(relink, self.field, parents, stream, self.deadline) for stream in streams]
        born = [job.result() for job in jobs]
        for plan in [plan for offspring in born for plan in offspring.plans]:
            best.offer(self.field, self.field.problem.pair_rep[plan])
            self.dry = 0 if self._keep(plan) else self.dry
        self.dry += 1
        return all(offspring.ended for offspring in born)

    def _round_of_merges(self, best: Best, pool: Executor) -> bool:
        """Merge plans drawn from those kept; children are kept as well."""
        if best.feasible:
            self._keep(np.flatnonzero(self.field.problem.pair_rep == best.rep[self.field.account]))
        self.unmerged = False
        count = min(self.parents, len(self.pool))
        if count < 2 or self.tired:
            self.phase, self.dry = self._round_of_programs, 0
            return True
        jobs = []
        for _ in range(SIDES):
            draws = [self.rng.permutation(len(self.pool))[:count] for _ in range(GROUPS)]
            lists = [[self.pool[k][1] for k in sorted(draw)] for draw in draws]
            jobs.append(pool.submit(self._merges, lists))
        gains = [gain for job in jobs for gain in job.result()]
        better, new = False, False
        for gain in gains:
            if len(gain.pairs):
                better |= best.offer(self.field, self.field.problem.pair_rep[gain.pairs])
                new |= self._keep(gain.pairs)
        solved = sum(gain.optimal for gain in gains) / max(len(gains), 1)
        self.tired = solved < SHRINKS and self.parents == 2 and not better
        self.parents = int(np.clip(self.parents + (solved > GROWS) - (solved < SHRINKS), 2, MOST_PARENTS))
        self.dry = 0 if better else self.dry + 1
        if self.dry >= PATIENCE or not new:
            self.phase, self.dry = self._round_of_programs, 0
        return not any(gain.timed_out for gain in gains)

    def _merges(self, lists: list[list[Ints]]) -> list[Gain]:
        gains = []
        for plans in lists:
            if (now := time.monotonic()) > self.deadline:
                break
            until = min(self.deadline, now + SLICE)
            gains.append(merge(self.field, plans, MERGE_NODES, self.apart, until))
        return gains

    def _round_of_programs(self, best: Best, pool: Executor) -> bool:
        reps = len(self.field.problem.rep_ids)
        size = min(round(self.size), reps)
        used = np.flatnonzero(self.field.problem.pair_rep == best.rep[self.field.account])
        weight = book_losses(self.field, used).clip(min=0) + 1e-9 * max(abs(best.cost), 1.0)
        count = max(SIDES * GROUPS, reps // size)
        if not best.feasible:  # broken books first and alone, and dearer from round to round
            best.price, best.broken = DEARER * best.price, DEARER * best.broken
            broken = broken_cost(self.field, best.rep)
            weight, count = 1e-6 * weight + broken, max(SIDES * GROUPS, min(count, int((broken > 0).sum())))
        groups = draw_groups(self.shared, weight, size, count, self.rng)
        seed = int(self.rng.integers(2**30))
        sides = [groups[k::SIDES] for k in range(SIDES) if groups[k::SIDES]]
        jobs = [pool.submit(self._side, best, side, seed + k) for k, side in enumerate(sides)]
        if self.attempted < self.cycle and best.feasible:  # once after every turn of the climates
            self.attempted = self.cycle
            if room_to_settle(self.field, best.rep):
                return self._settle(best, jobs, pool, seed)
        return self._merge(best, [gain for job in jobs for gain in job.result()])

    def _settle(self, best: Best, jobs: list[Future[list[Gain]]], pool: Executor, seed: int) -> bool:
        left = SETTLE_SHARE * max(self.deadline - time.monotonic(), 0.0)
        everybody = Group(np.arange(len(self.field.problem.rep_ids)), seed, 100 * NODES, elastic=0.0)
        whole = pool.submit(improve_group, self.field, best.rep, everybody, self.apart, time.monotonic() + left)
        timely = self._merge(best, [gain for job in jobs for gain in job.result()])
        return timely & self._merge(best, [whole.result()])

    def _side(self, best: Best, groups: list[Ints], seed: int) -> list[Gain]:
        gains, rep, elastic = [], best.rep, 0.0 if best.feasible else best.price
        apart = self.field.heat if elastic else self.apart
        for reps in groups:
            if (now := time.monotonic()) > self.deadline:
                break
            group = Group(reps, seed, NODES * 2**self.cycle, elastic)
            gains.append(improve_group(self.field, rep, group, apart, min(self.deadline, now + SLICE)))
        return gains

    def _merge(self, best: Best, gains: list[Gain]) -> bool:
        """Put the gains of disjoint groups into the plan, one by one."""
        problem, better = self.field.problem, False
        together = np.concatenate([gain.pairs for gain in gains]) if gains else np.zeros(0, dtype=np.int64)
        for pairs in [together, *(gain.pairs for gain in gains)]:
            if len(pairs):
                rep = best.rep.copy()
                rep[self.field.account[pairs]] = problem.pair_rep[pairs]
                better |= best.offer(self.field, rep)
                if better and pairs is together:
                    break
        self.settled |= any(gain.whole for gain in gains)
        solved = sum(gain.optimal for gain in gains) / max(len(gains), 1)
        if solved > GROWS:
            self.size = min(self.size * 1.2, len(problem.rep_ids))
        elif solved < SHRINKS and gains:
            self.size = max(self.size / 1.2, 2.0)
            self.dry += not better  # programs that their limits end are dear: the passes have their turn sooner
        growing = solved > GROWS and self.size < len(problem.rep_ids)  # larger groups are worth a look
        self.dry = 0 if better or growing else self.dry + 1
        if self.dry >= (PATIENCE if self.tired or not best.feasible else 1):
            self.phase, self.dry = self._round_of_merges if self.unmerged else self._round_of_passes, 0
        return not any(gain.timed_out for gain in gains)
