"""Incidents as JSON: what the command line shows, in pages that miss nothing, with tags that tell of changes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from sqlalchemy import create_engine

from services.api.app import Api, make
from services.store import incidents
from services.store.engine import Database
from tests.support.api import Wire, api_on, asked, later, recorded
from tests.support.records import alert, decision
from tests.support.source import ROOT

PATH = "/v1/incidents"


@pytest.fixture
def api(database: Database) -> Api:
    """Twelve routes with an incident each, four at each of three times, one of them resolved."""
    recorded(database, *(alert("firing", 300, route=f"r{i}", hours=i % 3) for i in range(12)))
    wire = Wire()
    found = api_on(database, wire)
    [first] = found.database.query(incidents.find, "r0")
    recorded(database, decision("resolve", ts=later(1), route="r0", incident=first.id))
    return found


def pages(api: Api, **query: Any) -> list[list[dict[str, Any]]]:
    found, cursor = [], {}
    while True:
        told = asked(api, "GET", PATH, params={**query, **cursor}).json()
        found.append(told["items"])
        if told["next"] is None:
            return found
        cursor = {"cursor": told["next"]}


def test_pages_hold_every_incident_once_newest_first(api: Api) -> None:
    found = pages(api, limit=5)
    assert [len(page) for page in found] == [5, 5, 2]
    items = [item for page in found for item in page]
    assert {item["route"] for item in items} == {f"r{i}" for i in range(12)}
    keys = [(item["opened_at"], item["id"]) for item in items]
    assert keys == sorted(keys, reverse=True)
    assert pages(api) == [items]
    assert pages(api, limit=12) == [items]


def test_filters(api: Api) -> None:
    [[only]] = pages(api, route="r7")
    assert only["route"] == "r7"
    [[done]] = pages(api, state="resolved")
    assert done["route"] == "r0"
    assert len(pages(api, state=["open", "snoozed"])[0]) == 11
    assert pages(api, route="none/such") == [[]]
    for digits in (4, 16):
        assert pages(api, id=only["id"][:digits]) == [[only]]
    assert pages(api, id=f"{(int(only['id'], 16) + 1) % 16**16:016x}") == [[]]
    for wrong in ("abc", "ABCD", "abcg", "a" * 17, "abc%", "abcd\n"):
        assert asked(api, "GET", PATH, params={"id": wrong}).status_code == 422, wrong


@pytest.mark.processes
def test_one_incident_is_what_the_command_line_shows(api: Api) -> None:
    id = api.database.query(incidents.find, "r3")[0].id
    shown = asked(api, "GET", f"{PATH}/{id}").json()
    url = api.database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "services.cli", "incident", "show", id, "--database", url, "--json", "-"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(said.stdout) == shown


def test_a_tag_holds_until_something_changes(api: Api) -> None:
    [incident] = api.database.query(incidents.find, "r5")
    for path in (PATH, f"{PATH}/{incident.id}"):
        first = asked(api, "GET", path)
        known = {"if-none-match": f'"x", W/{first.headers["etag"]}'}
        again = asked(api, "GET", path, headers=known)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    recorded(api.database, decision("acknowledge", ts=later(2), route="r5", incident=incident.id))
    for path in (PATH, f"{PATH}/{incident.id}"):
        assert asked(api, "GET", path, headers=known).status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "MTIz"}, "cursor"),
        ({"cursor": "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTkuYQ"}, "cursor"),
        ({"state": "asleep"}, "state"),
        ({"cursor": "MS4A"}, "cursor"),
        ({"route": "a\0"}, "route"),
        ({"limit": 0}, "limit"),
        ({"limit": "x"}, "limit"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(api: Api, query: dict[str, Any], field: str) -> None:
    answer = asked(api, "GET", PATH, params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["field"] in (field, "0")


@pytest.mark.parametrize("path", [f"{PATH}/0000000000000000", f"{PATH}/x%00", "/v1/nothing", "/nothing"])
def test_what_is_not_there_is_a_problem_with_the_way_on(api: Api, path: str) -> None:
    answer = asked(api, "GET", path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_method_that_a_path_does_not_take_is_a_problem(api: Api) -> None:
    answer = asked(api, "DELETE", PATH)
    assert (answer.status_code, answer.json()["title"]) == (405, "Method Not Allowed")


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql+psycopg://nobody@127.0.0.1:1/x"])
def test_a_database_that_is_away_is_503_and_not_an_empty_list(url: str) -> None:
    away = api_on(Database(create_engine(url)), Wire())
    for path in (PATH, f"{PATH}/{'0' * 16}", "/incidents", f"/incidents/{'0' * 16}"):
        answer = asked(away, "GET", path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    body = {"kind": "resolve", "route": "r", "actor": "mara", "reason": "x"}
    assert asked(away, "POST", "/v1/decisions", json=body).status_code == 503


def test_every_path_is_described_and_every_reference_leads_somewhere(api: Api) -> None:
    told = asked(api, "GET", "/openapi.json").json()
    assert {"/v1/exchanges", "/v1/changes", "/v1/decisions", "/v1/incidents/{id}"} <= set(told["paths"])
    text = json.dumps(told)
    wanted = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert wanted <= set(told["components"]["schemas"])
    assert "#/$defs" not in text
    for path, methods in told["paths"].items():
        for operation in methods.values():
            assert operation["summary"], path
            assert operation["description"], path
            for parameter in operation.get("parameters", []):
                assert parameter["in"] == "path" or parameter["description"], path


def test_the_description_is_of_the_application_that_it_is_asked_of(api: Api) -> None:
    app = make(api)
    assert asked(app, "GET", "/openapi.json").json()["info"]["title"] == "Keelwatch"
