"""What people decide is checked against the incident as it is, written once, and never half."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest

from schemas.base import iso
from schemas.decision import Decision, DecisionKind
from schemas.incident import Incident
from services.alert.state import AlertState, Mute
from services.api.app import Api
from services.monitor import Monitor, RoutePolicy
from services.store import decisions, incidents, routes, step_states
from services.store.codec import pack
from services.store.engine import Database
from services.wording.decisions import already, decided_already, ended_already, no_mute
from tests.support.access import bearer, key
from tests.support.api import NOW, Wire, all_asked, api_on, application, asked, later, recorded
from tests.support.records import ROUTE, alert, decision

PATH = "/v1/decisions"
SAID = {"route": ROUTE, "actor": "mara", "reason": "we looked at it"}


@pytest.fixture
def api(database: Database) -> Api:
    """An API on a database with one open incident."""
    recorded(database, alert("firing", 300))
    return api_on(database, Wire())


@pytest.fixture
def incident(api: Api) -> Incident:
    [one] = api.database.query(incidents.find)
    return one


def written(api: Api, incident: str) -> list[Decision]:
    with api.database.read() as connection:
        return list(decisions.of_incident(connection, incident))


def decide(api: Api, kind: str, incident: Incident, **fields: Any) -> Any:
    return asked(api, "POST", PATH, json={"kind": kind, "incident": incident.id, **SAID, **fields})


def test_a_decision_is_written_as_the_record_that_it_is(api: Api, incident: Incident) -> None:
    answer = decide(api, "acknowledge", incident, ts="2026-11-25T08:00:00+02:00")
    made = decision("acknowledge", ts="2026-11-25T06:00:00Z", incident=incident.id)
    assert (answer.status_code, answer.json()) == (202, {"id": made.id, "ts": "2026-11-25T06:00:00Z", "until": None})
    assert written(api, incident.id) == [made]


def test_the_same_decision_twice_is_one_also_at_the_same_time(api: Api, incident: Incident) -> None:
    body = {"kind": "resolve", "incident": incident.id, **SAID, "ts": "2026-11-25T06:00:00Z"}
    answers = all_asked(api, [("POST", PATH, {"json": body})] * 8)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(written(api, incident.id)) == 1


def test_of_many_who_end_an_incident_at_the_same_time_one_does(api: Api, incident: Incident) -> None:
    body = {"kind": "resolve", "incident": incident.id, **SAID}
    answers = all_asked(api, [("POST", PATH, {"json": {**body, "actor": f"p{i}"}}) for i in range(6)])
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 5
    [winner] = written(api, incident.id)
    told = {answer.json()["detail"] for answer in answers if answer.status_code == 409}
    assert told == {ended_already(winner)}


def test_a_decision_is_never_before_what_it_is_about(database: Database) -> None:
    recorded(database, alert("firing", 300, hours=200))
    api = api_on(database, Wire())
    [ahead] = api.database.query(incidents.find)
    assert ahead.updated_at > NOW
    decide(api, "acknowledge", ahead)
    [made] = written(api, ahead.id)
    assert made.ts > ahead.updated_at
    recorded(database, made)
    assert api.database.query(incidents.find)[0].state == "acknowledged"


def test_a_decision_that_would_change_nothing_is_refused_with_the_reason(api: Api, incident: Incident) -> None:
    database = api.database
    assert decide(api, "acknowledge", incident).status_code == 202
    again = decide(api, "acknowledge", incident, actor="theo")
    assert (again.status_code, again.json()["detail"]) == (
        409,
        decided_already(written(api, incident.id)[0]),
    )
    recorded(database, *written(api, incident.id))
    shown = decide(api, "acknowledge", incident, actor="theo")
    assert shown.json()["detail"] == already("acknowledged", "mara", NOW)

    recorded(database, decision("resolve", ts=later(1), incident=incident.id, actor="theo"))
    late = decide(api, "false_alarm", incident)
    assert (late.status_code, late.json()["detail"]) == (
        409,
        already("resolved", "theo", later(1)),
    )

    other = asked(api, "POST", PATH, json={"kind": "resolve", "incident": "0" * 16, **SAID})
    assert (other.status_code, "no such incident" in other.json()["detail"]) == (409, True)
    foreign = decide(api, "resolve", incident, route="other/route")
    assert foreign.json()["detail"] == f"the incident is of another route, {ROUTE}"
    none = asked(api, "POST", PATH, json={"kind": "resolve", **SAID})
    assert none.json()["detail"] == f"no incident of {ROUTE} is open"


def test_an_incident_that_opens_again_takes_decisions_again(api: Api, incident: Incident) -> None:
    assert decide(api, "resolve", incident).status_code == 202
    recorded(api.database, *written(api, incident.id), alert("firing", 400, ts=later(2)))
    assert api.database.query(incidents.find)[0].state == "open"
    assert decide(api, "resolve", incident, ts=later(3).isoformat()).status_code == 202


def test_a_change_is_announced_without_an_incident(database: Database) -> None:
    api = api_on(database, Wire())
    body = {**SAID, "model": {"requested": "gpt-4", "served": "gpt-4-0613"}, "new": True}
    answer = asked(api, "POST", "/v1/changes", json=body)
    assert answer.status_code == 202
    with database.read() as connection:
        assert decisions.is_known(connection, answer.json()["id"])


@pytest.mark.parametrize(
    ("path", "change", "field"),
    [
        (PATH, {"kind": "explode"}, "kind"),
        (PATH, {"kind": "announce"}, "model"),
        (PATH, {"reason": " "}, "reason"),
        (PATH, {"actor": None}, "actor"),
        (PATH, {"route": "UP"}, "route"),
        (PATH, {"incident": "x"}, "incident"),
        (PATH, {"ts": 5}, "ts"),
        (PATH, {"ts": "2026-11-26T14:00:00Z"}, "ts"),
        (PATH, {"ts": "2025-11-24T14:00:00Z"}, "ts"),
        (PATH, {"expires": "2026-11-24T00:00:00Z"}, "expires"),
        (PATH, {"kind": "silence", "expires": "2026-12-26T12:00:01Z"}, "expires"),
        (PATH, {"kind": "snooze", "expires": "2099-12-31T00:00:00Z"}, "expires"),
        (PATH, {"kind": "silence", "ts": "2026-11-26T12:30:00Z", "expires": "2026-12-26T12:30:01Z"}, "expires"),
        ("/v1/changes", {"ts": "2000-01-01T00:00:00Z"}, "ts"),
        ("/v1/changes", {"ts": "2026-11-26T13:00:01Z"}, "ts"),
        (PATH, {"more": 1}, "more"),
        ("/v1/changes", {"model": {"served": "x"}}, "model.requested"),
        ("/v1/changes", {"model": "gpt-4"}, "model"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(api: Api, path: str, change: dict[str, Any], field: str) -> None:
    kind = {"kind": "silence"} if path == PATH else {"model": {"requested": "m"}}
    answer = asked(api, "POST", path, json={**SAID, **kind, **change})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"{field}: ")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff", b"null"])
def test_what_is_no_object_is_refused(api: Api, body: bytes) -> None:
    answer = asked(api, "POST", PATH, content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_large_decision_is_refused(api: Api) -> None:
    body = json.dumps({"kind": "silence", **SAID, "reason": "x" * 70_000})
    assert asked(api, "POST", PATH, content=body).status_code == 413


def test_another_sites_page_cannot_decide(api: Api, incident: Incident) -> None:
    body = {"kind": "resolve", "incident": incident.id, **SAID}
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert asked(api, "POST", PATH, json=body, headers=headers).status_code == 403
        assert asked(api, "POST", "/v1/exchanges", content=b"{}", headers=headers).status_code == 403
    for host in ("evil.example", "evil.example:8400", "127.0.0.1.evil.example", "[::1", ""):
        assert asked(api, "GET", "/v1/incidents", headers={"host": host}).status_code == 421
    assert written(api, incident.id) == []
    for ours in ({"origin": "http://127.0.0.1:8400"}, {"origin": "https://keelwatch.example"}):
        sent = {**body, "kind": "silence", "reason": ours["origin"]}
        site = {} if "8400" in ours["origin"] else {"sec-fetch-site": "same-origin"}  # behind a proxy
        expires = {"expires": later(2 + len(site)).isoformat()}
        assert asked(api, "POST", PATH, json={**sent, **expires}, headers={**ours, **site}).status_code == 202


def test_probes_and_what_is_signed_are_answered_under_any_name(api: Api) -> None:
    for path in ("/readyz", "/metrics", "/slack/actions"):  # not of this application, and not refused for the name
        assert asked(api, "POST", path, headers={"host": "keelwatch.example"}).status_code == 404


def test_an_announcement_on_a_route_never_seen_is_refused_with_near_names_unless_it_is_new(database: Database) -> None:
    api = api_on(database, Wire(), watched=Monitor(routes={"listed/*": RoutePolicy()}))
    with database.write() as connection:
        routes.ensure(connection, "support/prod")
    body = {"model": {"requested": "m"}, "reason": "deploy", "actor": "mara"}
    for path, kind in (("/v1/changes", {}), (PATH, {"kind": "announce"})):
        sent = {**body, **kind, "route": "support/prd"}
        answer = asked(api, "POST", path, json=sent)
        assert answer.status_code == 422
        assert [one["field"] for one in answer.json()["errors"]] == ["route"]
        assert "did you mean support/prod?" in answer.json()["detail"]
    with database.read() as connection:
        assert routes.names(connection) == ("support/prod",), "nothing is left of what was refused"
    for route, more in (("support/prod", {}), ("listed/one", {}), ("support/prd", {"new": True}), ("support/prd", {})):
        sent = {**body, "route": route, "model": {"requested": f"m{len(more)}"}, **more}
        assert asked(api, "POST", "/v1/changes", json=sent).status_code == 202, route


def test_nothing_is_decided_on_a_route_never_seen(database: Database) -> None:
    """Names cost nothing: each would be a row that no exchange ever fills."""
    api = api_on(database, Wire(), watched=Monitor(routes={"listed/*": RoutePolicy()}))
    kinds = sorted(get_args(DecisionKind))
    sent = [(PATH, {**SAID, "kind": kind, "route": f"invented/{i}"}) for i, kind in enumerate(kinds)]
    sent += [(path, {**body, "new": True}) for path, body in sent if body["kind"] != "announce"]
    sent.append(("/v1/silences", {**SAID, "route": "invented/x", "hours": 4}))
    for path, body in sent:
        answer = asked(api, "POST", path, json=body)
        assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, ["route"]), body
        told = "new: true" if body["kind" if "kind" in body else "route"] == "announce" else "GET /v1/routes"
        assert told in answer.json()["detail"]
    with database.read() as connection:
        assert routes.names(connection) == ()
    for path, body in ((PATH, {"kind": "silence"}), ("/v1/silences", {"hours": 48})):
        assert asked(api, "POST", path, json={**SAID, **body, "route": "listed/one"}).status_code == 202


def test_near_names_are_told_only_of_routes_that_the_key_sees(database: Database) -> None:
    with database.write() as connection:
        routes.ensure(connection, "mine/prod", "mina/prod")
    app = application(api_on(database, Wire()))
    headers = bearer(key(database, "operator", "mine/*"))
    body = {"model": {"requested": "m"}, "reason": "deploy", "route": "mine/prd"}
    told = asked(app, "POST", "/v1/changes", json=body, headers=headers).json()["detail"]
    assert ("mine/prod" in told, "mina/prod" in told) == (True, False)


def test_hours_are_counted_by_the_service_and_the_answer_says_until_when(api: Api, incident: Incident) -> None:
    told = decide(api, "snooze", incident, hours=2).json()
    assert (told["ts"], told["until"]) == ("2026-11-26T12:00:00Z", "2026-11-26T14:00:00Z")
    assert [one.expires for one in written(api, incident.id)] == [later(2)]
    unsaid = asked(api, "POST", PATH, json={"kind": "silence", **SAID}).json()
    assert unsaid["until"] == "2026-11-27T12:00:00Z"
    assert decide(api, "acknowledge", incident).json()["until"] is None
    for fields in ({"kind": "resolve"}, {"kind": "snooze", "expires": later(3).isoformat()}):
        answer = asked(api, "POST", PATH, json={"incident": incident.id, **SAID, "hours": 2, **fields})
        assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, ["hours"])


def test_a_snooze_of_hours_counts_from_the_incident_where_that_is_ahead(database: Database) -> None:
    recorded(database, alert("firing", 300, hours=200))
    api = api_on(database, Wire())
    [ahead] = api.database.query(incidents.find)
    told = decide(api, "snooze", ahead, hours=2).json()
    assert datetime.fromisoformat(told["until"]) > ahead.updated_at + timedelta(hours=2)
    assert datetime.fromisoformat(told["ts"]) == datetime.fromisoformat(told["until"]) - timedelta(hours=2)


def test_of_many_who_unmute_at_the_same_time_one_does(api: Api) -> None:
    none = asked(api, "POST", PATH, json={"kind": "unmute", **SAID})
    assert (none.status_code, none.json()["detail"]) == (409, no_mute(ROUTE))
    mute = Mute("0" * 16, "false_alarm", "ines", "a load test", NOW, ("a",))
    with api.database.write() as connection:
        step_states.save(connection, "alert", ROUTE, 0, pack(AlertState(ROUTE, mutes={mute.fingerprint: mute})))
    sent = [
        {"kind": "unmute", **SAID, "actor": f"p{i}", **({"fingerprint": "0" * 16} if i % 2 else {})} for i in range(6)
    ]
    answers = all_asked(api, [("POST", PATH, {"json": body}) for body in sent])
    codes = sorted(answer.status_code for answer in answers)
    # One who unmutes all of the route may come after one who unmuted the one alert of it: that is all there is.
    assert codes == [202] + [409] * 5
    assert {answer.json()["detail"] for answer in answers if answer.status_code == 409} == {
        decided_already(one) for one in api.database.query(decisions.of_route, ROUTE)
    }


def muted(api: Api, since: datetime) -> None:
    mute = Mute("0" * 16, "false_alarm", "ines", "a load test", since, ("a",))
    with api.database.write() as connection:
        version, _ = step_states.load(connection, "alert", ROUTE) or (0, b"")
        step_states.save(connection, "alert", ROUTE, version, pack(AlertState(ROUTE, mutes={mute.fingerprint: mute})))


@pytest.mark.parametrize("said", [{}, {"ts": later(0).isoformat()}])
def test_what_a_clock_that_runs_ahead_muted_is_unmuted_once(api: Api, said: dict[str, str]) -> None:
    muted(api, later(2))
    body = {"kind": "unmute", **SAID, **said}
    first = asked(api, "POST", PATH, json=body)
    assert (first.status_code, first.json()["ts"]) == (202, iso(later(0 if said else 2)))
    for actor in ("theo", "ines"):
        again = asked(api, "POST", PATH, json={**body, "actor": actor})
        assert (again.status_code, "mara has decided the same already" in again.json()["detail"]) == (409, True)


def test_what_is_muted_again_after_an_unmute_is_unmuted_again(api: Api) -> None:
    muted(api, later(-2))
    assert asked(api, "POST", PATH, json={"kind": "unmute", **SAID, "ts": later(-1).isoformat()}).status_code == 202
    muted(api, later(-0.5))
    assert asked(api, "POST", PATH, json={"kind": "unmute", **SAID}).status_code == 202


def test_no_decision_names_an_incident_of_another_route(api: Api, incident: Incident) -> None:
    with api.database.write() as connection:
        routes.ensure(connection, "other/prod")
    for kind in get_args(DecisionKind):
        model = {"model": {"requested": "m"}} if kind == "announce" else {}
        answer = decide(api, kind, incident, route="other/prod", **model)
        told = (409, f"the incident is of another route, {ROUTE}")
        assert (answer.status_code, answer.json()["detail"]) == told, kind


@pytest.mark.parametrize("kind", ["comment", "silence"])
def test_who_was_first_is_known_however_much_was_written_since(api: Api, incident: Incident, kind: str) -> None:
    assert decide(api, "resolve", incident, actor="theo").status_code == 202
    with api.database.write() as connection:
        for i in range(205):
            decisions.add(connection, decision(kind, ts=later(-0.01), incident=incident.id, reason=f"line {i}"), NOW)
    [first, *_] = written(api, incident.id)
    late = decide(api, "false_alarm", incident, actor="eve")
    assert (late.status_code, late.json()["detail"]) == (409, ended_already(first))
    if kind == "comment":
        again = decide(api, kind, incident, reason="line 204")
        assert (again.status_code, "mara has written the same already" in again.json()["detail"]) == (409, True)


def test_a_silence_goes_by_the_clock_on_the_wall_where_the_incidents_runs_ahead(database: Database) -> None:
    recorded(database, alert("firing", 300, hours=200))
    api = api_on(database, Wire())
    [ahead] = api.database.query(incidents.find)
    assert ahead.updated_at > later(4)
    told = decide(api, "silence", ahead, hours=2)
    assert (told.status_code, told.json()["until"]) == (202, iso(later(2)))
    again = decide(api, "silence", ahead, hours=2, actor="theo")
    assert (again.status_code, "mara has decided the same already" in again.json()["detail"]) == (409, True)
    body = {"incident": ahead.id, **SAID, "hours": 4, "actor": "ines"}
    longer = asked(api, "POST", "/v1/silences", json=body)
    assert (longer.status_code, longer.json()["until"]) == (202, iso(later(4)))
    body = {"reason": "sooner", "actor": "mara", "hours": 3}
    ended = asked(api, "POST", f"/v1/silences/{longer.json()['id']}/end", json=body)
    assert (ended.status_code, ended.json()["until"]) == (202, iso(later(3)))


@pytest.mark.parametrize("kind", ["silence", "snooze"])
def test_what_would_be_over_already_is_refused(api: Api, incident: Incident, kind: str) -> None:
    for said, field in (
        ({"ts": later(-2_400).isoformat(), "hours": 1}, "hours"),
        ({"ts": later(-2_400).isoformat(), "expires": later(-2_300).isoformat()}, "expires"),
        ({"ts": later(-2_400).isoformat()}, "ts"),
        ({"expires": later(0).isoformat()}, "expires"),
    ):
        answer = decide(api, kind, incident, **said)
        assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, [field]), said
    assert written(api, incident.id) == []
    said = {"ts": later(-2).isoformat(), "hours": 3}
    for _ in range(2):  # counted from its own time: sent again it is the same one
        told = decide(api, kind, incident, **said)
        assert (told.status_code, told.json()["until"]) == (202, iso(later(1)))
    assert len(written(api, incident.id)) == 1
