"""Real databases for tests, an empty one per test. A further backend joins by an entry in BACKENDS and `fresh_url`."""

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
from services.store.tables import Base

BACKENDS = ("sqlite",)


def fresh_url(backend: str, folder: Path) -> str:
    """The URL of an empty database of its own."""
    assert backend == "sqlite"
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
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes the URL of one more empty database each time that it is called."""
    return lambda: fresh_url(request.param, tmp_path)


@pytest.fixture
def database(new_url: Callable[[], str]) -> Iterator[Database]:
    """An open, migrated, empty database."""
    with opened(new_url()) as (one,):
        yield one


@contextmanager
def opened(*urls: str) -> Iterator[list[Database]]:
    """Open databases, closed at the end whatever happens: hypothesis gives up examples in their middle."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(open_database(url))) for url in urls]


def dump(database: Database, leave_out: dict[str, set[str]] | None = None) -> dict[str, list[tuple]]:
    """Every row of every table, sorted, without the columns to leave out."""
    hidden = leave_out or {}
    found = {}
    with database.read() as connection:
        for table in Base.metadata.sorted_tables:
            columns = [column for column in table.columns if column.name not in hidden.get(table.name, set())]
            rows = connection.execute(select(*columns)).all()
            found[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return found
