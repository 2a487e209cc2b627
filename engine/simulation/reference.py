"""The kernels' NumPy twin: the same functions written to be read, with NumPy's own generators.

Tables are equal to the kernels' up to rounding, simulated revenue in distribution (tests/test_simulation_twins.py holds
one suite over both). Works on one block of paths at a time: one posterior draw and one set of monthly shocks.
"""

from typing import NamedTuple

import numpy as np

from engine.simulation.clock import Clock
from engine.simulation.world import CLOSE, PHASE, SHARE, WIN, Amounts, Odds, OrderBook, Pipeline, World
from models.calendar import WEEKS_PER_MONTH, month_of_year
from models.order_history import FIRST_MISSED, LAST_MISSED
from models.panel import Floats, Ints


def simulate_cells(world: World, paths: int, size: int, draws: Ints, rng: np.random.Generator) -> Floats:
    """Simulated revenue of every cell and simulated month, all legs together.

    Parameters
    ----------
    paths, size : number of paths, and of paths in a block
    draws : [block] posterior draw of every block

    Returns
    -------
    [path, cell, month]
    """
    blocks = [
        simulate_block(world, min(size, paths - first), int(draws[first // size]), rng)
        for first in range(0, paths, size)
    ]
    return np.concatenate(blocks)


def simulate_block(world: World, paths: int, draw: int, rng: np.random.Generator) -> Floats:
    """One block of paths; [path, cell, month]."""
    shocks = month_shocks(world.odds, draw, len(world.clock.months), rng)
    demand = order_shocks(world, draw, paths, rng)
    revenue = open_deals(world, draw, shocks, paths, rng) + new_deals(world, draw, shocks, paths, rng)
    return revenue + known_orders(world, draw, demand, rng) + first_orders(world, draw, demand, rng)


def month_shocks(odds: Odds, draw: int, months: int, rng: np.random.Generator) -> Floats:
    """Factors ``exp(-shock)`` [month, 2] to close and to win: drawn fresh, but where the month was fitted already."""
    noise, correlation = rng.standard_normal((months, 2)), odds.shock_correlation[draw]
    noise[:, WIN] = correlation * noise[:, CLOSE] + np.sqrt(1 - correlation**2) * noise[:, WIN]
    shocks = noise * odds.shock_scale[draw]
    if odds.first_known[0]:
        shocks[0] = odds.first_shock[draw]
    return np.exp(-shocks)


def calendar(odds: Odds, clock: Clock, draw: int, weeks: int, shocks: Floats) -> Floats:
    """Odds [week, 4] of all deals: base, week and ``shocks`` [month, 2]; then the week's share and month of quarter."""
    table = odds.base[draw] * odds.week[draw, clock.week_of_quarter[:weeks]] * shocks[clock.week_month[:weeks]]
    phase = clock.week_of_quarter[:weeks] // WEEKS_PER_MONTH
    return np.column_stack([table, clock.week_share[:weeks], phase])


def class_odds(odds: Odds, pipeline: Pipeline, draw: int) -> Floats:
    """The odds [class, 2] of every class of open deals that time and stage do not change."""
    deal = odds.size[draw, pipeline.size] * odds.segment[draw, pipeline.segment] * odds.product[draw, pipeline.product]
    return deal * odds.territory[draw, pipeline.territory] * odds.rep[draw, pipeline.rep]


def hazard_of(odds_against: Floats, share: float) -> Floats:
    """Chance of an event within the share of a week that is left."""
    if share == 1:
        return 1 / (1 + odds_against)
    return 1 - (1 - 1 / (1 + odds_against)) ** share


def outcome_table(odds: Odds, pipeline: Pipeline, clock: Clock, draw: int, shocks: Floats) -> Floats:
    """Chances of all classes under one posterior draw, won and lost by simulated month; [class, 2, month]."""
    factors, weeks = class_odds(odds, pipeline, draw), calendar(odds, clock, draw, clock.weeks, shocks)
    table = np.zeros((len(pipeline.age), 2, len(shocks)))
    here = np.eye(odds.stage.shape[1])[pipeline.stage]  # [class, stage]
    for week in range(clock.weeks):
        age, phase = np.minimum(pipeline.age + week, odds.age.shape[2] - 1), int(weeks[week, PHASE])
        timed = factors * weeks[week, :SHARE] * odds.age[draw, phase, age]
        against = timed[:, None] * odds.stage[draw]  # [class, stage, 2]
        closing = here * hazard_of(against[..., CLOSE], weeks[week, SHARE])
        winning = closing / (1 + against[..., WIN])
        table[:, 0, clock.week_month[week]] += winning.sum(axis=1)
        table[:, 1, clock.week_month[week]] += (closing - winning).sum(axis=1)
        stay, share = here - closing, weeks[week, SHARE]
        here = share * (stay @ odds.move[draw]) + (1 - share) * stay
    return table


def log_centre(amounts: Amounts, draw: int, product: Ints, segment: Ints, rep: Ints) -> Floats:
    """Where the log of won amount over list amount is centred."""
    return amounts.base[draw] + amounts.product[draw, product] + amounts.segment[draw, segment] + amounts.rep[draw, rep]


def drawn_list_log(amounts: Amounts, product: Ints, rng: np.random.Generator) -> Floats:
    """Log of the list amounts of deals that have none yet."""
    mean, sd = amounts.lists[product].T
    return mean + sd * rng.standard_normal(len(product))


def won_amount(amounts: Amounts, draw: int, centre: Floats, list_log: Floats, rng: np.random.Generator) -> Floats:
    """Draw the amounts of won deals whose list amounts are known."""
    kind, noise = rng.random(len(centre)), rng.standard_t(amounts.dof[draw], len(centre))
    multiple = np.minimum(np.exp(np.minimum(centre + amounts.scale[draw] * noise, 700.0)), amounts.cap)
    zero, exact = amounts.zero[draw], amounts.exact[draw]
    return np.exp(list_log) * np.select(
        [kind < zero, kind < zero + exact], [np.zeros_like(centre), np.ones_like(centre)], multiple
    )


def open_deals(world: World, draw: int, shocks: Floats, paths: int, rng: np.random.Generator) -> Floats:
    """Revenue [path, cell, month] of the open deals."""
    months = len(world.clock.months)
    revenue = np.zeros((paths, len(world.cells.rep), months))
    table = outcome_table(world.odds, world.pipeline, world.clock, draw, shocks)
    path, deal, month, amount = open_wins(world, draw, table, paths, rng)
    np.add.at(revenue, (path, world.pipeline.cell[deal], month), amount)
    return revenue


def open_wins(
    world: World, draw: int, table: Floats, paths: int, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints, Floats]:
    """Path, deal, month and amount of every open deal that is won, under one posterior draw and its outcome table."""
    pipeline = world.pipeline
    number = np.repeat(np.arange(len(pipeline.age)), np.diff(pipeline.class_start))
    cumulative = np.cumsum(table[:, 0], axis=1)[number]  # [deal, month]
    drawn = rng.random((paths, len(number)))
    path, deal = np.nonzero(drawn < cumulative[:, -1])
    month = (drawn[path, deal][:, None] >= cumulative[deal]).sum(axis=1)
    chosen, list_log = number[deal], pipeline.list_log[deal]
    unknown = np.isnan(list_log)
    list_log[unknown] = drawn_list_log(world.amounts, pipeline.product[chosen[unknown]], rng)
    centre = log_centre(world.amounts, draw, pipeline.product[chosen], pipeline.segment[chosen], pipeline.rep[chosen])
    return path, deal, month, won_amount(world.amounts, draw, centre, list_log, rng)


class OpenOutcomes(NamedTuple):
    """What `open_outcomes` leaves.

    Attributes
    ----------
    rep, territory, product : [path, member, month] revenue
    chances : [2, class, month] sums over paths of the chances to be won and lost
    deals : [deal, 2] sums over paths of revenue, and of revenue x company total
    """

    rep: Floats
    territory: Floats
    product: Floats
    chances: Floats
    deals: Floats


def open_outcomes(world: World, paths: int, size: int, draws: Ints, rng: np.random.Generator) -> OpenOutcomes:
    """Levels of every path and sums per deal, of the open deals alone; arguments as in `simulate_cells`.

    What the compiled `engine.simulation.simulate.run_chunks` does for open deals, block by block in NumPy.
    """
    months, (_, *counts) = len(world.clock.months), world.cells.sizes[:4]
    levels = [np.zeros((paths, count, months)) for count in counts]
    chances, deals = np.zeros((2, len(world.pipeline.age), months)), np.zeros((len(world.pipeline.cell), 2))
    members = (world.cells.rep, world.cells.territory, world.cells.product)
    for first in range(0, paths, size):
        here, draw = min(size, paths - first), int(draws[first // size])
        table = outcome_table(
            world.odds, world.pipeline, world.clock, draw, month_shocks(world.odds, draw, months, rng)
        )
        chances += here * table.transpose(1, 0, 2)
        path, deal, month, amount = open_wins(world, draw, table, here, rng)
        cell = world.pipeline.cell[deal]
        for level, member in zip(levels, members, strict=True):
            place = (path * level.shape[1] + member[cell]) * months + month
            level[first : first + here] = np.bincount(place, amount, here * level[0].size).reshape(here, -1, months)
        total = np.bincount(path, amount, here)
        deals[:, 0] += np.bincount(deal, amount, len(deals))
        deals[:, 1] += np.bincount(deal, amount * total[path], len(deals))
    rep, territory, product = levels
    return OpenOutcomes(rep, territory, product, chances, deals)


def seller_rates(world: World, draw: int) -> Floats:
    """Expected new deals [seller, month] under one posterior draw, the market's factors left out."""
    arrivals = world.arrivals
    ramp = 1 - np.exp(-arrivals.tenure / arrivals.ramp_months[draw])
    return np.exp(arrivals.log_rate[draw][:, None] + arrivals.season[draw]) * arrivals.exposure * ramp


def market(world: World, draw: int, paths: int, rng: np.random.Generator) -> Floats:
    """Factors [path, month] that all sellers share: the walk of the level, and a shock of each month."""
    steps = np.diff(world.arrivals.steps, prepend=0)
    walk = np.cumsum(rng.standard_normal((paths, len(steps))) * np.sqrt(steps), axis=1)
    shock = rng.standard_normal((paths, len(steps)))
    return np.exp(world.arrivals.level_scale[draw] * walk + world.arrivals.shock_scale[draw] * shock)


def new_deals(world: World, draw: int, shocks: Floats, paths: int, rng: np.random.Generator) -> Floats:
    """Revenue [path, cell, month] of the deals created after the as-of date."""
    odds, arrivals, amounts, clock = world.odds, world.arrivals, world.amounts, world.clock
    revenue = np.zeros((paths, len(world.cells.rep), len(clock.months)))
    rate = seller_rates(world, draw) * market(world, draw, paths, rng)[:, None, :]  # [path, seller, month]
    alpha = arrivals.dispersion[draw]
    count = rng.poisson(rate * rng.gamma(alpha, 1 / alpha, rate.shape))
    path, seller, created = (np.repeat(index, count.reshape(-1)) for index in np.indices(rate.shape).reshape(3, -1))
    entry = _entries(arrivals.account_cumulative, arrivals.account_start, seller, rng)
    slot = _choose(arrivals.product_cumulative[seller], rng)
    product, segment, rep = arrivals.product[seller, slot], arrivals.account_segment[entry], arrivals.rep[seller]
    list_log = drawn_list_log(amounts, product, rng)
    size = np.searchsorted(odds.size_edges, list_log, side="right")
    factor = odds.size[draw, size] * odds.segment[draw, segment] * odds.product[draw, product]
    factor = factor * odds.territory[draw, arrivals.account_territory[entry]] * odds.rep[draw, rep]
    born = clock.creation_week[created] + _choose(clock.creation[created], rng)
    won = _won_month(world, draw, shocks, factor, born, rng)
    kept = np.flatnonzero(won >= 0)
    centre = log_centre(amounts, draw, product[kept], segment[kept], rep[kept])
    amount = won_amount(amounts, draw, centre, list_log[kept], rng)
    np.add.at(revenue, (path[kept], arrivals.cell[entry[kept], slot[kept]], won[kept]), amount)
    return revenue


def _won_month(world: World, draw: int, shocks: Floats, factor: Floats, born: Ints, rng: np.random.Generator) -> Ints:
    """Month in which each new deal is won, -1 when it is not."""
    odds, clock = world.odds, world.clock
    weeks = calendar(odds, clock, draw, clock.weeks, shocks)
    won = np.full(len(born), -1)
    stage = _choose(np.broadcast_to(odds.path[draw, -1], (len(born), odds.path.shape[2])), rng)
    still = np.ones(len(born), dtype=bool)
    for week in range(clock.weeks):
        at = np.flatnonzero(still & (born <= week))
        age, phase = np.minimum(week - born[at], odds.age.shape[2] - 1), int(weeks[week, PHASE])
        timed = factor[at] * weeks[week, :SHARE] * odds.age[draw, phase, age]
        against = timed * odds.stage[draw, stage[at]]  # [deal, 2]
        closing = rng.random(len(at)) < hazard_of(against[:, CLOSE], weeks[week, SHARE])
        winning = closing & (rng.random(len(at)) < 1 / (1 + against[:, WIN]))
        won[at[winning]] = clock.week_month[week]
        still[at[closing]] = False
        moving = at[~closing & (rng.random(len(at)) < weeks[week, SHARE])]
        stage[moving] = _choose(odds.path[draw, stage[moving]], rng)
    return won


def _choose(cumulative: Floats, rng: np.random.Generator) -> Ints:
    """Position drawn from every row of cumulative chances."""
    above = rng.random((len(cumulative), 1)) >= cumulative[:, :-1]
    return above.sum(axis=1)


def _entries(cumulative: Floats, start: Ints, group: Ints, rng: np.random.Generator) -> Ints:
    """Entry drawn from the list of every ``group``; ``start`` [group + 1] is the first entry of each list."""
    entry = np.zeros(len(group), dtype=np.int64)
    for number in range(len(start) - 1):
        members = np.flatnonzero(group == number)
        listed = cumulative[start[number] : start[number + 1]]
        entry[members] = start[number] + _choose(np.broadcast_to(listed, (len(members), len(listed))), rng)
    return entry


def order_shocks(world: World, draw: int, paths: int, rng: np.random.Generator) -> Floats:
    """[path, month, 3] factor of the odds against ordering, shift of log amounts, factor of the first orders."""
    scale = np.array(
        [-world.orders.shock_scale[draw], world.orders.amount_shock_scale[draw], world.first.shock_scale[draw]]
    )
    noise = scale * rng.standard_normal((paths, len(world.clock.months), 3))
    return np.stack([np.exp(noise[..., 0]), noise[..., 1], np.exp(noise[..., 2])], axis=-1)


def order_log_amount(
    book: OrderBook,
    draw: int,
    month: Ints,
    orders: Ints,
    level: Floats,
    group: Floats,
    shock: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Draw the log of orders' amounts."""
    grade = np.searchsorted(book.grade_edges, level, side="right")
    effect, sd, odd_chance = book.grades[draw, grade].T
    carry, age_effect = book.ages[draw, np.minimum(orders, book.ages.shape[1]) - 1].T
    centre = carry * level + (1 - carry) * group + age_effect + effect + book.amount_season[draw, month] + shock
    odd, noise = rng.random(len(level)) < odd_chance, rng.standard_normal(len(level))
    log_amount = np.where(odd, book.odd[draw, 0] + book.odd[draw, 1] * noise, centre + sd * noise)
    return np.minimum(log_amount, book.cap)


def order_months(
    world: World, draw: int, buyer: dict[str, np.ndarray], shocks: Floats, rng: np.random.Generator
) -> Floats:
    """Run buyers through the months.

    Parameters
    ----------
    buyer : [buyer] arrays cycle, group, elapsed, orders, level, weight, and ``since``: the last month not simulated
    shocks : [buyer, month, 3] see `order_shocks`

    Returns
    -------
    [buyer, month] amount ordered
    """
    book, clock = world.orders, world.clock
    months, elapsed, orders = len(clock.months), buyer["elapsed"].copy(), buyer["orders"].copy()
    level, weight = buyer["level"].copy(), buyer["weight"].copy()
    amount = np.zeros((len(elapsed), months))
    for month in range(months):
        running = clock.months[month] == clock.as_of_month
        at = (buyer["since"] < month) & ~(running & (elapsed == 0))
        if not running:
            elapsed[at] += 1
        grade = np.searchsorted(book.grade_edges, level, side="right")
        state = book.states[buyer["cycle"], elapsed]
        late = (state >= FIRST_MISSED) & (state <= LAST_MISSED)
        due = month_of_year(clock.months[month] - elapsed + buyer["cycle"])
        season = np.where(late, book.missed[draw, due, grade], book.season[draw, month, grade] * shocks[:, month, 0])
        against = book.base[draw] * book.state[draw, state] * season
        hit = np.flatnonzero(at & (rng.random(len(elapsed)) < hazard_of(against, float(clock.month_share[month]))))
        found = order_log_amount(
            book,
            draw,
            np.full(len(hit), month),
            orders[hit],
            level[hit],
            buyer["group"][hit],
            shocks[hit, month, 1],
            rng,
        )
        amount[hit, month] = np.exp(found)
        elapsed[hit], orders[hit], weight[hit] = 0, orders[hit] + 1, 1 + (1 - book.decay) * weight[hit]
        level[hit] += (found - level[hit]) / weight[hit]
    return amount


def known_orders(world: World, draw: int, shocks: Floats, rng: np.random.Generator) -> Floats:
    """Revenue [path, cell, month] of accounts that have ordered before."""
    book, paths, count = world.orders, len(shocks), len(world.orders.key)
    if not count:
        return np.zeros((paths, len(world.cells.rep), len(world.clock.months)))
    names = ("elapsed", "orders", "level", "weight", "group")
    buyer = {name: np.tile(getattr(book, name), paths) for name in names}
    buyer |= {"cycle": np.tile(book.cycle[draw], paths), "since": np.full(paths * count, -1)}
    amount = order_months(world, draw, buyer, np.repeat(shocks, count, axis=0), rng)
    first, last = book.split_start[book.entry[draw]], book.split_start[book.entry[draw] + 1]
    owner = np.repeat(np.arange(count), last - first)
    row = np.concatenate([np.arange(low, high) for low, high in zip(first, last, strict=True)])
    split = amount.reshape(paths, count, -1)[:, owner] * book.split_share[row, None]  # [path, split, month]
    revenue = np.zeros((len(world.cells.rep), paths, len(world.clock.months)))
    np.add.at(revenue, book.split_cell[row], split.swapaxes(0, 1))
    return revenue.swapaxes(0, 1)


def first_orders(world: World, draw: int, shocks: Floats, rng: np.random.Generator) -> Floats:
    """Revenue [path, cell, month] of customers to come: their first orders and those that follow."""
    first, book, clock = world.first, world.orders, world.clock
    revenue = np.zeros((len(shocks), len(world.cells.rep), len(clock.months)))
    rate = (
        first.rate[draw][:, None] * first.season[draw] * clock.month_share * shocks[:, None, :, 2]
    )  # [path, territory, month]
    alpha = first.dispersion[draw]
    count = rng.poisson(rate * rng.gamma(alpha, 1 / alpha, rate.shape))
    path, territory, born = (np.repeat(index, count.reshape(-1)) for index in np.indices(rate.shape).reshape(3, -1))
    if not len(path):
        return revenue
    entry = _entries(first.rep_cumulative[draw], first.rep_start, territory, rng)
    pool = first.pool[draw, rng.integers(0, first.pool.shape[1], len(path))]
    level = np.minimum(np.log(pool) + first.shift[draw, territory] + first.amount_season[draw, born], book.cap)
    cumulative = np.broadcast_to(book.cycle_cumulative[draw], (len(path), book.cycle_cumulative.shape[1]))
    buyer = {
        "cycle": _choose(cumulative, rng),
        "group": first.group[territory],
        "elapsed": np.zeros(len(path), dtype=np.int64),
        "orders": np.ones(len(path), dtype=np.int64),
        "level": level,
        "weight": np.ones(len(path)),
        "since": born,
    }
    amount = order_months(world, draw, buyer, shocks[path], rng)
    amount[np.arange(len(path)), born] = np.exp(level)
    for split, share in enumerate(first.share):
        np.add.at(revenue, (path, first.cell[entry, split]), amount * share)
    return revenue
