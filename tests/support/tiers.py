"""Tiers of tests, by what a test starts: given by fixtures or written at the test, and held to. A plugin of pytest.

A test without the marker fails when it starts a broker, a PostgreSQL, a browser, Keelwatch's own processes, or the
model that embeds: so that what is `fast` stays so. CONTRIBUTING.md says what each takes.
"""

from __future__ import annotations

import fcntl
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.account import RUN_BEFORE

HEAVY = {
    "kafka": "starts a broker: Apache Kafka or the embedded one",
    "postgres": "needs a PostgreSQL",
    "browser": "opens pages in Chromium",
    "embedding": "computes with the real embedder",
    "processes": "starts processes of Keelwatch",
    "slow": "takes long for another reason",
}
OTHERS = {
    "fast": "given by itself: none of " + ", ".join(HEAVY),
    "later": "given by itself: fast, and may read a clock; `make test-later` runs these on another day",
    "serial": "measures time or memory: no other test runs beside it",
}
FIXTURES = {
    "kafka": {"kafka", "apache", "secured", "own_kafka", "embedded_broker", "cluster", "stage", "servers", "service"},
    "postgres": {"postgres", "servers", "service"},
    "embedding": {"embedder", "tools"},
    "processes": {"service"},
}
PROGRAMS = {"java": "kafka", "tansu": "kafka", "postgres": "postgres", "initdb": "postgres", "setpriv": "postgres"}
PROGRAMS |= {"chromium": "browser", "node": "browser"}
MODULES = {"services.cli": "processes", "tests.support.supervised": "kafka"}
# Longest first: a file that starts late and takes minutes would have the others wait for it.
ORDER = ("kafka", "browser", "postgres", "processes", "slow", "embedding")

TIMELESS = ("detectors", "signals")
"""Folders of tests of what has no clock, which tests/architecture/test_purity holds."""

_ALLOWED = pytest.StashKey[set[str]]()
_now: list[set[str]] = []


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known, and hold tests to theirs."""
    for name, text in (HEAVY | OTHERS).items():
        config.addinivalue_line("markers", f"{name}: {text}")
    if not hasattr(sys, "keelwatch_held"):
        sys.keelwatch_held = True  # type: ignore[attr-defined]  # a hook stays as long as the process
        sys.addaudithook(_hold_to_programs)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test its markers; files that wait for much come first.

    With KEELWATCH_RUN_BEFORE=later the tests of that marker are none of this run: another one has run them.
    """
    for item in items:
        for name in sorted(_started_by_fixtures(item)):
            item.add_marker(name)
        if not _heavy(item):
            item.add_marker("fast")
            if not set(TIMELESS) & set(item.path.relative_to(config.rootpath).parts):
                item.add_marker("later")
    if before := os.environ.get("KEELWATCH_RUN_BEFORE"):
        left = [item for item in items if item.get_closest_marker(before) is None]
        config.stash[RUN_BEFORE] = len(items) - len(left)
        items[:] = left
    first = {item.path: len(ORDER) for item in items}
    for item in items:
        first[item.path] = min(first[item.path], *(ORDER.index(name) for name in _heavy(item)), len(ORDER))
    items.sort(key=lambda item: first[item.path])


def pytest_collection_finish() -> None:
    """Spare the collector of garbage all that was imported: looking through it takes a good part of the time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give whole files to the processes, in the order above: modules share servers."""
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 -- this is called with several processes alone

    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Know what the running test may start; while one that is `serial` runs, no other does."""
    may = _heavy(item)
    _now.append(may | ({"processes", "embedding"} if "kafka" in may else set()))  # a broker is there for the workers
    _hold_to_model()
    try:
        with _turn(item):
            return (yield)
    finally:
        _now.pop()


def _started_by_fixtures(item: pytest.Item) -> set[str]:
    used = set(getattr(item, "fixturenames", ()))
    found = {name for name, fixtures in FIXTURES.items() if used & fixtures}
    values = getattr(getattr(item, "callspec", None), "params", {})
    return found | ({"postgres"} if values.get("new_url") == "postgresql" else set())


def _heavy(item: pytest.Item) -> set[str]:
    return {mark.name for mark in item.iter_markers()} & set(HEAVY)


def _hold_to_programs(event: str, details: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen" and _now:
        _hold_to(_starts(details[1]), " ".join(map(str, details[1])))


def _starts(command: Sequence[Any] | str) -> set[str]:
    words = [str(word) for word in ([command] if isinstance(command, str | bytes) else command)]
    modules = {kind for module, kind in MODULES.items() if module in words}
    return modules | {PROGRAMS[name] for name in (Path(word).name for word in words[:6]) if name in PROGRAMS}


def _hold_to(kinds: set[str], what: str) -> None:
    missing = kinds - _now[-1]
    assert not missing, f"the test has no marker {sorted(missing)} (tests/support/tiers.py), and would start: {what}"


def _hold_to_model() -> None:
    """Have the embedder's engine ask, once somebody has imported it."""
    core = getattr(sys.modules.get("openvino"), "Core", None)
    if core is None or hasattr(core, "held"):
        return
    compile_model = core.compile_model

    def asked(self: Any, *args: Any, **more: Any) -> Any:
        _hold_to({"embedding"} if _now else set(), "the model that embeds")
        return compile_model(self, *args, **more)

    core.compile_model, core.held = asked, True


@contextmanager
def _turn(item: pytest.Item) -> Iterator[None]:
    """With several processes of tests: beside others, or alone when the test is `serial`."""
    if not hasattr(item.config, "workerinput"):
        yield
        return
    folder = item.config._tmp_path_factory.getbasetemp().parent  # type: ignore[attr-defined]  # all processes have it
    alone = item.get_closest_marker("serial") is not None
    with (folder / "gate").open("w") as gate, (folder / "turn").open("w") as turn:
        fcntl.flock(gate, fcntl.LOCK_EX)  # whoever waits to be alone holds it, so that no other begins meanwhile
        fcntl.flock(turn, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield
