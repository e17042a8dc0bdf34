"""A record that a reader falls over, or that grows as it is read, costs one dead letter and bounded work."""

from __future__ import annotations

import base64
import copy
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.dead_letter import DeadLetter
from schemas.exchange import Exchange
from schemas.position import Position
from services.api import exchange_publisher
from services.api.exchange_publisher import prepare, prepare_all
from services.api.http.batch import BatchError
from services.ingest.decode import MOST_CALLS, RecordArrival, decode_all
from services.ingest.formats import FORMATS
from services.ingest.formats.openai_chat import joined_chunks
from services.ingest.formats.otlp_wire import MOST_RECORDS
from services.ingest.formats.protobuf import nested
from services.ingest.formats.protocol import Draft, Format, Json
from services.ingest.routing import Carriage
from services.ports import Received
from tests.ingest.malformed import calls_of, changed, fixture, raw_of
from tests.support.case import exchange, line

PLACE = Position(cluster="file", topic="0" * 12, partition=0, offset=7)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPAN = fixture("otlp_semconv")


def read(raw: bytes, formats: tuple[Format, ...] = FORMATS) -> list[Received | DeadLetter]:
    return decode_all(raw, RecordArrival(PLACE), formats=formats)


def spans(count: int, broken: Callable[[int], bool], resource: str = "") -> bytes:
    """A record of one call over and over, some without a trace; `resource` is text of the resource."""
    value = copy.deepcopy(SPAN)
    path = calls_of(value)[0].split("/")
    listed: Any = value
    for step in path[:-1]:
        listed = listed[int(step)] if isinstance(listed, list) else listed[step]
    one = listed[int(path[-1])]
    listed[:] = [
        {**one, "spanId": f"{i + 1:016x}", "traceId": "x" if broken(i) else one["traceId"]} for i in range(count)
    ]
    value["resourceSpans"][0]["resource"]["attributes"].append({"key": "z", "value": {"stringValue": resource}})
    return raw_of(value)


