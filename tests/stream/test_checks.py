"""What readiness asks of the database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
