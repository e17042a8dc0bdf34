"""What every test shares: the recorded data, hypothesis' settings, and an account of what was not run."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from services.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
SUBSTITUTED = pytest.StashKey[str]()

# Time is no property of ours: a busy machine must not turn a slow example into a failure.
settings.register_profile("keelwatch", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("keelwatch")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of recorded answers; tests that need it are skipped, and said to be, where it is absent."""
    folder = Path(os.environ.get("KEELWATCH_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "xstest.jsonl").is_file():
        pytest.skip("needs recorded data: set KEELWATCH_DATA")
    return folder


@pytest.fixture
def keelwatch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line with a data folder of its own and no other setting: exit code, stdout, stderr."""
    from services.cli import main  # noqa: PLC0415 -- most tests do without it

    for name in Settings.model_fields:
        monkeypatch.delenv(f"KEELWATCH_{name.upper()}", raising=False)
    monkeypatch.setenv("KEELWATCH_DATA_DIR", str(tmp_path / "data"))

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["keelwatch", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL server, started for this run; tests that need it are skipped, and said to be, where it is absent."""
    from tests.support.postgres import ABSENT, running  # noqa: PLC0415 -- tests without a database do without it

    with running() as server:
        if server is None:
            pytest.skip(ABSENT)
        yield server


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A cluster that all tests of a run share: Apache Kafka, or, and that is said, the embedded broker in its place.

    Each test has topics and groups of its own. `tests.support.kafka.Cluster`.
    """
    from tests.support import kafka as brokers  # noqa: PLC0415 -- tests without a broker do without it

    with brokers.any_cluster() as cluster:
        if cluster.broker.kind == "embedded":
            request.config.stash[SUBSTITUTED] = brokers.SUBSTITUTE
        yield cluster


@pytest.fixture(scope="session")
def apache(kafka: Any) -> Any:
    """The shared cluster if it is Apache Kafka; tests of what the embedded broker cannot do are skipped otherwise."""
    from tests.support import kafka as brokers  # noqa: PLC0415

    if kafka.broker.kind == "embedded":
        pytest.skip(brokers.ABSENT)
    return kafka


@pytest.fixture(scope="session")
def secured(apache: Any) -> Any:
    """The server of the shared Apache Kafka, for its secured listeners. `tests.support.brokers.Kafka`."""
    from tests.support import kafka as brokers  # noqa: PLC0415

    if apache.server is None:
        pytest.skip(brokers.GIVEN)
    return apache.server


@pytest.fixture
def own_kafka() -> Iterator[Any]:
    """An Apache Kafka for one test alone, which may stop, kill and start it. `tests.support.brokers.Kafka`."""
    from tests.support import kafka as brokers  # noqa: PLC0415

    with brokers.apache_kafka() as server:
        if server is None:
            pytest.skip(brokers.ABSENT)
        yield server


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[Any]:
    """The embedded broker. `tests.support.kafka.Cluster`."""
    from tests.support import kafka as brokers  # noqa: PLC0415

    with brokers.embedded() as server:
        yield brokers.cluster_of(server.bootstrap, server)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With KEELWATCH_REQUIRE_ALL=1 a run that left something out has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.exitstatus != pytest.ExitCode.OK:
        return
    left_out = reporter.stats.get("skipped") or reporter.stats.get("deselected") or SUBSTITUTED in session.config.stash
    if left_out and os.environ.get("KEELWATCH_REQUIRE_ALL") == "1":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was not run and why, grouped by reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    deselected = len(terminalreporter.stats.get("deselected", []))
    terminalreporter.section("not run")
    for line in _not_run(skipped):
        terminalreporter.write_line(line)
    if deselected:
        terminalreporter.write_line(f"{deselected} x deselected by -k, -m or --deselect")
    substituted = terminalreporter.config.stash.get(SUBSTITUTED, None)
    if substituted:
        terminalreporter.write_line(f"tests of the stream: {substituted}")
    if not skipped and not deselected and not substituted:
        terminalreporter.write_line("nothing: every collected test was run")
    elif os.environ.get("KEELWATCH_REQUIRE_ALL") == "1":
        terminalreporter.write_line("KEELWATCH_REQUIRE_ALL=1: a run that leaves something out has failed", red=True)


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
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")
