"""Two connections at once: nothing is lost, the loser hears of it, and who must repeat repeats."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, select, text
from sqlalchemy.exc import DBAPIError

from services.store import routes, step_states
from services.store.engine import Conflict, Database, is_unavailable, open_database
from tests.support.blocks import ROUTE
from tests.support.databases import opened
from tests.support.postgres import Server

WAIT = 30.0
NAMES = ("a/b", "c/d")


def version(database: Database) -> tuple[int, bytes] | None:
    with database.read() as connection:
        return step_states.load(connection, "detect", ROUTE)


def test_of_two_that_save_from_one_version_the_second_hears_of_it(new_url: Callable[[], str]) -> None:
    url = new_url()
    with opened(url, url) as (first, second), ThreadPoolExecutor(1) as pool:
        before = 0
        for _ in range(2):
            with first.write() as connection:
                saved = step_states.save(connection, "detect", ROUTE, before, b"first")
                late = pool.submit(_save, second, before)  # waits until the first has committed
            with pytest.raises(Conflict, match="load it and repeat"):
                late.result(WAIT)
            assert version(first) == (saved, b"first")
            before = saved


def test_a_save_that_was_given_up_does_not_stand_in_the_way(new_url: Callable[[], str]) -> None:
    url = new_url()
    with opened(url, url) as (first, second), ThreadPoolExecutor(1) as pool:
        with first.engine.connect() as connection:
            transaction = connection.begin()
            step_states.save(connection, "detect", ROUTE, 0, b"first")
            late = pool.submit(_save, second, 0)
            transaction.rollback()
        saved = late.result(WAIT)
        assert version(first) == (saved, b"late")


def test_of_states_that_are_saved_together_one_that_somebody_else_saved_gives_all_up(database: Database) -> None:
    with database.write() as connection:
        first = step_states.save_all(connection, "detect", {ROUTE: (0, b"1"), "a/b": (0, b"1")})
    with database.write() as connection:
        again = {ROUTE: (first[ROUTE], b"2"), "a/b": (first["a/b"], b"2"), "c/d": (0, b"1")}
        second = step_states.save_all(connection, "detect", again)
        assert second == {ROUTE: first[ROUTE] + 1, "a/b": first["a/b"] + 1, "c/d": second["c/d"]}
    stale = {ROUTE: (second[ROUTE], b"3"), "a/b": (first["a/b"], b"3")}
    with pytest.raises(Conflict, match="load and repeat"), database.write() as connection:
        step_states.save_all(connection, "detect", stale)
    assert version(database) == (second[ROUTE], b"2")


def _save(database: Database, before: int) -> int:
    with database.write() as connection:
        return step_states.save(connection, "detect", ROUTE, before, b"late")


def test_no_addition_of_four_writers_is_lost(new_url: Callable[[], str]) -> None:
    url = new_url()

    def add(database: Database) -> None:
        found = version(database) or (0, b"0")
        with database.write() as connection:
            step_states.save(connection, "detect", ROUTE, found[0], str(int(found[1]) + 1).encode())

    def work(database: Database) -> int:
        done = conflicts = 0
        while done < 10:
            try:
                add(database)
                done += 1
            except Conflict:
                conflicts += 1
        return conflicts

    with opened(*[url] * 4) as several, ThreadPoolExecutor(4) as pool:
        list(pool.map(work, several))
        found = version(several[0])
        assert found is not None
        assert (step_states.saves(found[0]), found[1]) == (40, b"40")


def test_a_read_sees_one_state_throughout(database: Database) -> None:
    with database.write() as connection:
        routes.ensure(connection, *NAMES)
    with database.read() as reader:
        before = routes.names(reader)
        with database.write() as connection:
            routes.ensure(connection, "e/f")
        assert routes.names(reader) == before == NAMES
    with database.read() as reader:
        assert routes.names(reader) == (*NAMES, "e/f")


def test_names_are_sorted_alike_on_every_database(database: Database) -> None:
    names = ["b", "a-b", "a/b", "a.b", "ab", "a_b", "a/", "0"]
    with database.write() as connection:
        routes.ensure(connection, *names)
        assert routes.names(connection) == tuple(sorted(names))


def test_locked_routes_are_changed_by_one_transaction_at_a_time(new_url: Callable[[], str]) -> None:
    """Each reads, decides and writes; whatever came between would be lost."""
    url = new_url()

    def add(database: Database, names: list[str]) -> None:
        def work(connection: Connection) -> None:
            routes.lock(connection, names)
            for name in names:
                seq, _ = routes.head(connection, name)
                routes.set_head(connection, name, seq + 1, "")

        for _ in range(15):
            database.transact(work)

    with opened(*[url] * 3) as several, ThreadPoolExecutor(3) as pool:
        orders = [["a", "b", "c/d"], ["c/d", "a"], ["b", "a"]]
        list(pool.map(add, several, orders))
        with several[0].read() as connection:
            assert [routes.head(connection, name)[0] for name in ("a", "b", "c/d")] == [45, 30, 30]


@pytest.fixture
def served(postgres: Server) -> str:
    """The URL of a PostgreSQL database of its own."""
    return postgres.fresh()


def test_a_deadlock_is_broken_and_repeated(served: str) -> None:
    meet = threading.Barrier(2)
    runs: list[tuple[str, str]] = []

    def work(database: Database, order: tuple[str, str]) -> None:
        def move(connection: Connection) -> None:
            first = order not in runs
            runs.append(order)
            for name in order:
                connection.execute(
                    text("UPDATE routes SET journal_seq = journal_seq + 1 WHERE route = :r"), {"r": name}
                )
                if first and name == order[0]:
                    meet.wait(WAIT)

        database.transact(move)

    with opened(served, served) as two, ThreadPoolExecutor(2) as pool:
        with two[0].write() as connection:
            routes.ensure(connection, *NAMES)
        list(pool.map(work, two, [NAMES, NAMES[::-1]]))
        assert len(runs) >= 3, "one of the two was broken off"
        with two[0].read() as connection:
            assert [routes.head(connection, name)[0] for name in NAMES] == [2, 2]


def test_a_serialisation_failure_is_repeated_on_a_new_state(served: str) -> None:
    seen: list[int] = []
    with opened(served, served) as (one, other):
        with one.write() as connection:
            routes.ensure(connection, ROUTE)

        def move(connection: Connection) -> None:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            seq, _ = routes.head(connection, ROUTE)
            if not seen:
                with other.write() as second:
                    routes.set_head(second, ROUTE, 7, "")
            seen.append(seq)
            routes.set_head(connection, ROUTE, seq + 1, "")

        one.transact(move)
        with one.read() as connection:
            assert routes.head(connection, ROUTE)[0] == 8
    assert seen == [0, 7]


def test_what_is_always_in_the_way_is_given_up(served: str) -> None:
    runs = []

    def fail(connection: Connection) -> None:
        runs.append(1)
        connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")

    with opened(served) as (database,), pytest.raises(DBAPIError) as caught:
        database.transact(fail)
    assert len(runs) == 5
    assert is_unavailable(caught.value), "it is nobody's fault, and can wait"


@pytest.mark.parametrize(
    ("statement", "unavailable"),
    [
        ("SELECT pg_terminate_backend(pg_backend_pid())", True),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$", True),  # the disk is full
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57P03'; END $$", True),  # it is starting up
        ("SELECT 1 / 0", False),
        ("SELECT * FROM nothing", False),
        ("INSERT INTO scorers (id) VALUES (repeat('x', 9) || random()::text)", False),
        (
            "INSERT INTO scorers (id, payload) SELECT string_agg(random()::text, ''), '' FROM generate_series(1, 999)",
            False,
        ),
    ],
)
def test_the_database_is_at_fault_or_what_was_written_is(served: str, statement: str, unavailable: bool) -> None:
    with opened(served) as (database,):
        with pytest.raises(DBAPIError) as caught, database.write() as connection:
            connection.exec_driver_sql(statement)
        assert is_unavailable(caught.value) is unavailable
        assert version(database) is None, "the next transaction works"


def test_an_error_does_not_repeat_what_was_written(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught, database.write() as connection:
        connection.execute(text("INSERT INTO nothing VALUES (:text)"), {"text": "Erika Mustermann"})
    assert "Erika" not in str(caught.value)


def test_a_lock_is_not_waited_for_for_ever(served: str) -> None:
    with opened(served, served) as (first, second), first.write() as holder:
        holder.exec_driver_sql("LOCK TABLE routes IN ACCESS EXCLUSIVE MODE")
        with second.write() as connection:
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "10s"
            connection.exec_driver_sql("SET LOCAL lock_timeout = 20")
            with pytest.raises(DBAPIError) as caught:
                routes.ensure(connection, ROUTE)
    assert is_unavailable(caught.value)


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    engine = create_engine(f"postgresql+psycopg://kw@/kw?host={tmp_path}")
    with pytest.raises(DBAPIError) as caught:
        engine.connect()
    assert is_unavailable(caught.value)
    assert not is_unavailable(ValueError("a fault of ours"))


def test_a_locked_file_is_unavailable_and_a_broken_rule_is_not(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/kw.db")
    other = sqlite3.connect(tmp_path / "kw.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with database.read() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    with pytest.raises(DBAPIError) as caught, database.write():
        pass
    assert is_unavailable(caught.value)
    other.close()
    for statement in ("INSERT INTO scorers (id) VALUES ('x')", "SELECT * FROM nothing"):
        with pytest.raises(DBAPIError) as caught, database.write() as connection:
            connection.exec_driver_sql(statement)
        assert not is_unavailable(caught.value)
    with database.read() as connection:
        assert connection.execute(select(1)).scalar() == 1
    database.close()
