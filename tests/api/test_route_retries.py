"""A route on which a step failed: blind wherever it is told of, and tried again when somebody asks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.api.app import Api
from services.store import parks
from services.store.engine import Database
from services.store.parks import ParkedRecord, ParkFault, Parking
from services.wording import routes as words
from tests.support.api import NOW, Wire, api_on, asked, recorded
from tests.support.principals import as_
from tests.support.records import alert

PATH = "/v1/route-retries"
FAULT = ParkFault("ValueError in services.vectors, line 25", "1")


@pytest.fixture
def route(database: Database) -> str:
    """A route with an incident, on which detect failed."""
    told = alert("firing", 300)
    recorded(database, told)
    waits = tuple(ParkedRecord("keelwatch.scores", 0, n, NOW, b"v") for n in range(2))
    with database.write() as connection:
        parks.write(connection, "detect", told.route, Parking(FAULT, waits, beyond=1), NOW)
    return told.route


@pytest.fixture
def api(database: Database) -> Api:
    """The API on it."""
    return api_on(database, Wire())


def test_it_is_blind_with_the_reason_on_fleet_route_page_and_api(api: Api, route: str) -> None:
    said = words.parked(route, "detect", FAULT.reason, 2, 1)
    assert "detect fails on it (ValueError in services.vectors, line 25): 2 records wait, 1 more found no room" in said
    assert f"`keelwatch route retry {route}`" in said
    one = asked(api, "GET", f"/v1/routes/{route}").json()
    assert (one["state"], one["blind_spots"][0]) == ("blind", said)
    assert [found["route"] for found in asked(api, "GET", "/v1/routes", params={"state": "blind"}).json()["items"]] == [
        route
    ]
    for path in ("/", f"/routes/{route}"):
        page = asked(api, "GET", path, headers={"accept": "text/html"}).text
        assert "detect fails on it (ValueError in services.vectors, line 25): 2 records wait" in page


def test_it_is_tried_again_when_somebody_asks(api: Api, route: str, database: Database) -> None:
    answer = asked(api, "POST", PATH, json={"route": route})
    assert answer.status_code == 202
    [step] = answer.json()["steps"]
    assert (step["step"], step["waiting"], step["beyond"], step["reason"]) == ("detect", 2, 1, FAULT.reason)
    park = database.query(parks.due, "detect", FAULT.release)
    assert park is not None
    assert park.route == route


def test_without_anything_that_waits_nothing_is_asked(api: Api, database: Database) -> None:
    told = alert("firing", 300)
    recorded(database, told)
    assert asked(api, "POST", PATH, json={"route": told.route}).json() == {"route": told.route, "steps": []}


def test_only_operators_of_the_route_may_ask(api: Api, route: str) -> None:
    for guard, status in (
        (as_("viewer"), 403),
        (as_("operator", "other/*"), 404),
        (as_("operator", route), 202),
    ):
        assert asked(replace(api, guard=guard), "POST", PATH, json={"route": route}).status_code == status
    assert asked(api, "POST", PATH, json={"route": "no/such"}).status_code == 404
    assert asked(api, "POST", PATH, json={"route": "UPPER"}).status_code == 422
