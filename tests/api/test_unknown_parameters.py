"""A parameter that a path does not know is refused: it would be an answer to another question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.store.engine import Database, open_database
from tests.support.api import all_asked
from tests.support.fuzz import PRINCIPALS, app_for
from tests.support.known import PARAMETER


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(f"sqlite:///{tmp_path}/kw.db")) as made:
        yield made


def test_every_path_refuses_what_it_does_not_know_and_says_what_there_is(database: Database) -> None:
    app = app_for(database, PRINCIPALS["admin"])
    described = app.openapi()["paths"]
    asked = [
        (method.upper(), path, sorted(one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"))
        for path, operations in described.items()
        for method, operation in operations.items()
    ]
    requests = [(method, f"{PARAMETER.sub('x', path)}?sinse=1", {}) for method, path, _ in asked]
    answers = all_asked(app, requests)
    assert len(answers) == len(asked) > 40
    for (method, path, known), answer in zip(asked, answers, strict=True):
        told = answer.text
        if path in ("/v1/traces", "/v1/logs"):  # whose senders would drop what they hold
            assert "sinse" not in told
            continue
        assert answer.status_code == 422, (method, path, told)
        assert "sinse: is no parameter here; " in told
        assert (f"there are {', '.join(known)}" if known else "this path takes none") in told, (method, path)


def test_an_exporter_may_add_what_it_likes(database: Database) -> None:
    app = app_for(database, PRINCIPALS["admin"])
    sent = {"headers": {"content-type": "application/json"}, "content": "{}"}
    paths = ("/v1/traces?api-version=2", "/v1/logs?tenant=a")
    assert [one.status_code for one in all_asked(app, [("POST", path, sent) for path in paths])] == [200, 200]


def test_all_that_are_unknown_are_named_and_cut(database: Database) -> None:
    app = app_for(database, PRINCIPALS["admin"])
    [answer] = all_asked(app, [("GET", f"/v1/routes?a=1&text=b&{'c' * 500}=2", {})])
    assert [fault["field"] for fault in answer.json()["errors"]] == ["a", "c" * 100]
    [answer] = all_asked(app, [("GET", "/openapi.json?format=yaml", {})])
    assert answer.status_code == 422


def test_who_may_not_ask_is_told_that(database: Database) -> None:
    [answer] = all_asked(app_for(database, PRINCIPALS["nobody"]), [("GET", "/v1/incidents?sinse=1", {})])
    assert answer.status_code == 401
