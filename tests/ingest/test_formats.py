"""What real libraries log and export becomes exchanges, and what is broken a reason that names product and remedy."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest

from schemas.dead_letter import DeadLetter
from schemas.exchange import Exchange
from schemas.position import Position
from services.ingest.decode import RecordArrival, decode, decode_all
from services.ingest.errors import LONGEST
from services.ingest.routing import Carriage
from services.monitor.ingest_rules import IngestRule
from services.ports import Received
from services.score.scored_text import model_of, not_monitored, scored_text
from tests.ingest.fuzz import decoders, run
from tests.ingest.malformed import GONE, TABLES, Table, calls_of, changed, fixture, framed, misframed, names, raw_of
from tests.support.case import exchange, line

PLACE = Position(cluster="file", topic="0" * 12, partition=0, offset=7)
UNTOLD = {"litellm_failure", "cloudevent_binary", "otlp_logs", "otlp_logs_proto"}
"""An error, a body without its headers, and events without the span that names the model."""
EVERY = [name for name in names() if name not in UNTOLD]
SEEN_IMAGES = {"anthropic", "anthropic_stream", "langfuse", "litellm", "litellm_stream", "openai_chat"}
SEEN_IMAGES |= {"openai_chat_stream", "otlp_ai_sdk", "otlp_ai_sdk_proto", "otlp_semconv", "otlp_semconv_proto"}
SEEN_IMAGES |= {"otlp_details", "otlp_details_proto", "otlp_langfuse", "otlp_langfuse_proto", "litellm_spend_log"}
NAMED_ALONE = {"langfuse", "litellm_stream", "otlp_langfuse", "otlp_langfuse_proto"}
"""Langfuse has one name of a model: that of the answer, where its wrapper of OpenAI's client knows it."""
UNTOLD_TOOLS = {"langfuse", "otlp_events", "otlp_semconv", "otlp_details", "otlp_logs_with_spans"}
UNTIMED = {"otlp_details", "otlp_details_proto"}


def read(value: Any, carriage: Carriage | None = None) -> list[Received | DeadLetter]:
    return decode_all(raw_of(value), RecordArrival(PLACE), carriage or Carriage({}))


def first(value: Any, carriage: Carriage | None = None) -> Exchange:
    item = read(value, carriage)[0]
    assert isinstance(item, Received), item.reason
    return item.exchange


def reason(value: Any, carriage: Carriage | None = None) -> str:
    [letter] = [one for one in read(value, carriage) if isinstance(one, DeadLetter)]
    return letter.reason


@pytest.mark.parametrize("name", EVERY)
def test_what_a_library_made_is_an_exchange_with_texts_and_identity(name: str) -> None:
    found = first(fixture(name))
    text = scored_text(found)
    assert (text.prompt, text.response) == ("Where is my parcel?", "It left our warehouse this morning.")
    assert found.route in {"support-bot/prod", "support-bot"}
    wrapped = {"gpt-4o-2024-08-06"} if name.startswith("otlp_langfuse") else set()
    assert found.model.requested in {"gpt-4o", "claude-sonnet-4-5"} | wrapped
    assert Exchange.decode(found.encode()) == found
    if name.startswith("cloudevent"):
        return
    assert model_of(text).system_prompt_sha256 is not None
    assert (found.usage and found.usage.input_tokens, found.usage and found.usage.output_tokens) == (21, 9)
    assert (found.latency_ms is None) == (name in UNTIMED)
    assert len(found.answer.calls) == 1
    assert bool(found.tools) == (name.removesuffix("_proto") not in UNTOLD_TOOLS)
    assert (name in SEEN_IMAGES) == (not_monitored(found) == ("not_monitored:image",))
    if name not in NAMED_ALONE:
        assert found.model.served in {"gpt-4o-2024-08-06", "claude-sonnet-4-5-20250929"}


@pytest.mark.parametrize("name", [name for name in names() if name.endswith("_proto")])
def test_protobuf_and_json_of_the_same_spans_are_the_same_exchanges(name: str) -> None:
    proto, plain = read(fixture(name)), read(fixture(name.removesuffix("_proto")))
    assert [told(one) for one in proto] == [told(one) for one in plain]


def told(item: Received | DeadLetter) -> Any:
    return (item.exchange, item.part) if isinstance(item, Received) else item.reason


