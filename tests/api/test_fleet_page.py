"""The fleet page, as it is written."""

from __future__ import annotations

import pytest

from services.api.app import Api
from services.api.auth.authorization import Principal
from services.api.pages import fleet
from services.store import incidents
from services.store.engine import Database
from services.store.fleet import FleetCounts
from services.wording import routes
from tests.api.test_routes import pinned
from tests.record.stories import scores
from tests.store.test_fleet import learning
from tests.support.api import Wire, api_on, asked, recorded
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
