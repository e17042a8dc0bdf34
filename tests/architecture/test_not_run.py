"""A run says what it left out, and fails for it where nothing may be left out: in one process and in several."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.runs import run

PROCESSES = pytest.mark.parametrize("processes", [0, 2])
TESTS = """
import pytest

def test_here(): pass

@pytest.mark.skip(reason="needs a moon base")
@pytest.mark.parametrize("n", [1, 2])
def test_elsewhere(n): pass

def test_data(data_dir): pass
"""
SUBSTITUTE = """
from tests.support.account import SUBSTITUTED

def test(request):
    request.config.stash[SUBSTITUTED] = "elsewhere"
"""


def _run(folder: Path, require_all: str, processes: int, *args: str) -> subprocess.CompletedProcess[str]:
    env = {"KEELWATCH_REQUIRE_ALL": require_all, "KEELWATCH_DATA": str(folder / "absent")}
    return run(folder, TESTS, "-n", str(processes), *args, **env)


def test_what_was_not_run_is_printed_with_its_reason(tmp_path: Path) -> None:
    done = _run(tmp_path, "", 0, "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 x needs a moon base (tests/test_some.py)" in done.stdout
    assert "1 x needs recorded data: set KEELWATCH_DATA (tests/test_some.py)" in done.stdout


@PROCESSES
def test_a_run_that_may_leave_nothing_out_fails_for_a_skip(tmp_path: Path, processes: int) -> None:
    done = _run(tmp_path, "1", processes, "tests")
    assert done.returncode == 1
    assert "2 x needs a moon base (tests/test_some.py)" in done.stdout
    assert "deselected by" not in done.stdout


@PROCESSES
def test_it_fails_for_what_was_deselected_too_which_is_counted_once(tmp_path: Path, processes: int) -> None:
    done = _run(tmp_path, "1", processes, "-k", "test_here")
    assert done.returncode == 1
    assert "3 x deselected by -k, -m or --deselect" in done.stdout


def test_it_is_content_with_all_that_was_asked_for(tmp_path: Path) -> None:
    assert _run(tmp_path, "1", 0, "tests/test_some.py::test_here").returncode == 0


@pytest.mark.parametrize(("require_all", "code", "processes"), [("", 0, 0), ("1", 1, 0), ("1", 1, 2)])
def test_a_run_on_a_substitute_says_so_and_is_not_all(
    tmp_path: Path, require_all: str, code: int, processes: int
) -> None:
    done = run(tmp_path, SUBSTITUTE, "-n", str(processes), KEELWATCH_REQUIRE_ALL=require_all)
    assert done.returncode == code
    assert "tests of the stream: elsewhere" in done.stdout
    assert "nothing: every collected test was run" not in done.stdout
