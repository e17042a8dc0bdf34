"""What readiness asks of the database."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

from services.store.engine import open_database
from services.stream.process_health import DatabaseCheck
from tests.support.brokers import unused_ports


def test_a_database_that_answers_is_well(new_url: Callable[[], str]) -> None:
    store = DatabaseCheck(new_url())
    assert store.ask() is None
    assert store.ask() is None
    store.close()


def test_a_database_that_does_not_answer_is_not(tmp_path: Path) -> None:
    (port,) = unused_ports(1)
    for url in (f"sqlite:///{tmp_path / 'none' / 'keelwatch.db'}", f"postgresql://u:secret@127.0.0.1:{port}/none"):
        away = DatabaseCheck(url)
        reason = str(away.ask())
        assert reason.startswith("the database does not answer: OperationalError")
        assert "secret" not in reason
        away.close()


def test_a_database_on_a_full_disk_is_not_well_though_it_can_be_read(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'keelwatch.db'}"
    open_database(url).close()
    store = DatabaseCheck(url)
    assert store.ask() is None
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "keelwatch.db-wal").stat().st_size, hard))
    try:
        reason = str(store.ask())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert reason.startswith("the database has not been written for 0 s: OperationalError")
    assert "keelwatch doctor" in reason
    assert store.ask() is None
    store.close()


def test_a_database_that_is_busy_for_a_moment_is_well_and_for_long_it_is_not(tmp_path: Path) -> None:
    url, now = f"sqlite:///{tmp_path / 'keelwatch.db'}", [0.0]
    base = open_database(url)
    store = DatabaseCheck(url, clock=lambda: now[0])
    with base.write():
        assert store.ask() is None
        now[0] = 9.0
        assert "has not been written for 9 s: OperationalError (database is locked)" in str(store.ask())
    assert store.ask() is None
    store.close()
    base.close()
