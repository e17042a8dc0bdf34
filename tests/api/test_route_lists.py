"""Readings and exchanges of a route as JSON, in pages that miss nothing; text only where it was kept, redacted."""

from __future__ import annotations

from typing import Any

import pytest

from services.api.app import Api
from services.store.engine import Database
from services.store.scores import ScoreRow
from services.store.tables import table
from tests.support.api import Wire, api_on, asked
from tests.support.route_life import EXCHANGES, FIRST, LIFE, SECOND, live

READINGS, EXCHANGED = "/v1/readings", "/v1/exchanges"


@pytest.fixture
def api(database: Database) -> Api:
    """An API on a database with three hours of one route."""
    live(database)
    return api_on(database, Wire())


def items(api: Api, path: str, **query: Any) -> list[dict[str, Any]]:
    """Of all pages."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = asked(api, "GET", path, params={"route": LIFE, **query, **cursor})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        found += told["items"]
        if told["next"] is None:
            return found
        assert len(told["items"]) == query.get("limit", 50)
        cursor = {"cursor": told["next"]}


def test_the_newest_reading_of_each_stream_with_its_evidence(api: Api) -> None:
    found = items(api, READINGS)
    assert items(api, READINGS, limit=1) == items(api, READINGS, limit=3) == found
    assert sorted((one["detector"], one["signal"], one["status"]) for one in found) == [
        ("baseline", None, "learning"),
        ("model_shift", None, "blind"),
        ("rate_shift", "pii_leak", "quiet"),
        ("rate_shift", "refusal", "firing"),
    ]
    [fires] = [one for one in found if one["status"] == "firing"]
    assert (fires["evidence"]["log_e"], fires["evidence"]["threshold"], fires["evidence"]["n"]) == (20.0, 13.1, 60)
    assert (fires["effect"]["low"], fires["effect"]["high"]) == (-20.4, -12.9)


def test_the_history_of_a_stream_newest_first(api: Api) -> None:
    [stream] = [one["stream"] for one in items(api, READINGS) if one["signal"] == "refusal"]
    told = items(api, READINGS, stream=stream)
    assert [(one["event_index"], one["status"]) for one in told] == [(300, "firing"), (250, "quiet")]
    assert items(api, READINGS, stream=stream, limit=1) == told
    assert items(api, READINGS, stream="0" * 16) == []


def test_exchanges_newest_first_each_once(api: Api) -> None:
    found = items(api, EXCHANGED)
    assert [one["event_index"] for one in found] == list(reversed(range(EXCHANGES)))
    assert items(api, EXCHANGED, limit=200) == found
    assert {one["identity"] for one in found} == {FIRST, SECOND}
    assert found[0]["signals"]["refusal"] == {"value": None, "probability": None, "status": "unscored", "parts": {}}


def test_text_is_there_where_it_was_kept_and_said_not_to_be_elsewhere(api: Api) -> None:
    found = {one["id"]: one for one in items(api, EXCHANGED)}
    kept = {id for id, one in found.items() if one["text"] == "kept"}
    assert kept == {"e0", "e100", "e250", "e359"} == {one["id"] for one in items(api, EXCHANGED, kept=True)}
    assert (found["e100"]["prompt"], found["e100"]["response"], found["e100"]["why"]) == (
        *("prompt de", "response de"),
        ["refusal"],
    )
    bare = found["e101"]
    assert (bare["text"], bare["prompt"], bare["response"], bare["why"]) == ("text not kept", None, None, [])


def test_filters(api: Api) -> None:
    refused = {one["id"] for one in items(api, EXCHANGED, signal="refusal")}
    assert refused == {f"e{i}" for i in range(EXCHANGES) if i % (5 if i < 240 else 40) == 0 and i % 10 != 9}
    assert {one["identity"] for one in items(api, EXCHANGED, identity=SECOND)} == {SECOND}
    assert items(api, EXCHANGED, signal="custom.tea") == []  # an own signal's name holds a dot
    assert items(api, EXCHANGED, signal="pii_leak") == items(api, EXCHANGED, signal="refusa_") == []
    assert items(api, EXCHANGED, route="no/such") == items(api, READINGS, route="no/such") == []


def test_one_exchange_and_one_of_which_the_text_alone_is_left(api: Api) -> None:
    one = asked(api, "GET", f"{EXCHANGED}/e250", params={"route": LIFE}).json()
    assert one == next(item for item in items(api, EXCHANGED) if item["id"] == "e250")
    with api.database.write() as connection:
        connection.execute(table(ScoreRow).delete())
    left = asked(api, "GET", f"{EXCHANGED}/e250", params={"route": LIFE}).json()
    assert (left["signals"], left["event_index"], left["prompt"]) == (None, None, "prompt de")
    assert asked(api, "GET", f"{EXCHANGED}/e251", params={"route": LIFE}).status_code == 404


@pytest.mark.parametrize("id", ["nothing", "x%00", "a/b/c", "%ED%A0%80", "k:c/t/0/5"])
def test_an_exchange_that_is_not_there(api: Api, id: str) -> None:
    answer = asked(api, "GET", f"{EXCHANGED}/{id}", params={"route": LIFE})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        (READINGS, {"route": "A B"}, "route"),
        (READINGS, {"stream": "x"}, "stream"),
        (READINGS, {"cursor": "nonsense"}, "cursor"),
        (READINGS, {"cursor": "MS4A"}, "cursor"),
        (EXCHANGED, {"cursor": "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTkuYQ"}, "cursor"),
        (EXCHANGED, {"signal": '"%\0'}, "signal"),
        (EXCHANGED, {"conversation": "a\0"}, "conversation"),
        (EXCHANGED, {"identity": "x"}, "identity"),
        (EXCHANGED, {"kept": "perhaps"}, "kept"),
        (EXCHANGED, {"limit": 201}, "limit"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(api: Api, path: str, query: dict[str, Any], field: str) -> None:
    answer = asked(api, "GET", path, params={"route": LIFE, **query})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_a_list_of_a_span_of_time_and_of_one_signal_holds_that_alone(api: Api) -> None:
    every = items(api, EXCHANGED)
    since, until = every[200]["ts"], every[50]["ts"]
    found = items(api, EXCHANGED, since=since, until=until)
    assert found == [one for one in every if since <= one["ts"] < until] != []
    whole = items(api, READINGS)
    of_signal = items(api, READINGS, signal="refusal")
    assert of_signal == [one for one in whole if one["signal"] == "refusal"] != []
    last = max(one["ts"] for one in whole)
    assert items(api, READINGS, until=last) == [one for one in whole if one["ts"] < last]
    [stream] = [one["stream"] for one in of_signal]
    history = items(api, READINGS, stream=stream)
    assert items(api, READINGS, stream=stream, since=history[0]["ts"]) == history[:1]
    assert items(api, READINGS, stream=stream, signal="pii_leak") == []


def test_the_exchanges_of_one_conversation(api: Api, database: Database) -> None:
    rows = table(ScoreRow)
    some = {"e3", "e7", "e200"}
    database.transact(
        lambda one: one.execute(rows.update().where(rows.c.id.in_(some)).values(conversation="c-17")) and None
    )
    assert {one["id"] for one in items(api, EXCHANGED, conversation="c-17")} == some
    assert items(api, EXCHANGED, conversation="c-1") == []


@pytest.mark.parametrize("path", [READINGS, EXCHANGED, "/v1/incidents", "/v1/changes"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-24T12:00:00"}, "since"),  # of no zone
        ({"until": "1999-01-01T00:00:00Z"}, "until"),
        ({"since": "2026-11-24T12:00:00Z", "until": "2026-11-24T12:00:00Z"}, "since"),
    ],
)
def test_a_span_that_cannot_be_used_is_named(api: Api, path: str, query: dict[str, str], field: str) -> None:
    answer = asked(api, "GET", path, params={"route": LIFE, **query})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
