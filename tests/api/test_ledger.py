"""Decisions, silences, baselines and timelines as JSON: complete, in pages that miss nothing, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.base import hash16
from schemas.change import Change, Pinning
from schemas.decision import Decision
from services.alert.state import AlertState, Mute
from services.api.app import Api
from services.store import baselines, decisions, incidents, step_states
from services.store.codec import pack
from services.store.engine import Database
from tests.support.api import NOW, Wire, api_on, asked, later, recorded
from tests.support.principals import as_
from tests.support.records import BASELINE, IDENTITY, NEXT_BASELINE, ROUTE, alert, change, decision


def pinning(index: int, baseline: str, route: str = ROUTE, **fields: Any) -> Change:
    facts = Pinning(n=1000, streams=6, arl=180_180.0, rates={"refusal": 0.158})
    return change("pinned", index, baseline=baseline, route=route, id=hash16([route, index]), pinning=facts, **fields)


@pytest.fixture
def api(database: Database) -> Api:
    """A route with two baselines, the second accepted by Mara, a silence that holds and one on its way."""
    recorded(
        database,
        pinning(100, BASELINE, from_identity=None, to_identity=IDENTITY),
        alert("firing", 300),
        decision("accept_baseline", 10, reason="the new model is wanted"),
        pinning(900, NEXT_BASELINE, hours=15),
        decision("silence", 40, reason="load test", expires=later(3)),
        decision("silence", 1, reason="long ago", expires=later(-30)),
        decision("silence", 2, route="other/bot", reason="theirs", expires=later(3)),
    )
    with database.write() as connection:
        baselines.put(connection, ROUTE, BASELINE, b"x" * 5_000)
        decisions.add(connection, pending(), NOW)
        mute = Mute("0" * 16, "false_alarm", "theo", "known", NOW, ("a",))
        step_states.save(connection, "alert", ROUTE, 0, pack(AlertState(ROUTE, mutes={"0" * 16: mute})))
    return api_on(database, Wire())


def pending() -> Decision:
    return Decision(kind="snooze", route=ROUTE, actor="theo", reason="later", ts=NOW, expires=later(1))


def get(api: Api, path: str, **query: Any) -> Any:
    answer = asked(api, "GET", path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def all_of(api: Api, path: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        told = get(api, path, **query, **cursor)
        assert len(told["items"]) <= int(query.get("limit", 50))
        found += told["items"]
        if told["next"] is None:
            return found
        cursor = {"cursor": told["next"]}


def test_every_decision_newest_first_and_what_is_on_its_way(api: Api) -> None:
    found = all_of(api, "/v1/decisions")
    assert [one["reason"] for one in found] == [
        "later",
        "load test",
        "the new model is wanted",
        "theirs",
        "long ago",
    ]
    assert [one["applied"] for one in found] == [False, True, True, True, True]
    assert all_of(api, "/v1/decisions", limit=2) == found
    assert all_of(api, "/v1/decisions", limit=1) == found
    assert found[0]["until"] == "2026-11-26T13:00:00Z"
    assert [one["reason"] for one in all_of(api, "/v1/decisions", kind=["snooze", "accept_baseline"])] == [
        "later",
        "the new model is wanted",
    ]
    assert [one["reason"] for one in all_of(api, "/v1/decisions", route="other/bot")] == ["theirs"]
    assert get(api, f"/v1/decisions/{found[2]['id']}") == found[2]
    assert get(api, f"/v1/decisions/{pending().id}")["applied"] is False


def test_a_decision_is_there_once_while_it_is_in_both_places(api: Api) -> None:
    recorded(api.database, pending())
    found = [one for one in all_of(api, "/v1/decisions") if one["kind"] == "snooze"]
    assert [one["applied"] for one in found] == [True]


def test_decisions_of_an_incident_and_words_that_look_like_one(api: Api) -> None:
    [incident] = api.database.query(incidents.find, ROUTE)
    faked = f'"incident":"{incident.id}" \\"kind\\":\\"resolve\\" "kind":"resolve"'
    recorded(api.database, decision("roll_back", 30, incident=incident.id, reason=faked))
    recorded(api.database, decision("roll_back", 31, route="other/bot", reason=faked))
    assert [one["reason"] for one in all_of(api, "/v1/decisions", incident=incident.id)] == [faked]
    assert all_of(api, "/v1/decisions", kind="resolve") == []


def test_silences_that_hold_that_ended_and_what_is_muted(api: Api) -> None:
    told = get(api, "/v1/silences", route=ROUTE)
    assert [(one["reason"], one["state"]) for one in told["items"]] == [("load test", "active"), ("long ago", "past")]
    assert told["muted"] == [
        {
            "fingerprint": "0" * 16,
            "kind": "false_alarm",
            "actor": "theo",
            "reason": "known",
            "since": "2026-11-26T12:00:00Z",
            "until": "2026-12-26T12:00:00Z",
        }
    ]
    assert [one["reason"] for one in all_of(api, "/v1/silences", state="active", limit=1)] == ["load test", "theirs"]
    assert [one["reason"] for one in all_of(api, "/v1/silences", state="past")] == ["long ago"]
    assert get(api, "/v1/silences")["muted"] is None


def test_baselines_say_of_whom_since_when_by_whom_and_their_budget(api: Api) -> None:
    now, before = all_of(api, "/v1/baselines", limit=1)
    assert (now["id"], now["current"], now["accepted"]["actor"]) == (NEXT_BASELINE, True, "mara")
    assert now["accepted"]["reason"] == "the new model is wanted"
    assert (before["id"], before["current"], before["accepted"]) == (BASELINE, False, None)
    assert (before["bytes"], now["bytes"]) == (5_000, None)
    assert before["identity"] == IDENTITY
    assert before["rates"] == {"refusal": 0.158}
    assert before["budget"] == {"streams": 6, "arl": 180_180.0, "threshold": 12.101712}
    assert get(api, f"/v1/baselines/{BASELINE}") == before
    assert get(api, f"/v1/baselines/{NEXT_BASELINE}") == now


def test_a_timeline_in_pages_is_the_incidents_own(api: Api) -> None:
    [incident] = api.database.query(incidents.find, ROUTE)
    path = f"/v1/incidents/{incident.id}"
    whole = get(api, path)["timeline"]
    assert len(whole) > 3
    assert all_of(api, f"{path}/timeline", limit=2) == list(reversed(whole))


def test_a_key_sees_its_own_routes_alone(api: Api) -> None:
    id = api.database.query(incidents.find, ROUTE)[0].id
    theirs = api_on(api.database, Wire(), guard=as_("viewer", "other/*"))
    assert [one["reason"] for one in all_of(theirs, "/v1/decisions")] == ["theirs"]
    assert [one["reason"] for one in all_of(theirs, "/v1/silences")] == ["theirs"]
    assert all_of(theirs, "/v1/baselines") == []
    assert all_of(theirs, "/v1/decisions", route=ROUTE) == []
    hidden = get(theirs, "/v1/silences", route=ROUTE)
    assert (
        hidden
        == get(theirs, "/v1/silences", route="no/such")
        == {
            "items": [],
            "next": None,
            "muted": [],
            "accepted": [],
        }
    )
    for path, missing in (
        (f"/v1/decisions/{pending().id}", f"/v1/decisions/{'0' * 16}"),
        (f"/v1/baselines/{BASELINE}", f"/v1/baselines/{'0' * 16}"),
        (f"/v1/incidents/{id}/timeline", f"/v1/incidents/{'0' * 16}/timeline"),
    ):
        answer, none = asked(theirs, "GET", path), asked(theirs, "GET", missing)
        assert (answer.status_code, answer.content) == (none.status_code, none.content)
        assert answer.status_code == 404


@pytest.mark.parametrize("path", ["decisions", "silences", "baselines", "incidents/0000000000000000/timeline"])
@pytest.mark.parametrize(
    "query",
    [{"cursor": "x"}, {"cursor": "MS4A"}, {"cursor": "\ud800"}, {"limit": 0}, {"limit": "9" * 40}, {"limit": "x"}],
)
def test_a_parameter_that_cannot_be_used_is_named(api: Api, path: str, query: dict[str, Any]) -> None:
    sent = {
        name: value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        for name, value in query.items()
    }
    answer = asked(api, "GET", f"/v1/{path}", params=sent)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["field"] == next(iter(query))


@pytest.mark.parametrize("kind", ["decisions", "baselines"])
@pytest.mark.parametrize("id", ["%00", "x", "%ed%a0%80", "0" * 17, "0" * 4000, "F" * 16])
def test_what_is_no_id_is_not_there(api: Api, kind: str, id: str) -> None:
    assert asked(api, "GET", f"/v1/{kind}/{id}").status_code == 404


def test_a_tag_holds_until_something_changes(api: Api) -> None:
    for path in ("/v1/decisions", "/v1/silences", "/v1/baselines", f"/v1/baselines/{BASELINE}"):
        known = {"if-none-match": asked(api, "GET", path).headers["etag"]}
        assert asked(api, "GET", path, headers=known).status_code == 304
