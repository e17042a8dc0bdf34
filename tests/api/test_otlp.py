"""`/v1/traces` and `/v1/logs` answer exporters as the specification of OTLP has it, and nothing vanishes."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest
from fastapi import Request

from schemas.exchange import Exchange
from services.api.app import Api
from services.api.http.body import MOST_BYTES, BodyBudget
from services.api.http.problems import Problem
from services.errors import NotSent, UnknownOutcome
from services.ingest.formats.protobuf import BYTES, VARINT, fields
from services.monitor import Monitor
from services.monitor.ingest_rules import IngestRule
from services.store.engine import Database
from tests.ingest.malformed import calls_of, changed, fixture, raw_of
from tests.ingest.test_bounds import spans
from tests.support.access import bearer, key
from tests.support.api import Pieces, Wire, api_on, asked

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
TRACES, LOGS = "/v1/traces", "/v1/logs"


def message(body: bytes) -> dict[int, list[Any]]:
    """The fields of a message of protobuf by their number."""
    found: dict[int, list[Any]] = {}
    for number, wire, start, end in fields(body, 0, len(body)):
        assert wire in {BYTES, VARINT}
        found.setdefault(number, []).append(start if wire == VARINT else body[start:end])
    return found


def rejected(answer: httpx.Response) -> tuple[int, str]:
    """How many an answer says were rejected, and why."""
    if answer.headers["content-type"] == "application/json":
        partial = answer.json().get("partialSuccess", {})
        [n] = [int(item) for name, item in partial.items() if name.startswith("rejected")] or [0]
        return n, partial.get("errorMessage", "")
    partial = message(message(answer.content).get(1, [b""])[0])
    return partial.get(1, [0])[0], partial.get(2, [b""])[0].decode()


def status(answer: httpx.Response) -> str:
    """What the Status of a refusal says."""
    if answer.headers["content-type"] == "application/json":
        return str(answer.json()["message"])
    assert answer.headers["content-type"] == "application/x-protobuf"
    return message(answer.content)[2][0].decode()


def exchanges(wire: Wire) -> list[Exchange]:
    return [Exchange.decode(value) for _, _, value in wire.sent]


@pytest.mark.parametrize("name", ["otlp_semconv", "otlp_numbered", "otlp_events", "otlp_openinference", "otlp_ai_sdk"])
def test_spans_of_either_encoding_are_sent_as_the_same_exchanges(api: Api, wire: Wire, name: str) -> None:
    told = []
    for body, headers in ((fixture(f"{name}_proto"), PROTOBUF), (raw_of(fixture(name)), JSON)):
        for sent, more in ((body, {}), (gzip.compress(body), {"content-encoding": "gzip"})):
            answer = asked(api, "POST", TRACES, content=sent, headers={**headers, **more})
            assert (answer.status_code, answer.headers["content-type"]) == (200, headers["content-type"])
            told.append(rejected(answer))
    assert len(set(told)) == 1
    assert told[0][0] == (name == "otlp_numbered")  # of whose calls one has no answer in it
    found = exchanges(wire)
    assert len(found) % 4 == 0
    assert found[: len(found) // 4] * 4 == found
    assert {topic for topic, _, _ in wire.sent} == {"keelwatch.exchanges"}
    assert {one.route for one in found} == {"support-bot"}


@pytest.mark.parametrize("name", ["otlp_details", "otlp_details_proto"])
def test_log_records_that_hold_a_whole_call_are_exchanges(api: Api, wire: Wire, name: str) -> None:
    value = fixture(name)
    answer = asked(api, "POST", LOGS, content=raw_of(value), headers=PROTOBUF if isinstance(value, bytes) else JSON)
    assert (answer.status_code, rejected(answer)) == (200, (0, ""))
    found = exchanges(wire)
    assert [one.answer.text for one in found] == ["It left our warehouse this morning."] * len(found)
    assert len(found) == 1


def test_what_holds_no_call_is_taken_and_nothing_is_sent(api: Api, wire: Wire) -> None:
    other = fixture("otlp_ai_sdk")
    for scope in other["resourceSpans"][0]["scopeSpans"]:
        scope["spans"] = [span for span in scope["spans"] if span["name"] == "POST /chat"]
    for path in (TRACES, LOGS):
        for body, headers in ((b"", PROTOBUF), (b"{}", JSON), (raw_of(other), JSON)):
            answer = asked(api, "POST", path, content=body, headers=headers)
            assert (answer.status_code, rejected(answer)) == (200, (0, ""))
    assert wire.sent == []


def test_a_call_that_lacks_something_is_rejected_with_its_reason_and_costs_no_other(api: Api, wire: Wire) -> None:
    whole = fixture("otlp_openinference")
    broken = changed(whole, f"{calls_of(whole)[0]}/attributes/llm.provider", 7)
    answer = asked(api, "POST", TRACES, json=broken)
    n, why = rejected(answer)
    assert (answer.status_code, n) == (200, 1)
    assert why == "1 x OpenInference span: llm.provider: must be text"
    assert len(wire.sent) == len(calls_of(whole)) - 1
    proto = fixture("otlp_openinference_proto").replace(b'\x13{"model": "gpt-4o"', b'\x13{"model"; "gpt-4o"', 1)
    n, why = rejected(asked(api, "POST", TRACES, content=proto, headers=PROTOBUF))
    assert (n, "llm.invocation_parameters: no JSON" in why) == (1, True)


def test_what_cannot_be_decoded_is_400_with_a_status_that_names_the_field(api: Api, wire: Wire) -> None:
    proto = fixture("otlp_semconv_proto")
    for body, headers, said in (
        (proto[:-3], PROTOBUF, "ends or breaks in the middle of a field"),
        (b"{", PROTOBUF, "ends or breaks in the middle of a field"),
        (b"{", JSON, "not JSON: "),
        (b"[]", JSON, "record: must be a JSON object"),
        (b'{"route": "a", "prompt": "p", "response": "r"}', JSON, "no known format (otlp)"),
        (json.dumps({"resourceSpans": [deep(80)]}).encode(), JSON, "nested more than 64"),
    ):
        for path in (TRACES, LOGS):
            answer = asked(api, "POST", path, content=body, headers=headers)
            assert answer.status_code == 400, body
            assert said in status(answer)
            assert answer.headers["content-type"] == headers["content-type"]
    assert wire.sent == []
    refused = message(asked(api, "POST", TRACES, content=b"{", headers=PROTOBUF).content)
    detail = message(refused[3][0])
    assert detail[1] == [b"type.googleapis.com/google.rpc.BadRequest"]
    assert "ends or breaks" in message(message(detail[2][0])[1][0])[2][0].decode()


def deep(depth: int) -> Any:
    return [deep(depth - 1)] if depth else []


def test_other_types_and_encodings_are_415(api: Api) -> None:
    for headers in ({"content-type": "text/plain"}, {}, {**JSON, "content-encoding": "br"}):
        answer = asked(api, "POST", TRACES, content=b"{}", headers=headers)
        assert answer.status_code == 415
        assert "must be" in status(answer)


def test_a_body_of_gzip_is_bounded_by_what_it_unpacks_to(api: Api, nothing: Database) -> None:
    packed = {**JSON, "content-encoding": "gzip"}
    bomb = gzip.compress(b" " * (MOST_BYTES + 1))
    assert len(bomb) < 10_000
    answer = asked(api, "POST", TRACES, content=bomb, headers=packed)
    assert (answer.status_code, "longer than 8192 KiB" in status(answer)) == (413, True)
    nested_bomb = gzip.compress(b"") * 3 + bomb
    assert asked(api, "POST", TRACES, content=nested_bomb, headers=packed).status_code == 413
    for wrong in (b"{}", gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"x", zlib.compress(b"{}")):
        answer = asked(api, "POST", TRACES, content=wrong, headers=packed)
        assert (answer.status_code, "is no gzip" in status(answer)) == (400, True)
    empty = Pieces(gzip.compress(b"") * 3277, 200)  # 64 KiB that unpack to nothing
    assert asked(api, "POST", TRACES, content=empty, headers=packed).status_code == 413
    assert empty.taken == MOST_BYTES // (3277 * 20) + 1
    small = api_on(nothing, Wire(), budget=BodyBudget(1 << 20))
    answer = asked(small, "POST", LOGS, content=gzip.compress(b" " * (2 << 20)), headers=packed)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert asked(small, "POST", LOGS, content=gzip.compress(b"{}"), headers=packed).status_code == 200


def test_calls_that_can_be_read_are_sent_however_many_beside_them_cannot(api: Api, wire: Wire) -> None:
    body = spans(400, lambda i: i % 2 == 1, "r" * 2_000)
    n, why = rejected(asked(api, "POST", TRACES, content=body, headers=JSON))
    assert (n, len(exchanges(wire))) == (200, 200)
    assert why.startswith("200 x ")


def test_a_body_holds_more_calls_than_may_be_on_their_way_and_ends_where_the_broker_is_away(
    api: Api, wire: Wire
) -> None:
    body = spans(2_100, lambda _: False)
    assert rejected(asked(api, "POST", TRACES, content=body, headers=JSON)) == (0, "")
    assert len({one.id for one in exchanges(wire)}) == 2_100
    wire.sent.clear()
    wire.fault = lambda _value: NotSent("away")
    assert asked(api, "POST", TRACES, content=body, headers=JSON).status_code == 503


def test_what_may_succeed_later_is_503_for_the_whole_and_counts_once_when_it_comes_again(
    nothing: Database, wire: Wire
) -> None:
    api = api_on(nothing, wire)
    body = raw_of(fixture("otlp_openinference"))
    [whole] = [asked(api, "POST", TRACES, content=body, headers=JSON)]
    first = exchanges(wire)
    wire.sent.clear()
    for fault in (NotSent("away"), UnknownOutcome("late")):
        failing = iter([fault])
        wire.fault = lambda _value, failing=failing: next(failing, None)  # type: ignore[misc]
        answer = asked(api, "POST", TRACES, content=body, headers=PROTOBUF | JSON)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "send all again" in status(answer)
    wire.fault = lambda _value: None
    wire.sent.clear()
    assert asked(api, "POST", TRACES, content=body, headers=JSON).content == whole.content
    assert [one.id for one in exchanges(wire)] == [one.id for one in first]


def test_too_many_on_their_way_are_429_and_a_broker_that_refuses_one_rejects_it(nothing: Database, wire: Wire) -> None:
    body = raw_of(fixture("otlp_openinference"))
    answer = asked(api_on(nothing, wire, gateway={"most": 1}), "POST", TRACES, content=body, headers=JSON)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    wire.fault = lambda _value: ValueError("its words may quote")
    n, why = rejected(asked(api_on(nothing, wire), "POST", TRACES, content=body, headers=JSON))
    assert (n, why) == (2, "2 x the broker did not take it: ValueError")


def test_who_asks_is_known_before_a_byte_is_read_and_the_refusal_is_a_status(nothing: Database, wire: Wire) -> None:
    async def nobody(_request: Request, role: str) -> None:
        raise Problem(401, f"send an API key that may {role}")

    for path, headers in ((TRACES, PROTOBUF), (LOGS, JSON)):
        pieces = Pieces(b"neither one nor the other", 3)
        answer = asked(api_on(nothing, wire, guard=nobody), "POST", path, content=pieces, headers=headers)
        assert (answer.status_code, status(answer), pieces.taken) == (401, "send an API key that may ingest", 0)


def test_a_key_sends_to_its_own_routes_alone(database: Database, wire: Wire) -> None:
    api = api_on(database, wire)
    own, other, viewer = (key(database, *one) for one in (("ingest", "bot/*"), ("ingest", "mine/*"), ("viewer", "*")))
    whole = fixture("otlp_openinference")
    mixed = changed(whole, f"{calls_of(whole)[0]}/attributes/keelwatch.route", "bot/prod")
    unknown = asked(api, "POST", TRACES, json=mixed)
    assert (unknown.status_code, "key" in status(unknown)) == (401, True)
    assert asked(api, "POST", TRACES, json=mixed, headers=bearer(viewer)).status_code == 403
    assert wire.sent == []
    n, why = rejected(asked(api, "POST", TRACES, json=mixed, headers=bearer(own)))
    assert (n, why) == (1, "1 x route: this key sends to other routes; use a key of this one")
    assert [one.route for one in exchanges(wire)] == ["bot/prod"]
    refused = asked(api, "POST", TRACES, json=mixed, headers=bearer(other))
    assert (refused.status_code, status(refused)) == (
        403,
        "route: this key sends to other routes; use a key of this one",
    )


def test_a_rule_of_the_monitor_file_gives_the_route(nothing: Database, wire: Wire) -> None:
    rules = (IngestRule({"format": "otlp", "model": "gpt-4*"}, "by/rule"),)
    api = api_on(nothing, wire, watched=Monitor(ingest=rules))
    asked(api, "POST", TRACES, content=raw_of(fixture("otlp_semconv")), headers=JSON)
    assert {one.route for one in exchanges(wire)} == {"by/rule"}
