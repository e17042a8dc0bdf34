"""States are saved by compare-and-swap, baselines are written once."""

from __future__ import annotations

import pytest

from services.store import baselines, step_states
from services.store.engine import Conflict, Database
from tests.support.blocks import ROUTE

BASELINE = "a" * 16


def test_a_state_is_saved_only_from_the_version_that_it_was_made_of(database: Database) -> None:
    with database.write() as connection:
        assert step_states.load(connection, "detect", ROUTE) is None
        first = step_states.save(connection, "detect", ROUTE, 0, b"one")
        assert step_states.save(connection, "detect", ROUTE, first, b"two") == first + 1
        assert step_states.load(connection, "detect", ROUTE) == (first + 1, b"two")
        assert step_states.load(connection, "alert", ROUTE) is None


@pytest.mark.parametrize("off", [None, -1, 1])
def test_another_version_is_a_conflict_and_changes_nothing(database: Database, off: int | None) -> None:
    with database.write() as connection:
        first = step_states.save(connection, "detect", ROUTE, 0, b"one")
        now = step_states.save(connection, "detect", ROUTE, first, b"two")
        with pytest.raises(Conflict, match="load it and repeat"):
            step_states.save(connection, "detect", ROUTE, 0 if off is None else now + off, b"three")
        assert step_states.load(connection, "detect", ROUTE) == (now, b"two")


def test_a_state_that_is_gone_is_a_conflict(database: Database) -> None:
    with database.write() as connection, pytest.raises(Conflict):
        step_states.save(connection, "detect", ROUTE, 1, b"two")


def test_what_a_failed_transaction_wrote_is_gone(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            step_states.save(connection, "detect", ROUTE, 0, b"one")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with database.read() as connection:
        assert step_states.load(connection, "detect", ROUTE) is None


def test_a_baseline_is_written_once(database: Database) -> None:
    with database.write() as connection:
        baselines.put(connection, ROUTE, BASELINE, b"artefact")
        baselines.put(connection, ROUTE, BASELINE, b"artefact")
        with pytest.raises(Conflict, match="written already"):
            baselines.put(connection, ROUTE, BASELINE, b"another")
        assert baselines.load(connection, BASELINE) == b"artefact"
        assert baselines.load(connection, "c" * 16) is None


def test_candidates_are_replaced_by_key_and_dropped_by_route(database: Database) -> None:
    with database.write() as connection:
        baselines.put_candidates(connection, ROUTE, "b", b"1")
        baselines.put_candidates(connection, ROUTE, "a", b"2")
        baselines.put_candidates(connection, ROUTE, "b", b"3")
        baselines.put_candidates(connection, "a/b", "b", b"4")
        assert baselines.candidates(connection, ROUTE) == {"a": b"2", "b": b"3"}
        baselines.drop_candidates(connection, ROUTE)
        assert baselines.candidates(connection, ROUTE) == {}
        assert baselines.candidates(connection, "a/b") == {"b": b"4"}
