"""The house of ARCHITECTURE.md: layers, homes of the heavy libraries, the picture, and how light the front door is.

All of it is read from the source with ast, so that an import inside a function counts too.
"""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

LAYERS = {"models": 0, "optimization": 0, "engine": 1, "experiments": 2, "benchmarks": 3, "tests": 4}
"""A package imports itself and packages of lower numbers."""

HOMES = {
    "pymc": "models",
    "pytensor": "models",
    "nutpie": "models",
    "pulp": "optimization",
    "highspy": "optimization",
    "mlflow": "engine.tracking",
}
"""The one place that may import each heavy library, tests and benchmarks apart."""

HEAVY = {*HOMES, "arviz", "joblib", "numba", "pandas", "plotly", "pyarrow", "scipy", "scoringrules", "xarray"}
"""What `--help` and a bad config must not wait for."""

SOLVER_FREE = ("optimization.audit", "optimization.large_scale.certificate")
"""Code that checks a plan without knowing what made it."""


def module_files() -> dict[str, Path]:
    """Python files of the project by module name; a package goes by its own name."""
    files = {}
    for path in sorted(p for package in LAYERS for p in (ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


FILES = module_files()
MODULES = set(FILES)


def imports(module: str, tree: ast.AST) -> Iterator[str]:
    """Names of the modules that a syntax tree imports; `from package import module` gives the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import: write the full name"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)


def graph() -> dict[str, set[str]]:
    """Everything each module imports, foreign modules included."""
    return {name: set(imports(name, ast.parse(path.read_bytes()))) for name, path in FILES.items()}


GRAPH = graph()


def within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def room(module: str) -> str:
    """The package a module lies in; a package is its own room."""
    return module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]


def test_layers_import_only_downwards() -> None:
    offences = [
        f"{module} imports {target}"
        for module, targets in GRAPH.items()
        for target in targets & MODULES
        if (here := module.split(".")[0]) != (there := target.split(".")[0]) and LAYERS[there] >= LAYERS[here]
    ]
    assert not offences


def test_heavy_libraries_stay_at_home() -> None:
    offences = [
        f"{module} imports {target}, whose home is {HOMES[library]}"
        for module, targets in GRAPH.items()
        for target in targets
        if (library := target.split(".")[0]) in HOMES
        and not within(module, HOMES[library])
        and LAYERS[module.split(".")[0]] < LAYERS["benchmarks"]
    ]
    assert not offences


@pytest.mark.parametrize("module", [name for name in FILES if any(within(name, place) for place in SOLVER_FREE)])
def test_the_audit_knows_no_solver(module: str) -> None:
    reached, ahead = set(), {module}
    while ahead:
        reached |= ahead
        ahead = {target for name in ahead for target in GRAPH.get(name, ())} - reached
    assert not {target.split(".")[0] for target in reached} & {"pulp", "highspy"}


def test_no_module_imports_itself_in_a_circle() -> None:
    own = {module: (targets & MODULES) - {module} for module, targets in GRAPH.items() if not within(module, "tests")}
    TopologicalSorter(own).prepare()  # raises CycleError with the circle


def test_the_import_graph_is_not_empty() -> None:
    """A scanner that sees nothing would pass every test above."""
    assert "models.panel" in GRAPH["engine.simulation.outcomes"]
    assert "mlflow" in GRAPH["engine.tracking"]


ROOM = re.compile(r'^ +(?P<id>\w+)\["(?P<name>[\w/]+): (?P<line>[^"]+)"\]$', re.MULTILINE)
ARROW = re.compile(r"^ +(?P<tail>\w+) --> (?P<head>\w+)$", re.MULTILINE)


def picture_of_code() -> tuple[set[str], set[tuple[str, str]]]:
    """Rooms are packages, tests apart; arrows go from the one that imports to the one that is imported."""
    rooms = {module for module, path in FILES.items() if path.name == "__init__.py" and not within(module, "tests")}
    arrows = {
        (room(module), room(target))
        for module, targets in GRAPH.items()
        if room(module) in rooms
        for target in targets & MODULES
        if room(target) != room(module)
    }
    return rooms, arrows


def drawing(rooms: set[str], arrows: set[tuple[str, str]], lines: dict[str, str]) -> str:
    """The picture as ARCHITECTURE.md has it; a new room gets the first sentence of its package."""

    def line(name: str) -> str:
        said = ast.get_docstring(ast.parse(FILES[name].read_bytes())) or "says nothing about itself"
        return lines.get(name) or said.splitlines()[0].rstrip(".").replace('"', "'")

    nodes = [f'    {name.replace(".", "_")}["{name.replace(".", "/")}: {line(name)}"]' for name in sorted(rooms)]
    edges = [f"    {tail.replace('.', '_')} --> {head.replace('.', '_')}" for tail, head in sorted(arrows)]
    return "\n".join(["```mermaid", "flowchart LR", *nodes, *edges, "```"])


def test_the_picture_in_architecture_is_true() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    found = {match["id"]: (match["name"].replace("/", "."), match["line"]) for match in ROOM.finditer(text)}
    drawn = {(found[match["tail"]][0], found[match["head"]][0]) for match in ARROW.finditer(text)}
    rooms, arrows = picture_of_code()
    right = drawing(rooms, arrows, dict(found.values()))
    mend = f"ARCHITECTURE.md should have\n{right}"
    assert {name for name, _ in found.values()} == rooms, f"other rooms on disk: {mend}"
    assert drawn == arrows, f"undrawn {sorted(arrows - drawn)}, not in code {sorted(drawn - arrows)}: {mend}"


COMMANDS = ("engine.forecast", "engine.scenario", "engine.allocate", "engine.planning", "engine.init", "engine.report")
LIGHT = (
    "engine",
    "engine.errors",
    "engine.config",
    "engine.command",
    "engine.forecast",
    "engine.scenario",
    "engine.allocate",
    "engine.init",
    "engine.planning.questions",
    "engine.tracking_settings",
)


def loaded_by(code: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter has after running some code."""
    last = "import json, sys; print('\\n' + json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{last}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", [*LIGHT, *(name for name in FILES if name.endswith("settings"))])
def test_the_front_door_loads_nothing_heavy(module: str) -> None:
    assert not loaded_by(f"import {module}") & HEAVY


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_nothing_heavy(command: str) -> None:
    code = f"""
import contextlib, runpy, sys
sys.argv = ["{command}", "--help"]
with contextlib.suppress(SystemExit):
    runpy.run_module("{command}", run_name="__main__")
"""
    assert not loaded_by(code) & HEAVY
