"""report.html: one page that works offline; every text from the CRM is escaped on its way in."""

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from engine.report.names import anonymous
from engine.report.sections import sections_of
from engine.report.terminal import company_row
from engine.results import ForecastResult
from optimization.plan import Infeasible, TerritoryPlan

FOOTER = (
    "P10 and P90: the revenue is below the first with a chance of 10 %, below the second with 90 %. "
    "The files beside this page hold every row."
)


def write_report(result: ForecastResult, tables: dict[str, pd.DataFrame], path: Path) -> None:
    """Write the page.

    Parameters
    ----------
    tables : the run's CSV tables by file name without ending
    """
    shown = anonymous(tables, result.config.report.names)
    sections = sections_of(result, shown)
    drawn = {item.id: item.figure for section in sections for item in section.figures}
    row = company_row(tables["forecast"])
    environment = Environment(
        loader=PackageLoader("engine.report"),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
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
        footer=FOOTER,
        figures_json=Markup(json.dumps(drawn, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")),
        plotly_js=Markup(resources.files("plotly").joinpath("package_data/plotly.min.js").read_text(encoding="utf-8")),
    )
    path.write_text(page, encoding="utf-8")


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
        certificate, before = result.allocation.answer.certificate, result.allocation.answer.p_attain_before
        numbers.append(
            {
                "label": "Chance of quota over reps, with the plan",
                "value": f"{certificate.p_attain_min:.0%} to {certificate.p_attain_max:.0%}",
                "note": f"before {before.min():.0%} to {before.max():.0%}",
            }
        )
    return numbers
