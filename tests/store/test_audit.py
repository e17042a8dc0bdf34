"""The check of the audit log finds every edit, delete, insert and swap of a single row of all that people see."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, Table, delete, insert, select, text, update

from services.monitor import RoutePolicy
from services.record.recorder import Recorder
from services.store import api_keys, audit_log, decisions, evaluation_queue, parks, routes, runs, schedules
from services.store.api_keys import ApiKey
from services.store.audit_check import AuditReport, check
from services.store.audit_head import AuditHead
from services.store.audit_log import COVERED, AuditRow
from services.store.engine import Database, alembic_config, open_database
from services.store.evaluation_queue import DONE, DueRun
from services.store.runs import RunSummary
from services.store.schedules import StoredSchedule
from services.store.tables import Base, all_metadata, table
from tests.record.stories import ROUTES, A, decision, story
from tests.support import blocks as traffic
from tests.support.databases import opened

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LOG = table(AuditRow)
ROUTE = ROUTES[0]


def tell(database: Database) -> None:
    """Two rows or more of everything that is covered, each written by what writes it in production."""
    recorder = Recorder(database, lambda route: RoutePolicy())
    for route in ROUTES:
        recorder.apply(story(route))
    plans = [
        StoredSchedule(route, "weekly", ("core",), f"0 {n} * * 1", "UTC", True, "command", NOW)
        for n, route in enumerate(ROUTES)
    ]
    due = [DueRun(route, f"{n:016x}", "change", A, "core", "m at h", 0, NOW) for n, route in enumerate(ROUTES)]
    with database.write() as connection:
        for n, route in enumerate(ROUTES):
            schedules.add(connection, plans[n])
            api_keys.add(connection, ApiKey(f"{n:016x}", route, "viewer", (route,), f"{n:064x}", NOW))
            routes.lock(connection, [route])
            decisions.add(connection, decision(route, "acknowledge", 90 + n), NOW)
            one = RunSummary(f"{n:016x}", route, A, "core", "ab", "command", None, "complete", None, NOW)
            runs.add(connection, one, f'"{n}"')
        evaluation_queue.enqueue(connection, due, NOW)
        [first, _] = evaluation_queue.claim(connection, "w", NOW, NOW + timedelta(minutes=1), 2)
        evaluation_queue.finish(connection, first, DONE, "why")
        api_keys.revoke(connection, f"{0:016x}", NOW)
        schedules.sync(connection, [])
        audit_log.act(connection, "dead_letter_replays", ["score"], {"actor": "erika", "sent": 3})


def found(database: Database, outside: tuple[int, str] | None = None) -> AuditReport:
    return database.query(check, outside)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for all tests that undo what they do (`tampered`)."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('audit') / 'told.db'}"
    else:
        url = request.getfixturevalue("postgres").fresh()
    with closing(open_database(url)) as database:
        yield _told(database)
        assert found(database).problems == ()


@pytest.fixture
def mine(database: Database) -> Database:
    """One for a test that leaves something behind."""
    return _told(database)


def _told(database: Database) -> Database:
    tell(database)
    assert found(database).problems == ()
    for thing in COVERED:
        assert len(rows(database, all_metadata().tables[thing])) >= 2, thing
    return database


def rows(database: Database, what: Table) -> list[dict[str, Any]]:
    with database.read() as connection:
        return [dict(row) for row in connection.execute(select(what).order_by(*what.primary_key)).mappings()]


@contextmanager
def tampered(database: Database) -> Iterator[Connection]:
    """A transaction that is undone in the end. Who tampers heeds no foreign keys."""
    with database.engine.connect() as connection, connection.begin() as transaction:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        yield connection
        transaction.rollback()


def where(what: Table, row: dict[str, Any]) -> list[Any]:
    return [column == row[column.name] for column in what.primary_key]


def seen_columns(thing: str) -> list[str]:
    names = list(COVERED[thing])
    return [*names, *(column.name for column in Base.metadata.tables[thing].primary_key if column.name not in names)]


def other_values(value: Any, nullable: bool) -> list[Any]:
    made: list[Any] = [None] if nullable and value is not None else []
    if isinstance(value, bool):
        return [*made, not value]
    if isinstance(value, str):
        return [*made, value + " ", value[:-1] + "~", "someone-else"]
    if isinstance(value, datetime):
        return [*made, value + timedelta(microseconds=1), value - timedelta(days=1)]
    if isinstance(value, int):
        return [*made, value + 1, value - 1]
    return [*made, NOW + timedelta(days=1)]


@pytest.mark.parametrize("thing", COVERED)
def test_every_edit_of_what_people_see_is_found(told: Database, thing: str) -> None:
    what, tried = Base.metadata.tables[thing], 0
    for row, name in itertools.product(rows(told, what)[:2], seen_columns(thing)):
        value = row[name]
        if value is None:
            values = [NOW] if "UtcDateTime" in type(what.c[name].type).__name__ else ["x"]
        else:
            values = other_values(value, bool(what.c[name].nullable))
        for other in values:
            with tampered(told) as connection:
                try:
                    with connection.begin_nested():
                        connection.execute(update(what).where(*where(what, row)).values({name: other}))
                except Exception:
                    continue
                assert check(connection, None).problems, (thing, name, value, other)
                tried += 1
    assert tried >= 2 * len(COVERED[thing])


@pytest.mark.parametrize("thing", COVERED)
def test_every_deleted_inserted_and_swapped_row_is_found(told: Database, thing: str) -> None:
    what = Base.metadata.tables[thing]
    all_rows = rows(told, what)
    for row in all_rows:
        with tampered(told) as connection:
            connection.execute(delete(what).where(*where(what, row)))
            assert check(connection, None).problems, (thing, "delete", row)
    with tampered(told) as connection:
        forged = {**all_rows[0], **{column.name: _new_key(all_rows[0][column.name]) for column in what.primary_key}}
        forged |= {"id": "f" * 16} if "id" in forged else {}
        forged |= {"state": "resolved"} if thing == "incidents" else {}
        connection.execute(insert(what), forged)
        assert check(connection, None).problems, (thing, "insert")
    keys = {column.name for column in what.primary_key} | ({"id"} if thing == "decisions_outbox" else set())
    unlike = [
        pair
        for pair in itertools.combinations(all_rows, 2)
        if any(pair[0][name] != pair[1][name] for name in COVERED[thing] if name not in keys)
    ]
    assert unlike
    for one, other in unlike:
        with tampered(told) as connection:
            connection.execute(delete(what))
            rest = [row for row in all_rows if row not in (one, other)]
            kept = {name: one[name] for name in keys}, {name: other[name] for name in keys}
            connection.execute(insert(what), [*rest, {**other, **kept[0]}, {**one, **kept[1]}])
            assert check(connection, None).problems, (thing, "swap")


def _new_key(value: Any) -> Any:
    return value + 1_000 if isinstance(value, int) else "f" * 16


def test_every_edit_deletion_insertion_and_swap_in_the_log_itself_is_found(told: Database) -> None:
    log = rows(told, LOG)
    last_of = {(row["thing"], row["subject"]): row["seq"] for row in log}
    kinds = {(row["thing"], row["action"]): row for row in log}  # what binds an entry is the same for all of a kind
    assert len(kinds) >= len(COVERED) + 2
    for row, name in itertools.product(kinds.values(), LOG.columns.keys()):
        for other in other_values(row[name], bool(LOG.c[name].nullable) and name != "payload"):
            if name in ("salt", "payload") and last_of[row["thing"], row["subject"]] != row["seq"]:
                continue  # the salt of an earlier entry is of no use to anybody, and an erasure drops it
            new = b"s" * 16 if name == "salt" else other
            with tampered(told) as connection:
                try:
                    with connection.begin_nested():
                        connection.execute(update(LOG).where(LOG.c.seq == row["seq"]).values({name: new}))
                except Exception:
                    continue
                if row["thing"] != audit_log.START or name != "salt":
                    assert check(connection, None).problems, (row["seq"], name, other)
    for row in log[:-1]:
        with tampered(told) as connection:
            connection.execute(delete(LOG).where(LOG.c.seq == row["seq"]))
            assert check(connection, None).problems, row["seq"]
    for one, other in itertools.pairwise(log):
        with tampered(told) as connection:
            connection.execute(delete(LOG).where(LOG.c.seq.in_([one["seq"], other["seq"]])))
            connection.execute(insert(LOG), [{**one, "seq": other["seq"]}, {**other, "seq": one["seq"]}])
            assert check(connection, None).problems, row["seq"]


def test_what_is_cut_off_or_made_anew_shows_by_the_head_outside(mine: Database, tmp_path: Path) -> None:
    head = mine.query(audit_log.head)
    before = head[0]
    kept = AuditHead.of(tmp_path, "here")
    with mine.write() as connection:
        api_keys.add(connection, ApiKey("e" * 16, "cut", "admin", ("*",), "0" * 64, NOW))
    kept.keep(*mine.query(audit_log.head))
    assert found(mine, kept.read()).problems == ()
    with tampered(mine) as connection:  # the last thing that was done, and what the log says of it
        connection.execute(text("DELETE FROM api_keys WHERE name = 'cut'"))
        connection.execute(delete(LOG).where(LOG.c.seq > before))
        assert check(connection, None).problems == ()
        assert [one.fault for one in check(connection, kept.read()).problems] == ["cut"]
    with tampered(mine) as connection:  # a route removed with all that is its own, and a log made anew
        for thing in (*COVERED, "journal"):
            if "route" in Base.metadata.tables[thing].columns:
                connection.execute(text(f"DELETE FROM {thing} WHERE route = '{ROUTE}'"))
        connection.execute(delete(LOG))
        audit_log.begin(connection)
        for n in range(head[0] + 5):
            audit_log.act(connection, "x", [n], {})
        assert check(connection, None).problems == ()
        assert [one.fault for one in check(connection, kept.read()).problems] == ["rewritten"]
    first = AuditHead.of(tmp_path / "data" / "new", "here")  # a command that is the first of its data directory
    first.keep(*mine.query(audit_log.head))
    assert first.read() == kept.read()
    kept.keep(1, "older")
    assert kept.read() == mine.query(audit_log.head)
    watched, before_forgery = Database(mine.engine, kept), kept.read()
    with mine.write() as connection:
        connection.execute(delete(LOG))
        audit_log.begin(connection)
        for n in range(head[0] + 5):
            audit_log.act(connection, "x", [n], {})
    with watched.write() as connection:
        audit_log.act(connection, "x", ["later"], {})
    assert kept.read() == before_forgery, "a forged log must not become the head by what is written after it"
    assert [one.fault for one in found(mine, kept.read()).problems] == ["rewritten"]
    kept.path.write_text("{}")
    assert [one.fault for one in found(mine, kept.read()).problems] == ["rewritten"]


def test_what_was_changed_before_it_was_written_again_is_found_afterwards(mine: Database) -> None:
    """A revocation must not launder a role that somebody had raised meanwhile."""
    with mine.write() as connection:
        connection.execute(text("UPDATE api_keys SET role = 'admin' WHERE id = '0000000000000001'"))
    with mine.write() as connection:
        api_keys.revoke(connection, "0000000000000001", NOW)
    problems = found(mine).problems
    assert [(one.fault, one.thing, one.key) for one in problems] == [("altered", "api_keys", ("0000000000000001",))]


def test_a_database_of_before_begins_its_log_with_what_stands_there(new_url: Callable[[], str]) -> None:
    url = new_url()
    with opened(url) as (database,):
        tell(database)
        with database.engine.begin() as connection:
            command.downgrade(alembic_config(connection), "0011")
        again = open_database(url)
        report = found(again)
        assert report.problems == ()
        assert report.rows > 12
        with again.write() as connection:
            connection.execute(text("UPDATE schedules SET cron = '0 0 1 1 *'"))
        assert {(one.fault, one.thing) for one in found(again).problems} == {("changed", "schedules")}
        again.close()


def test_the_head_is_kept_after_each_transaction_and_never_for_one_that_was_given_up(
    new_url: Callable[[], str], tmp_path: Path
) -> None:
    database = open_database(new_url(), heads=tmp_path)
    assert database.audit is not None
    assert database.audit.read() == database.query(audit_log.head)
    with database.write() as connection:
        api_keys.add(connection, ApiKey("e" * 16, "first", "admin", ("*",), "0" * 64, NOW))
    kept = database.audit.read()
    assert kept == database.query(audit_log.head)
    with pytest.raises(RuntimeError):
        _given_up(database)
    with database.write() as connection:
        connection.execute(text("UPDATE api_keys SET used = NULL"))
    assert database.audit.read() == kept == database.query(audit_log.head)
    database.close()


def _given_up(database: Database) -> None:
    with database.write() as connection:
        api_keys.add(connection, ApiKey("d" * 16, "second", "admin", ("*",), "0" * 64, NOW))
        raise RuntimeError


def test_a_route_that_is_still_learning_or_fails_from_its_first_record_is_no_finding(database: Database) -> None:
    """It has no journal yet, and so nothing that people could be shown otherwise than it was written."""
    Recorder(database, lambda route: RoutePolicy()).apply(traffic.blocks(traffic.rows(40), 20, "still/learning"))
    fault = parks.ParkFault("ValueError in services.record, line 1", "1", 1)
    database.transact(lambda one: parks.write(one, "record", "never/recorded", parks.Parking(fault)))
    assert database.query(routes.names) == ("never/recorded", "still/learning")
    assert database.query(check, None).problems == ()
