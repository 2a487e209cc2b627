"""Pictures of a finished run's page for README and docs: ``python -m experiments.pictures RUN --to docs/pictures``.

The page is opened offline in the Chromium of this machine, as a reader would.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.command import exit_code

WIDTH, HEIGHT = 1280, 860
"""Window, CSS pixels."""

SHOTS = {"report": "body", "territories": "#territories", "deals": "#deals"}
"""Pictures by name: the element that the window is scrolled to."""


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    options = argparse.ArgumentParser(
        prog="python -m experiments.pictures",
        description="Take pictures of a run's report.html: its top in light and dark, its territories, its deals.",
        epilog="Exit codes: 0 done, 2 no such run, or no Chromium.",
    )
    options.add_argument("run", metavar="RUN", help="a path, NAME, NAME@2026-06-30 or NAME~1")
    options.add_argument("--out", metavar="DIR", type=Path, default=Path("runs"), help="parent folder of all runs")
    options.add_argument("--to", metavar="DIR", type=Path, default=Path("docs/pictures"), help="where pictures go")
    options.add_argument("--debug", action="store_true", help="show tracebacks")
    return options


def run(arguments: argparse.Namespace) -> int:
    """Take the pictures.

    Raises
    ------
    EngineError
        for everything the user can mend.
    """
    from engine.errors import InputRefusedError, Problem
    from engine.runs import find_run

    page, chromium = find_run(arguments.run, arguments.out) / "report.html", shutil.which("chromium")
    problems = []
    if not page.is_file():
        problems.append(Problem(str(page), "no page", "a run with report.html", "run with report.html=true"))
    if chromium is None:
        problems.append(Problem("chromium", "nothing", "Chromium on this machine", "install the package chromium"))
    if problems:
        raise InputRefusedError(problems)
    arguments.to.mkdir(parents=True, exist_ok=True)
    for path in take(page, str(chromium), arguments.to):
        print(path)
    return 0


def take(page: Path, chromium: str, folder: Path) -> list[Path]:
    """Write a picture of each of `SHOTS` in light, and of the first in dark."""
    from playwright.sync_api import sync_playwright

    written = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme, shots in (("light", SHOTS), ("dark", dict([next(iter(SHOTS.items()))]))):
            size = {"width": WIDTH, "height": HEIGHT}
            view = browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
            view.goto(page.resolve().as_uri())
            view.wait_for_selector(".plot .main-svg", timeout=60_000)
            for name, place in shots.items():
                view.eval_on_selector(place, "element => element.scrollIntoView()")
                view.wait_for_timeout(1500)
                path = folder / (f"{name}.png" if scheme == "light" else f"{name}_{scheme}.png")
                view.screenshot(path=str(path))
                written.append(path)
        browser.close()
    return written


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn what goes wrong into a message and an exit code."""
    return exit_code(run, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
