"""The tables of an SQLite database that a person named, as rows. Read only, bounded, and nothing in it is run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any, Final

from services.errors import InputError
from services.evaluate.importers.foreign import MOST_ANSWERS, REMEDY

MAGIC: Final = b"SQLite format 3\0"
_MOST_TABLES: Final = 100
MOST_CELLS: Final = 8_000_000
"""Of all tables: so many come of 100,000 answers with 80 values each. A cell may cost a file no byte at all."""
MOST_CELL_BYTES: Final = 256 * 1024 * 1024
"""Of all texts: one default value in the schema is the text of every row that was there before."""
_LONGEST_CELL: Final = 16 * 1024 * 1024
_STORED: Final = 0
"""What `table_xinfo` says of a column that is neither hidden nor computed when it is read."""


def read_tables(raw: bytes, name: str) -> dict[str, tuple[dict[str, Any], ...]]:
    """Table -> its rows, of a database in memory: whatever runs beside it, and its own file, stay as they are.

    Only columns that are stored: no view, virtual table or generated column is read.

    Raises:
        InputError: if it is damaged or holds too much.
    """
    try:
        with closing(sqlite3.connect(":memory:")) as database:
            # A journal mode of `WAL` in its head asks for files that are not there; what was written last is in them.
            database.deserialize(raw[:18] + b"\x01\x01" + raw[20:])
            database.execute("PRAGMA trusted_schema = OFF")
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_CELL)
            database.set_authorizer(_allowed)
            room = _TableRoom(name)
            return {table: room.rows(database, table) for table in _tables(database)}
    except (sqlite3.Error, UnicodeError, OverflowError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}: no whole SQLite database ({error}); {REMEDY}") from None


def _allowed(action: int, what: str | None, _: str | None, __: str | None, through: str | None) -> int:
    """Reading, but nothing that a view or trigger of the schema reads, and no function."""
    read = action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ) and through is None
    described = action == sqlite3.SQLITE_PRAGMA and what == "table_xinfo"
    return sqlite3.SQLITE_OK if read or described else sqlite3.SQLITE_DENY


def _tables(database: sqlite3.Connection) -> list[str]:
    """Ordinary ones: what SQLite writes of a virtual table or a view begins otherwise."""
    listed = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    names = [
        str(name)
        for name, sql in listed
        if not str(name).casefold().startswith("sqlite") and str(sql).casefold().startswith("create table")
    ]
    return names[:_MOST_TABLES]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class _TableRoom:
    """How much may still be read of a database."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._cells = MOST_CELLS
        self._bytes = MOST_CELL_BYTES

    def rows(self, database: sqlite3.Connection, table: str) -> tuple[dict[str, Any], ...]:
        """The rows of a table, counted while they are read."""
        described = database.execute(f"PRAGMA table_xinfo({_quoted(table)})").fetchall()
        columns = [str(column[1]) for column in described if column[6] == _STORED]
        if not columns:
            return ()
        wanted = ", ".join(map(_quoted, columns))
        found: list[dict[str, Any]] = []
        for row in database.execute(f"SELECT {wanted} FROM {_quoted(table)}"):  # noqa: S608 -- quoted
            self._cells -= len(row)
            self._bytes -= sum(len(cell) for cell in row if isinstance(cell, str | bytes))
            if len(found) >= MOST_ANSWERS:
                raise self._too_much(table, f"{MOST_ANSWERS:,} rows")
            if self._cells < 0:
                raise self._too_much(table, f"{MOST_CELLS:,} values")
            if self._bytes < 0:
                raise self._too_much(table, f"{MOST_CELL_BYTES // 1024**2} MiB of text")
            found.append(dict(zip(columns, row, strict=True)))
        return tuple(found)

    def _too_much(self, table: str, what: str) -> InputError:
        return InputError(f"{self._name}: {table[:120]}: holds more than {what}; split the run into several")
