"""The section of the territories: the plan, how even it is, what moves, where, and what fairness costs."""

from dataclasses import replace

import numpy as np
import pandas as pd

from engine.report import plan_figures
from engine.report.page import Column, PageFigure, Section, make_table
from engine.report.words import Words
from engine.results import Allocation, ForecastResult
from optimization.fairness import above_quota
from optimization.plan import Certificate, Infeasible, TerritoryPlan
from optimization.pools import pools_of
from optimization.rules import fair_value

PATHS = 4_000
"""Paths that the bands of attainment are counted on."""

MOVES = (
    Column("account", "col.account_id"),
    Column("account_name", "col.account"),
    Column("old_rep_name", "col.from"),
    Column("new_rep_name", "col.to"),
    Column("reason_text", "col.why", wide=True),
    Column("potential_mean", "col.potential", "money"),
    Column("move_cost", "col.move_cost", "money"),
    Column("confidence", "col.confidence", "share"),
)

BOOKS = (
    Column("rep_name", "col.rep"),
    Column("territory_name", "col.territory"),
    Column("accounts", "col.accounts", "count"),
    Column("hours", "col.hours", "count"),
    Column("quota", "col.quota", "money"),
    Column("revenue_mean", "col.expected", "money"),
    Column("p10", "col.p10", "money"),
    Column("p90", "col.p90", "money"),
    Column("p_attain_before", "col.chance_before", "share"),
    Column("p_attain", "col.chance_plan", "share"),
    Column("moves_in", "col.moves_in", "count"),
    Column("moves_out", "col.moves_out", "count"),
)


def plan_section(result: ForecastResult, tables: dict[str, pd.DataFrame], words: Words) -> Section:
    """The plan, why there is none, or that none was asked for."""
    title, allocation = words("section.territories"), result.allocation
    if allocation is None:
        return Section("territories", title, words("text.no_plan"))
    answer = allocation.answer
    if isinstance(answer, Infeasible):
        conflicts = "; ".join(", ".join(names) for names in answer.conflicts)
        text = words("text.infeasible", conflicts=conflicts, repairs="; ".join(answer.repairs))
        return Section("territories", title, text)
    moves = tables["moves"].assign(reason_text=[words.reason(reason) for reason in tables["moves"]["reason"]])
    listed = [make_table(words, "moves", moves, MOVES, "moves")]
    if result.config.report.names != "absent":
        listed.insert(0, make_table(words, "books", tables["books"], BOOKS, "reps"))
    details = words("text.bound", kind=answer.certificate.bound_kind)
    if not answer.certificate.feasible:
        details = "; ".join(answer.certificate.violations) + ". " + details
    drawn = _figures(result, tables, words, (allocation, answer))
    return Section("territories", title, _summary(answer, tables, words, result), drawn, tuple(listed), details)


def _summary(plan: TerritoryPlan, tables: dict[str, pd.DataFrame], words: Words, result: ForecastResult) -> str:
    certificate, before = plan.certificate, plan.p_attain_before
    return words(
        "text.plan",
        moves=words.money(len(tables["moves"])),
        accounts=words.money(len(plan.rep)),
        cost=words.money(plan.move_cost.sum()),
        currency=result.config.currency,
        rules=words("text.rules_hold" if certificate.feasible else "text.rules_broken"),
        before=f"{words.share(before.min())} – {words.share(before.max())}",
        after=f"{words.share(certificate.p_attain_min)} – {words.share(certificate.p_attain_max)}",
        spread=words.number(100 * certificate.p_attain_spread_within, "one"),
        noise=words.number(100 * certificate.noise_floor, "one"),
        gap=words.number(certificate.gap, "points"),
    )


def _figures(
    result: ForecastResult, tables: dict[str, pd.DataFrame], words: Words, plan: tuple[Allocation, TerritoryPlan]
) -> tuple[PageFigure, ...]:
    books, certificate = tables["books"], plan[1].certificate
    hidden = result.config.report.names == "absent"
    drawn = [_before_after(books, words, certificate), *_balances(result, books, words, plan[0])]
    drawn = [_nameless(figure, words) for figure in drawn] if hidden else drawn
    drawn += [_bands(words, *plan), _sizes(books, words), _pareto(result, tables, words, plan[1])]
    return (*drawn, _flow(tables["moves"], words, hidden), _places(result, tables["allocation"], words))


def _nameless(figure: PageFigure, words: Words) -> PageFigure:
    return PageFigure(figure.id, figure.title, None, words("missing.names"))


def _before_after(books: pd.DataFrame, words: Words, certificate: Certificate) -> PageFigure:
    before = books["p_attain_before"]
    text = words(
        "text.before_after",
        before=f"{words.share(before.min())} – {words.share(before.max())}",
        after=f"{words.share(certificate.p_attain_min)} – {words.share(certificate.p_attain_max)}",
    )
    return PageFigure(
        "attainment", words("figure.before_after"), plan_figures.attainment(words, books), text, wide=True
    )


