"""`keelwatch` as people call it: a process of its own, with the environment that a test gives it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.source import ROOT


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without its own `KEELWATCH_*`, with `folder` for data, and `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEELWATCH_")}
    return {**kept, "KEELWATCH_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1", **(more or {})}


def keelwatch(folder: Path, *words: str, seconds: float = 600) -> str:
    """Run a command to its end; what it printed.

    Raises:
        AssertionError: if its exit code is not 0.
    """
    command = [sys.executable, "-m", "services.cli", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(folder), capture_output=True, text=True, check=False, timeout=seconds
    )
    assert done.returncode == 0, f"keelwatch {' '.join(words)}: exit code {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout
