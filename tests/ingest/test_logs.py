"""Log records that hold what was said become exchanges, with their span where both come in one record."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

from schemas.dead_letter import DeadLetter
from schemas.exchange import Exchange
from schemas.position import Position
from services.ingest.decode import RecordArrival, decode_all
from services.ingest.routing import Carriage
from services.ports import Received
from services.score.scored_text import model_of, scored_text
from tests.ingest.malformed import GONE, changed, fixture, raw_of

PLACE = Position(cluster="file", topic="0" * 12, partition=0, offset=7)
RECORDS = "resourceLogs/0/scopeLogs/0/logRecords"


def read(value: Any, headers: dict[str, str] | None = None) -> list[Received | DeadLetter]:
    return decode_all(raw_of(value), RecordArrival(PLACE), Carriage(headers or {}))


def only(value: Any) -> Exchange:
    [item] = read(value)
    assert isinstance(item, Received), item.reason
    return item.exchange


def refused(value: Any) -> DeadLetter:
    [item] = read(value)
    assert isinstance(item, DeadLetter)
    return item


def test_a_span_and_the_log_records_of_its_texts_are_one_exchange() -> None:
    found = only(fixture("otlp_logs_with_spans"))
    text = scored_text(found)
    assert (text.prompt, text.response) == ("Where is my parcel?", "It left our warehouse this morning.")
    assert (found.model.requested, found.model.served) == ("gpt-4o", "gpt-4o-2024-08-06")
    assert model_of(text).system_prompt_sha256 is not None
    assert found.usage is not None
    assert (found.usage.input_tokens, found.answer.finish_reason, len(found.answer.calls)) == (21, "stop", 1)
    assert found.route == "support-bot"
    assert found.latency_ms is not None


def test_log_records_alone_name_no_model_and_the_reason_says_where_it_is() -> None:
    for name in ("otlp_logs", "otlp_logs_proto"):
        letter = refused(fixture(name))
        assert letter.reason.startswith("OpenTelemetry GenAI log record: gen_ai.request.model: missing; log records")
        again = base64.b64decode(letter.raw)
        assert [one.reason for one in read(again) if isinstance(one, DeadLetter)] == [letter.reason]
    value = fixture("otlp_logs")
    told = {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}}
    value["resourceLogs"][0]["resource"]["attributes"].append(told)
    assert only(value).model.requested == "gpt-4o"
    letter = refused(json.loads(base64.b64decode(refused(fixture("otlp_logs")).raw)) | {"resourceSpans": []})
    assert "log records of events name no model" in letter.reason


def test_one_log_record_may_hold_a_whole_call_in_either_encoding() -> None:
    plain, proto = (only(fixture(name)) for name in ("otlp_details", "otlp_details_proto"))
    assert plain == proto
    assert (plain.model.requested, plain.model.provider) == ("gpt-4o", "openai")
    assert plain.answer.not_monitored | plain.messages[-1].not_monitored == {"image"}
    other = changed(fixture("otlp_details"), f"{RECORDS}/0/attributes/gen_ai.operation.name", "embeddings")
    assert read(other) == []


def test_calls_are_told_apart_by_their_span_and_a_fault_costs_the_others_nothing() -> None:
    value = fixture("otlp_logs_with_spans")
    [call] = [
        span
        for scope in value["resourceSpans"][0]["scopeSpans"]
        for span in scope["spans"]
        if span["name"] == "chat gpt-4o"
    ]
    second = {**copy.deepcopy(call), "spanId": "00000000000000aa"}
    value["resourceSpans"][0]["scopeSpans"][0]["spans"].append(second)
    records = value["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    more = [{**copy.deepcopy(one), "spanId": "00000000000000aa"} for one in records]
    more[1]["body"] = {"stringValue": "And mine?"}
    more[2]["body"] = {"stringValue": '{"finish_reason": "length", "message": {"content": "Yours too."}}'}
    value["resourceLogs"][0]["scopeLogs"][0]["logRecords"] = [
        one for both in zip(records, more, strict=True) for one in both
    ]
    first, other = (one.exchange for one in read(value) if isinstance(one, Received))
    assert (scored_text(first).prompt, scored_text(other).prompt) == ("Where is my parcel?", "And mine?")
    assert (other.answer.text, other.answer.finish_reason) == ("Yours too.", "length")
    broken = changed(value, "resourceLogs/0/scopeLogs/0/logRecords/3/attributes", "x")
    broken["resourceLogs"][0]["scopeLogs"][0]["logRecords"][3]["eventName"] = "gen_ai.user.message"
    sound, letter = read(broken)
    assert isinstance(sound, Received)
    assert isinstance(letter, DeadLetter)
    assert letter.reason.startswith("OpenTelemetry GenAI span: attributes: must be a list")
    alone = json.loads(base64.b64decode(letter.raw))
    assert len(alone["resourceLogs"]) == 3
    assert [one.reason for one in read(alone) if isinstance(one, DeadLetter)] == [letter.reason]


def test_other_log_records_are_passed_over_and_what_is_none_is_named() -> None:
    value = fixture("otlp_logs")
    for one in value["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        one["attributes"] = [{"key": "event.name", "value": {"stringValue": "exception"}}]
    assert read(value) == []
    for path, wrong, said in (
        ("resourceLogs/0", 7, "resourceLogs: each must be an object"),
        ("resourceLogs/0/scopeLogs/0", "x", "scopeLogs: each must be an object"),
        (f"{RECORDS}/1", [], "logRecords: each must be an object"),
    ):
        letters = [one for one in read(changed(value, path, wrong)) if isinstance(one, DeadLetter)]
        assert [said in one.reason for one in letters] == [True]


def test_records_without_a_span_of_their_own_cannot_be_joined_and_say_so() -> None:
    value = changed(fixture("otlp_details"), f"{RECORDS}/0/spanId", GONE)
    assert "traceId, spanId: missing" in refused(value).reason
    many = fixture("otlp_logs")
    for one in many["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        del one["traceId"]
    assert len(read(many)) == 3


def test_logs_that_are_cut_off_cost_what_was_cut() -> None:
    whole = fixture("otlp_details_proto")
    said = {
        item.reason for cut in range(3, len(whole), 7) for item in read(whole[:cut]) if isinstance(item, DeadLetter)
    }
    assert said
    headers = {"content-type": "application/x-protobuf"}
    [letter] = read(whole[:-3], headers)
    assert isinstance(letter, DeadLetter)
    assert letter.reason.startswith("OpenTelemetry traces or logs (protobuf): ends or breaks")


def test_a_log_record_whose_event_is_no_text_costs_no_other_in_either_encoding() -> None:
    plain = only(fixture("otlp_details"))
    for odd in (
        {"eventName": ["x"]},
        {"attributes": [{"key": "event.name", "value": {"arrayValue": {"values": [{"stringValue": "x"}]}}}]},
        {"attributes": [{"key": "event.name", "value": {"kvlistValue": {"values": []}}}]},
    ):
        value = fixture("otlp_details")
        value["resourceLogs"][0]["scopeLogs"][0]["logRecords"].append(odd)
        assert only(value) == plain
    for kind in (0x2A, 0x32):  # of AnyValue: an array, a list of pairs
        value = b"\x12" + _sized(bytes([kind]) + _sized(b""))
        record = b"\x32" + _sized(b"\x0a" + _sized(b"event.name") + value)
        odd_body = b"\x0a" + _sized(b"\x12" + _sized(b"\x12" + _sized(record)))
        assert only(fixture("otlp_details_proto") + odd_body) == plain


def _sized(raw: bytes) -> bytes:
    """A field of protobuf of less than 128 bytes behind its number: length and content."""
    return bytes([len(raw)]) + raw
