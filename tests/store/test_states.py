"""States are saved by compare-and-swap, baselines are written once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.store import baselines, states
from services.store.baselines import BaselineInfo
from services.store.engine import Conflict, Database
from services.store.repository import Repository
from tests.support.blocks import ROUTE, START

INFO = BaselineInfo(id="a" * 16, route=ROUTE, identity="b" * 16, pinned_at=START, summary='{"n": 1000}')


def test_a_state_is_saved_only_from_the_version_that_it_was_made_of(database: Database) -> None:
    with database.write() as connection:
        assert states.load(connection, "detect", ROUTE) is None
        assert states.save(connection, "detect", ROUTE, 0, b"one") == 1
        assert states.save(connection, "detect", ROUTE, 1, b"two") == 2
        assert states.load(connection, "detect", ROUTE) == (2, b"two")
        assert states.load(connection, "alert", ROUTE) is None


@pytest.mark.parametrize("version", [0, 1, 3])
def test_another_version_is_a_conflict_and_changes_nothing(database: Database, version: int) -> None:
    with database.write() as connection:
        states.save(connection, "detect", ROUTE, 0, b"one")
        states.save(connection, "detect", ROUTE, 1, b"two")
        with pytest.raises(Conflict, match="load it and repeat"):
            states.save(connection, "detect", ROUTE, version, b"three")
        assert states.load(connection, "detect", ROUTE) == (2, b"two")


def test_a_state_that_is_gone_is_a_conflict(database: Database) -> None:
    with database.write() as connection, pytest.raises(Conflict):
        states.save(connection, "detect", ROUTE, 1, b"two")


def test_what_a_failed_transaction_wrote_is_gone(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            states.save(connection, "detect", ROUTE, 0, b"one")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with database.read() as connection:
        assert states.load(connection, "detect", ROUTE) is None


def test_a_baseline_is_written_once(database: Database) -> None:
    with database.write() as connection:
        baselines.put(connection, INFO, b"artefact")
        baselines.put(connection, INFO, b"artefact")
        with pytest.raises(Conflict, match="written already"):
            baselines.put(connection, INFO, b"another")
        assert baselines.load(connection, INFO.id) == b"artefact"
        assert baselines.load(connection, "c" * 16) is None


def test_baselines_are_listed_by_route_the_newest_first(database: Database) -> None:
    newer = replace(INFO, id="d" * 16, pinned_at=START.replace(year=2027))
    other = replace(INFO, id="e" * 16, route="a/b")
    with database.write() as connection:
        for info in (INFO, newer, other):
            baselines.put(connection, info, b"")
    repository = Repository(database)
    assert repository.baselines() == (other, newer, INFO)
    assert repository.baselines(ROUTE) == (newer, INFO)


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