def clock(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


@pytest.mark.parametrize(
    ("value", "exchanges"),
    [
        (changed(SPAN, f"{calls_of(SPAN)[0]}/attributes/x", "y"), 1),
        (changed(fixture("litellm"), "startTime", "0001-01-01T00:00:00+01:00"), 0),
        (changed(fixture("litellm"), "endTime", "0001-01-01T00:00:00+01:00"), 1),
    ],
)
def test_odd_numbers_and_times_raise_nothing(value: Any, exchanges: int) -> None:
    raw = raw_of(value).replace(b'{"stringValue": "y"}', b'{"intValue": "--5"}')
    found = read(raw)
    assert [isinstance(one, Received) for one in found] == [True] * exchanges + [False] * (not exchanges)
    assert prepare(raw, "id", NOW, Carriage({}))


def test_a_reader_that_raises_is_a_dead_letter_that_repeats_nothing_and_is_told_over_http(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def falls(value: Json) -> list[Draft]:
        raise OverflowError(f"the secret {value}")

    def falls_later(value: Json) -> Any:
        yield Draft({"id": "x"})
        raise KeyError(f"the secret {value}")

    for reader, name in ((falls, "OverflowError"), (falls_later, "KeyError")):
        broken = tuple(replace(one, read=reader) for one in FORMATS)
        monkeypatch.setattr(
            exchange_publisher, "decode_all", lambda *some, formats=broken: decode_all(*some, formats=formats)
        )
        raw = raw_of(fixture("litellm"))
        [letter] = read(raw, broken)
        assert isinstance(letter, DeadLetter)
        assert name in letter.reason
        assert "secret" not in letter.reason
        [told] = prepare(raw, "id", NOW)
        assert told.fault == letter.reason


def test_more_calls_than_one_record_may_hold_are_one_dead_letter() -> None:
    [letter] = read(spans(MOST_CALLS + 1, lambda _: False))
    assert isinstance(letter, DeadLetter)
    assert "more than 1,000 calls of models; send fewer spans" in letter.reason


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_message_of_protobuf_that_holds_nothing_a_hundred_thousand_times_is_one_dead_letter(depth: int) -> None:
    """Two bytes each on the wire: without a bound eight megabytes would be millions of spans."""
    raw = b"\x0a\x00" if depth == 1 else b"\x12\x00"
    raw *= MOST_RECORDS + 1
    for number in ((), (1,), (2, 1))[depth - 1]:
        raw = nested(number, raw)
    [letter] = read(raw)
    assert isinstance(letter, DeadLetter)
    assert "more than 100,000 spans or log records; send fewer a message" in letter.reason


def test_attributes_events_and_values_without_end_are_read_once_each() -> None:
    for number in (9, 11):  # attributes, events
        span = nested(1, b"\1" * 16) + nested(2, b"\1" * 8) + bytes((number << 3 | 2, 0)) * 50_000
        assert read(nested(1, nested(2, nested(2, span)))) == []
    wide = nested(5, nested(1, b"") * 50_000)
    pair = nested(9, nested(1, b"gen_ai.request.model") + nested(2, wide))
    [letter] = read(nested(1, nested(2, nested(2, nested(1, b"\1" * 16) + nested(2, b"\1" * 8) + pair))))
    assert isinstance(letter, DeadLetter)
    assert "gen_ai.request.model: must be text" in letter.reason


@pytest.mark.parametrize("number", ["0", "7", "99999999999", "9" * 40])
def test_numbered_attributes_make_no_more_messages_than_there_are(number: str) -> None:
    told = f"gen_ai.prompt.{number}.role"
    value = changed(fixture("otlp_numbered"), f"{calls_of(fixture('otlp_numbered'))[0]}/attributes/{told}", "user")
    assert all(
        len(one.exchange.messages) <= 4 if isinstance(one, Received) else one.reason for one in read(raw_of(value))
    )


def test_ten_thousand_generations_of_a_batch_or_a_trace_are_one_dead_letter() -> None:
    named = ("id", "traceId", "type", "startTime", "model", "output")
    generation = {"input": "Hi", **{name: fixture("langfuse")[name] for name in named}, "output": "Yes."}
    for name, one in (("observations", generation), ("batch", {"type": "generation-create", "body": generation})):
        [letter] = read(raw_of({"timestamp": "2026-11-24T18:00:00Z", name: [one] * 10_000}))
        assert isinstance(letter, DeadLetter)
        assert "more than 1,000 calls of models" in letter.reason


def test_dead_letters_of_parts_that_outgrow_their_record_are_one_and_nothing_of_it_counts_twice() -> None:
    raw = spans(60, lambda i: i % 2 == 1, "r" * 100_000)
    [letter] = read(raw)
    assert isinstance(letter, DeadLetter)
    assert letter.reason.startswith("record: refused as a whole")
    assert letter.length == len(raw)
    small = read(spans(60, lambda i: i == 7, "r" * 100_000))
    assert [isinstance(one, DeadLetter) for one in small] == [i == 7 for i in range(60)]
    assert len(base64.b64decode(next(one.raw for one in small if isinstance(one, DeadLetter)))) < 120_000


def test_http_reads_a_record_of_many_spans_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    decode = exchange_publisher.decode
    monkeypatch.setattr(exchange_publisher, "decode", lambda *some, **more: calls.append(1) or decode(*some, **more))
    found = prepare(spans(20, lambda _: False), "id", NOW)
    assert [Exchange.decode(one.value).id for one in found] == [one.id for one in found]
    assert (len(found), len(calls)) == (20, 0)
    [whole] = prepare(spans(1, lambda _: False), "id", NOW)
    assert whole.value == spans(1, lambda _: False)


def test_a_body_that_could_never_be_on_its_way_is_refused_for_good() -> None:
    body = spans(5, lambda _: False)
    assert len(prepare_all(body, False, NOW, most=5)) == 5
    with pytest.raises(BatchError, match="body: more than 4 exchanges"):
        prepare_all(body, False, NOW, most=4)


def test_the_context_of_one_event_is_not_that_of_several_records() -> None:
    headers = Carriage({"ce-specversion": "1.0", "ce-id": "e", "ce-source": "/s", "ce-time": "2026-01-01T00:00:00Z"})
    one = line({name: item for name, item in exchange("x").items() if name != "id"})
    assert [made.id for made in prepare_all(one, False, NOW, headers)] == ["ce:/s/e"]
    several = [made.id for made in prepare_all(one + b"\n" + one, True, NOW, headers)]
    assert len({*several, "ce:/s/e"}) == 3


def test_a_stream_is_joined_in_time_by_its_length() -> None:
    def chunks(count: int) -> list[Json]:
        calls = [{"index": i, "function": {"name": "f", "arguments": "{}"}} for i in range(count)]
        return [{"choices": [{"index": 0, "delta": {"content": "x" * 20, "tool_calls": [call]}}]} for call in calls]

    joined = joined_chunks(chunks(3))["choices"][0]["message"]
    assert (len(joined["tool_calls"]), joined["content"]) == (3, "x" * 60)
    few, many = (min(clock(lambda n=n: joined_chunks(chunks(n))) for _ in range(3)) for n in (1_000, 10_000))
    assert many < 40 * few


def test_pieces_of_a_stream_go_on_whatever_their_form() -> None:
    deltas: list[Json] = [
        {
            "function_call": {"name": "look_up", "arguments": ""},
            "refusal": "I ",
            "content": [{"type": "text", "text": "a"}],
        },
        {"function_call": {"arguments": '{"a"'}, "refusal": "won't.", "content": [{"type": "text", "text": "b"}]},
        {"function_call": {"arguments": ": 1}"}, "content": None},
    ]
    message = joined_chunks([{"choices": [{"delta": one}]} for one in deltas])["choices"][0]["message"]
    assert message["function_call"] == {"name": "look_up", "arguments": '{"a": 1}'}
    assert (message["refusal"], [part["text"] for part in message["content"]]) == ("I won't.", ["a", "b"])


@pytest.mark.parametrize(
    "more",
    [
        {"specversion": "1.0", "source": "crm"},
        {"specversion": "1.0", "source": "crm", "data": {"a": 1}, "type": "x"},
        {"call_type": "support"},
        {"batch": [1, 2]},
    ],
)
def test_a_native_exchange_stays_one_whatever_else_it_has(more: Json) -> None:
    for native in (exchange("mine", **more), exchange("mine", route=..., **more)):
        [item] = decode_all(line(native), RecordArrival(PLACE), Carriage({"keelwatch-route": "by/header"}))
        assert isinstance(item, Received), item.reason
        assert item.exchange.id == "mine"
        assert item.exchange.extra.keys() >= more.keys()


@pytest.mark.parametrize("time", ["soon", "1999-01-01T00:00:00Z", "1764500000"])
def test_headers_of_another_event_whose_time_is_none_cost_nothing(time: str) -> None:
    headers = {"ce_specversion": "1.0", "ce_time": time, "ce_id": "e\0", "ce_source": "s"}
    [item] = decode_all(
        json.dumps(exchange("mine", ts=...) | {"id": None}).encode(), RecordArrival(PLACE), Carriage(headers)
    )
    assert isinstance(item, Received), item.reason
    assert item.exchange.id == "f:000000000000/7"
