"""compare.html: what differs between runs, one self-contained page; every text is escaped on its way in."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from engine.deals.waterfall import Waterfall
from experiments.run_differences import Difference


def write_comparison(parts: Sequence[tuple[Difference, Waterfall | None]], path: Path) -> None:
    """Write the page.

    Parameters
    ----------
    parts : differences of neighbouring runs, with the waterfall between them where they can be compared
    """
    environment = Environment(
        loader=PackageLoader("experiments"),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell
    environment.tests["number"] = lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    page = environment.get_template("compare.html.j2").render(
        title=f"{parts[0][0].earlier} to {parts[-1][0].later}", parts=[_shown(*part) for part in parts]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _shown(found: Difference, moved: Waterfall | None) -> dict[str, object]:
    sections = dict(found.sections)
    if moved is not None:
        steps = moved.steps[moved.steps["amount"] != 0]
        sections = {"What moved the number": steps[["measure", "amount", "what"]], **sections}
    return {
        "earlier": found.earlier,
        "later": found.later,
        "sections": [
            {"title": title, "columns": list(frame.columns), "rows": frame.to_numpy(dtype=object).tolist()}
            for title, frame in sections.items()
        ],
    }


def cell(value: object) -> str:
    """A value as the page shows it: shares and scores with four digits, money without cents."""
    if value is None or (not isinstance(value, str) and bool(pd.isna(value))):  # type: ignore[call-overload]
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)
