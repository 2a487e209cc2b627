"""report.html and the book cards in a real Chromium: nothing runs, nothing leaves, everything is drawn and found."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

from engine.config import resolved
from engine.forecast import main as forecast
from engine.report.folder import make_tables, write_folder
from engine.report.html import write_report
from engine.results import ForecastResult
from engine.simulation.outcomes import LevelOutcomes
from models.panel import Labels, Panel
from tests.finished import SMOKE, finished_result

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

type Scheme = Literal["light", "dark"]

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

HOSTILE = (
    '=HYPERLINK("http://evil.example","x")',
    '"><script>document.title="owned"</script>',
    "<img src=x onerror=\"document.title='owned'\">",
    "\u202eleft to right?\u202c \u200f\u2067אבג",
    "{{ 7*7 }} ${7*7} 😀👩‍👩‍👧 e\u0301\u0301\u0301",
    "javascript:document.title='owned'//" + "x" * 10_000,
    "</style></title><svg onload=document.title='owned'>",
    " ' & \" < > \x07\t\n",
)


@dataclass
class Visit:
    """A page that was opened, with what it said and asked for on the way."""

    page: "Page"
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """One Chromium for all tests of this module."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as run:
        chromium = run.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def result() -> ForecastResult:
    """A run with a plan."""
    return finished_result()


