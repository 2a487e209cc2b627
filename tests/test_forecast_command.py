"""The command: quick where nothing is to be computed, and one exit code for every ending."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import engine
from engine.config import RunConfig, RunOptions
from engine.errors import EngineError, InputRefusedError, Problem, RunNotFoundError
from engine.forecast import main
from tests.conftest import ROOT

MISTAKES = """\
name: q3
as_of: 2026-06-31
horizon: {start: 2026-07-02, frequency: quarter}
seed: twenty
simulaton: {paths: 20000}
allocation: {fairnes: attainment}
"""

Q3 = str(ROOT / "configs/q3.yaml")


class FakePipeline(SimpleNamespace):
    """Stands in for `engine.pipeline`: remembers what it was asked and answers as told."""

    def __init__(self, answer: object) -> None:
        super().__init__(answer=answer, asked=[])

    def run(self, config: RunConfig, options: RunOptions) -> object:
        self.asked.append((config, options))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def check(self, config: RunConfig) -> str:
        self.asked.append((config, None))
        return "nothing to mend"


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> FakePipeline:
    fake = FakePipeline(SimpleNamespace(text="the summary", exit_code=0))
    monkeypatch.setitem(sys.modules, "engine.pipeline", fake)
    monkeypatch.setattr(engine, "pipeline", fake, raising=False)
    return fake


def command(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from engine.forecast import main; sys.exit(main())"
    line = [sys.executable, "-c", code, str(ROOT), *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=60)


def test_five_mistakes_are_listed_within_two_seconds(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(MISTAKES, encoding="utf-8")
    seconds = []
    for _ in range(3):  # the machine may be busy with other things; the command is not
        start = time.perf_counter()
        done = command(str(path), folder=tmp_path)
        seconds.append(time.perf_counter() - start)
    assert done.returncode == 2
    assert done.stdout == ""
    head, *lines = done.stderr.splitlines()
    assert head == "5 problems found, nothing was run:"
    assert [line.partition("wrong.yaml ")[2].split(":")[0] for line in lines] == [
        "line 2, as_of",
        "line 3, horizon.start",
        "line 4, seed",
        "line 5, simulaton",
        "line 6, allocation.fairnes",
    ]
    assert "Traceback" not in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["wrong.yaml"]
    assert min(seconds) < 2


def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
from engine.forecast import main
try:
    main(["--help"])
except SystemExit as end:
    assert end.code == 0
print("modules:", *sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    text, _, modules = done.stdout.partition("modules: ")
    loaded = {name.split(".")[0] for name in modules.split()}
    assert not loaded & {"numpy", "pandas", "scipy", "numba", "pymc", "mlflow", "pulp", "pydantic", "yaml", "rich"}
    for option in ("CONFIG", "--check", "--schema", "--set", "--out", "--seed", "--threads", "--debug"):
        assert option in text


def test_a_bad_config_never_waits_for_the_heavy_libraries(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(MISTAKES, encoding="utf-8")
    code = f"""
import sys
from engine.forecast import main
assert main([{str(path)!r}]) == 2
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"pandas", "scipy", "numba", "pymc", "mlflow", "pulp", "plotly"}


def test_the_schema_is_json_with_the_public_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    public = "name as_of horizon seed data stages calendar currency models simulation allocation decisions"
    assert list(schema["properties"]) == [
        *public.split(),
        *["accepted_plan", "backtest", "tracking", "crm", "report", "output"],
    ]
    assert schema["additionalProperties"] is False
    assert set(schema["$defs"]["Data"]["discriminator"]["mapping"]) == {"demo", "tables"}


def test_options_reach_the_pipeline(pipeline: FakePipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--set", "horizon.periods=2", "--set", "name=x", "--out", str(tmp_path), "--seed", "3", "--threads", "2"]
    assert main([Q3, *options]) == 0
    ((config, asked),) = pipeline.asked
    assert (config.horizon.periods, config.name, config.output, config.seed) == (2, "x", tmp_path, 3)
    assert asked == RunOptions(threads=2)
    assert capsys.readouterr().out == "the summary\n"


def test_check_runs_nothing(pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([Q3, "--check"]) == 0
    assert [options for _, options in pipeline.asked] == [None]
    assert capsys.readouterr().out == "nothing to mend\n"


@pytest.mark.parametrize("code", [0, 3, 4])
def test_the_summary_brings_its_exit_code(pipeline: FakePipeline, code: int) -> None:
    pipeline.answer = SimpleNamespace(text="", exit_code=code)
    assert main([Q3]) == code


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputRefusedError([Problem("a.csv row 3", "x", "y", "z")]), 2, "a.csv row 3: got x; allowed: y; z"),
        (RunNotFoundError("no run q3"), 2, "no run q3"),
        (EngineError("something to mend"), 1, "something to mend"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (RuntimeError("first\nsecond"), 1, "RuntimeError: first second (--debug shows where)"),
    ],
)
def test_every_ending_has_its_exit_code_and_no_traceback(
    pipeline: FakePipeline, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    pipeline.answer = error
    assert main([Q3]) == code
    output = capsys.readouterr()
    assert said in output.err
    assert "Traceback" not in output.err
    assert output.out == ""


@pytest.mark.parametrize("error", [EngineError("mend me"), RuntimeError("surprise")])
def test_debug_shows_where(pipeline: FakePipeline, capsys: pytest.CaptureFixture[str], error: Exception) -> None:
    pipeline.answer = error
    assert main([Q3, "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--check"], [Q3, "--threads", "0"], [Q3, "--seed", "x"], [Q3, "--what"]])
def test_a_wrong_command_line_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_seed_out_of_range_is_named_by_its_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([Q3, "--seed", "-1"]) == 2
    assert "--seed, seed: got -1" in capsys.readouterr().err
