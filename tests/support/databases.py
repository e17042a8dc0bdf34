"""Real databases for tests, an empty one per test, on both databases that Keelwatch knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from sqlalchemy import select

from services.store.engine import Database, open_database
from services.store.tables import all_metadata
from tests.support.postgres import Server

BACKENDS = ("sqlite", "postgresql")
_TAKERS: dict[str, Callable[[str], None]] = {}


def _fresh_file(folder: Path) -> str:
    path = folder / f"{uuid4().hex}.db"
    path.write_bytes(_migrated())
    return f"sqlite:///{path}"


@cache
def _migrated() -> bytes:
    """The bytes of an empty SQLite database with all tables: copying them is faster than migrating again."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        open_database(f"sqlite:///{path}").close()
        return path.read_bytes()


@pytest.fixture(params=BACKENDS)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes the URL of one more empty database each time that it is called."""
    if request.param == "sqlite":
        yield lambda: _fresh_file(tmp_path)
        return
    server: Server = request.getfixturevalue("postgres")

    def fresh() -> str:
        url = server.fresh()
        _TAKERS[url] = server.take_back
        return url

    yield fresh
    for url in list(_TAKERS):
        _hand_back(url)


on_sqlite = pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)
"""For what a page makes of texts, which takes seconds, and is the same on both."""


@pytest.fixture
def database(new_url: Callable[[], str]) -> Iterator[Database]:
    """An open, migrated, empty database."""
    with opened(new_url()) as (one,):
        yield one


@contextmanager
def opened(*urls: str) -> Iterator[list[Database]]:
    """Open databases, closed and given up at the end whatever happens: hypothesis leaves examples in their middle."""
    with ExitStack() as stack:
        for url in urls:
            stack.callback(_hand_back, url)
        yield [stack.enter_context(closing(open_database(url))) for url in urls]


def _hand_back(url: str) -> None:
    """Let another test have the database; files stay where they are."""
    take = _TAKERS.pop(url, None)
    if take is not None:
        take(url)


def dump(database: Database, leave_out: dict[str, set[str]] | None = None) -> dict[str, list[tuple]]:
    """Every row of every table, sorted, without the columns to leave out.

    Nor with the audit log: it tells in which order, when and by how many transactions the rows came to be.
    """
    hidden = leave_out or {}
    found = {}
    with database.read() as connection:
        for table in all_metadata().sorted_tables:
            if table.name == "audit_log":
                continue
            columns = [column for column in table.columns if column.name not in hidden.get(table.name, set())]
            rows = connection.execute(select(*columns)).all()
            found[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return found