@pytest.mark.parametrize(
    ("whole", "streamed"), [(name, f"{name}_stream") for name in names() if f"{name}_stream" in names()]
)
def test_a_stream_that_was_joined_is_the_answer_that_came_whole(whole: str, streamed: str) -> None:
    one, other = first(fixture(whole)), first(fixture(streamed))
    assert one.answer.text == other.answer.text
    if whole != "litellm":  # of a stream it logs the model that was asked for as the one that answered
        assert one.model == other.model
    assert len(one.answer.calls) == len(other.answer.calls) == 1
    assert one.answer.finish_reason == other.answer.finish_reason


def test_a_failure_is_an_exchange_without_an_answer() -> None:
    found = first(fixture("litellm_failure"))
    assert found.answer.content is None
    assert found.answer.error


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.fixture)
def test_every_broken_field_is_named_with_its_product_and_costs_no_other_record(table: Table) -> None:
    variants = list(table.variants())
    assert len(variants) >= 40
    for name, value, said in variants:
        found = reason(value)
        assert found.startswith(f"{table.product}: "), (name, found)
        assert said in found, (name, found)
        assert len(found) <= LONGEST


def test_what_is_wrong_in_confluents_frame_is_told_with_its_name_and_costs_no_other_record() -> None:
    variants = list(misframed())
    assert len(variants) >= 40
    for raw, said in variants:
        found = reason(raw)
        assert found.startswith("Confluent Schema Registry: "), (raw, found)
        assert said in found, (raw, found)
        assert len(found) <= LONGEST
    assert first(framed(2**31 - 1, b" " + line(exchange("framed")))).id == "framed"
    for encoding in ("utf-16-be", "utf-32-be"):
        assert "looks like UTF-16 or UTF-32" in reason('{"route": "a"}'.encode(encoding))
    for compression in (b"\0", b"\5"):
        glued = b"\3" + compression + b"\1" * 16 + line(exchange("glued"))
        assert reason(glued).startswith("AWS Glue Schema Registry: its framing is not read; produce plain JSON")
    inner = changed(fixture("openai_chat"), "request/model", GONE)
    assert reason(framed(7, raw_of(inner))).startswith("OpenAI chat completion: request.model: ")


def test_all_that_is_wrong_is_told_at_once() -> None:
    value = changed(changed(fixture("openai_chat"), "request/model", GONE), "response/usage/prompt_tokens", "7")
    found = reason(changed(value, "route", GONE))
    for said in ("request.model: missing", "response.usage.prompt_tokens: must be", "route: missing"):
        assert said in found


def test_a_span_that_lacks_something_costs_no_other_and_is_a_dead_letter_by_itself() -> None:
    for name in ("otlp_openinference", "otlp_openinference_proto"):
        value = fixture(name)
        if isinstance(value, bytes):
            value = value.replace(b'\x13{"model": "gpt-4o"', b'\x13{"model"; "gpt-4o"', 1)
        else:
            value = changed(value, f"{calls_of(value)[0]}/traceId", "xyz")
        items = read(value)
        letters = [one for one in items if isinstance(one, DeadLetter)]
        [sound] = [one for one in items if isinstance(one, Received)]
        assert [one.reason[:20] for one in letters] == ["OpenInference span: "]
        assert sound.part == items.index(sound)
        again = base64.b64decode(letters[0].raw)
        assert len(again) < len(raw_of(fixture(name)))
        assert reason_of(again) == letters[0].reason


def reason_of(raw: bytes) -> str:
    item = decode(raw, PLACE)
    assert isinstance(item, DeadLetter)
    return item.reason


def test_spans_that_are_no_call_of_a_model_are_passed_over() -> None:
    value = fixture("otlp_ai_sdk")
    spans = [span["name"] for scope in value["resourceSpans"][0]["scopeSpans"] for span in scope["spans"]]
    assert sorted(spans) == ["POST /chat", "ai.generateText", "ai.generateText.doGenerate"]
    assert len(read(value)) == 1
    only = copy.deepcopy(value)
    for scope in only["resourceSpans"][0]["scopeSpans"]:
        scope["spans"] = [span for span in scope["spans"] if span["name"] == "POST /chat"]
    assert read(only) == []


