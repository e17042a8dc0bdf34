"""A test is of the tier that it asks for: what it starts without saying so makes it fail."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.runs import run

STARTS = """
import subprocess, sys
import pytest

@pytest.fixture
def apache(): pass

@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request): pass

def test_none(): subprocess.run([sys.executable, "-c", ""], check=True)

def test_fixture(apache): absent("/opt/bin/java", "-version")

@pytest.mark.browser
def test_marker(): absent("/opt/playwright/node", "cli.js")

def test_database(new_url): pass

@pytest.mark.kafka
@pytest.mark.parametrize("program", ["/opt/postgres", "/opt/chromium"])
def test_other(program): absent(program)

@pytest.mark.parametrize("program", ["/opt/java", "/opt/tansu", "/opt/initdb"])
def test_quiet(program): absent(program)

def test_own(): subprocess.run([sys.executable, "-m", "services.cli", "--help"], check=True)

def absent(*command):
    with pytest.raises(FileNotFoundError):
        subprocess.run(command)
"""
ENGINE = """
import sys
from types import ModuleType
import pytest

class Core:
    def compile_model(self): return "compiled"

@pytest.fixture(autouse=True, scope="session")
def engine():
    pass

sys.modules["openvino"] = ModuleType("openvino")
sys.modules["openvino"].Core = Core

def test_quiet(): Core().compile_model()

@pytest.mark.embedding
def test_marker(): assert Core().compile_model() == "compiled"
"""
ALONE = """
import os, time
from pathlib import Path
import pytest

RUNNING = Path(__file__).parents[1] / "running"
BESIDE = Path(__file__).parents[1] / "beside"

def test_several_run_at_once():
    BESIDE.mkdir(exist_ok=True)
    (BESIDE / str(os.getpid())).touch()
    until = time.monotonic() + 60
    while len(list(BESIDE.iterdir())) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)

@pytest.mark.parametrize("n", range(10))
def test_some(n): stay(10)

@pytest.mark.serial
@pytest.mark.parametrize("n", range(3))
def test_alone(n): stay(1)

def stay(most):
    RUNNING.mkdir(exist_ok=True)
    own = RUNNING / f"{os.getpid()}"
    own.touch()
    for _ in range(10):
        assert len(list(RUNNING.iterdir())) <= most
        time.sleep(0.01)
    own.unlink()
"""


def _outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    lines = [line.split() for line in done.stdout.splitlines() if "::" in line and "%]" in line]
    return {words[0].partition("::")[2]: words[1] for words in lines}


def test_what_a_test_starts_without_its_marker_makes_it_fail(tmp_path: Path) -> None:
    done = run(tmp_path, STARTS, "-v", "-n0")
    found = _outcomes(done)
    failed = {name for name, outcome in found.items() if outcome == "FAILED"}
    loud = {f"test_other[/opt/{name}]" for name in ("postgres", "chromium")}
    assert failed == loud | {f"test_quiet[/opt/{name}]" for name in ("java", "tansu", "initdb")} | {"test_own"}
    assert len(found) == len(failed) + 5
    assert "the test has no marker ['kafka']" in done.stdout


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (
            "fast",
            {
                "test_none",
                "test_database[sqlite]",
                "test_own",
                *(f"test_quiet[/opt/{n}]" for n in ("java", "tansu", "initdb")),
            },
        ),
        ("postgres", {"test_database[postgresql]"}),
        ("browser", {"test_marker"}),
    ],
)
def test_markers_come_from_fixtures_and_what_has_none_is_fast(tmp_path: Path, chosen: str, names: set[str]) -> None:
    assert set(_outcomes(run(tmp_path, STARTS, "-v", "-n0", "-m", chosen))) == names


def test_the_real_embedder_needs_a_marker_too(tmp_path: Path) -> None:
    assert _outcomes(run(tmp_path, ENGINE, "-v", "-n0")) == {"test_quiet": "FAILED", "test_marker": "PASSED"}


def test_no_test_runs_beside_one_that_measures(tmp_path: Path) -> None:
    done = run(tmp_path, ALONE, "-n", "3", files=4)
    assert done.returncode == 0, done.stdout
