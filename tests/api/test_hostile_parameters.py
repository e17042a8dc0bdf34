"""No value of a path or a query brings the API or its pages out of their course: a problem at worst, never a fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import event

from services.api.http.parameters import parameters_of
from services.store.engine import Database, open_database
from tests.support.api import all_asked
from tests.support.crawl import HTML
from tests.support.fuzz import OWN, PRINCIPALS, app_for, fill
from tests.support.known import PARAMETER

VALUES = (
    "%00",
    "a%00b",
    "%ED%A0%80",  # half of a pair of UTF-16, as UTF-8 that is none
    "%FF%FE",
    "%E2%80%AE%F3%A0%80%81",
    "99999999999999999999999999999999999999",
    "-1",
    "1e309",
    "NaN",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999%2B14:00",
    "2026-11-24T12:00:00",
    "%27%20OR%201=1--",
    "%25",
    "%2A",
    "%5B%5D%5B",
    "..%2F..%2Fetc%2Fpasswd",
    "%7B%7B7*7%7D%7D",
    "x" * 9000,
    "",
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Two routes with everything."""
    with closing(open_database(f"sqlite:///{tmp_path}/kw.db")) as made:
        fill(made)
        yield made


def _asked_for(app: FastAPI) -> Iterator[str]:
    """Every value for every parameter of every path that reads, one at a time."""
    for one in iter_route_contexts(app.routes):
        if one.path is None or "GET" not in (one.methods or ()):
            continue
        plain = PARAMETER.sub(lambda found: OWN if found[1] == "route" else "0" * 16, one.path)
        queries = list(parameters_of(getattr(one, "dependant", None)))
        for value in VALUES:
            yield from (f"{plain}?{name}={value}" for name in queries)
            if "route" in queries and value in VALUES[:2]:  # without a route some paths look no further
                yield from (f"{plain}?route={OWN}&{name}={value}" for name in queries if name != "route")
            yield from (f"{plain}?{name}={value}&{name}={value}" for name in queries[:1])
            if PARAMETER.search(one.path):
                yield PARAMETER.sub(lambda _, value=value: value, one.path)


@contextmanager
def _no_null_is_bound(database: Database) -> Iterator[list[str]]:
    """Statements to which a text with a NUL is given: PostgreSQL refuses them, SQLite does not."""
    found: list[str] = []

    def look(_connection: Any, _cursor: Any, statement: str, bound: Any, *_more: Any) -> None:
        rows = bound if isinstance(bound, list) else [bound]
        if any(isinstance(one, str) and "\0" in one for row in rows for one in row):
            found.append(statement)

    event.listen(database.engine, "before_cursor_execute", look)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", look)


def test_no_value_of_a_parameter_is_a_fault_of_ours(database: Database) -> None:
    app = app_for(database, PRINCIPALS["admin"])
    asked: list[tuple[str, str, dict[str, Any]]] = [("GET", path, {"headers": HTML}) for path in _asked_for(app)]
    assert len(asked) > 100
    with _no_null_is_bound(database) as bound:
        answers = [one for i in range(0, len(asked), 50) for one in all_asked(app, asked[i : i + 50])]
    assert bound == []
    wrong = [
        f"{path[:200]}: {one.status_code}"
        for (_, path, _), one in zip(asked, answers, strict=True)
        if one.is_server_error
    ]
    assert wrong == []
    for (_, path, _), one in zip(asked, answers, strict=True):
        if path.startswith("/v1/") and one.is_error:
            assert one.headers["content-type"] == "application/problem+json", path
