"""Signing in: a key becomes a session that ends with it, and no other site's page gains anything by it."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from services.api.app import make
from services.api.auth.authentication import Authenticator
from services.store import api_keys
from services.store.decisions import DecisionRow
from services.store.engine import Database
from services.store.tables import table
from services.wording.decisions import kind_by
from tests.support.access import Browser, answers, bearer, key
from tests.support.api import NOW, Wire, api_on, later, recorded
from tests.support.records import ROUTE, alert


@pytest.fixture
def app(database: Database) -> FastAPI:
    recorded(database, alert("firing", 300))
    return make(api_on(database, Wire()))


def test_a_browser_is_sent_to_the_form_and_from_there_to_what_it_asked_for(app: FastAPI, database: Database) -> None:
    secret, browser = key(database, "operator", name="mara"), Browser(app)
    sent = browser.get("/incidents?x=%2F1&y=a b")
    assert (sent.status_code, sent.headers["location"]) == (303, "/login?next=/incidents%3Fx%3D%252F1%26y%3Da%2520b")
    form = browser.get(sent.headers["location"])
    assert (form.status_code, 'name="next" value="/incidents?x=%2F1&amp;y=a%20b"' in form.text) == (200, True)
    done = browser.sign_in(secret, "/incidents?x=%2F1&y=a%20b")
    assert (done.status_code, done.headers["location"]) == (303, "/incidents?x=%2F1&y=a%20b")
    page = browser.get("/incidents")
    assert page.status_code == 200
    assert "Signed in as <bdi>mara</bdi> (operator)" in page.text
    assert browser.get("/v1/incidents").status_code == 200


def test_the_cookie_is_no_key_and_stays_with_the_browser_and_its_site(app: FastAPI, database: Database) -> None:
    secret = key(database, "viewer", expires=later(3))
    cookies = Browser(app).sign_in(secret).headers.get_list("set-cookie")
    [session] = [one for one in cookies if one.startswith("keelwatch_session=")]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(session.split("; "))
    assert "Secure" not in session
    assert "15:00:00 GMT" in session  # when the key ends, before twelve hours
    token = session.partition(";")[0].partition("=")[2]
    assert not {secret.secret, secret.id, secret.text} & {token}
    with database.read() as connection:
        ring = api_keys.credentials(connection, NOW)
    assert (token in ring.sessions, len(ring.sessions)) == (False, 1)
    [answer] = answers(app, [("GET", "/v1/incidents", {"headers": bearer(token)})])
    assert answer.status_code == 401
    secured = Browser(app, "https://127.0.0.1:8400").sign_in(secret).headers.get_list("set-cookie")
    assert all("; Secure" in one for one in secured)


@pytest.mark.parametrize("how", ["signs out", "key revoked", "session expires", "key expires"])
def test_a_session_ends(database: Database, how: str) -> None:
    now = [NOW]
    app = make(api_on(database, Wire(), door=Authenticator(database, clock=lambda: now[0])))
    secret = key(database, "viewer", expires=later(5) if how == "key expires" else later(99))
    browser, copy = Browser(app), Browser(app)
    browser.sign_in(secret)
    copy.cookies = browser.cookies
    assert copy.get("/incidents").status_code == 200
    if how == "signs out":
        assert browser.post("/logout", {"token": browser.token}).headers["location"] == "/login"
        assert "keelwatch_session" not in browser.cookies
    elif how == "key revoked":
        with database.write() as connection:
            assert api_keys.revoke(connection, secret.id, NOW)
    else:
        now[0] = later(5 if how == "key expires" else 12)
    again = make(api_on(database, Wire(), door=Authenticator(database, clock=lambda: now[0])))  # another replica
    copied = Browser(again)
    copied.cookies = copy.cookies
    assert copied.get("/incidents").headers["location"] == "/login?next=/incidents"


def test_a_form_of_another_browser_signs_nobody_in_or_out(app: FastAPI, database: Database) -> None:
    secret, browser = key(database, "viewer"), Browser(app)
    browser.get("/login")
    before = browser.token
    for token in ("", "A" * 43):
        refused = browser.post("/login", {"token": token, "next": "/", "key": secret.text})
        assert (refused.status_code, "not of this browser" in refused.text) == (403, True)
    browser.sign_in(secret)
    assert browser.token != before
    assert browser.post("/logout", {"token": before}).status_code == 403
    foreign = browser.post("/login", {"token": browser.token, "key": secret.text}, origin="http://evil.example")
    assert foreign.status_code == 403
    assert browser.get("/incidents").status_code == 200


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "/login",
        "/logout",
        "",
        "x",
        "/" + "a" * 2000,
        "/\u202e",
        "//[",
    ],
)
def test_nobody_is_sent_elsewhere(app: FastAPI, database: Database, to: str) -> None:
    assert Browser(app).sign_in(key(database, "viewer"), to).headers["location"] == "/"


def test_a_wrong_key_says_so_and_too_many_are_slowed_down_for_that_client_alone(
    app: FastAPI, database: Database
) -> None:
    good, ingest, browser = key(database, "viewer"), key(database, "ingest"), Browser(app)
    assert browser.sign_in(ingest).status_code == 403
    fields = {"token": browser.token, "next": "/", "key": "kw_" + "0" * 16 + "_" + "0" * 64}
    tried = [browser.post("/login", fields)]
    while tried[-1].status_code == 401:  # one more is allowed every two seconds, which a busy machine may take
        tried.append(browser.post("/login", fields))
    assert [one.status_code for one in tried[:10]] == [401] * 10
    assert (tried[-1].status_code, len(tried) < 40) == (429, True)
    assert "this is no key of this deployment" in tried[0].text
    assert int(tried[-1].headers["retry-after"]) > 0
    assert browser.sign_in(good).status_code == 303  # who is right never waits
    [other] = answers(app, [("GET", "/v1/incidents", {"headers": bearer("kw_x")})])
    assert other.status_code == 401


def test_the_key_signs_what_is_decided(app: FastAPI, database: Database) -> None:
    browser = Browser(app)
    browser.sign_in(key(database, "operator", name="mara"))
    [incident] = browser.get("/v1/incidents").json()["items"]
    page = browser.get(f"/incidents/{incident['id']}")
    assert ("Decided as <bdi>mara</bdi>" in page.text, 'name="actor"' in page.text) == (True, False)
    fields = {"token": browser.token, "kind": "acknowledge", "actor": "somebody else"}
    assert browser.post(f"/incidents/{incident['id']}/decisions", fields).status_code == 303
    body = {"kind": "silence", "route": ROUTE, "reason": "tests", "expires": later(2).isoformat()}
    program = bearer(key(database, "operator", name="ci"))
    told = [
        ("POST", "/v1/decisions", {"json": body | more, "headers": program})
        for more in ({}, {"actor": "theo", "expires": later(3).isoformat()})
    ]
    assert [one.status_code for one in answers(app, told)] == [202, 202]
    text = browser.get(f"/incidents/{incident['id']}").text
    assert f"<bdi>{kind_by('acknowledge', 'mara')}</bdi>" in text
    with database.read() as connection:
        found = connection.execute(select(table(DecisionRow).c.payload)).scalars().all()
    assert sorted(one.split('"actor":"')[1].split('"')[0] for one in found) == ["ci", "mara", "theo via ci"]


def test_a_link_on_another_site_finds_the_session_that_the_browser_kept_to_itself(
    app: FastAPI, database: Database
) -> None:
    key(database, "viewer")
    linked = Browser(app).get("/incidents/x?a=1", **{"sec-fetch-site": "cross-site"})
    assert linked.status_code == 200
    assert 'content="0; url=/incidents/x?a=1"' in linked.text
    second = Browser(app).get("/incidents/x?a=1", **{"sec-fetch-site": "same-origin"})
    assert second.status_code == 303


def test_without_a_key_the_form_says_how_to_make_one(app: FastAPI) -> None:
    told = Browser(app).get("/login")
    assert (told.status_code, "keelwatch key create" in told.text, "<form" in told.text) == (200, True, False)
