"""The API against its own description, for every role: what it may answer, and nothing else.

A few examples of each operation; `python -m tests.benchmarks.fuzz_api --examples N` asks for longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from services.store.engine import Database, open_database
from tests.support.fuzz import MARK, OWN, PRINCIPALS, Fuzz, app_for, fill
from tests.support.known import parameters

EXAMPLES = {"nobody": 1, "ingest": 1, "viewer": 1, "operator": 1, "admin": 2, "own routes": 2}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """An own route and a foreign one."""
    with closing(open_database(f"sqlite:///{tmp_path_factory.mktemp('fuzz')}/kw.db")) as made:
        fill(made)
        yield made


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_operation_answers_as_it_says(database: Database, name: str) -> None:
    app = app_for(database, PRINCIPALS[name])
    known = parameters(app, OWN) if name in ("admin", "own routes") else {}
    seen = Fuzz(app, EXAMPLES[name], unseen=MARK if name == "own routes" else None, known=known).run()
    assert list(seen.faults.values()) == []
    assert seen.requests >= len(app.openapi()["paths"])
    if name == "nobody":
        assert set(seen.statuses) == {401, 403}  # the latter where a signature stands in for a key
    if name == "admin":
        assert {200, 404, 422} <= set(seen.statuses)
        assert [path for path, there in known.items() if not there] == []
