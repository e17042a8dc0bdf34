"""What the suites do not ask: by the API and on the route's page, and never more than is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.api.app import Api, make
from services.monitor import Monitor
from services.store.engine import Database
from services.wording import coverage as words
from tests.support.access import answers, bearer, key
from tests.support.api import Wire, api_on, asked, later, recorded
from tests.support.asked_questions import DOSES, QUESTIONS, asked_of, kept, own_suite, policy_of, scored, watch_on
from tests.support.blocks import ROUTE
from tests.support.hostile_pages import PAYLOADS
from tests.support.outline import outline

PATH = f"/v1/routes/{ROUTE}/coverage"
HTML = {"accept": "text/html"}


@pytest.fixture
def own(tmp_path: Path) -> str:
    return own_suite(tmp_path / "own", "Where is the parcel with the lamp and the vase")


def api_with(database: Database, *suites: str, **more) -> Api:
    return api_on(database, Wire(), watched=Monitor(defaults=policy_of(*suites)), **more)


def page_text(api: Api) -> str:
    answer = asked(api, "GET", f"/routes/{ROUTE}", headers=HTML)
    assert answer.status_code == 200, answer.text
    return " ".join(outline(answer.text).text.split())


def test_the_share_and_the_gap_are_told_by_both(database: Database, own: str) -> None:
    asked_of(database)
    watch_on(database, own).look()
    api = api_with(database, own)
    found = asked(api, "GET", PATH).json()
    assert (found["known"], found["reason"], found["suites"]) == (True, None, {"own": "1"})
    assert found["low"] < found["share"] < found["high"]
    (gap,) = found["gaps"]
    assert gap["examples"][0]["prompt"] in DOSES
    text = page_text(api)
    assert found["headline"] == "73% of the questions of 1 hour resemble a suite item"
    assert f"{found['headline']}." in text
    assert words.basis(len(QUESTIONS), len(QUESTIONS), found["low"], found["high"]) in text
    assert "risky 25% · declined 12%" in text
    assert gap["examples"][0]["prompt"] in text
    assert words.to_add(ROUTE, 1) in text


def test_what_is_not_known_is_said_and_is_no_share(database: Database, own: str) -> None:
    recorded(database, *scored(QUESTIONS[:5]))
    for api, reason in ((api_with(database), words.NO_SUITE), (api_with(database, own), words.NOT_YET)):
        found = asked(api, "GET", PATH).json()
        assert (found["known"], found["share"], found["reason"]) == (False, None, reason)
        assert words.unknown(reason) in page_text(api)
    watch_on(database, own).look()
    assert asked(api_with(database, own), "GET", PATH).json()["reason"] == words.UNKNOWN["few_questions"]


def test_routes_that_are_not_seen_are_not_there(database: Database, own: str) -> None:
    asked_of(database)
    assert asked(api_with(database, own), "GET", "/v1/routes/none/prod/coverage").status_code == 404
    app = make(api_with(database, own))
    mine, theirs = (bearer(key(database, "viewer", glob)) for glob in ("support-bot/*", "other/*"))
    found, hidden = answers(app, [("GET", PATH, {"headers": mine}), ("GET", PATH, {"headers": theirs})])
    assert (found.status_code, hidden.status_code) == (200, 404)


def test_hostile_questions_are_text_and_nothing_else(database: Database, own: str) -> None:
    hostile = [f"How large a dose of {payload} may a teenager take" for payload in PAYLOADS]
    asked_of(database)
    recorded(database, *scored(hostile, first=len(QUESTIONS)))
    recorded(database, *(kept(len(QUESTIONS) + i, text) for i, text in enumerate(hostile)))
    api = api_with(database, own)
    before = outline(asked(api, "GET", f"/routes/{ROUTE}", headers=HTML).text)
    watch_on(database, own).look()
    text = asked(api, "GET", f"/routes/{ROUTE}", headers=HTML).text
    plain = {name for name, _ in before.elements}
    added = {name for name, _ in outline(text).elements} - plain
    assert added <= {"ol", "details", "summary", "code", "bdi", "ul", "strong", "li"}
    assert not any(name.startswith("on") for _, given in outline(text).elements for name, _ in given)


def test_what_was_measured_long_ago_is_said_to_be_and_is_no_share(database: Database, own: str) -> None:
    asked_of(database)
    watch_on(database, own, hour=-60).look()
    api, reason = api_with(database, own), words.too_old(later(-60))
    found = asked(api, "GET", PATH).json()
    assert (found["known"], found["share"], found["headline"], found["reason"]) == (False, None, "", reason)
    assert f"{words.unknown(reason)}." in page_text(api)
