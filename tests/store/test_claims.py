"""Who does a run: one process at a time, and what one that lost it writes does not count."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from services.store import evaluation_queue, runs
from services.store.engine import Database
from services.store.evaluation_queue import DONE, RAN, ClaimedRun, ClaimLost, DueRun
from services.store.runs import RunFilter
from tests.support.blocks import START

LEASE = timedelta(seconds=30)


def due(n: int, seconds: int = 0) -> DueRun:
    when = START + timedelta(seconds=seconds)
    return DueRun("a/b", f"{n:016x}", "change", "b" * 16, "core", "m at https://x/v1", 0, when)


def asked(database: Database, *rows: DueRun) -> None:
    with database.write() as connection:
        evaluation_queue.enqueue(connection, rows, START)


def claim(database: Database, owner: str = "one", after: float = 0, most: int = 10) -> tuple[ClaimedRun, ...]:
    now = START + timedelta(seconds=after)
    return database.transact(lambda connection: evaluation_queue.claim(connection, owner, now, now + LEASE, most))


def test_what_is_due_is_claimed_once_in_its_order(database: Database) -> None:
    asked(database, due(3, 2), due(1, 1), due(2, 60))
    assert [one.what for one in claim(database, after=1.5)] == [due(1, 1)]
    assert [(one.what, one.token, one.ran) for one in claim(database, "two", 10)] == [(due(3, 2), 1, False)]
    assert claim(database, "two", 10) == ()
    assert {one.created for one in claim(database, "two", 60)} == {START}


def test_no_more_are_claimed_than_wanted(database: Database) -> None:
    asked(database, *(due(n) for n in range(5)))
    assert [len(claim(database, most=2)) for _ in range(4)] == [2, 2, 1, 0]


def test_a_run_that_is_put_off_says_why_until_it_is_taken_up_then(database: Database) -> None:
    asked(database, due(1))
    (first,) = claim(database)
    later = START + timedelta(hours=9)
    with database.write() as connection:
        evaluation_queue.wait(connection, first, later, "the day's budget is used up")
        evaluation_queue.release(connection, first, START)
    assert [(one.state, one.reason) for one in database.query(evaluation_queue.find)] == [
        ("pending", "the day's budget is used up")
    ]
    (waiting,) = database.query(lambda connection: runs.page(connection, RunFilter(states=["due"]), None, 9))
    assert (waiting.ts, waiting.until, waiting.reason) == (START, later, "the day's budget is used up")
    assert claim(database, "two", 9 * 3600 - 1) == ()
    (second,) = claim(database, "two", 9 * 3600)
    assert (second.what, second.token) == (first.what, 2)
    assert [(one.state, one.reason) for one in database.query(evaluation_queue.find)] == [("running", None)]
    with database.write() as connection:
        evaluation_queue.wait(connection, first, later, "said by one that lost it")
    assert [(one.state, one.reason) for one in database.query(evaluation_queue.find)] == [("running", None)]


def test_a_run_whose_lease_ran_out_goes_to_another_and_the_first_writes_nothing_more(database: Database) -> None:
    asked(database, due(1))
    (first,) = claim(database)
    assert claim(database, "two", 29) == ()
    (second,) = claim(database, "two", 30)
    assert (second.token, second.ran) == (2, False)
    for write in (
        lambda connection: evaluation_queue.renew(connection, first, START),
        lambda connection: evaluation_queue.finish(connection, first, DONE),
    ):
        with pytest.raises(ClaimLost), database.write() as connection:
            write(connection)
    with database.write() as connection:
        evaluation_queue.release(connection, first, START)
    assert claim(database, "three", 31) == (), "a process that lost a run gives nothing back"
    with database.write() as connection:
        evaluation_queue.renew(connection, second, START + timedelta(seconds=100))
    assert claim(database, "three", 99) == ()
    with database.write() as connection:
        evaluation_queue.finish(connection, second, DONE)
    assert claim(database, "three", 1_000) == ()


def test_a_run_that_was_not_published_is_claimed_for_that_alone(database: Database) -> None:
    asked(database, due(1))
    (first,) = claim(database)
    with database.write() as connection:
        evaluation_queue.finish(connection, first, RAN)
    assert claim(database, "two", 29) == ()
    (second,) = claim(database, "two", 30)
    assert second.ran
    with database.write() as connection:
        evaluation_queue.finish(connection, second, DONE, "why")
    (known,) = database.query(evaluation_queue.find, "a/b")
    assert (known.state, known.reason) == (DONE, "why")


def test_what_is_given_back_is_had_at_once(database: Database) -> None:
    asked(database, due(1))
    (first,) = claim(database)
    with database.write() as connection:
        evaluation_queue.release(connection, first, START)
    assert [one.token for one in claim(database, "two", 0)] == [2]


def test_many_processes_claim_every_run_once(database: Database) -> None:
    rows = [due(n) for n in range(60)]
    asked(database, *rows)
    found: list[tuple[str, str]] = []

    def work(name: str) -> None:
        while taken := claim(database, name, most=3):
            found.extend((one.what.id, name) for one in taken)

    threads = [threading.Thread(target=work, args=(f"worker-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(id for id, _ in found) == sorted(row.id for row in rows)
