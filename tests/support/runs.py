"""Runs of pytest on a few tests in a folder of their own, with the plugins and the conftest of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.source import ROOT

_OURS = ("conftest.py", "support/account.py", "support/tiers.py")


def run(folder: Path, tests: str, *args: str, files: int = 1, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `tests`, the text of a file, as so many files."""
    for name in _OURS:
        (folder / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tests" / name, folder / "tests" / name)
    for number in range(files):
        (folder / "tests" / f"test_some{number or ''}.py").write_text(tests, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "xdist", *args]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    outside["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # plugins of others take most of the time
    return subprocess.run(command, cwd=folder, env=outside | environment, capture_output=True, text=True, check=False)
