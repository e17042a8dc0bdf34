"""What every test shares: the recorded data, hypothesis' settings, databases and brokers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from services.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
pytest_plugins = ("tests.support.account", "tests.support.tiers")

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
    from tests.support.account import SUBSTITUTED  # noqa: PLC0415 -- a plugin, which pytest imports itself

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


@pytest.fixture
def secured(apache: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The server of the shared Apache Kafka, for its secured listeners. `tests.support.brokers.Kafka`."""
    from tests.support import kafka as brokers  # noqa: PLC0415
    from tests.support.goodbyes import wait_for_goodbyes  # noqa: PLC0415

    if apache.server is None:
        pytest.skip(brokers.GIVEN)
    wait_for_goodbyes(monkeypatch)
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
