import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks.end_to_end import main, measure

CHILD = "import time; held = bytearray(b'x' * 150 * 2**20); time.sleep(1)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}], check=True)"


def test_memory_of_a_grandchild_is_seen(tmp_path: Path) -> None:
    usage = measure([sys.executable, "-c", PARENT], os.environ, tmp_path / "log")
    assert usage.returncode == 0
    assert 150 < usage.peak_mb < 400
    assert 1 < usage.wall_seconds < 30


def test_a_failing_command_keeps_what_it_said(tmp_path: Path) -> None:
    usage = measure([sys.executable, "-c", "raise SystemExit('no such config')"], os.environ, tmp_path / "log")
    assert usage.returncode == 1
    assert "no such config" in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_both_cases_are_measured_on_the_smoke_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs/smoke.yaml", "--json"]) == 0
    cold, warm = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (cold["case"], warm["case"]) == ("cold", "warm")
    assert warm["wall_seconds"] < cold["wall_seconds"]
    assert sum(warm["stages"].values()) <= warm["wall_seconds"]
