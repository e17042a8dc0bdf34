"""What a run left out and why: printed at its end, and a failure where nothing may be left out. A plugin of pytest.

With several processes each tells the one that prints, when it ends, what pytest does not tell of it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

SUBSTITUTED = pytest.StashKey[str]()
DESELECTED = pytest.StashKey[int]()
RUN_BEFORE = pytest.StashKey[int]()
_NAMES = {"substituted": SUBSTITUTED, "deselected": DESELECTED}
_TOLD = _NAMES | {"run_before": RUN_BEFORE}


def pytest_deselected(items: Iterable[pytest.Item]) -> None:
    """Count them where they are collected: the process that prints collects nothing when there are several."""
    found = list(items)
    if found:
        stash = found[0].config.stash
        stash[DESELECTED] = stash.get(DESELECTED, 0) + len(found)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process of tests says when it ends."""
    told, stash = getattr(node, "workeroutput", {}), node.config.stash
    for name, key in _TOLD.items():
        if name in told:
            stash[key] = told[name]  # all collect the same


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With KEELWATCH_REQUIRE_ALL=1 a run that left something out has failed."""
    stash = session.config.stash
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput |= {name: stash[key] for name, key in _TOLD.items() if key in stash}
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.exitstatus != pytest.ExitCode.OK:
        return
    left_out = reporter.stats.get("skipped") or any(key in stash for key in _NAMES.values())
    if left_out and _all_required():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was not run and why, grouped by reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    stash = terminalreporter.config.stash
    deselected, substituted = stash.get(DESELECTED, 0), stash.get(SUBSTITUTED, None)
    terminalreporter.section("not run")
    for line in _not_run(skipped):
        terminalreporter.write_line(line)
    if deselected:
        terminalreporter.write_line(f"{deselected} x deselected by -k, -m or --deselect")
    if before := stash.get(RUN_BEFORE, 0):
        terminalreporter.write_line(f"{before} x run before this one, as KEELWATCH_RUN_BEFORE says")
    if substituted:
        terminalreporter.write_line(f"tests of the stream: {substituted}")
    if not skipped and not deselected and not substituted:
        terminalreporter.write_line("nothing: every collected test was run")
    elif _all_required():
        terminalreporter.write_line("KEELWATCH_REQUIRE_ALL=1: a run that leaves something out has failed", red=True)


def _all_required() -> bool:
    return os.environ.get("KEELWATCH_REQUIRE_ALL") == "1"


def _not_run(skipped: Iterable[Any]) -> list[str]:
    """One line a reason: how many were skipped for it, and in which files."""
    counts: Counter[str] = Counter()
    files: dict[str, set[str]] = {}
    for report in skipped:
        reason = _reason(report)
        counts[reason] += 1
        files.setdefault(reason, set()).add(report.nodeid.split("::")[0])
    return [f"{n} x {reason} ({', '.join(sorted(files[reason]))})" for reason, n in counts.most_common()]


def _reason(report: Any) -> str:
    """Why a test was skipped, without pytest's prefix."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple | list) else str(report.longrepr)
    return str(reason).removeprefix("Skipped: ")
