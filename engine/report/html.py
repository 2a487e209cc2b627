"""report.html: one page that works offline; every text from the CRM is escaped on its way in.

Only two scripts may run on the page, named by their hashes in its policy: its own and Plotly's. So even a text that
got past the escaping could run nothing.
"""

import base64
import hashlib
import json
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from engine.report.coverage import CHANCE, company_coverage
from engine.report.figures import Figure
from engine.report.names import anonymous
from engine.report.page import SHOWN_ROWS, Section
from engine.report.plotly_bundle import compressed_plotly, plotly_script
from engine.report.sections import sections_of
from engine.report.terminal import company_row
from engine.report.words import SEPARATORS, Words, words_of
from engine.results import ForecastResult
from optimization.plan import Infeasible, TerritoryPlan

QUANTILES = ("p10", "p50", "p90")

type Tables = dict[str, pd.DataFrame]


def write_report(result: ForecastResult, tables: Tables, path: Path, reports: Tables | None = None) -> None:
    """Write the page.

    Parameters
    ----------
    tables : the run's CSV tables by file name without ending
    reports : tables of `engine.kpis.reports.reports`, where somebody has made them already
    """
    words = words_of(result.config.report.language)
    told = _reports(result, tables) if reports is None else reports
    shown = anonymous({**told, **tables}, result.config.report.names, words("name.rep"))
    sections = sections_of(result, shown, words)
    row, script = company_row(shown["forecast"]), template_text("report.js")
    hashes = " ".join(f"'sha256-{_sha256(text)}'" for text in (script, plotly_script()))
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            words=words,
            title=words("page.title", name=result.config.name),
            as_of=str(result.panel.as_of),
            period=row["period"],
            currency=result.config.currency,
            draws=words.money(result.draws.count),
            paths=words.money(result.outcomes.paths),
            names_note=_names_note(result, words),
            banner=_banner(result, words),
            numbers=_numbers(result, shown, words),
            lines=_lines(result, row, words),
            links=_links(sections),
            shown=SHOWN_ROWS,
            sections=sections,
            script_hashes=Markup(hashes),
            style=Markup(template_text("style.css")),
            words_json=_embedded({"found": words.labels["search.found"], "rows": words.labels["search.rows"]}),
            figures_json=_embedded(_drawn(sections, words)),
            plotly=Markup(compressed_plotly()),
            script=Markup(script),
        )
    )
    path.write_text(page, encoding="utf-8")


def _reports(result: ForecastResult, tables: Tables) -> Tables:
    # Imported late: the KPIs reach planning and the models, and a page whose reports are known needs none of it.
    from engine.kpis.reports import reports

    return reports(result, tables)


def environment() -> Environment:
    """Templates of this room: every value is escaped."""
    return Environment(
        loader=PackageLoader("engine.report"),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def template_text(name: str) -> str:
    """A file beside the templates, as it is."""
    return resources.files("engine.report").joinpath(f"templates/{name}").read_text(encoding="utf-8")


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _embedded(content: object) -> Markup:
    """JSON that cannot end the element it is in."""
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    return Markup(text.replace("<", "\\u003c"))


def _drawn(sections: list[Section], words: Words) -> dict[str, Figure]:
    """All figures by id, with what they share."""
    common = {"separators": SEPARATORS[words.language], "dragmode": False, "font": {"size": 12}}
    return {
        item.id: item.figure | {"layout": item.figure["layout"] | common}
        for section in sections
        for item in section.figures
        if item.figure is not None
    }


def _links(sections: list[Section]) -> dict[str, str]:
    """First table of each kind that a search looks through."""
    found = {table.kind: f"table-{table.id}" for section in reversed(sections) for table in reversed(section.tables)}
    return {kind: found[kind] for kind in ("reps", "deals", "moves") if kind in found}


def _names_note(result: ForecastResult, words: Words) -> str:
    names = result.config.report.names
    return "" if names == "full" else words(f"page.names_{names}")


def _banner(result: ForecastResult, words: Words) -> str:
    if not result.converged:
        failed = ", ".join(d.model for d in result.draws.diagnostics if not d.converged())
        return words("page.banner_not_converged", failed=failed)
    if result.allocation is not None and isinstance(result.allocation.answer, Infeasible):
        return words("page.banner_infeasible")
    return ""


def _numbers(result: ForecastResult, tables: Tables, words: Words) -> list[dict[str, str]]:
    """Attainment, range, coverage."""
    row, currency, no_goal = company_row(tables["forecast"]), result.config.currency, words("number.no_goal")
    goal = words("number.goal", goal=words.money(row["quota"]), currency=currency)
    coverage = company_coverage(result, tables)
    note = words("number.coverage_note", needed=words.times(coverage.needed), chance=words.share(CHANCE))
    return [
        {
            "label": words("number.attainment"),
            "value": words.share(row["p_attain"]),
            "note": no_goal if np.isnan(row["quota"]) else goal,
        },
        {
            "label": words("number.range"),
            "value": f"{words.compact(row['p10'])} – {words.compact(row['p90'])}",
            "note": words("number.middle", **{key: words.money(row[key]) for key in QUANTILES}, currency=currency),
        },
        {
            "label": words("number.coverage"),
            "value": words.times(coverage.now),
            "note": note if np.isfinite(coverage.now) else words("number.coverage_none"),
        },
    ]


def _lines(result: ForecastResult, row: "pd.Series", words: Words) -> list[str]:
    parts = {name: words.money(row[name]) for name in ("mean", "booked", "open", "new")}
    lines = [words("number.sources", currency=result.config.currency, **parts)]
    if result.allocation is not None and isinstance(result.allocation.answer, TerritoryPlan):
        certificate, before = result.allocation.answer.certificate, result.allocation.answer.p_attain_before
        low, high = words.share(certificate.p_attain_min), words.share(certificate.p_attain_max)
        was = f"{words.share(before.min())} – {words.share(before.max())}"
        lines.append(words("number.reps", before=was, after=f"{low} – {high}"))
    return lines