def _balances(result: ForecastResult, books: pd.DataFrame, words: Words, allocation: Allocation) -> list[PageFigure]:
    """Value, workload and chance, each as a share of one with its tolerance."""
    asked, problem = result.config.allocation, allocation.problem
    fair = fair_value(problem)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(fair > 0, books["revenue_mean"] / fair, np.nan)
        work = np.where(np.isfinite(problem.max_hours), books["hours"] / problem.max_hours, np.nan)
    pool = pools_of(problem.eligible & ~problem.locked[:, None])
    middle = books["p_attain"].groupby(pool).transform("mean")
    points, wide = asked.attainment_band_points / 100, asked.value_band_share
    found = []
    for column, share, low, high in (
        ("value_share", value, 1 - wide, 1 + wide),
        ("work_share", work, 0.0, 1.0),
        ("p_attain", books["p_attain"], middle - points, middle + points),
    ):
        frame, title = books.assign(low=low, high=high, **{column: share}), words(f"figure.{column}")
        known = frame[column].notna()
        if not known.any() or (column == "work_share" and not (books["hours"] > 0).any()):
            found.append(PageFigure(f"balance-{column}", title, None, words("missing.hours")))
            continue
        inside = int(frame[column].between(frame["low"] - 1e-9, frame["high"] + 1e-9).sum())
        band = {"value_share": words.share(wide), "work_share": "", "p_attain": words.number(100 * points, "one")}
        text = words(f"text.{column}", inside=inside, reps=int(known.sum()), band=band[column], pools=len(set(pool)))
        found.append(PageFigure(f"balance-{column}", title, plan_figures.balance(words, frame, column, title), text))
    return found


def _bands(words: Words, allocation: Allocation, plan: TerritoryPlan) -> PageFigure:
    shares = attained(allocation, plan)
    top = plan_figures.band_counts(shares["plan"])[:, 3:].sum(axis=1).mean()
    below = plan_figures.band_counts(shares["plan"])[:, 0].mean()
    text = words(
        "text.bands", above=words.number(top, "one"), below=words.number(below, "one"), reps=len(allocation.reps)
    )
    return PageFigure("bands", words("figure.bands"), plan_figures.attainment_bands(words, shares), text)


def attained(allocation: Allocation, plan: TerritoryPlan) -> dict[str, np.ndarray]:
    """Revenue over quota on fresh paths with the present owners and with the plan: ``before``, ``plan`` [path, rep]."""
    problem = allocation.problem
    factor = problem.fresh_moved_factor
    first = replace(
        problem,
        fresh_value=problem.fresh_value[:PATHS],
        fresh_fixed=problem.fresh_fixed[:PATHS],
        fresh_moved_factor=None if factor is None else factor[:PATHS],
    )
    found = {}
    for name, owner in (("before", problem.owner), ("plan", plan.rep)):
        above = [above_quota(first, np.flatnonzero(owner == r), r, fresh=True) for r in range(len(problem.quota))]
        found[name] = 1.0 + np.column_stack(above) / problem.quota
    return found


def _sizes(books: pd.DataFrame, words: Words) -> PageFigure:
    reached = (books["revenue_mean"] / books["quota"].where(books["quota"] > 0)).astype(float)
    several = len(books) > 2 and books["accounts"].nunique() > 1 and reached.nunique() > 1
    rank = books["accounts"].rank().corr(reached.rank()) if several else np.nan
    text = words("text.sizes", correlation=words.number(rank, "one"))
    return PageFigure("sizes", words("figure.sizes"), plan_figures.size_scatter(words, books), text)


def _flow(moves: pd.DataFrame, words: Words, hidden: bool) -> PageFigure:
    title = words("figure.flow")
    if hidden or moves.empty:
        return PageFigure("flow", title, None, words("missing.names" if hidden else "missing.moves"))
    pairs = moves.groupby(["old_rep_name", "new_rep_name"]).size()
    text = words("text.flow", moves=len(moves), pairs=len(pairs), shown=min(len(pairs), plan_figures.MOST_LINKS))
    return PageFigure("flow", title, plan_figures.flow(words, moves), text, wide=True)


def _places(result: ForecastResult, accounts: pd.DataFrame, words: Words) -> PageFigure:
    title, where, allocation = words("figure.map"), result.panel.accounts, result.allocation
    if result.config.report.names == "absent":
        return PageFigure("map", title, None, words("missing.names"))
    if where.latitude is None or where.longitude is None or allocation is None:
        return PageFigure("map", title, None, words("missing.places"))
    rows = allocation.accounts
    placed = accounts.assign(latitude=where.latitude[rows], longitude=where.longitude[rows])
    known = placed[placed["latitude"].notna() & placed["longitude"].notna()]
    if known.empty:
        return PageFigure("map", title, None, words("missing.places"))
    text = words("text.map", known=words.money(len(known)), accounts=words.money(len(accounts)))
    return PageFigure("map", title, plan_figures.places(known), text, wide=True)


def _pareto(result: ForecastResult, tables: dict[str, pd.DataFrame], words: Words, plan: TerritoryPlan) -> PageFigure:
    title = words("figure.pareto")
    if "frontier" not in tables:
        return PageFigure("pareto", title, None, words("missing.frontier"))
    chosen = float(plan.move_cost.sum()), plan.certificate.p_attain_spread_within
    figure = plan_figures.pareto(words, tables["frontier"], chosen, result.config.currency)
    text = words(
        "text.pareto",
        cost=words.money(chosen[0]),
        currency=result.config.currency,
        spread=words.number(100 * chosen[1], "one"),
        plans=len(tables["frontier"]),
    )
    return PageFigure("pareto", title, figure, text)