@pytest.fixture(scope="module")
def folder(result: ForecastResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    path = tmp_path_factory.mktemp("run")
    write_folder(result, make_tables(result), resolved(result.config), path)
    return path


@pytest.fixture(scope="module")
def visit(browser: "Browser", folder: Path) -> Iterator[Visit]:
    """Its page, wide and light."""
    found = opened(browser, folder / "report.html")
    yield found
    found.page.close()


def opened(browser: "Browser", path: Path, width: int = 1440, scheme: Scheme = "light", drawn: bool = True) -> Visit:
    """Open a file and wait for its figures."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    found = Visit(context.new_page())
    found.page.on("console", lambda message: found.messages.append(message.text))
    found.page.on("pageerror", lambda error: found.messages.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(path.as_uri())
    if drawn:
        found.page.wait_for_selector("html[data-drawn]", timeout=60_000)
    return found


def undrawn(page: "Page") -> list[str]:
    """Ids of figures without a mark in them."""
    script = """() => [...document.querySelectorAll('.plot')].filter(plot =>
        !plot.querySelector('.point, .points path, .js-line, .sankey-link, .js-fill')).map(plot => plot.id)"""
    return list(page.evaluate(script))


def violations(page: "Page", rows: int = 4) -> list[str]:
    """What axe-core finds, each with its first element; further rows of tables are taken out first, all being alike."""
    page.evaluate(f"document.querySelectorAll('tbody tr:nth-child(n+{rows + 1})').forEach(row => row.remove())")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found: list[dict[str, Any]] = axe.Axe().run(page).response["violations"]
    return [f"{item['id']}: {item['nodes'][0]['html'][:150]} ({len(item['nodes'])})" for item in found]


def until(page: "Page", script: str) -> None:
    """Wait for a script to be true: Playwright's own waiting needs an eval, which the page's policy forbids."""
    for _ in range(200):
        if page.evaluate(script):
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"never true: {script}")


def too_wide(page: "Page") -> bool:
    """Whether the page scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def test_the_page_draws_everything_says_nothing_and_asks_for_nothing(visit: Visit, folder: Path) -> None:
    assert visit.messages == []
    assert visit.requests == [(folder / "report.html").as_uri()]
    assert visit.page.locator(".plot").count() >= 12
    assert undrawn(visit.page) == []
    assert (folder / "report.html").stat().st_size < 6_000_000


def test_three_numbers_come_first_and_sections_in_their_order(visit: Visit) -> None:
    assert visit.page.locator(".number").count() == 3
    ids = visit.page.eval_on_selector_all("main > section[id]", "all => all.map(each => each.id)")
    order = ["moved", "forecast", "deals", "pipeline", "territories", "data", "track", "checks"]
    assert [name for name in ids if name in order] == order


def test_a_figure_without_data_says_so_in_a_line(visit: Visit) -> None:
    missing = visit.page.locator("p.missing:visible").all_inner_texts()
    assert any("track record" in text for text in missing)
    assert any("latitude" in text for text in missing)
    assert all("\n" not in text for text in missing)


def test_a_search_finds_a_rep_in_reps_deals_and_moves(visit: Visit, result: ForecastResult) -> None:
    page, rep = visit.page, make_tables(result)["moves"]["new_rep_name"].iloc[0]
    shown = "() => [...document.querySelectorAll('#table-moves tbody tr')].filter(row => row.offsetParent).length"
    page.evaluate("document.activeElement.blur()")
    page.fill("#query", rep.upper())
    until(page, "document.getElementById('found').textContent")
    moves = make_tables(result)["moves"]
    expected = int(((moves["old_rep_name"] == rep) | (moves["new_rep_name"] == rep)).sum())
    assert page.evaluate(shown) == expected > 0
    assert f"{expected} moves" in page.inner_text("#found")
    page.select_option("#kind", "deals")
    assert "0 moves" in page.inner_text("#found")
    assert page.evaluate(shown) == min(len(moves), 25)
    page.fill("#query", "nothing is called this")
    until(page, "document.getElementById('found').textContent.includes('0 deals')")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "reset"
    page.keyboard.press("Enter")
    until(page, "!document.getElementById('found').textContent")
    assert page.evaluate(shown) == min(len(moves), 25)


def test_a_long_table_opens_by_keyboard_and_filters_alone(visit: Visit) -> None:
    page = visit.page
    rows = "() => [...document.querySelectorAll('#table-deals tbody tr')].filter(row => row.offsetParent).length"
    before, button = page.evaluate(rows), page.locator("button[data-more=table-deals]")
    assert before == 25
    button.press("Enter")
    assert page.evaluate(rows) > before
    assert button.get_attribute("aria-expanded") == "true"
    button.press("Enter")
    page.fill("#filter-deals", "Prospecting-that-is-not-there")
    until(page, "document.querySelector('[data-counts=table-deals]').textContent")
    assert page.evaluate(rows) == 0
    page.fill("#filter-deals", "")
    until(page, "!document.querySelector('[data-counts=table-deals]').textContent")


def test_keyboard_and_readers_find_their_way(visit: Visit) -> None:
    page = visit.page
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.reload()
    page.wait_for_selector("html[data-drawn]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    assert page.locator("table").count() == page.locator("table > caption").count()
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("#found[aria-live=polite]").count() == 1
    described = page.eval_on_selector_all(
        ".plot", "all => all.every(p => document.getElementById(p.getAttribute('aria-describedby')).textContent)"
    )
    assert described


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing_wide_or_narrow(browser: "Browser", folder: Path, scheme: Scheme) -> None:
    found = opened(browser, folder / "report.html", 390, scheme)
    assert undrawn(found.page) == []
    assert not too_wide(found.page)
    assert violations(found.page) == []
    paper = "getComputedStyle(document.body).backgroundColor"
    before = found.page.evaluate(paper)
    found.page.click("#theme")
    assert found.page.evaluate(paper) != before
    assert violations(found.page) == []
    found.page.emulate_media(media="print")
    assert found.page.evaluate(paper) == "rgb(255, 255, 255)"
    assert found.messages == []
    found.page.close()


def hostile(result: ForecastResult) -> ForecastResult:
    """The run with texts for people to read that would like to be more than texts."""
    panel = result.panel

    def named(labels: Labels) -> Labels:
        return Labels(labels.ids, np.resize(np.array(HOSTILE), len(labels)))

    changed: Panel = replace(
        panel,
        reps=replace(panel.reps, labels=named(panel.reps.labels)),
        accounts=replace(panel.accounts, labels=named(panel.accounts.labels)),
        products=replace(panel.products, labels=named(panel.products.labels)),
        territories=named(panel.territories),
        regions=named(panel.regions),
        managers=named(panel.managers),
        stages=named(panel.stages),
        deals=replace(panel.deals, names=np.resize(np.array(HOSTILE), len(panel.deals))),
    )
    levels: dict[str, LevelOutcomes] = {
        name: level if name == "company" else replace(level, names=np.resize(np.array(HOSTILE), len(level.keys)))
        for name, level in result.outcomes.levels.items()
    }
    issues = result.issues.assign(action=HOSTILE[1], owner=HOSTILE[5], row=HOSTILE[6])
    return replace(result, panel=changed, outcomes=replace(result.outcomes, levels=levels), issues=issues)


def test_odd_names_run_nothing_and_break_nothing(browser: "Browser", result: ForecastResult, tmp_path: Path) -> None:
    odd = hostile(result)
    write_folder(odd, make_tables(odd), resolved(odd.config), tmp_path)
    found = opened(browser, tmp_path / "report.html")
    assert found.messages == []
    assert len(found.requests) == 1
    assert "owned" not in found.page.title()
    assert undrawn(found.page) == []
    assert not too_wide(found.page)
    assert found.page.locator("script").count() == 4 + 1  # its own four, and Plotly unpacked
    assert found.page.locator("main img, main svg[onload]").count() == 0
    text = found.page.inner_text("#table-levels")
    assert '=HYPERLINK("http://evil.example","x")' in text
    assert "{{ 7*7 }} ${7*7} 😀" in text
    found.page.set_viewport_size({"width": 390, "height": 900})
    assert not too_wide(found.page)
    assert violations(found.page) == []
    found.page.close()
    assert (tmp_path / "report.html").stat().st_size < 6_000_000
    cards = sorted((tmp_path / "cards").iterdir())
    for card in cards[:3]:
        found = opened(browser, card, 390, drawn=False)
        assert found.messages == []
        assert not too_wide(found.page)
        found.page.close()


def test_a_card_is_one_page_about_one_rep(browser: "Browser", folder: Path, result: ForecastResult) -> None:
    tables = make_tables(result)
    busiest = tables["moves"]["new_rep"].value_counts().index[0]
    path = folder / "cards" / f"{busiest}.html"
    text = path.read_text(encoding="utf-8")
    others = set(result.panel.reps.labels.names) - set(tables["books"].query("rep == @busiest")["rep_name"])
    assert not [name for name in others if str(name) in text]
    found = opened(browser, path, drawn=False)
    assert violations(found.page) == []
    pages = re.findall(rb"/Type\s*/Page\b", found.page.pdf(prefer_css_page_size=True))
    assert len(pages) == 1
    found.page.close()


@pytest.mark.slow
@pytest.mark.parametrize(("language", "number"), [("nl", "1.000"), ("de", "1.000")])
def test_other_languages_have_their_words_and_numbers(
    browser: "Browser", result: ForecastResult, tmp_path: Path, language: str, number: str
) -> None:
    report = result.config.report.model_copy(update={"language": language})
    other = replace(result, config=result.config.model_copy(update={"report": report}))
    write_report(other, make_tables(other), tmp_path / "report.html")
    found = opened(browser, tmp_path / "report.html", 390)
    assert found.messages == []
    assert not too_wide(found.page)
    assert number in found.page.inner_text("header")
    assert found.page.get_attribute("html", "lang") == language
    assert violations(found.page) == []
    found.page.close()


@pytest.mark.slow
@pytest.mark.parametrize("company", ["demo", "maven"])
def test_the_page_of_a_whole_run_opens_offline(browser: "Browser", company: str, tmp_path: Path) -> None:
    given = [str(SMOKE), "--out", str(tmp_path)]
    if company == "maven":
        data = Path(os.environ.get("SALES_DATA", Path(__file__).parents[2] / "shared" / "data")) / "maven_crm"
        if not data.is_dir():
            pytest.skip(f"no data in {data}")
        given = [str(SMOKE.parent / "maven.yaml"), "--out", str(tmp_path), "--set", f"data.root={data}"]
        given += ["--set", "models.sampler.method=laplace", "--set", "simulation.paths=1000"]
        given += ["--set", "tracking.enabled=false"]
    assert forecast(given) in (0, 3)
    page = next(tmp_path.glob("*/*/report.html"))
    assert page.stat().st_size < 6_000_000
    looks: tuple[tuple[int, Scheme], ...] = ((1440, "light"), (390, "dark"))
    for width, scheme in looks:
        found = opened(browser, page, width, scheme)
        assert found.messages == []
        assert found.requests == [page.as_uri()]
        assert undrawn(found.page) == []
        assert not too_wide(found.page)
        assert violations(found.page) == []
        found.page.close()
