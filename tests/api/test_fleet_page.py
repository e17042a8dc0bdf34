"""The fleet page, as it is written."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import pytest
from fastapi import Request

from schemas.dead_letter import DeadLetter
from schemas.exchange import AUDIT_ROUTE
from schemas.position import Position
from services.api.app import Api
from services.api.auth.authorization import Principal
from services.api.pages import fleet
from services.api.pages.connect import example_route, waiting_routes
from services.monitor.loader import examine
from services.store import incidents
from services.store.engine import Database
from services.store.fleet import FleetCounts
from services.wording import onboarding, routes
from services.wording.sources import EXAMPLE_ROUTE, SourceAddresses, snippets
from tests.api.test_routes import pinned
from tests.record.stories import scores
from tests.store.test_fleet import learning
from tests.support.api import BASE, NOW, Wire, api_on, asked, recorded
from tests.support.records import alert, reading


@pytest.fixture
def api(database: Database) -> Api:
    """As in test_routes: an incident, a blind one, one that learns."""
    recorded(
        database,
        pinned("a/one"),
        alert("firing", 1000, route="a/one"),
        pinned("a/two"),
        reading("blind", 1200, route="a/two", reason="unscored"),
        *scores("c/one"),
        learning(350, 400, "c/one"),
    )
    return api_on(database, Wire())


def shown(api: Api, path: str = "/") -> str:
    answer = asked(api, "GET", path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return answer.text


def test_it_says_at_its_top_how_routes_stand_and_shows_the_worst_first(api: Api) -> None:
    text = shown(api)
    assert routes.fleet_heading(3, 1) in text
    assert routes.fleet_summary(1, 1, 1) in text
    assert text.index("/routes/a/one") < text.index("/routes/a/two") < text.index("/routes/c/one")
    assert routes.learning(350, 1000) in text
    assert routes.not_monitored(routes.blind_spot("rate_shift", "refusal", "unscored")) in text
    assert "24 exchanges in its last 24 h" in text
    assert f"/incidents/{api.database.query(incidents.find, 'a/one')[0].id}" in text


def test_routes_are_chosen_by_name_and_state(api: Api) -> None:
    text = shown(api, "/?route=TWO&state=blind")
    assert "/routes/a/two" in text
    assert "/routes/a/one" not in text
    assert routes.fleet_heading(3, 1) in text
    assert 'value="TWO"' in text


@pytest.mark.parametrize(
    "query",
    ["route=%00", "route=%ED%A0%80", "route='%3Cscript%3E", "route=nothing", "state=learning&route=one&page=99999999"],
)
def test_a_filter_that_nothing_fits_says_so_with_the_way_back(api: Api, query: str) -> None:
    text = shown(api, f"/?{query}")
    assert "No route fits" in text
    assert "<script>" not in text


@pytest.mark.parametrize("page", ["-1", "x", "0", "\N{SUPERSCRIPT TWO}", "1" * 400])
def test_a_page_that_is_none_is_the_first_or_an_empty_one(api: Api, page: str) -> None:
    assert "3 routes" in shown(api, f"/?page={page}")


def test_an_empty_database_says_what_to_do(database: Database) -> None:
    text = shown(api_on(database, Wire()))
    assert routes.fleet_heading(0, 0) in text
    assert "keelwatch publish" in text


LETTER = Position(cluster="c", topic="keelwatch.exchanges", partition=0, offset=7)
LISTED = examine('routes: {a/one: {}, c/one: {}, z/new: {}, "b/*": {}, "c/*": {}}', "keelwatch.yaml")[0]


def test_routes_of_the_monitor_file_wait_before_their_first_exchange(api: Api) -> None:
    text = shown(api_on(api.database, Wire(), watched=LISTED))
    assert onboarding.waiting_routes(1) in text
    assert 'z/new</bdi> <span class="fleet-word">waiting' in text
    for pattern, waits in (("b/*", True), ("c/*", True), ("a/*", False)):
        assert (onboarding.waiting_pattern(pattern) in text) is waits
    assert onboarding.waiting_routes(1) not in shown(api_on(api.database, Wire(), watched=LISTED), "/?route=one")


def test_an_empty_fleet_waits_and_shows_how_to_send_to_this_deployment(database: Database) -> None:
    known = SourceAddresses("https://keelwatch.example", "kafka.example:9093")
    text = unescape(shown(api_on(database, Wire(), watched=LISTED, addresses=known)))
    assert onboarding.GOES_ON in text
    assert " data-waits>" in text
    assert text.count("<details") == len(snippets(known)) >= 8
    for snippet in snippets(known, "a/one"):
        assert snippet.text in text, "the first route of the monitor file"
    assert "--bootstrap kafka.example:9093" in text
    assert onboarding.KEY_FIRST not in text


def test_where_nothing_says_the_address_it_is_where_the_request_came_in(database: Database) -> None:
    text = shown(api_on(database, Wire()))
    assert f"{BASE}/v1/exchanges" in text
    asked_by_another_name = asked(api_on(database, Wire()), "GET", "/", headers={"host": "evil.example"})
    assert "evil.example" not in asked_by_another_name.text


def test_a_key_is_told_of_its_own_waiting_routes_and_needs_a_key_to_send(database: Database) -> None:
    async def guard(request: Request, _role: object) -> Principal:
        return Principal("mara", "viewer", ("c/*",))

    recorded(database, DeadLetter.of(b"{}", "score", "route: is missing", LETTER))
    text = unescape(shown(api_on(database, Wire(), watched=LISTED, guard=guard)))
    assert onboarding.KEY_FIRST in text
    assert "Bearer $KEELWATCH_API_KEY" in text
    assert [name in text for name in ("c/one", "c/*", "a/one", "b/*", "z/new")] == [True, True, False, False, False]
    assert "could not be read" not in text, "nobody knows of whom a dead letter is"


def test_what_came_and_could_not_be_read_is_said_while_one_waits(database: Database) -> None:
    recorded(database, DeadLetter.of(b"{}", "score", "route: is missing", LETTER))
    assert onboarding.refused(1, "route: is missing", None) in unescape(shown(api_on(database, Wire())))


def test_of_what_could_not_be_read_the_newest_reasons_of_a_day_are_said(database: Database) -> None:
    letters = [
        DeadLetter.of(b"{}", "score", reason, LETTER.model_copy(update={"offset": at}), NOW - ago)
        for at, (reason, ago) in enumerate(
            [
                *[("old: many", timedelta(days=2))] * 9,
                *[("a: often", timedelta(hours=3))] * 3,
                ("b: once", timedelta(minutes=5)),
                ("c: older", timedelta(hours=20)),
                ("d: oldest", timedelta(hours=23)),
            ]
        )
    ]
    other = DeadLetter.of(b"{}", "detect", "other: step", LETTER.model_copy(update={"offset": 99}), NOW)
    recorded(database, *letters, other)
    text = unescape(shown(api_on(database, Wire()), "/connect"))
    said = [
        onboarding.refused(1, "b: once", "5 minutes ago"),
        onboarding.refused(3, "a: often", "3 hours ago"),
        onboarding.refused(1, "c: older", "20 hours ago"),
    ]
    places = [text.find(one) for one in said]
    assert places == sorted(places)
    assert -1 not in places
    assert [one in text for one in ("old: many", "d: oldest", "other: step")] == [False, False, False]


@pytest.mark.parametrize(
    ("file", "seen", "globs", "route"),
    [
        ("routes: {}", (), ("*",), EXAMPLE_ROUTE),
        ("routes: {z/new: {}, a/new: {}}", ("a/new",), ("*",), "z/new"),
        ('{unlisted_routes: refuse, routes: {"shop/*": {}}}', (), ("*",), "shop/try"),
        ('{unlisted_routes: refuse, routes: {"shop/*": {}}}', ("shop/prod",), ("*",), "shop/prod/try"),
        ('{unlisted_routes: refuse, routes: {"shop/*": {}, "bot/*": {}}}', ("bot/prod",), ("shop/*",), "shop/try"),
        ("{unlisted_routes: refuse, routes: {shop/prod: {}}}", ("shop/prod",), ("*",), "shop/prod"),
        ("routes: {}", (), ("shop/*",), "shop/try"),
        ("routes: {}", (EXAMPLE_ROUTE,), ("*",), f"{EXAMPLE_ROUTE}/try"),
        ("routes: {}", (EXAMPLE_ROUTE, f"{EXAMPLE_ROUTE}/try"), ("*",), f"{EXAMPLE_ROUTE}/try"),
        ("routes: {}", (AUDIT_ROUTE,), ("*",), EXAMPLE_ROUTE),
        ("routes: {}", ("shop/" + "x" * 194,), ("*",), EXAMPLE_ROUTE),
    ],
)
def test_what_is_copied_goes_to_a_route_that_is_taken_and_is_nobodys(
    file: str, seen: tuple[str, ...], globs: tuple[str, ...], route: str
) -> None:
    watched, caller = examine(file, "keelwatch.yaml")[0], Principal("mara", "viewer", globs)
    waiting = waiting_routes(watched, seen, caller.sees)
    assert example_route(watched, waiting, seen, caller) == route


def test_what_is_copied_does_not_go_into_a_route_with_traffic(api: Api) -> None:
    text = unescape(shown(api, "/connect"))
    assert '"route": "a/one/try"' in text
    assert EXAMPLE_ROUTE not in text


def test_how_to_send_is_shown_later_too(api: Api) -> None:
    assert 'href="/connect"' in shown(api)
    text = shown(api, "/connect")
    assert text.count("<details") >= 8
    assert "data-waits" not in text


def test_more_than_a_hundred_routes_are_several_pages(database: Database) -> None:
    recorded(database, *(pinned(f"r/{place:03d}") for place in range(101)))
    api = api_on(database, Wire())
    first, second = shown(api), shown(api, "/?page=2")
    assert first.count("fleet-route ") == 100
    assert "Page 1 of 2" in first
    assert second.count("fleet-route ") == 1
    assert "/routes/r/100" in second


def test_a_key_sees_only_its_own_routes_and_counts_only_them(api: Api) -> None:
    async def guard(_request: object, _role: object) -> Principal:
        return Principal("mara", "viewer", ("c/*",))

    text = shown(api_on(api.database, Wire(), guard=guard))
    assert f"{routes.fleet_heading(1, 0)}<" in text
    assert "a/one" not in text
    assert "a/two" not in text


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (
            FleetCounts(14, 2, 1, 3),
            (routes.fleet_heading(14, 2), routes.fleet_summary(1, 3, 10)),
        ),
        (FleetCounts(1, 0, 0, 0), (routes.fleet_heading(1, 0), routes.fleet_summary(0, 0, 1))),
        (FleetCounts(2, 0, 2, 0), (routes.fleet_heading(2, 0), routes.fleet_summary(2, 0, 0))),
    ],
)
def test_the_line_at_the_top(counts: FleetCounts, words: tuple[str, str]) -> None:
    assert (fleet.fleet_heading(counts), fleet.fleet_summary(counts)) == words


def test_a_bar_of_few_exchanges_can_be_seen_and_one_of_none_is_left_out() -> None:
    spark = fleet.spark((0, 1, 1000))
    assert spark.path == "M6 24v-1.5M10 24v-24.0"
    assert spark.words.endswith("at most 1,000")
