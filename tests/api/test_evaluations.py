"""Runs, comparisons and suites over the API: whole, by page, and only of the routes that a key sees."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from services.api.app import Api
from services.evaluate.suite_library import load_suite
from services.store.engine import Database
from tests.support.api import Wire, api_on, asked
from tests.support.asked import IDENTITY, known, stocked
from tests.support.principals import as_
from tests.support.results import ROUTE
from tests.support.source import ROOT

PATH = "/v1/evaluations"
STATES = {
    "pinned": "done",
    "later": "done",
    "failed": "failed",
    "other": "done",
    "running": "running",
    "due": "due",
    "hand": "done",
}


@pytest.fixture
def ids(database: Database) -> dict[str, str]:
    """Ids of the runs that are there, by name."""
    return stocked(database)


@pytest.fixture
def api(database: Database, ids: dict[str, str]) -> Api:
    """An API on them."""
    return api_on(database, Wire())


def got(api: Api, path: str, **query: Any) -> Any:
    answer = asked(api, "GET", path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pages(api: Api, path: str, **query: Any) -> list[dict[str, Any]]:
    items, cursor = [], {}
    while True:
        told = got(api, path, **query, **cursor)
        items += told["items"]
        if told["next"] is None:
            return items
        cursor = {"cursor": told["next"]}


def test_every_run_and_every_missed_one_is_listed_once_latest_due_first(api: Api, ids: dict[str, str]) -> None:
    found = pages(api, PATH, limit=2)
    assert {one["id"]: one["state"] for one in found if one["id"]} == {ids[name]: STATES[name] for name in STATES}
    [missed] = [one for one in found if one["id"] is None]
    assert (missed["state"], missed["schedule"], missed["suite"]) == ("missed", "weekly", None)
    assert missed["reason"] == "no process ran at that time"
    times = [one["ts"] for one in found]
    assert times == sorted(times, reverse=True)
    assert pages(api, PATH) == found


def test_filters(api: Api, ids: dict[str, str]) -> None:
    assert [one["id"] for one in pages(api, PATH, state="failed")] == [ids["failed"]]
    assert [one["id"] for one in pages(api, PATH, state=["due", "running"])] == [ids["due"], ids["running"]]
    assert [one["id"] for one in pages(api, PATH, identity="ab" * 8)] == [ids["hand"]]
    assert [one["id"] for one in pages(api, PATH, route="other/bot")] == [ids["other"]]
    assert pages(api, PATH, suite="none") == []
    assert len(pages(api, PATH, suite="made")) == len(STATES)


def test_a_run_tells_what_it_asked_and_found(api: Api, ids: dict[str, str]) -> None:
    told = got(api, f"{PATH}/{ids['later']}")
    run = told["run"]
    assert (told["state"], told["status"], told["identity"]) == ("done", "complete", IDENTITY)
    assert (run["suite"], run["requested"], run["settings"], run["answers"]) == ("made", "m", {"temperature": 0}, 129)
    pooled = {one["measure"]: one for one in run["measures"] if one["hazard"] == "all"}
    harmful = pooled["harmful_compliance"]
    assert (harmful["events"], harmful["n"], harmful["rate"]) == (9, 20, 45.0)
    assert harmful["low"] < 45 < harmful["high"]
    assert got(api, f"{PATH}/{ids['due']}")["run"] is None


def test_items_come_with_their_answers_by_page_and_without_system_messages(api: Api, ids: dict[str, str]) -> None:
    found = pages(api, f"{PATH}/{ids['later']}/items", limit=10)
    assert len(found) == 43
    assert [one["id"] for one in found] == sorted(one["id"] for one in found)
    assert all(len(one["answers"]) == 3 for one in found)
    events = pages(api, f"{PATH}/{ids['later']}/items", event=True)
    assert {one["id"] for one in events} == {*(f"harmful-{i}" for i in range(9)), "canary-0"}
    canaries = pages(api, f"{PATH}/{ids['later']}/items", measure="canary", limit=1)
    assert [one["id"] for one in canaries] == ["canary-0", "canary-1", "canary-2"]
    roles = {message["role"] for one in canaries for answer in one["answers"] for message in answer["messages"]}
    assert roles == {"user"}
    assert got(api, f"{PATH}/{ids['due']}/items") == {"items": [], "next": None}


@pytest.mark.processes
def test_two_runs_compare_as_on_the_command_line(api: Api, ids: dict[str, str]) -> None:
    told = got(api, f"{PATH}/{ids['later']}/comparison", before=ids["pinned"])
    url = api.database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "services.cli", "eval", "compare", ids["pinned"], ids["later"]]
    said = subprocess.run(
        [*command, "--database", url, "--json", "-"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(said.stdout) == told
    assert told["overall"] == "regressed"
    failed = got(api, f"{PATH}/{ids['failed']}/comparison", before=ids["pinned"])
    assert (failed["overall"], "the endpoint answered 500" in failed["reason"]) == ("inconclusive", True)
    waits = asked(api, "GET", f"{PATH}/{ids['due']}/comparison", params={"before": ids["pinned"]})
    assert (waits.status_code, "has no result yet" in waits.json()["detail"]) == (404, True)


def test_stored_comparisons_are_listed_and_read(api: Api, ids: dict[str, str]) -> None:
    [one] = pages(api, "/v1/comparisons")
    assert (one["overall"], one["before_run"], one["after_run"]) == ("regressed", ids["pinned"], ids["later"])
    assert got(api, f"/v1/comparisons/{one['id']}") == one
    assert pages(api, "/v1/comparisons", route="other/bot") == []


def test_suites_are_listed_and_read(api: Api) -> None:
    core = load_suite("core")
    listed, *others = pages(api, "/v1/suites")
    assert [one["name"] for one in others] == ["core-wide", "smoke"]
    assert (listed["name"], listed["sha256"], listed["items"]) == ("core", core.sha256, len(core.items))
    whole = got(api, "/v1/suites/core")
    assert [one["sha256"] for one in whole["questions"]] == [item.sha256 for item in core.items]
    assert whole["remarks"]
    assert asked(api, "GET", "/v1/suites/..%2Fcore").status_code == 404


def test_a_tag_holds(api: Api, ids: dict[str, str]) -> None:
    for path in (PATH, f"{PATH}/{ids['later']}", "/v1/comparisons", "/v1/suites", "/v1/schedules", "/v1/changes"):
        tag = asked(api, "GET", path).headers["etag"]
        assert asked(api, "GET", path, headers={"if-none-match": tag}).status_code == 304


def test_a_key_sees_its_own_routes_alone(database: Database, ids: dict[str, str]) -> None:
    api = api_on(database, Wire(), guard=as_("viewer", "other/*"))
    assert [one["id"] for one in pages(api, PATH)] == [ids["other"]]
    assert pages(api, PATH, route=ROUTE) == []
    assert got(api, f"{PATH}/{ids['other']}")["route"] == "other/bot"
    assert pages(api, "/v1/comparisons") == pages(api, "/v1/schedules") == []
    whole = api_on(database, Wire())
    [comparison] = pages(whole, "/v1/comparisons")
    absent = asked(api, "GET", f"{PATH}/{'0' * 16}")
    for path in (
        f"{PATH}/{ids['later']}",
        f"{PATH}/{ids['later']}/items",
        f"{PATH}/{ids['later']}/comparison?before={ids['other']}",
        f"{PATH}/{ids['other']}/comparison?before={ids['later']}",
    ):
        answer = asked(api, "GET", path)
        assert (answer.status_code, answer.content) == (404, absent.content)
    foreign = asked(api, "GET", f"/v1/comparisons/{comparison['id']}")
    assert foreign.content == asked(api, "GET", f"/v1/comparisons/{'0' * 16}").content
    for path in (f"/v1/routes/{ROUTE}/profile", "/v1/routes/no/such/profile"):
        assert asked(api, "GET", path).status_code == 404


def test_a_profile_is_of_who_answers_now_and_unknown_without_a_run(api: Api, ids: dict[str, str]) -> None:
    told = got(api, f"/v1/routes/{ROUTE}/profile")
    assert (told["label"], told["identity"], told["model"]["served"]) == ("known", IDENTITY, "gpt-4-0613")
    [suite] = told["suites"]
    assert suite["run"] == ids["later"]
    assert suite["measures"][0]["rate"] == 45.0
    known(api.database, "new/bot")
    fresh = got(api, "/v1/routes/new/bot/profile")
    assert (fresh["label"], fresh["suites"]) == ("not known", [])
    assert fresh["reason"] == "no complete run of a suite against this identity is stored"
    assert asked(api, "GET", "/v1/routes/none/profile").status_code == 404


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (PATH, {"cursor": "nonsense"}),
        (PATH, {"state": "asleep"}),
        (PATH, {"suite": "a\0"}),
        (PATH, {"identity": "x" * 16}),
        (PATH, {"route": "A B"}),
        (PATH, {"limit": 10**30}),
        ("/v1/comparisons", {"cursor": "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTkuYQ"}),
        ("/v1/changes", {"kind": "\ud800".encode("utf-8", "surrogatepass")}),
        ("/v1/changes", {"cursor": "MS4A"}),
        ("/v1/schedules", {"cursor": "AAAA"}),
        (f"{PATH}/{'0' * 16}/items", {"cursor": "AAAA"}),
        (f"{PATH}/{'0' * 16}/comparison", {}),
        (f"{PATH}/{'0' * 16}/comparison", {"before": "a\0"}),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(api: Api, path: str, query: dict[str, Any]) -> None:
    answer = asked(api, "GET", path, params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"]
