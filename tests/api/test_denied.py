"""Every path of the application, asked by those who may not: refused before anything that they sent is parsed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from services.api.app import make
from services.api.auth.middleware import needs_no_key
from services.api.http import otlp_answers
from services.store.engine import Database
from tests.support.access import PAGE, answers, bearer, key
from tests.support.api import Pieces, Wire, api_on, later, recorded
from tests.support.records import alert

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
GARBAGE = ("x", "%00", "%FF%FE", "..%2F..", "9" * 400, "%E2%80%AE", "'%3B--")
QUERY = "?limit=x&cursor=%00&route=UP&state=%FF&since=never&limit=" + "9" * 400
BODY = {"content": b'{"kind": [\xff', "headers": {"content-type": "application/json"}}
INGEST = {("POST", "/v1/exchanges"), *(("POST", path) for path in otlp_answers.PATHS)}
ANY_READER = {("POST", "/logout")}
PUBLIC = {"/login", "/static/*", "/v1/webhooks/github"}


@pytest.fixture
def app(database: Database) -> FastAPI:
    recorded(database, alert("firing", 300))
    return make(api_on(database, Wire()))


def paths(app: FastAPI) -> dict[str, set[str]]:
    """Path as it is declared -> its methods; of what is mounted everything below."""
    found: dict[str, set[str]] = {}
    for route in iter_route_contexts(app.routes):
        path = route.path if route.methods else f"{route.path}/*"
        found.setdefault(path, set()).update(route.methods or ())
    return found


def filled(path: str) -> Iterator[str]:
    """The path with garbage for its parameters."""
    for value in GARBAGE if "{" in path or "*" in path else ("",):
        yield re.sub(r"\{[^}]*\}|\*", value, path)


def test_the_walk_sees_the_paths_that_there_are(app: FastAPI) -> None:
    found = paths(app)
    assert {"/v1/exchanges", "/v1/incidents/{id}", "/incidents/{id}/decisions", "/login", "/openapi.json"} <= set(found)
    assert {path for path in found if needs_no_key(path.replace("*", "x"))} == PUBLIC


def test_without_a_good_key_every_path_is_401_whatever_is_sent(app: FastAPI, database: Database) -> None:
    good, revoked = key(database, "admin"), key(database, "admin", revoked=later(-1))
    expired = key(database, "admin", expires=later(0))
    nobody = f"kw_{'ab' * 8}_{'cd' * 32}"
    wrong = f"kw_{good.id}_{'cd' * 32}"
    sent = ["", bearer(nobody), bearer(wrong), bearer(revoked), bearer(expired), bearer("kw_"), bearer(good.text + "0")]
    sent += [{"authorization": "Basic eDp5"}, {"cookie": "keelwatch_session=" + "A" * 43}, bearer(good.secret)]
    some = [path for path in paths(app) if path not in PUBLIC] + ["/nothing", "/v1/*", "/login/", "/static", "//livez"]
    asked = [
        (method, f"{path}{QUERY}", {**BODY, "headers": BODY["headers"] | dict(headers)})
        for declared in some
        for path in filled(declared)
        for method in METHODS
        for headers in (sent if path == declared else sent[:2])
    ]
    refused = answers(app, asked)
    assert {(one.status_code, one.headers["www-authenticate"][:6]) for one in refused} == {(401, "Bearer")}
    forms = {(one.request.url.path in otlp_answers.PATHS, one.headers["content-type"]) for one in refused}
    assert forms == {(False, "application/problem+json"), (True, "application/json")}
    assert len(refused) > 500
    [fine] = answers(app, [("GET", "/v1/incidents", {"headers": bearer(good)})])
    assert fine.status_code == 200


@pytest.mark.parametrize("role", ["ingest", "viewer", "operator", "admin"])
def test_a_role_that_may_not_is_403_whatever_is_sent(app: FastAPI, database: Database, role: str) -> None:
    who = bearer(key(database, role))
    declared = [
        (method, name, path)
        for name, methods in paths(app).items()
        if name not in PUBLIC
        for method in methods
        for path in filled(name)
        if "%2F" not in path  # which is another path
    ]
    asked = [(m, f"{path}{QUERY}", {**BODY, "headers": BODY["headers"] | who}) for m, _, path in declared]
    got = answers(app, asked)
    for (method, name, path), answer in zip(declared, got, strict=True):
        changes = method not in ("GET", "HEAD")
        one = (method, name)
        may = {
            "ingest": one in INGEST,
            "viewer": not changes or one in ANY_READER,
            "operator": one not in INGEST,
            "admin": True,
        }[role]
        if may:
            assert answer.status_code != 401, (method, path)
            # The stream of this application has ended, as that of a server that stops.
            assert answer.status_code < 500 or name == "/live", (method, path, answer.text)
        else:
            assert answer.status_code == 403, (method, path, answer.text)
            said = answer.json()["message" if name in otlp_answers.PATHS else "detail"]
            assert f"the role {role}; this needs the role" in said


def test_no_byte_of_a_body_is_taken_from_who_may_not_send_it(app: FastAPI, database: Database) -> None:
    viewer = key(database, "viewer")
    for headers, status in (({}, 401), (bearer("kw_x"), 401), (bearer(viewer), 403)):
        for method, path in INGEST:
            pieces = Pieces(b"x", 3)
            [answer] = answers(app, [(method, path, {"content": pieces, "headers": headers})])
            assert (answer.status_code, pieces.taken) == (status, 0)


def test_what_needs_no_key_is_answered_and_nothing_beside_it(app: FastAPI, database: Database) -> None:
    key(database, "admin")
    style, login, beside, away = answers(
        app,
        [
            ("GET", "/static/keelwatch.css", {}),
            ("GET", "/login", {"headers": PAGE}),
            ("GET", "/static/%2e%2e/templates/base.html", {}),
            ("GET", "/static/../v1/incidents", {}),
        ],
    )
    assert (style.status_code, login.status_code, beside.status_code, away.status_code) == (200, 200, 404, 401)
    probes = answers(app, [("GET", path, {}) for path in ("/livez", "/readyz", "/metrics", "/slack/actions")])
    assert {one.status_code for one in probes} == {404}  # of the process around this application, and not refused


def test_the_last_key_that_is_revoked_opens_nothing(app: FastAPI, database: Database) -> None:
    key(database, "admin", revoked=later(-1))
    [answer] = answers(app, [("GET", "/v1/incidents", {})])
    assert answer.status_code == 401