def test_the_route_is_the_fields_then_the_headers_then_a_rules_then_the_services_name() -> None:
    rules = (
        IngestRule({"model": "nothing-*"}, "never"),
        IngestRule({"format": "otlp", "service.name": "Support*"}, "by/rule"),
        IngestRule({"header.x-team": "shop"}, "by/team"),
    )
    span = fixture("otlp_semconv")
    assert first(span).route == "support-bot"
    assert first(span, Carriage({}, rules)).route == "by/rule"
    assert first(span, Carriage({"keelwatch-route": "by/header"}, rules)).route == "by/header"
    named = changed(span, f"{calls_of(span)[0]}/attributes/keelwatch.route", "by/field")
    assert first(named, Carriage({"keelwatch-route": "by/header"}, rules)).route == "by/field"
    chat = changed(fixture("openai_chat"), "route", GONE)
    assert "route: missing; send it as field or header keelwatch-route" in reason(chat)
    assert first(chat, Carriage({"x-team": "shop"}, rules)).route == "by/team"
    native = exchange("mine", route=...)
    assert first(native, Carriage({"x-team": "shop"}, rules)).route == "by/team"


def test_envelopes_are_opened() -> None:
    body = fixture("cloudevent_binary")
    headers = {name.lower(): value for name, value in body["headers"].items()}
    found = first(body["body"], Carriage(headers))
    assert found.id == first(fixture("cloudevent_structured")).id == "ce:/shop/e-1"
    framed = b"\0\0\0\0\x07" + line(exchange("framed"))
    assert first(framed).id == "framed"
    assert reason(b"\0\0\0\0\x07\x02\x04\x06avro").startswith("Confluent Schema Registry: the payload is no JSON")
    inner = {"specversion": "1.0", "id": "e", "source": "s", "type": "t", "data": fixture("openai_chat")}
    assert first(inner).model.served == "gpt-4o-2024-08-06"


def test_a_header_names_the_format_and_one_that_nobody_knows_is_told_which_there_are() -> None:
    assert reason({"x": 1}, Carriage({"keelwatch-format": "litellm"})).startswith("LiteLLM StandardLoggingPayload: ")
    assert "there are otlp, litellm, langfuse" in reason({"x": 1}, Carriage({"keelwatch-format": "avro"}))
    assert "no known format (otlp, litellm, langfuse" in reason({"x": 1})


def test_traces_that_are_cut_off_are_one_dead_letter() -> None:
    whole = fixture("otlp_semconv_proto")
    said = {
        item.reason for cut in range(3, len(whole), 7) for item in read(whole[:cut]) if isinstance(item, DeadLetter)
    }
    assert all(len(one) <= LONGEST for one in said)
    headers = Carriage({"content-type": "application/x-protobuf"})
    assert reason(whole[:-3], headers).startswith("OpenTelemetry traces or logs (protobuf): ends or breaks")


def test_what_hides_in_the_text_of_an_attribute_is_cleaned_and_said() -> None:
    path = f"{calls_of(fixture('otlp_semconv'))[0]}/attributes/gen_ai.input.messages"
    hidden = '[{"role": "user", "parts": [{"type": "text", "content": "a\\u0000b\\ud800"}]}]'
    [item] = read(changed(fixture("otlp_semconv"), path, hidden))
    assert isinstance(item, Received)
    assert "sanitized" in item.flags
    assert "\0" not in item.exchange.encode().decode()
    deep = json.dumps([{"role": "user", "parts": [{"type": "tool_call", "arguments": nested(60)}]}])
    assert "nested more than 64" in reason(changed(fixture("otlp_semconv"), path, deep))


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize("decoder", decoders())
def test_no_broken_record_of_a_decoder_raises(decoder: str) -> None:
    records, _, _ = run(seconds=20.0, seed=11, most=60, wholes=decoders()[decoder], decoder=decoder)
    assert records == 60


def test_no_broken_fixture_raises() -> None:
    records, exchanges, _ = run(seconds=20.0, seed=7, most=600)
    assert records == 600
    assert exchanges > 100


def test_bytes_of_protobuf_that_are_no_text_are_replaced_and_flagged() -> None:
    raw = fixture("otlp_semconv_proto").replace(b"Where is", b"Wh\xff\x00e is")
    [item] = read(raw)
    assert isinstance(item, Received)
    assert item.flags == ("sanitized",)
    assert "Wh\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}e is" in item.exchange.messages[1].text
