"""Schedules and runs on request over the API: each once, however often and by whomever it is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.api.app import Api
from services.monitor import Monitor, RoutePolicy
from services.store import evaluation_queue, schedules
from services.store.engine import Database
from tests.support.api import NOW, Wire, all_asked, api_on, asked
from tests.support.asked import WEEKLY, asked_for, known, missed, stocked
from tests.support.principals import as_
from tests.support.results import ROUTE

PATH, RUNS = "/v1/schedules", "/v1/evaluations"
NEW = {"route": ROUTE, "name": "daily", "cron": "0 6 * * *", "timezone": "Europe/Berlin", "suites": ["core"]}


@pytest.fixture
def api(database: Database) -> Api:
    """An API on runs and schedules."""
    stocked(database)
    return api_on(database, Wire())


def listed(api: Api, **query: Any) -> dict[str, dict[str, Any]]:
    found, cursor = {}, {}
    while True:
        told = asked(api, "GET", PATH, params={**query, **cursor}).json()
        found |= {one["name"]: one for one in told["items"]}
        if told["next"] is None:
            return found
        cursor = {"cursor": told["next"]}


def test_a_schedule_tells_its_last_and_its_next_fire_time(api: Api) -> None:
    found = listed(api, limit=1)
    assert list(found) == ["nightly", "weekly"]
    nightly, weekly = found.values()
    assert (nightly["next"], nightly["last"]) == ("2026-11-27T02:30:00Z", "2026-11-26T02:30:00Z")
    assert (nightly["outcome"], len(nightly["runs"])) == ("done", 1)
    assert (weekly["next"], weekly["origin"]) == ("2026-11-30T05:00:00Z", "file")
    assert (weekly["outcome"], weekly["reason"]) == ("missed", "no process ran at that time")
    assert listed(api, route="other/bot") == {}


def test_a_schedule_that_never_fired_says_so(database: Database) -> None:
    with database.write() as connection:
        schedules.add(connection, replace(WEEKLY, enabled=False))
    [one] = listed(api_on(database, Wire())).values()
    assert (one["outcome"], one["last"], one["next"]) == ("not yet", None, None)


def test_a_schedule_is_added_once_and_removed_once(api: Api) -> None:
    assert [asked(api, "POST", PATH, json=NEW).status_code for _ in range(2)] == [201, 200]
    assert listed(api)["daily"]["suites"] == ["core"]
    other = asked(api, "POST", PATH, json={**NEW, "cron": "0 7 * * *"})
    assert (other.status_code, "another schedule daily" in other.json()["detail"]) == (409, True)
    query = {"route": ROUTE, "name": "daily"}
    assert [asked(api, "DELETE", PATH, params=query).status_code for _ in range(2)] == [204, 404]
    assert "daily" not in listed(api)
    of_file = asked(api, "DELETE", PATH, params={"route": ROUTE, "name": "weekly"})
    assert (of_file.status_code, "stands in the monitor file" in of_file.json()["detail"]) == (409, True)


def test_two_people_at_once_add_one_and_ask_for_one(api: Api) -> None:
    answers = all_asked(api, [("POST", PATH, {"json": NEW})] * 4)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    wanted = {"json": {"route": "other/bot", "suite": "made"}}
    answers = all_asked(api, [("POST", RUNS, wanted)] * 4)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 202]
    assert len({answer.json()["id"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cron", "0 6 * *"),
        ("cron", "0 6 31 2 *"),
        ("timezone", "Mars/Phobos"),
        ("name", "a b"),
        ("route", "A"),
        ("suites", ["../x"]),
        ("suites", ["/etc"]),
        ("suites", []),
        ("more", 1),
    ],
)
def test_a_field_that_cannot_be_used_is_named(api: Api, field: str, value: Any) -> None:
    answer = asked(api, "POST", PATH, json={**NEW, field: value})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith(field)


@pytest.mark.parametrize("raw", [b'{"route":"\\ud800"}', b"\0", b"[]", b'{"route":"a","suite":"\\u0000"}', b"9" * 5000])
def test_hostile_bodies_are_refused(api: Api, raw: bytes) -> None:
    for path in (PATH, RUNS):
        assert 400 <= asked(api, "POST", path, content=raw).status_code < 500


def test_a_run_is_asked_for_and_waits_for_a_worker(api: Api) -> None:
    wanted = {"route": "other/bot", "suite": "made", "key": "deploy-7"}
    first, again = (asked(api, "POST", RUNS, json=wanted) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 200)
    told = first.json()
    assert (told["state"], told["moment"], told["route"]) == ("due", "requested", "other/bot")
    assert again.json() == told
    with api.database.write() as connection:
        claimed = evaluation_queue.claim(connection, "w", NOW, NOW + timedelta(minutes=1), 10)
    assert told["id"] in {one.what.id for one in claimed}
    other = asked(api, "POST", RUNS, json={**wanted, "key": "deploy-8"})
    assert (other.status_code, other.json()["state"]) == (200, "running")


def test_a_run_under_way_is_the_answer_and_a_suite_that_was_never_asked_is_none(api: Api) -> None:
    busy = asked(api, "POST", RUNS, json={"route": ROUTE, "suite": "made"})
    assert (busy.status_code, busy.json()["state"]) == (200, "running")
    never = asked(api, "POST", RUNS, json={"route": ROUTE, "suite": "core"})
    assert (never.status_code, "was never run on" in never.json()["detail"]) == (409, True)
    absent = asked(api, "POST", RUNS, json={"route": "no/such", "suite": "core"})
    assert absent.status_code == 404


def test_what_a_key_may_not_is_refused_and_what_it_does_not_see_is_not_there(database: Database) -> None:
    stocked(database)
    viewer = api_on(database, Wire(), guard=as_("viewer", "*"))
    run = {"route": ROUTE, "suite": "made"}
    assert asked(viewer, "POST", PATH, json=NEW).status_code == 403
    assert asked(viewer, "DELETE", PATH, params={"route": ROUTE, "name": "nightly"}).status_code == 403
    assert asked(viewer, "POST", RUNS, json=run).status_code == 403
    narrow = api_on(database, Wire(), guard=as_("operator", "other/*"))
    for path, body in ((PATH, NEW), (RUNS, run)):
        foreign, absent = (
            asked(narrow, "POST", path, json={**body, "route": r}) for r in (ROUTE, "other/entirely-absent")
        )
        assert (foreign.status_code, foreign.content) == (404, absent.content)
    foreign, absent = (
        asked(narrow, "DELETE", PATH, params={"route": ROUTE, "name": name}) for name in ("nightly", "none")
    )
    assert (foreign.status_code, foreign.content) == (404, absent.content)
    assert asked(narrow, "POST", PATH, json={**NEW, "route": "other/bot"}).status_code == 201


def test_missed_ones_of_one_time_are_each_on_one_page(database: Database) -> None:
    names = ["a/b", "a.b", "a-b", "ab", "a_b", "b"]
    for name in names:
        missed(database, replace(WEEKLY, route=name), NOW)
    known(database, ROUTE)
    asked_for(database, "0" * 16)
    api = api_on(database, Wire())
    found, cursor = [], {}
    while cursor is not None:
        told = asked(api, "GET", RUNS, params={"limit": 1, **cursor}).json()
        found += [one["route"] for one in told["items"]]
        cursor = told["next"] and {"cursor": told["next"]}
    assert sorted(found) == sorted([*names, ROUTE])


def test_a_route_never_seen_is_refused_with_near_names_unless_it_is_new(api: Api) -> None:
    wanted = {**NEW, "route": "other/bod"}
    refused = asked(api, "POST", PATH, json=wanted)
    assert (refused.status_code, "did you mean other/bot?" in refused.json()["detail"]) == (404, True)
    assert asked(api, "POST", PATH, json={**wanted, "new": True}).status_code == 201


def test_a_route_that_the_monitor_file_lists_is_known_before_its_first_exchange(database: Database) -> None:
    api = api_on(database, Wire(), watched=Monitor(routes={"early/*": RoutePolicy(), "late/bot": RoutePolicy()}))
    for route, status in (("early/bot", 201), ("late/bot", 201), ("late/bod", 404)):
        assert asked(api, "POST", PATH, json={**NEW, "route": route}).status_code == status
    assert "did you mean late/bot?" in asked(api, "POST", PATH, json={**NEW, "route": "late/bod"}).json()["detail"]


def test_the_rules_of_a_schedule_are_taken_and_told(api: Api) -> None:
    wanted = {**NEW, "route": "other/bot", "name": "often", "cron": "@every 6h", "overlap": "skip", "catch_up": "all"}
    assert asked(api, "POST", PATH, json=wanted).status_code == 201
    assert asked(api, "POST", PATH, json=wanted).status_code == 200
    assert asked(api, "POST", PATH, json={**wanted, "catch_up": "none"}).status_code == 409
    [found] = [one for one in asked(api, "GET", PATH).json()["items"] if one["name"] == "often"]
    assert (found["cron"], found["overlap"], found["catch_up"]) == ("@every 6h", "skip", "all")
    assert found["next"] is not None
    for field in ("overlap", "catch_up"):
        told = asked(api, "POST", PATH, json={**wanted, field: "some"}).json()["detail"]
        assert told.startswith(f"{field}: ")
