"""report.html: one page that works offline; every text from the CRM is escaped on its way in."""

import json
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from engine.report import figures
from engine.report.terminal import company_row
from engine.results import ForecastResult
from models.draws import Diagnostics
from optimization.plan import Infeasible, TerritoryPlan

LARGEST_TABLE = 200
"""Rows of a table on the page; the CSV holds them all."""

FORMATS = {"money": "{:,.0f}", "share": "{:.0%}", "points": "{:.1%}", "count": "{:,.0f}", "plain": "{:.3f}"}


@dataclass(frozen=True)
class Column:
    """A table's column: source in the frame, heading, and one of `FORMATS` for numbers (empty for texts)."""

    source: str
    title: str
    format: str = ""

    @property
    def number(self) -> bool:
        """Whether cells are set flush right."""
        return bool(self.format)


@dataclass(frozen=True)
class Table:
    """A table ready for the page."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: list[list[str]]


@dataclass(frozen=True)
class PageFigure:
    """A figure and where it goes."""

    id: str
    title: str
    figure: figures.Figure


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    id: str
    title: str
    text: str = ""
    figures: tuple[PageFigure, ...] = ()
    tables: tuple[Table, ...] = field(default=())
    side_by_side: bool = False


def write_report(result: ForecastResult, tables: dict[str, pd.DataFrame], path: Path) -> None:
    """Write the page.

    Parameters
    ----------
    tables : the run's CSV tables by file name without ending
    """
    shown = anonymous(tables, result.config.report.names)
    sections = [s for s in (_forecast(result, shown), _plan(result, shown), _deals(result, shown), _skill(result, shown), _data(shown), _checks(result)) if s]
    drawn = {item.id: item.figure for section in sections for item in section.figures}
    row = company_row(tables["forecast"])
    environment = Environment(
        loader=PackageLoader("engine.report"), autoescape=select_autoescape(["html", "j2"]), undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("report.html.j2").render(
        title=f"{result.config.name}: forecast and territories",
        as_of=str(result.panel.as_of),
        period=row["period"],
        currency=result.config.currency,
        draws=f"{result.draws.count:,}",
        paths=f"{result.outcomes.paths:,}",
        banner=_banner(result),
        numbers=_numbers(result, row),
        sections=sections,
        footer="P10 and P90: the revenue is below the first with a chance of 10 %, below the second with 90 %. Files beside this page hold every row.",
        figures_json=Markup(json.dumps(drawn, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")),
        plotly_js=Markup(resources.files("plotly").joinpath("package_data/plotly.min.js").read_text(encoding="utf-8")),
    )
    path.write_text(page, encoding="utf-8")


def anonymous(tables: dict[str, pd.DataFrame], names: str) -> dict[str, pd.DataFrame]:
    """Tables with rep names as they are ("full"), numbered ("pseudonymous") or blank ("absent").

    Only the page is shortened: the CSV files feed operations and keep their ids.
    """
    if names == "full":
        return tables
    reps = tables["forecast"].query("level == 'rep'")["key"].drop_duplicates().sort_values()
    alias = {key: f"Rep {i:02d}" if names == "pseudonymous" else "" for i, key in enumerate(reps, 1)}
    return {name: _aliased(frame.copy(), alias) for name, frame in tables.items()}


def _aliased(frame: pd.DataFrame, alias: dict[str, str]) -> pd.DataFrame:
    for column in ("rep", "old_rep", "new_rep", "owner"):
        if column in frame:
            hidden = frame[column].map(alias).fillna("")
            frame[column] = hidden
            if f"{column}_name" in frame:
                frame[f"{column}_name"] = hidden
    if "level" in frame:
        reps = frame["level"] == "rep"
        frame.loc[reps, "key_name"] = frame.loc[reps, "key"].map(alias).fillna("")
        frame.loc[reps, "key"] = frame.loc[reps, "key_name"]
    return frame


def make_table(name: str, title: str, frame: pd.DataFrame, columns: tuple[Column, ...]) -> Table:
    """Format a frame for people; long tables are cut and the title says so."""
    if len(frame) > LARGEST_TABLE:
        title = f"{title} (the first {LARGEST_TABLE} of {len(frame):,})"
    cells = [[_cell(value, column.format) for value in frame[column.source].head(LARGEST_TABLE)] for column in columns]
    return Table(name, title, columns, [list(row) for row in zip(*cells, strict=True)])


def _cell(value: object, form: str) -> str:
    if form and isinstance(value, int | float | np.number):
        return FORMATS[form].format(value) if np.isfinite(value) else "–"
    text = "" if value is None or value != value else str(value)  # noqa: PLR0124 - NaN differs from itself
    return text if len(text) <= 300 else f"{text[:297]}…"


def _banner(result: ForecastResult) -> str:
    if not result.converged:
        failed = ", ".join(d.model for d in result.draws.diagnostics if not d.converged())
        return f"Not converged ({failed}): read every number with suspicion. No plan was made."
    if result.allocation is not None and isinstance(result.allocation.answer, Infeasible):
        return "No plan: the rules cannot hold together. See the section on territories."
    return ""


def _numbers(result: ForecastResult, row: "pd.Series") -> list[dict[str, str]]:
    currency = result.config.currency
    goal = "no goal given" if np.isnan(row["quota"]) else f"goal {row['quota']:,.0f} {currency}"
    numbers = [
        {
            "label": "Chance to reach the goal",
            "value": "–" if np.isnan(row["p_attain"]) else f"{row['p_attain']:.0%}",
            "note": goal,
        },
        {
            "label": "Expected revenue (P50)",
            "value": f"{row['p50']:,.0f} {currency}",
            "note": f"P10 {row['p10']:,.0f} to P90 {row['p90']:,.0f}",
        },
        {
            "label": "Where it comes from (mean)",
            "value": f"{row['open']:,.0f} open",
            "note": f"{row['booked']:,.0f} booked, {row['new']:,.0f} from deals and orders to come",
        },
    ]
    if result.allocation is not None and isinstance(result.allocation.answer, TerritoryPlan):
        certificate = result.allocation.answer.certificate
        numbers.append(
            {
                "label": "Chance of quota over reps, with the plan",
                "value": f"{certificate.p_attain_min:.0%} to {certificate.p_attain_max:.0%}",
                "note": f"before {result.allocation.answer.p_attain_before.min():.0%} to {result.allocation.answer.p_attain_before.max():.0%}",
            }
        )
    return numbers


def _forecast(result: ForecastResult, tables: dict[str, pd.DataFrame]) -> Section:
    forecast, currency = tables["forecast"], result.config.currency
    period = company_row(forecast)["period"]
    whole = forecast[forecast["period"] == period]
    months = [str(np.datetime64(int(month), "M")) for month in result.outcomes.months]
    running = result.outcomes.levels["company"].total[:, 0].cumsum(axis=1, dtype=np.float64)  # [path, month]
    goal = float(company_row(forecast)["quota"])
    fan = figures.fan(months, np.quantile(running, [0.1, 0.5, 0.9], axis=0), goal, currency)
    drawn = [PageFigure("fan", "Company, summed up month by month", fan)]
    for level in ("region", "territory", "manager", "product", "rep"):
        rows = whole[whole["level"] == level]
        if len(rows) > 1 and (level != "rep" or result.config.report.names != "absent"):
            drawn.append(PageFigure(f"range-{level}", f"By {level}", figures.forecast_ranges(rows, currency)))
    columns = (
        Column("level", "Level"), Column("key_name", "Name"), Column("p10", "P10", "money"), Column("p50", "P50", "money"),
        Column("p90", "P90", "money"), Column("booked", "Booked", "money"), Column("open", "Open deals", "money"),
        Column("new", "To come", "money"), Column("quota", "Target", "money"), Column("p_attain", "Chance", "share"),
    )  # fmt: skip
    table = make_table("forecast-table", f"All levels, {period}", whole, columns)
    return Section("forecast", "Forecast", "Bars hold 80 % of the simulated futures; levels add up path by path.", tuple(drawn), (table,))


def _plan(result: ForecastResult, tables: dict[str, pd.DataFrame]) -> Section | None:
    if result.allocation is None:
        return None
    answer = result.allocation.answer
    if isinstance(answer, Infeasible):
        conflicts = "; ".join(", ".join(names) for names in answer.conflicts)
        return Section("territories", "Territories", f"Cannot hold together: {conflicts}. Repairs: {'; '.join(answer.repairs)}")
    books, certificate, currency = tables["books"], answer.certificate, result.config.currency
    drawn = [PageFigure("attainment", "Chance of quota, before and with the plan", figures.attainment(books))]
    for column, title in (("p_attain", "Chance of quota"), ("revenue_mean", f"Expected revenue, {currency}"), ("accounts", "Accounts")):
        drawn.append(PageFigure(f"balance-{column}", title, figures.balance(books, column, title)))
    text = (
        f"{len(tables['moves'])} of {len(answer.rep)} accounts move at a cost of {answer.move_cost.sum():,.0f} {currency}. Every rule was "
        f"rechecked on raw arrays: {'all hold' if certificate.feasible else '; '.join(certificate.violations)}. The gap of {certificate.gap:.2%} speaks of "
        f"{certificate.bound_kind}. Equal chances would still show a spread of about {100 * certificate.noise_floor:.1f} points by simulation noise."
    )
    columns = (
        Column("account_name", "Account"), Column("old_rep_name", "From"), Column("new_rep_name", "To"), Column("reason", "Why"),
        Column("potential_mean", "Potential", "money"), Column("move_cost", "Cost of the move", "money"),
    )  # fmt: skip
    moves = make_table("moves-table", "Moves", tables["moves"], columns)
    return Section("territories", "Territories", text, tuple(drawn), (moves,), side_by_side=True)


def _deals(result: ForecastResult, tables: dict[str, pd.DataFrame]) -> Section | None:
    if tables["deals"].empty:
        return None
    columns = (
        Column("opportunity_id", "Deal"), Column("account_name", "Account"), Column("rep_name", "Rep"), Column("stage", "Stage"),
        Column("created", "Created"), Column("expected_close", "Expected close"), Column("amount", "Amount", "money"),
        Column("p_win_in_period", "Won in the horizon", "share"), Column("p_slip", "Still open after it", "share"),
        Column("expected_revenue", "Expected", "money"), Column("share_of_variance", "Share of variance", "points"),
    )  # fmt: skip
    table = make_table("deals-table", "Open deals by their share of the company's variance", tables["deals"], columns)
    return Section("deals", "Open deals", "A large share of the variance means: this deal decides the quarter.", (), (table,))


def _skill(result: ForecastResult, tables: dict[str, pd.DataFrame]) -> Section | None:
    skill = result.skill
    if skill is None:
        return None
    seen = np.flatnonzero(skill.closed > 0)
    frame = pd.DataFrame(
        {
            "rep": result.panel.reps.labels.ids[seen],
            "rep_name": result.panel.reps.labels.names[seen],
            "p_win": skill.p_win[seen],
            "range": [f"{a:.0%} to {b:.0%}" for a, b in zip(skill.p_win_low[seen], skill.p_win_high[seen], strict=True)],
            "raw": skill.raw[seen],
            "closed": skill.closed[seen],
        }
    )
    frame = anonymous({"forecast": tables["forecast"], "skill": frame}, result.config.report.names)["skill"]
    text = (
        f"SD over reps of the win probability: {skill.p_win[seen].std():.3f} in the model, {skill.raw[seen].std():.3f} in the raw rates. "
        "What the model takes back is luck. Do not rank reps whose ranges overlap."
    )
    columns = (
        Column("rep_name", "Rep"), Column("p_win", "Win probability (model)", "points"), Column("range", "90 % interval"),
        Column("raw", "Raw win rate", "points"), Column("closed", "Closed deals", "count"),
    )  # fmt: skip
    return Section("reps", "Reps and luck", text, (), (make_table("skill-table", "Winning a deal that closes", frame, columns),))


def _data(tables: dict[str, pd.DataFrame]) -> Section:
    columns = (
        Column("table", "Table"), Column("row", "Row"), Column("rule", "Rule"), Column("severity", "Severity"), Column("owner", "Owner"),
        Column("value_at_stake", "Value at stake", "money"), Column("action", "What was done, what to do"),
    )  # fmt: skip
    return Section("data", "Data issues", "", (), (make_table("issues-table", "Issues", tables["data_issues"], columns),))


def _checks(result: ForecastResult) -> Section:
    rows = [asdict(item) | {"passed": "passed" if item.converged() else "FAILED"} for item in result.draws.diagnostics]
    frame = pd.DataFrame(rows, columns=[*(part.name for part in fields(Diagnostics)), "passed"])
    columns = (
        Column("model", "Model"), Column("passed", "Gate"), Column("r_hat", "Largest R-hat", "plain"), Column("ess", "Smallest ESS", "count"),
        Column("divergences", "Divergences", "count"), Column("rows", "Records", "count"), Column("cells", "Cells", "count"), Column("parameters", "Parameters", "count"),
    )  # fmt: skip
    text = "The gate: R-hat below 1.01, effective sample size above 400, no divergence. Track record: none yet."
    return Section("checks", "Can the model be trusted?", text, (), (make_table("diagnostics-table", "Chains", frame, columns),))
