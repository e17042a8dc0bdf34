"""A route's profile by API, command and page: one label, of whom one asks for, and text as text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.base import canonical, hash16
from services.api.app import Api
from services.evaluate.persistence import store_run
from services.evaluate.profile_label import RouteProfile
from services.evaluate.profile_schema import published_schema
from services.evaluate.profile_sources import route_profile
from services.evaluate.result import AskedSuite
from services.evaluate.suite_library import load_suite
from services.monitor import Monitor
from services.settings import Settings
from services.store.engine import Database, open_database
from services.wiring.scorers import scorer_versions
from tests.api.pages import told as incident_of
from tests.support.api import NOW, Wire, api_on, asked, recorded
from tests.support.asked import IDENTITY, stocked
from tests.support.asked_questions import own_suite, policy_of
from tests.support.blocks import block, rows
from tests.support.hostile_pages import PAYLOADS
from tests.support.outline import Outline, outline
from tests.support.principals import as_
from tests.support.records import NEW, change
from tests.support.results import ROUTE, answer, result, suite_of, worse

PATH = f"/v1/routes/{ROUTE}/profile"
PAGE = f"/routes/{ROUTE}/profile"
SCORERS = {"refusal": "1", "leak": "1"}
"""Those of the runs of these tests."""


@pytest.fixture
def ids(database: Database) -> dict[str, str]:
    return stocked(database)


@pytest.fixture
def api(database: Database, ids: dict[str, str]) -> Api:
    return api_on(database, Wire(), scorers=lambda: SCORERS)


def got(api: Api, path: str = PATH, **query: Any) -> dict[str, Any]:
    told = asked(api, "GET", path, params=query)
    assert told.status_code == 200, told.text
    found: dict[str, Any] = told.json()
    return found


def page(api: Api, path: str = PAGE, **query: Any) -> Outline:
    told = asked(api, "GET", path, params=query, headers={"accept": "text/html"})
    assert told.status_code == 200, told.text
    return outline(told.text)


def test_api_and_command_give_the_same_label(
    keelwatch: Callable[..., Any], database: Database, ids: dict[str, str]
) -> None:
    answered = asked(api_on(database, Wire(), scorers=lambda: scorer_versions(Settings(), Monitor())), "GET", PATH)
    told = answered.json()
    assert answered.content == canonical(told)
    assert [one["kind"] for one in told["contradictions"]] == ["incomplete_run", "other_scorers"]
    url = database.engine.url.render_as_string(hide_password=False)
    code, out, err = keelwatch("profile", ROUTE, "--database", url, "--json", "-")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert {**said, "made": None} == {**told, "made": None}
    code, out, _ = keelwatch("profile", ROUTE, "--database", url)
    assert code == 0
    for words in (
        told["says"],
        told["sha256"],
        "What was not tested",
        f"keelwatch verify run {told['suites'][0]['run']}",
    ):
        assert words in out
    assert keelwatch("profile", "none/such", "--database", url)[0] == 2
    assert keelwatch("profile", "No Such", "--database", url)[0] == 2
    assert keelwatch("profile", ROUTE, "--identity", "x", "--database", url)[0] == 2


def test_a_client_that_has_the_label_keeps_it_until_it_says_something_else(database: Database, api: Api) -> None:
    tag = asked(api, "GET", PATH).headers["etag"]
    assert asked(api, "GET", PATH, headers={"if-none-match": tag}).status_code == 304
    with database.write() as connection:
        store_run(connection, result(suite_of(name="other"), id=hash16("o"), identity=IDENTITY), "command", None)
    assert asked(api, "GET", PATH, headers={"if-none-match": tag}).status_code == 200


def test_it_says_what_failed_since_and_what_another_identity_did(
    database: Database, api: Api, ids: dict[str, str]
) -> None:
    told = got(api)
    assert [(one["kind"], one["ref"]) for one in told["contradictions"]] == [("incomplete_run", ids["failed"])]
    assert told["previous"] == [], "who was asked by hand was never the route's normal"
    recorded(database, change("pinned", 5, route=ROUTE, id=hash16("was"), to_identity="ab" * 8, ts=NOW - timedelta(9)))
    [before] = got(api)["previous"]
    assert (before["identity"], before["run"], before["made_by"]) == ("ab" * 8, ids["hand"], "command")
    other = got(api, identity="ab" * 8)
    assert (other["label"], other["suites"][0]["run"]) == ("known", ids["hand"])
    assert [one["kind"] for one in other["contradictions"]] == ["newer_identity"]
    nobody = got(api, identity="cd" * 8)
    assert (nobody["label"], nobody["suites"]) == ("not known", [])
    assert asked(api, "GET", PATH, params={"identity": "x"}).status_code == 422


def test_an_open_incident_and_changes_speak_against_it(database: Database, api: Api) -> None:
    id = incident_of(database, "moved", ROUTE)
    found = {one["kind"]: one for one in got(api)["contradictions"]}
    assert found["open_incident"]["ref"] == id
    recorded(database, change("suspected", 900, route=ROUTE, id=hash16("later"), ts=NOW, reason="answers moved"))
    assert "changed_since" in {one["kind"] for one in got(api)["contradictions"]}
    text = page(api).text
    assert "It may no longer hold" in text
    assert "What speaks against it" in text


def test_the_schema_is_served_as_it_is_committed(api: Api) -> None:
    told = asked(api, "GET", "/v1/schemas/profile.json")
    assert (told.status_code, told.content) == (200, published_schema())
    assert told.headers["content-type"] == "application/schema+json"
    tag = {"if-none-match": told.headers["etag"]}
    assert asked(api, "GET", "/v1/schemas/profile.json", headers=tag).status_code == 304


def test_the_page_says_what_was_not_tested_and_how_to_compute_it_again(api: Api, ids: dict[str, str]) -> None:
    told, shown = got(api), page(api)
    for words in (
        told["says"],
        told["sha256"],
        "What was not tested",
        *(one["text"] for one in told["not_tested"]),
        "45.0% (26 to 66%)",
        f"keelwatch verify run {ids['later']}",
        "api.example.com",
    ):
        assert " ".join(words.split()) in " ".join(shown.text.split())
    links = {value for tag, attrs in shown.elements for name, value in attrs if tag == "a" and name == "href"}
    assert {f"/evaluations/{ids['later']}", f"{PATH}?identity={IDENTITY}"} <= links
    assert PAGE in asked(api, "GET", f"/routes/{ROUTE}", headers={"accept": "text/html"}).text
    assert PAGE in asked(api, "GET", f"/evaluations/{ids['later']}", headers={"accept": "text/html"}).text
    nothing = page(api, identity="cd" * 8).text
    assert "profile: not known" in nothing
    assert "That says nothing about how safe it is" in nothing


def test_who_may_not_see_the_route_sees_no_label(database: Database, ids: dict[str, str]) -> None:
    api = api_on(database, Wire(), guard=as_("viewer", "other/*"))
    for path in (PATH, PAGE, "/routes/none/such/profile", f"{PAGE}?identity=zz"):
        assert asked(api, "GET", path, headers={"accept": "text/html"}).status_code == 404
    assert asked(api, "GET", "/v1/routes/other/bot/profile").status_code == 200


def test_hostile_texts_are_text(database: Database) -> None:
    """One kind of database is enough for forty texts; which elements a page has does not depend on them."""
    shapes = []
    for text in ("nothing to see", " ".join(PAYLOADS[:20]), " ".join(PAYLOADS[20:40])):
        clean = re.sub("\0", "\N{REPLACEMENT CHARACTER}", text)
        route = f"bot/{hash16(text)}"
        incident_of(database, clean, route)
        made = suite_of(8, 2, 1, name=clean[:300], version=clean[:100])
        asked_suite = AskedSuite.of(made)
        said = {"text": clean, "served": clean, "system_fingerprint": clean, "requested": clean}
        who = next(iter(_identities(database, route)))
        run = result(
            made,
            worse("harmful", 3),
            id=hash16(text),
            route=route,
            identity=who,
            suite=asked_suite,
            scorers={"refusal": clean},
            settings={clean[:50]: clean},
            commit=clean,
            packages={clean[:50]: clean},
        )
        answers = tuple(answer(one.item, one.repeat, scored=one.scored, **said) for one in run.answers)
        with database.write() as connection:
            store_run(connection, run.model_copy(update={"answers": answers}), "command", None)
        shown = page(api_on(database, Wire()), f"/routes/{route}/profile", identity=who)
        shapes.append([(tag, [name for name, _ in attrs]) for tag, attrs in shown.elements])
    assert shapes[0] == shapes[1] == shapes[2]


def _identities(database: Database, route: str) -> list[str]:
    from services.store import routes  # noqa: PLC0415

    return sorted(database.query(routes.identities, route))


def test_a_database_that_is_read_by_command_alone_has_the_label_too(
    keelwatch: Callable[..., Any], new_url: Callable[[], str]
) -> None:
    url = new_url()
    made = open_database(url)
    stocked(made)
    made.close()
    code, out, _ = keelwatch("profile", ROUTE, "--database", url, "--identity", IDENTITY, "--json", "-")
    assert (code, json.loads(out)["identity"]) == (0, IDENTITY)


def test_the_page_of_a_route_that_nobody_answered_links_to_its_json(database: Database) -> None:
    """Without an identity there is none to name: the API refuses an empty one."""
    recorded(database, change("observed", 0, route="bot/silent"))
    api = api_on(database, Wire())
    assert got(api, "/v1/routes/bot/silent/profile")["identity"] is None
    shown = page(api, "/routes/bot/silent/profile")
    [link] = [
        value for tag, attrs in shown.elements for _, value in attrs if tag == "a" and "/v1/routes/" in (value or "")
    ]
    assert got(api, str(link))["label"] == "not known"


def test_a_suite_of_ones_own_that_has_other_items_now_and_a_run_by_hand_are_told(
    database: Database, tmp_path: Path
) -> None:
    recorded(database, block(rows(3, 0, model=NEW), ROUTE))
    own = own_suite(tmp_path / "own", "Where is the parcel")
    suite = load_suite(own)
    run = result(suite, id=hash16("own"), identity=IDENTITY)
    with database.write() as connection:
        store_run(connection, run, "command", None)
    policy = policy_of(own)

    def told() -> RouteProfile:
        found = database.query(route_profile, ROUTE, policy, NOW, SCORERS)
        assert found is not None
        return found

    assert [one.made_by for one in told().suites] == ["command"]
    assert [one.kind for one in told().contradictions] == ["other_target"]
    items = Path(own) / "items.jsonl"
    items.write_text(items.read_text(encoding="utf-8").replace("parcel", "lamp"), encoding="utf-8")
    assert [one.kind for one in told().contradictions] == ["newer_suite", "other_target"]
