"""A key sees its own routes: what is of another one answers like what does not exist."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI

from services.api.app import make
from services.store.engine import Database
from tests.support.access import PAGE, answers, bearer, key
from tests.support.api import Wire, api_on, later, recorded
from tests.support.records import alert

MINE, THEIRS = "mine/a_b", "theirs/secret"
PATH = "/v1/exchanges"


@pytest.fixture
def app(database: Database, wire: Wire) -> FastAPI:
    recorded(database, alert("firing", 300, route=MINE), alert("firing", 300, route=THEIRS))
    recorded(database, alert("firing", 300, route="mine/axb"))
    return make(api_on(database, wire))


@pytest.fixture
def ids(app: FastAPI, database: Database) -> dict[str, str]:
    [listed] = answers(app, [("GET", "/v1/incidents", {"headers": bearer(key(database, "admin"))})])
    return {one["route"]: one["id"] for one in listed.json()["items"]}


def exchange(route: str, **more: Any) -> dict[str, Any]:
    return {"route": route, "prompt": "p", "response": "r", "model": {"requested": "m"}, **more}


def test_lists_and_objects_are_of_the_keys_routes(app: FastAPI, database: Database, ids: dict[str, str]) -> None:
    assert set(ids) == {MINE, THEIRS, "mine/axb"}
    headers = bearer(key(database, "operator", "mine/a_*"))
    page = headers | PAGE
    listed, foreign, none, seen, shown = answers(
        app,
        [
            ("GET", "/v1/incidents", {"headers": headers}),
            ("GET", f"/v1/incidents/{ids[THEIRS]}", {"headers": headers}),
            ("GET", "/v1/incidents/0000000000000000", {"headers": headers}),
            ("GET", f"/v1/incidents?route={THEIRS}", {"headers": headers}),
            ("GET", "/incidents", {"headers": page}),
        ],
    )
    assert [one["route"] for one in listed.json()["items"]] == [MINE]
    assert (foreign.status_code, foreign.json()) == (none.status_code, none.json()) == (404, none.json())
    assert seen.json()["items"] == []
    assert (MINE in shown.text, THEIRS in shown.text, "mine/axb" in shown.text) == (True, False, False)
    for path in (f"/incidents/{ids[THEIRS]}", "/incidents/0000000000000000"):
        [answer] = answers(app, [("GET", path, {"headers": page})])
        assert (answer.status_code, THEIRS in answer.text) == (404, False)


def test_nobody_decides_on_another_route(app: FastAPI, database: Database, ids: dict[str, str]) -> None:
    headers = bearer(key(database, "operator", "mine/*"))
    body = {"kind": "resolve", "reason": "x"}
    silence = {"kind": "silence", "reason": "x", "expires": later(3).isoformat()}
    change = {"model": {"requested": "m"}, "reason": "x"}
    sent = [
        ("/v1/decisions", {**body, "route": THEIRS, "incident": ids[THEIRS]}, 403),
        ("/v1/decisions", {**silence, "route": "nobody/has/it"}, 403),
        ("/v1/changes", {**change, "route": THEIRS}, 403),
        ("/v1/decisions", {**body, "route": MINE, "incident": ids[THEIRS]}, 409),
        ("/v1/decisions", {**body, "route": MINE, "incident": "0" * 16}, 409),
        ("/v1/decisions", {**body, "route": MINE, "incident": ids[MINE]}, 202),
    ]
    got = answers(app, [("POST", path, {"json": given, "headers": headers}) for path, given, _ in sent])
    assert [one.status_code for one in got] == [status for _, _, status in sent]
    assert got[3].json() == got[4].json()
    assert got[0].json()["errors"][0]["field"] == "route"


def test_an_ingest_key_sends_to_its_routes_alone(app: FastAPI, database: Database, wire: Wire) -> None:
    headers = bearer(key(database, "ingest", "mine/*"))
    some = [exchange(MINE, id="1"), exchange(THEIRS, id="2"), {"route": "X"}, exchange("mine/new", id="4")]
    mixed, foreign = answers(
        app,
        [
            ("POST", PATH, {"json": some, "headers": headers}),
            ("POST", PATH, {"json": [exchange(THEIRS), exchange("minex")], "headers": headers}),
        ],
    )
    assert mixed.status_code == 207
    assert [one["status"] for one in mixed.json()["results"]] == ["accepted", "forbidden", "invalid", "accepted"]
    assert mixed.json()["results"][1]["field"] == "route"
    assert [json.loads(value)["id"] for _, _, value in wire.sent] == ["1", "4"]
    assert (foreign.status_code, foreign.json()["counts"]) == (403, {"forbidden": 2})
    assert foreign.headers["content-type"] == "application/problem+json"
