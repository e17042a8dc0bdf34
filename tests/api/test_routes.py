"""`GET /v1/routes` and `/v1/routes/{route}`."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.change import Pinning
from services.api.app import Api
from services.api.auth.authorization import Principal
from services.monitor import BaselinePolicy, Monitor, RoutePolicy
from services.store.engine import Database
from services.wording import routes
from tests.record.stories import scores
from tests.support.api import Wire, api_on, asked, recorded
from tests.support.records import BASELINE, IDENTITY, alert, change, decision, reading

PATH = "/v1/routes"
POLICY = RoutePolicy(baseline=BaselinePolicy(size=400), false_pages_per_month=2.0)


def pinned(route: str):
    return change("pinned", 990, route=route, baseline=BASELINE, pinning=Pinning(n=400, streams=4, arl=9e5))


@pytest.fixture
def api(database: Database) -> Api:
    """Three routes: a/b/one has an incident, a/b/two is blind, c/one learns."""
    recorded(
        database,
        pinned("a/b/one"),
        alert("firing", 1000, route="a/b/one"),
        pinned("a/b/two"),
        reading("blind", 1200, route="a/b/two", reason="unscored", slice="tags.x=secret"),
        *scores("c/one"),
    )
    return api_on(database, Wire(), watched=Monitor(defaults=POLICY))


def listed(api: Api, **params: Any) -> list[str]:
    return [one["route"] for one in asked(api, "GET", PATH, params=params).json()["items"]]


def scoped(api: Api, *globs: str) -> Api:
    async def guard(_request: object, _role: object) -> Principal:
        return Principal("mara", "viewer", globs)

    return api_on(api.database, Wire(), watched=Monitor(defaults=POLICY), guard=guard)


def test_a_route_says_how_it_stands(api: Api) -> None:
    told = asked(api, "GET", f"{PATH}/a/b/one").json()
    assert (told["state"], told["learned"], told["of"]) == ("watching", 400, 400)
    assert told["incident"]["severity"] == "warning"
    assert "refusal rate" in told["incident"]["headline"]
    assert told["baseline"]["id"] == BASELINE
    assert told["budget"] == {"false_pages_per_month": 2.0, "pages": 1, "false_alarms": 0}
    learns = asked(api, "GET", f"{PATH}/c/one").json()
    assert (learns["state"], learns["exchanges_24h"], learns["incident"]) == ("learning", 24, None)
    assert [one["exchanges"] for one in learns["identities"]] == [24]
    assert learns["identities"][0]["model"]["requested"]
    assert any("no exchange for" in spot for spot in learns["blind_spots"])


def test_a_blind_spot_is_told_in_words_without_what_people_wrote(api: Api) -> None:
    told = asked(api, "GET", f"{PATH}/a/b/two")
    assert told.json()["state"] == "blind"
    assert told.json()["blind_spots"][0] == routes.blind_spot("rate_shift", "refusal", "unscored")
    assert "secret" not in told.text


def test_what_people_call_a_false_alarm_uses_the_budget(api: Api) -> None:
    id = asked(api, "GET", f"{PATH}/a/b/one").json()["incident"]["id"]
    recorded(api.database, decision("false_alarm", 20, route="a/b/one", incident=id))
    assert asked(api, "GET", f"{PATH}/a/b/one").json()["budget"]["false_alarms"] == 1


def test_pages_follow_each_other_by_name(api: Api) -> None:
    first = asked(api, "GET", PATH, params={"limit": 2}).json()
    assert [one["route"] for one in first["items"]] == ["a/b/one", "a/b/two"]
    second = asked(api, "GET", PATH, params={"limit": 2, "cursor": first["next"]}).json()
    assert ([one["route"] for one in second["items"]], second["next"]) == (["c/one"], None)


def test_routes_are_found_by_name_and_state(api: Api) -> None:
    assert listed(api, text="b/t") == ["a/b/two"]
    assert listed(api, state="incident") == ["a/b/one"]
    assert listed(api, state=["blind", "learning"]) == ["a/b/two", "c/one"]


def test_a_key_sees_its_own_routes_and_of_others_not_even_that_they_exist(api: Api) -> None:
    theirs = scoped(api, "a/*")
    assert listed(theirs) == ["a/b/one", "a/b/two"]
    hidden, none = asked(theirs, "GET", f"{PATH}/c/one"), asked(theirs, "GET", f"{PATH}/none")
    assert (hidden.status_code, hidden.content) == (404, none.content)
    assert asked(theirs, "GET", f"{PATH}/a/b/two").status_code == 200
    assert listed(scoped(api)) == []


LISTED = Monitor(
    defaults=POLICY,
    routes=dict.fromkeys(("b/new", "a/b/one", "a/b-new", "a/b/one-new", "any/*"), POLICY),
)
"""Routes with traffic and without, of which databases sort some otherwise than Python does."""
IN_ORDER = ["a/b-new", "a/b/one", "a/b/one-new", "a/b/two", "b/new", "c/one"]


def test_routes_that_are_listed_and_had_no_exchange_are_waiting(api: Api) -> None:
    waits = api_on(api.database, Wire(), watched=LISTED)
    found = {one["route"]: one for one in asked(waits, "GET", PATH).json()["items"]}
    assert list(found) == IN_ORDER
    states = {route: one["state"] for route, one in found.items()}
    assert [route for route, state in states.items() if state == "waiting"] == ["a/b-new", "a/b/one-new", "b/new"]
    told = found["b/new"]
    assert (told["clock"], told["exchanges_24h"], told["learned"], told["of"]) == (None, 0, 0, 400)
    assert (told["incident"], told["baseline"], told["blind_spots"]) == (None, None, [routes.NO_EXCHANGE])
    assert asked(waits, "GET", f"{PATH}/b/new").json() == told
    assert asked(waits, "GET", f"{PATH}/any/*").status_code == 404
    assert asked(waits, "GET", f"{PATH}/any/one").status_code == 404
    recorded(api.database, *scores("b/new"))
    assert asked(waits, "GET", f"{PATH}/b/new").json()["state"] == "learning"
    assert listed(waits) == IN_ORDER


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
def test_pages_with_routes_that_wait_hold_each_once_in_order(api: Api, limit: int) -> None:
    waits, pages, cursor = api_on(api.database, Wire(), watched=LISTED), [], None
    while not pages or cursor:
        told = asked(waits, "GET", PATH, params={"limit": limit} | ({"cursor": cursor} if cursor else {})).json()
        pages.append([one["route"] for one in told["items"]])
        cursor = told["next"]
    assert [route for some in pages for route in some] == IN_ORDER
    assert {len(some) for some in pages[:-1]} <= {limit}


def test_routes_that_wait_are_narrowed_down_like_others(api: Api) -> None:
    waits = api_on(api.database, Wire(), watched=LISTED)
    assert listed(waits, state="waiting") == ["a/b-new", "a/b/one-new", "b/new"]
    assert listed(waits, state=["waiting", "blind"]) == ["a/b-new", "a/b/one-new", "a/b/two", "b/new"]
    assert listed(waits, state="incident") == ["a/b/one"]
    assert listed(waits, text="new", limit=2) == ["a/b-new", "a/b/one-new"]
    assert listed(waits, text="one", state="waiting") == ["a/b/one-new"]

    async def guard(_request: object, _role: object) -> Principal:
        return Principal("mara", "viewer", ("b/*", "c/*"))

    theirs = api_on(api.database, Wire(), watched=LISTED, guard=guard)
    assert listed(theirs) == ["b/new", "c/one"]
    assert asked(theirs, "GET", f"{PATH}/a/b-new").status_code == 404


def test_a_tag_holds_until_something_changes(api: Api) -> None:
    first = asked(api, "GET", PATH)
    known = {"if-none-match": first.headers["etag"]}
    assert asked(api, "GET", PATH, headers=known).status_code == 304
    recorded(api.database, reading("quiet", 1300, route="a/b/two", slice="tags.x=secret"))
    assert asked(api, "GET", PATH, headers=known).status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "MS4A"}, "cursor"),
        ({"cursor": "MC4lJSU"}, "cursor"),
        ({"state": "asleep"}, "state"),
        ({"text": "a\0"}, "text"),
        ({"text": "\N{LATIN SMALL LETTER E WITH ACUTE}"}, "text"),
        ({"limit": 10**30}, "limit"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(api: Api, query: dict[str, Any], field: str) -> None:
    answer = asked(api, "GET", PATH, params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["field"] in (field, "0")


@pytest.mark.parametrize("route", ["none", "%00", "%ED%A0%80", "A", "a" * 201, IDENTITY, "%25"])
def test_what_is_no_route_of_ours_is_404(api: Api, route: str) -> None:
    assert asked(api, "GET", f"{PATH}/{route}").status_code == 404
