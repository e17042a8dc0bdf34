"""All that differs between the databases, in one place."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    LargeBinary,
    Table,
    Text,
    bindparam,
    cast,
    event,
    func,
    select,
    tuple_,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

BUSY_MS: Final = 10_000
CONNECT_SECONDS: Final = 10
# A connection that the network dropped without a word is given up within 30 s, well before a step counts as standing
# still: idle ones and those that wait for an answer are asked for a sign of life, what is sent has to be confirmed.
_SIGNS_OF_LIFE: Final = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
READ_ONLY: Final = "keelwatch_read_only"
# WAL lets readers go on while the one writer works; with NORMAL a power cut may lose the last transactions, whose
# input is then unacknowledged or delivered again, but never damages the file. secure_delete overwrites what is
# deleted: without it erased text stays readable in the file's free pages.
_SQLITE_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    f"PRAGMA busy_timeout = {BUSY_MS}",
)
# Keys of PostgreSQL's advisory locks; a transaction that takes several takes them in this order.
_LOCKS: Final = {
    "schema": 6030416872127308,
    "dead_letters": 6030416872127309,
    "audit": 6030416872127310,
    "ingest_counts": 6030416872127311,
}
_CONTENTION: Final = frozenset({"40001", "40P01"})  # serialisation failure, deadlock
_LOCK_NOT_AVAILABLE: Final = "55P03"
# Classes of SQLSTATE: connection, transaction rollback, resources, operator intervention, the system's own errors.
_UNAVAILABLE: Final = ("08", "40", "53", "57", "58")
_SQLITE_UNAVAILABLE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


def engine_arguments(url: URL) -> dict[str, Any]:
    """What an engine for this URL is made with; a server that is gone is noticed before a transaction begins."""
    if url.drivername == "sqlite":
        return {}
    return {
        "isolation_level": "READ COMMITTED",
        "pool_pre_ping": True,
        "connect_args": server_options(url),
    }


def server_options(url: URL, connect_seconds: int = CONNECT_SECONDS) -> dict[str, int]:
    """How long a server is waited for, and how it is noticed that a connection is gone; the URL has the last word."""
    given = {"connect_timeout": connect_seconds, **_SIGNS_OF_LIFE}
    return {name: value for name, value in given.items() if name not in url.query}


def prepare(engine: Engine) -> None:
    """Set each new connection up, and let write transactions on SQLite take the write lock at their start."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _on_sqlite_begin)
    else:
        event.listen(engine, "connect", _on_postgresql_connect)


def read_only_options(engine: Engine) -> dict[str, Any]:
    """Options of a connection whose transaction only reads, and sees one state of the database throughout."""
    if engine.dialect.name == "sqlite":
        return {READ_ONLY: True}
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def _on_postgresql_connect(connection: Any, _record: Any) -> None:
    """Nobody waits for a lock longer than on SQLite."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {BUSY_MS}")
    connection.commit()


def _on_sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _on_sqlite_begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get(READ_ONLY, False)
    # A transaction that reads first and then wants to write fails at once when another one wrote in between.
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def insert_new(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows whose key is not there yet; leave the others as they are."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def claim(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert one row unless its key is there; whether this transaction inserted it."""
    statement = _insert(connection, table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    return connection.execute(statement, row).rowcount == 1


def upsert(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], newer: Sequence[str] | None = None
) -> None:
    """Insert the rows; where the primary key is there already, replace the columns that the rows name.

    With `newer` only where these columns of the row, in their order, are greater than what is stored.
    """
    if not rows:
        return
    statement = _insert(connection, table)
    keys = [column.name for column in table.primary_key]
    new = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    where = None
    if newer is not None:
        where = tuple_(*(statement.excluded[name] for name in newer)) > tuple_(*(table.c[name] for name in newer))
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=new, where=where), rows)


def add_up(
    connection: Connection,
    table: Table,
    rows: Sequence[Sequence[Any]],
    sums: Sequence[str],
    replaced: Sequence[str] = (),
) -> None:
    """Insert the rows, each key once; where the primary key is there already, add the columns `sums` to what is stored.

    A row is the values of all columns, in their order; the columns `replaced` are those of the rows in any case.

    These are by far the most rows: what SQLAlchemy does for each of them took half of the time of a batch. SQLite is
    given them as they are; to PostgreSQL all of them travel as one text.
    """
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        sql, prepare = _prepared(connection.dialect, table, tuple(sums), tuple(replaced))
        connection.exec_driver_sql(sql, prepare(rows))
        return
    statement = _from_json(table, tuple(sums), tuple(replaced))
    connection.execute(statement, {"rows": _json_of(rows)})


def _json_of(rows: Sequence[Sequence[Any]]) -> str:
    """The rows as JSON, which knows no infinite number: one is text there, as PostgreSQL reads it."""
    said = msgspec.json.encode(rows)
    if b"null" in said:
        said = msgspec.json.encode([[_finite(value) for value in row] for row in rows])
    return said.decode()


def _finite(value: Any) -> Any:
    return value if not isinstance(value, float) or isfinite(value) else str(value)


