"""Broker and database go away for seconds under traffic; `make outages` has them away for a minute each."""

from __future__ import annotations

import pytest

from tests.chaos.outages import RATE, locked, run, stage, stopped
from tests.support import kafka as brokers
from tests.support import postgres as databases
from tests.support.fleet import Fleet
from tests.support.streams import make_topics, remove_topics

SECONDS = 4.0
SUPERVISORS_PATIENCE = 15.0


@pytest.fixture(scope="module")
def servers():
    if brokers.home() is None:
        pytest.skip(brokers.ABSENT)
    if databases.binaries() is None:
        pytest.skip(databases.ABSENT)
    with stage() as on:
        yield on


@pytest.fixture
def broker(servers):
    broker = servers.broker()
    make_topics(broker)
    yield broker
    remove_topics(broker)


def test_a_broker_and_a_postgresql_that_go_away_are_waited_for(servers, broker, tmp_path):
    url = servers.url()
    found = run(broker, url, tmp_path, servers.on_postgresql(url), SECONDS)
    print("\n".join(one.line() for one in found))
    assert [one.restarts for one in found] == [0] * 4
    assert min(one.behind for one in found if "database" in one.name) > SECONDS * RATE / 2, "the database was not away"


def test_a_worker_starts_without_a_database_and_ends_without_database_and_broker(servers, broker, tmp_path):
    with Fleet(tmp_path, broker, servers.url(), only="score,detect") as fleet:
        with stopped(servers.database):
            log = fleet.join("worker").log
            fleet.until(lambda: b"waits for the database" in log.read_bytes(), "it says that it waits")
        fleet.until(lambda: fleet.shared(1), "it runs")
        with stopped(servers.database), stopped(servers.server):
            assert fleet.leave("worker") < SUPERVISORS_PATIENCE
        assert fleet.restarts == []


def test_an_sqlite_that_somebody_else_has_locked_is_waited_for(broker, tmp_path):
    url = f"sqlite:///{tmp_path / 'keelwatch.db'}"
    [found] = run(broker, url, tmp_path, {"SQLite locked": lambda: locked(url)}, SECONDS)
    print(found.line())
    assert found.restarts == 0
    assert found.behind > SECONDS * RATE / 2, "the database was not locked"
