"""The pages say what is known, take decisions once, and show what models and people wrote as text alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from schemas.evaluation import PairPreferences
from services.api.app import Api
from services.api.auth.csrf import FORM_COOKIE
from services.store import decisions, incidents
from services.store.engine import Database
from services.wording import evaluations, numbers
from services.wording import incidents as words
from services.wording.decisions import DECISIONS, decided_already
from tests.api.pages import told
from tests.support.api import Wire, api_on, asked, later, recorded
from tests.support.databases import on_sqlite
from tests.support.hostile_pages import PAYLOADS
from tests.support.outline import Outline, outline
from tests.support.records import ROUTE, alert, comparison, decision

HTML = {"accept": "text/html"}


@pytest.fixture
def api(database: Database) -> Api:
    """An API on an empty database."""
    return api_on(database, Wire())


def page(api: Api, path: str) -> Outline:
    answer = asked(api, "GET", path, headers=HTML)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    return outline(answer.text)


def form(api: Api, id: str) -> tuple[dict[str, str], dict[str, str]]:
    """The cookie and the token that a browser gets with the page."""
    answer = asked(api, "GET", f"/incidents/{id}", headers=HTML)
    token = outline(answer.text).named("token")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    return {"cookie": f"{FORM_COOKIE}={token}"}, {"token": token, "actor": "mara", "reason": "seen"}


def press(api: Api, id: str, kind: str, headers: Mapping[str, str], fields: Mapping[str, Any]) -> httpx.Response:
    own = {"origin": "http://127.0.0.1:8400", "sec-fetch-site": "same-origin", **HTML, **headers}
    return asked(api, "POST", f"/incidents/{id}/decisions", data={"kind": kind, **fields}, headers=own)


def test_an_empty_database_says_what_to_do(api: Api) -> None:
    text = page(api, "/incidents").text
    assert "No incident is open" in text
    assert "POST /v1/exchanges" in text


def test_the_list_shows_the_worst_first_and_the_resolved_apart(api: Api) -> None:
    base = {"hours": 5}
    recorded(api.database, alert("firing", 300, route="a", **base))
    recorded(api.database, alert("firing", 300, route="b", severity="critical", **base))
    recorded(api.database, alert("firing", 300, route="c", **base))
    [last] = api.database.query(incidents.find, "c")
    recorded(api.database, decision("resolve", route="c", incident=last.id))
    text = page(api, "/incidents").text
    assert "2 incidents open" in text
    places = [text.index(f"The refusal rate of {route} ") for route in "bac"]
    assert places == sorted(places)
    assert text.index("Resolved") < places[2]


def test_an_incident_says_what_moved_why_how_sure_and_what_the_suite_found(api: Api) -> None:
    database = api.database
    judged = PairPreferences(judge="custom.better", version="1", worse=9, better=1, p=0.02, worse_items=("x-1", "x-2"))
    recorded(database, alert("firing", 300), comparison("regressed", 6, preferences=judged))
    [incident] = api.database.query(incidents.find)
    text = " ".join(page(api, f"/incidents/{incident.id}").text.split())
    for said in (
        f"{words.title(incident)}{words.sureness(incident)}",
        "warning open since 24 Nov 2026 17:00 UTC (43 hours ago)",
        words.verdict_in_full(incident),
        f"Safety suite core. {evaluations.OUTCOMES['regressed']}",
        "Refusal rate fell",
        "18.8% 12.0%",
        words.details(alert("firing", 300)),
        f"Refusal (jailbreak) {evaluations.SHORT['regressed']} 98.0% 71.0% 200",
        f"change {numbers.change(-33.0, -21.0, 'pp')}",
        f"{evaluations.preferences(judged)} Worse: x-1, x-2",
        *(entry.text for entry in incident.timeline),
        *(entry.details for entry in incident.timeline if entry.details),
    ):
        assert said in text, said


def test_what_is_unknown_is_never_shown_as_safe(api: Api) -> None:
    recorded(
        api.database,
        alert("firing", 300, effect=None),
        comparison("inconclusive", 6, reason="no run of the baseline", hazards=()),
    )
    [incident] = api.database.query(incidents.find)
    text = page(api, f"/incidents/{incident.id}").text
    assert evaluations.OUTCOMES["inconclusive"] in text
    assert numbers.UNKNOWN in text


def test_a_button_decides_once_and_a_second_person_is_told_so(api: Api) -> None:
    recorded(api.database, alert("firing", 300))
    [incident] = api.database.query(incidents.find)
    cookie, fields = form(api, incident.id)
    done = press(api, incident.id, "acknowledge", cookie, {**fields, "reason": " "})
    assert (done.status_code, done.headers["location"]) == (303, f"/incidents/{incident.id}")
    with api.database.read() as connection:
        [made] = decisions.of_incident(connection, incident.id)
    assert (made.kind, made.actor, made.reason, made.expires) == ("acknowledge", "mara", "looking at it", None)

    shown = asked(api, "GET", f"/incidents/{incident.id}", headers=HTML)
    assert f"{DECISIONS['acknowledge'].done} by mara (just now). It is on its way" in " ".join(
        outline(shown.text).text.split()
    )
    assert '<noscript><meta http-equiv="refresh" content="3">' in shown.text
    again = press(api, incident.id, "acknowledge", cookie, {**fields, "actor": "theo"})
    text = " ".join(outline(again.text).text.split())
    assert (again.status_code, "http-equiv" in again.text) == (409, False)
    assert f"Nothing was changed: {decided_already(made)}" in text
    assert outline(again.text).named("actor") == "theo"

    recorded(api.database, made)
    shown = asked(api, "GET", f"/incidents/{incident.id}", headers=HTML)
    assert "http-equiv" not in shown.text
    assert 'value="acknowledge"' not in shown.text
    assert press(api, incident.id, "resolve", cookie, fields).status_code == 303


def test_a_snooze_ends_when_the_form_says(api: Api) -> None:
    recorded(api.database, alert("firing", 300))
    [incident] = api.database.query(incidents.find)
    cookie, fields = form(api, incident.id)
    assert press(api, incident.id, "snooze", cookie, {**fields, "hours": "12"}).status_code == 303
    with api.database.read() as connection:
        [made] = decisions.of_incident(connection, incident.id)
    assert made.expires == later(12)


def test_a_resolved_incident_offers_a_comment_alone_and_takes_no_decision(api: Api) -> None:
    recorded(api.database, alert("firing", 300))
    [incident] = api.database.query(incidents.find)
    cookie, fields = form(api, incident.id)
    recorded(api.database, decision("resolve", incident=incident.id))
    shown = asked(api, "GET", f"/incidents/{incident.id}", headers=HTML)
    assert re.findall(r'<button name="kind" value="(\w+)"', shown.text) == ["comment"]
    late = press(api, incident.id, "accept_baseline", cookie, fields)
    assert late.status_code == 409
    assert "the incident was resolved already by mara" in late.text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"token": ""}, 403),
        ({"token": "A" * 43}, 403),
        ({"cookie": ""}, 403),
        ({"cookie": f"{FORM_COOKIE}="}, 403),
        ({"origin": "http://evil.example", "sec-fetch-site": ""}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"kind": "announce"}, 422),
        ({"kind": "constructor"}, 422),
        ({"actor": " "}, 422),
        ({"actor": "x" * 201}, 422),
        ({"reason": ""}, 422),
        ({"hours": "99999999999999999999", "kind": "silence"}, 422),
    ],
)
def test_a_form_that_is_not_whole_or_not_ours_decides_nothing(api: Api, change: dict[str, str], status: int) -> None:
    recorded(api.database, alert("firing", 300))
    [incident] = api.database.query(incidents.find)
    headers, fields = form(api, incident.id)
    for name, value in change.items():
        (headers if name in ("cookie", "origin", "sec-fetch-site") else fields)[name] = value
    answer = press(api, incident.id, fields.pop("kind", "resolve"), headers, fields)
    assert answer.status_code == status
    with api.database.read() as connection:
        assert decisions.of_incident(connection, incident.id) == ()


def test_what_is_not_there_is_a_page_for_a_browser(api: Api) -> None:
    for path in ("/incidents/0000000000000000", "/incidents/%00", "/nothing"):
        answer = asked(api, "GET", path, headers=HTML)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "Not found" in answer.text


@on_sqlite
def test_eighty_hostile_texts_are_text_alone(database: Database) -> None:
    """Every part from outside says the payload: the page has the very elements and attributes of a harmless one."""
    assert len(set(PAYLOADS)) == 80
    api = api_on(database, Wire())
    for i, payload in enumerate(PAYLOADS):
        harmless, hostile = f"bot{i}/a", f"bot{i}/b"
        clean = payload.replace("\0", "\N{REPLACEMENT CHARACTER}")
        plain, id = told(database, f"harmless {i}", harmless), told(database, clean, hostile)
        wanted, found = page(api, f"/incidents/{plain}"), page(api, f"/incidents/{id}")
        assert _bones(found) == _bones(wanted), payload
        assert found.text.count(clean) > 20, payload
    listed = page(api, "/incidents")
    assert {tag for tag, _ in listed.elements} <= {tag for tag, _ in wanted.elements} | {"ul", "li"}


def _bones(shown: Outline) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """Elements and attributes, but for what differs between any two incidents: ids, tokens and the like."""
    own = {("form", "action"), ("a", "href"), ("input", "value"), ("main", "data-live")}
    return [
        (tag, [(name, None if (tag, name) in own else value) for name, value in attrs]) for tag, attrs in shown.elements
    ]


def test_a_form_that_comes_back_shows_what_it_held_as_text(api: Api) -> None:
    recorded(api.database, alert("firing", 300, route=ROUTE))
    [incident] = api.database.query(incidents.find)
    headers, fields = form(api, incident.id)
    plain = press(api, incident.id, "explode", headers, {**fields, "actor": "mara", "reason": "x"})
    for payload in PAYLOADS:
        answer = press(api, incident.id, "explode", headers, {**fields, "actor": payload, "reason": payload})
        assert answer.status_code == 422
        assert _bones(outline(answer.text)) == _bones(outline(plain.text))