@lru_cache(maxsize=64)
def _from_json(table: Table, sums: tuple[str, ...], replaced: tuple[str, ...]) -> Any:
    """PostgreSQL's insertion of whole rows, which travel as one JSON text: the driver writes no value by itself."""
    rows = func.jsonb_array_elements(cast(bindparam("rows", type_=Text), postgresql.JSONB)).table_valued("value")
    values = [cast(rows.c.value.op("->>")(place), one.type) for place, one in enumerate(table.c)]
    return _adding(postgresql.insert(table).from_select(list(table.c.keys()), select(*values)), table, sums, replaced)


def _adding(statement: Any, table: Table, sums: Sequence[str], replaced: Sequence[str]) -> Any:
    """The insertion, which adds where the key is there already."""
    added = {name: table.c[name] + statement.excluded[name] for name in sums}
    added |= {name: statement.excluded[name] for name in replaced}
    keys = [column.name for column in table.primary_key]
    return statement.on_conflict_do_update(index_elements=keys, set_=added)


Prepare = Callable[[Sequence[Sequence[Any]]], list[tuple[Any, ...]]]
"""Rows of values -> the same as the driver takes them."""


@lru_cache(maxsize=64)
def _prepared(dialect: Dialect, table: Table, sums: tuple[str, ...], replaced: tuple[str, ...]) -> tuple[str, Prepare]:
    """The text of SQLite's insertion of whole rows; a value is prepared once, however many rows hold it."""
    names = list(table.c.keys())
    compiled = _adding(sqlite.insert(table), table, sums, replaced).compile(dialect=dialect, column_keys=names)
    places = [names.index(name) for name in compiled.positiontup]
    types = [list(table.c)[place].type.dialect_impl(dialect) for place in places]
    by_place = list(zip(places, [one.bind_processor(dialect) for one in types], strict=True))

    def prepare(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        columns = []
        for place, prepared in by_place:
            values: Sequence[Any] = [row[place] for row in rows]
            if prepared is not None:
                known = {value: prepared(value) for value in set(values)}
                values = [known[value] for value in values]
            columns.append(values)
        return list(zip(*columns, strict=True))

    return str(compiled), prepare


def seconds_of(connection: Connection, time: ColumnElement[Any]) -> ColumnElement[int]:
    """A column of times as whole seconds since 1970."""
    if connection.dialect.name == "sqlite":
        return cast(func.strftime("%s", time), BigInteger)
    return cast(func.extract("epoch", time), BigInteger)


def json_text(connection: Connection, document: ColumnElement[Any], name: str) -> ColumnElement[str]:
    """The text under a name of a JSON document that is stored as text."""
    as_json = type_coerce(document, JSON) if connection.dialect.name == "sqlite" else cast(document, JSON)
    text: ColumnElement[str] = as_json[name].as_string()
    return text


def octets(connection: Connection, text: ColumnElement[str]) -> ColumnElement[int]:
    """How many bytes a text has; PostgreSQL knows it without fetching the text, and old SQLite has no octet_length."""
    known: ColumnElement[int] = (
        func.length(cast(text, LargeBinary)) if connection.dialect.name == "sqlite" else func.octet_length(text)
    )
    return known


def by_code_point(connection: Connection, text: ColumnElement[str]) -> ColumnElement[str]:
    """The text, compared and ordered as Python does it, whatever the database's language is."""
    return text if connection.dialect.name == "sqlite" else text.collate("C")


def _insert(connection: Connection, table: Table) -> Any:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def lock(connection: Connection, what: Literal["schema", "dead_letters", "audit", "ingest_counts"]) -> None:
    """Wait for, and keep until the end of the transaction, what one transaction at a time may change.

    A transaction on SQLite already holds the one write lock.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCKS[what]})")


def is_contention(error: DBAPIError) -> bool:
    """Whether the transaction stood in the way of another one and may succeed when it is done again."""
    return getattr(error.orig, "sqlstate", None) in _CONTENTION


def is_unavailable(error: DBAPIError) -> bool:
    """Whether the database is at fault (gone, locked, full), and not what was written to it."""
    if isinstance(error.orig, sqlite3.Error):
        code: int | None = getattr(error.orig, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _SQLITE_UNAVAILABLE
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is None:
        return error.connection_invalidated or type(error).__name__ == "OperationalError"
    return error.connection_invalidated or state == _LOCK_NOT_AVAILABLE or state.startswith(_UNAVAILABLE)


def is_locked(error: DBAPIError) -> bool:
    """Whether another transaction holds what this one wanted."""
    if isinstance(error.orig, sqlite3.Error):
        code: int | None = getattr(error.orig, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def compact(engine: Engine) -> None:
    """Write SQLite's file anew, without what its free pages hold; a server does that by its own means."""
    if engine.dialect.name == "sqlite":
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("VACUUM")
        finally:
            connection.close()


def empty_log(engine: Engine) -> bool:
    """Empty SQLite's write-ahead log, which holds pages as they were; False when a long reader stood in the way."""
    if engine.dialect.name != "sqlite":
        return True
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        cursor.close()
    finally:
        connection.close()
    return not busy
