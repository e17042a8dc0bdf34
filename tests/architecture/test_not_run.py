"""A run says what it left out, and fails for it where nothing may be left out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.source import ROOT

TESTS = """
import pytest

def test_here(): pass

@pytest.mark.skip(reason="needs a moon base")
@pytest.mark.parametrize("n", [1, 2])
def test_elsewhere(n): pass

def test_data(data_dir): pass
"""


def _run(folder: Path, require_all: str, *args: str) -> subprocess.CompletedProcess[str]:
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", folder / "tests")
    (folder / "tests" / "test_some.py").write_text(TESTS, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    env = os.environ | {"KEELWATCH_REQUIRE_ALL": require_all, "KEELWATCH_DATA": str(folder / "absent")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *(args or ("tests",))]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_what_was_not_run_is_printed_with_its_reason(tmp_path: Path) -> None:
    run = _run(tmp_path, "")
    assert run.returncode == 0
    assert "2 x needs a moon base (tests/test_some.py)" in run.stdout
    assert "1 x needs recorded data: set KEELWATCH_DATA (tests/test_some.py)" in run.stdout


@pytest.mark.parametrize(("args", "code"), [([], 1), (["-k", "test_here"], 1), (["tests/test_some.py::test_here"], 0)])
def test_a_run_that_may_leave_nothing_out_fails_for_a_skip(tmp_path: Path, args: list[str], code: int) -> None:
    assert _run(tmp_path, "1", *args).returncode == code


@pytest.mark.parametrize(("require_all", "code"), [("", 0), ("1", 1)])
def test_a_run_on_a_substitute_says_so_and_is_not_all(tmp_path: Path, require_all: str, code: int) -> None:
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    body = "import conftest\n\ndef test(request):\n    request.config.stash[conftest.SUBSTITUTED] = 'elsewhere'\n"
    (tmp_path / "tests" / "test_one.py").write_text(body, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests"]
    env = os.environ | {"KEELWATCH_REQUIRE_ALL": require_all}
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == code
    assert "tests of the stream: elsewhere" in run.stdout
    assert "nothing: every collected test was run" not in run.stdout
