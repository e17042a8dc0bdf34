"""The chart of an incident as a file: what moved is in it, and it is nobody's who may not see the route."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree as Xml

import pytest

from schemas.change import Pinning
from services.api.auth.authorization import Principal
from services.store import incidents, routes
from services.store.engine import Database
from services.store.routes import RouteHead
from services.wording import charts
from services.wording import incidents as words
from services.wording.timeline import change_mark
from tests.support.api import Wire, api_on, asked, recorded
from tests.support.rates import minutes
from tests.support.records import BASELINE, IDENTITY, NEW, ROUTE, alert, at, change, family_alert

KINDS = {"svg": "image/svg+xml", "png": "image/png"}


def moved(database: Database) -> str:
    """A refusal rate that fell after 16 h, and the incident's id."""
    minutes(database, silent=(6, 8))
    recorded(database, change("suspected", 970, model=NEW), alert(index=990))
    with database.read() as connection:
        (one,) = incidents.find(connection)
    return one.id


@pytest.mark.parametrize("kind", KINDS)
def test_the_chart_of_an_incident_is_a_file_that_is_not_sent_twice(database: Database, kind: str) -> None:
    path = f"/incidents/{moved(database)}/chart.{kind}"
    api = api_on(database, Wire())
    first = asked(api, "GET", path)
    assert (first.status_code, first.headers["content-type"]) == (200, KINDS[kind])
    again = asked(api, "GET", path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert asked(api, "GET", path).content == first.content


def test_it_shows_the_rate_its_baseline_its_gap_and_what_happened(database: Database) -> None:
    svg = asked(api_on(database, Wire()), "GET", f"/incidents/{moved(database)}/chart.svg").text
    said = "".join(Xml.fromstring(svg).itertext())
    assert "refusal rate" in svg
    assert f"{ROUTE}: {charts.move(alert(index=990))}" in said
    assert "baseline 18.8%" in said
    assert charts.gaps([(at(6), at(8))]) in said
    for mark in (charts.OPENED, change_mark(change("suspected", 990))):
        assert mark in said


def test_its_baseline_is_the_counted_rate_that_every_page_shows(database: Database) -> None:
    minutes(database, silent=(6, 8))
    pinning = Pinning(n=1000, streams=4, arl=1e6, rates={"refusal": 0.2})
    pinned = change("pinned", 900, to_identity=IDENTITY, baseline=BASELINE, pinning=pinning)
    recorded(database, pinned, alert(index=990))
    database.transact(lambda connection: routes.set_times(connection, {ROUTE: RouteHead(at() + timedelta(hours=24))}))
    api = api_on(database, Wire())
    [one] = asked(api, "GET", "/v1/incidents").json()["items"]
    svg = asked(api, "GET", f"/incidents/{one['id']}/chart.svg").text
    assert "baseline 20.0%" in "".join(Xml.fromstring(svg).itertext())
    [whole] = [
        rate
        for rate in asked(api, "GET", f"/v1/routes/{ROUTE}/safety").json()["rates"]
        if (rate["signal"], rate["identity"], rate["slice"]) == ("refusal", None, None)
    ]
    now = f"{100 * whole['rate']:.1f}%"
    page = asked(api, "GET", f"/incidents/{one['id']}", headers={"accept": "text/html"}).text
    assert words.counted(0.2, whole["rate"], 24) in page
    route = asked(api, "GET", f"/routes/{ROUTE}", headers={"accept": "text/html"}).text
    assert "normally 20.0%" in " ".join(route.split())
    assert now in route


@pytest.mark.parametrize("kind", KINDS)
def test_who_does_not_see_the_route_is_told_what_is_told_of_nothing(database: Database, kind: str) -> None:
    async def other(_request: object, _role: object) -> Principal:
        return Principal("other", "viewer", ("search/*",))

    path = f"/incidents/{moved(database)}/chart.{kind}"
    api = api_on(database, Wire(), guard=other)
    hidden, missing = asked(api, "GET", path), asked(api, "GET", f"/incidents/{'0' * 16}/chart.{kind}")
    assert (hidden.status_code, hidden.content) == (404, missing.content)


def test_an_incident_in_which_no_rate_moved_has_no_chart(database: Database) -> None:
    recorded(database, family_alert("model_shift", index=600))
    api = api_on(database, Wire())
    [one] = asked(api, "GET", "/v1/incidents").json()["items"]
    assert asked(api, "GET", f"/incidents/{one['id']}/chart.svg").status_code == 404


def test_a_rate_of_which_nothing_was_counted_has_no_chart(database: Database) -> None:
    recorded(database, alert(index=990))
    api = api_on(database, Wire())
    [one] = asked(api, "GET", "/v1/incidents").json()["items"]
    assert asked(api, "GET", f"/incidents/{one['id']}/chart.svg").status_code == 404


@pytest.mark.parametrize("id", ["%00", "x" * 400, "..%2f", "%ED%B2%80"])
def test_what_is_no_id_is_404(database: Database, id: str) -> None:
    assert asked(api_on(database, Wire()), "GET", f"/incidents/{id}/chart.png").status_code == 404
