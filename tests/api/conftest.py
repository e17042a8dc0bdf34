"""A real database per test, and an API that takes exchanges in beside a broker that keeps what it is sent."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from services.api.app import Api
from services.store.engine import Database, open_database
from tests.support.api import Wire, api_on
from tests.support.databases import database, new_url

__all__ = ["database", "new_url"]


@pytest.fixture
def wire() -> Wire:
    """The broker."""
    return Wire()


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Ingest asks the database for keys alone, and there are none."""
    with closing(open_database(f"sqlite:///{tmp_path_factory.mktemp('keys')}/kw.db")) as found:
        yield found


@pytest.fixture
def api(nothing: Database, wire: Wire) -> Api:
    """What takes exchanges in; most tests of the API have another one, on a database."""
    return api_on(nothing, wire)
