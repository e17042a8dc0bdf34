"""A real browser without a window: Debian's Chromium, one run a page."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ABSENT = "needs Chromium: install Debian's package chromium"
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--enable-logging=stderr",
    "--virtual-time-budget=5000",
)


def chromium() -> str | None:
    """The browser's program, where there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def opened(program: str, url: str, folder: Path) -> tuple[str, list[str]]:
    """Open a page until it has come to rest: its elements as HTML, and what its console said."""
    as_root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    command = [program, *_FLAGS, *as_root, f"--user-data-dir={folder}", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
