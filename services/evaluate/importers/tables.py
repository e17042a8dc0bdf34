"""The tables of an SQLite database that a person named, as rows. Read only, bounded, and no view of it is run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any, Final

from services.errors import InputError
from services.evaluate.importers.foreign import MOST_ANSWERS, REMEDY

MAGIC: Final = b"SQLite format 3\0"
_MOST_TABLES: Final = 100


def read_tables(raw: bytes, name: str) -> dict[str, tuple[dict[str, Any], ...]]:
    """Table -> its rows, of a database in memory: whatever runs beside it, and its own file, stay as they are.

    Raises:
        InputError: if it is damaged or holds too much.
    """
    try:
        with closing(sqlite3.connect(":memory:")) as database:
            # A journal mode of `WAL` in its head asks for files that are not there; what was written last is in them.
            database.deserialize(raw[:18] + b"\x01\x01" + raw[20:])
            database.execute("PRAGMA trusted_schema = OFF")
            database.row_factory = sqlite3.Row
            listed = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
            names = [str(row["name"]) for row in listed.fetchmany(_MOST_TABLES)]
            return {table: _rows(database, table, name) for table in names}
    except (sqlite3.Error, UnicodeError, OverflowError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}: no whole SQLite database ({error}); {REMEDY}") from None


def _rows(database: sqlite3.Connection, table: str, name: str) -> tuple[dict[str, Any], ...]:
    quoted = '"' + table.replace('"', '""') + '"'
    found = database.execute(f"SELECT * FROM {quoted}").fetchmany(MOST_ANSWERS + 1)  # noqa: S608 -- quoted
    if len(found) > MOST_ANSWERS:
        raise InputError(f"{name}: {table}: holds more than {MOST_ANSWERS:,} rows; split the run into several")
    return tuple(dict(row) for row in found)
