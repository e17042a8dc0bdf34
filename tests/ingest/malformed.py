"""Fixtures that the real libraries made, and every way in which the tables break one field of them."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "fixtures"
GONE: Final = object()
WRONG: Final[dict[str, tuple[Any, ...]]] = {
    "text": (7, True, ["x"], {"x": 1}),
    "needed": (GONE, None, "", 7, ["x"], {"x": 1}),
    "whole": ("7", -1, 1.5, True, [7]),
    "number": ("7", -1, False, [7]),
    "list": ("x", 7, {"x": 1}),
    "object": ("x", 7, ["x"]),
    "messages": (GONE, [], 7, [7], [{"content": "x"}], [{"role": 7, "content": "x"}], [{"role": "user", "content": 7}]),
    "content": (7, True, [7]),
    "time": ("soon", [], {}, True, -1, 1e300),
}
"""What is no value of a kind."""


@dataclass(frozen=True)
class Table:
    """A fixture, whose form it is, and the kinds of its fields: path (`/` between steps) -> (kind, said of it).

    `without` is the path of what is taken out first: a call that is refused as the library made it.
    """

    fixture: str
    product: str
    fields: dict[str, tuple[str, str]]
    without: str = ""

    def variants(self) -> Iterator[tuple[str, Any, str]]:
        """(name, payload, what the reason must say)."""
        whole = fixture(self.fixture)
        if self.without:
            whole = changed(whole, self.without, GONE)
        for path, (kind, said) in self.fields.items():
            for wrong in WRONG[kind]:
                yield f"{self.fixture} {path} {wrong!r:.30}", changed(whole, path, wrong), said


def fixture(name: str) -> Any:
    """What a library made: JSON, or bytes."""
    found = json.loads((FOLDER / f"{name}.json").read_text())
    return base64.b64decode(found["base64"]) if set(found) == {"base64"} else found


def names() -> list[str]:
    """Every fixture."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def raw_of(value: Any) -> bytes:
    """A payload as the bytes of a record."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def changed(value: Any, path: str, wrong: Any) -> Any:
    """A copy with something else at the path, or nothing; `attributes[key]` is the value of an attribute."""
    whole = copy.deepcopy(value)
    here = whole
    *steps, last = path.split("/")
    for step in steps:
        here = here[int(step)] if isinstance(here, list) else here[step]
    if isinstance(here, list) and not last.isdigit():
        _set_attribute(here, last, wrong)
    elif wrong is GONE:
        del here[int(last) if isinstance(here, list) else last]
    else:
        here[int(last) if isinstance(here, list) else last] = wrong
    return whole


def _set_attribute(attributes: list[Any], key: str, wrong: Any) -> None:
    attributes[:] = [one for one in attributes if one["key"] != key]
    if wrong is not GONE:
        attributes.append({"key": key, "value": any_value(wrong)})


_SCALARS: Final = {bool: "boolValue", float: "doubleValue", str: "stringValue"}


def any_value(value: Any) -> Any:
    """A plain value as OTLP JSON has it."""
    if type(value) in _SCALARS:
        return {_SCALARS[type(value)]: value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(one) for one in value]}}
    pairs = value.items() if isinstance(value, dict) else ()
    return {"kvlistValue": {"values": [{"key": key, "value": any_value(one)} for key, one in pairs]}} if value else {}


_CHAT: Final = {
    "request/model": ("needed", "request.model: "),
    "request/messages": ("messages", "request.messages"),
    "request/tools": ("list", "request.tools: must be a list"),
    "response/choices": ("list", "response.choices"),
    "response/choices/0/message": ("object", "response.choices[0].message: must be an object"),
    "response/choices/0/message/content": ("content", "response.choices[0].message.content"),
    "response/choices/0/message/tool_calls": ("list", "response.choices[0].message.tool_calls: must be a list"),
    "response/choices/0/finish_reason": ("text", "finish_reason: must be text"),
    "response/usage": ("object", "response.usage: must be an object"),
    "response/usage/prompt_tokens": ("whole", "response.usage.prompt_tokens: "),
    "response/usage/completion_tokens": ("whole", "response.usage.completion_tokens: "),
    "response/model": ("text", "response.model: must be text"),
    "latency_ms": ("number", "latency_ms: must be a number"),
}
_RESPONSES: Final = {
    "request/model": ("needed", "request.model: "),
    "request/input": ("messages", "request.input"),
    "request/instructions": ("text", "request.instructions: must be text"),
    "request/tools": ("list", "request.tools: must be a list"),
    "response/output": ("list", "response.output"),
    "response/output/0": ("object", "response.output[0]: must be an object"),
    "response/output/0/content": ("content", "response.output[0].content: must be text or a list of parts"),
    "response/usage": ("object", "response.usage: must be an object"),
    "response/usage/input_tokens": ("whole", "response.usage.input_tokens: "),
    "response/usage/output_tokens": ("whole", "response.usage.output_tokens: "),
    "response/model": ("text", "response.model: must be text"),
    "latency_ms": ("number", "latency_ms: must be a number"),
}
_MESSAGES: Final = {
    "request/model": ("needed", "request.model: "),
    "request/messages": ("messages", "request.messages"),
    "request/system": ("content", "request.system: must be text or a list of parts"),
    "request/tools": ("list", "request.tools: must be a list"),
    "request/metadata": ("object", "request.metadata: must be an object"),
    "response/content": ("content", "response.content: must be text or a list of parts"),
    "response/stop_reason": ("text", "response.stop_reason: must be text"),
    "response/usage": ("object", "response.usage: must be an object"),
    "response/usage/input_tokens": ("whole", "response.usage.input_tokens: "),
    "response/usage/output_tokens": ("whole", "response.usage.output_tokens: "),
    "response/model": ("text", "response.model: must be text"),
    "latency_ms": ("number", "latency_ms: must be a number"),
}
_LITELLM: Final = {
    "call_type": ("text", "call_type: must be text"),
    "messages": ("input", "messages"),
    "model": ("text", "model: must be text"),
    "custom_llm_provider": ("text", "custom_llm_provider: must be text"),
    "startTime": ("time", "startTime: must be ISO 8601 or seconds"),
    "prompt_tokens": ("whole", "prompt_tokens: must be a whole number"),
    "completion_tokens": ("whole", "completion_tokens: must be a whole number"),
    "response_time": ("number", "response_time: must be a number"),
    "metadata": ("object", "metadata: must be an object"),
    "model_parameters": ("object", "model_parameters: must be an object"),
    "response/choices/0/message/tool_calls": ("list", "tool_calls: must be a list"),
    "response/choices/0/finish_reason": ("text", "finish_reason: must be text"),
    "response/choices/0/message/content": ("content", "content: must be text or a list of parts"),
}
_LANGFUSE: Final = {
    "model": ("needed", "model: "),
    "input": ("input", "input"),
    "output": ("gone", "output: missing"),
    "startTime": ("time", "startTime: must be ISO 8601"),
    "endTime": ("time", "endTime: must be ISO 8601"),
    "id": ("text", "id: must be text"),
    "sessionId": ("text", "sessionId: must be text"),
    "userId": ("text", "userId: must be text"),
    "usageDetails": ("object", "usageDetails: must be an object"),
    "usageDetails/input": ("whole", "usageDetails.input: "),
    "usageDetails/output": ("whole", "usageDetails.output: "),
    "output/content": ("content", "output.content: must be text or a list of parts"),
    "output/tool_calls": ("list", "output.tool_calls: must be a list"),
}


_SPENT: Final = {
    name: told for name, told in _LITELLM.items() if name.split("/")[0] not in {"messages", "response", "metadata"}
} | {
    "proxy_server_request": ("gone", "messages: missing; set general_settings.store_prompts_in_spend_logs to true"),
    "response": ("gone", "response: missing; set general_settings.store_prompts_in_spend_logs to true"),
    "api_base": ("text", "api_base: must be text"),
    "end_user": ("text", "end_user: must be text"),
    "model_group": ("text", "model_group: must be text"),
    "request_duration_ms": ("number of a table", "response_time: must be a number"),
    "prompt_tokens": ("whole of a table", "prompt_tokens: must be a whole number"),
    "completion_tokens": ("whole of a table", "completion_tokens: must be a whole number"),
}
del _SPENT["response_time"], _SPENT["model_parameters"]


def _streamed(fields: dict[str, tuple[str, str]], pieces: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Fields of a pair whose answer came in pieces: those of its request, and those of the pieces."""
    return {path: told for path, told in fields.items() if not path.startswith("response")} | pieces


_CHUNKS: Final = {
    "chunks": ("pieces", "response"),
    "chunks/0": ("piece", "response[0]: must be an object"),
    "chunks/1/choices/0/delta/content": ("content", "response.choices[0].message.content: must be text"),
    "chunks/10/choices/0/finish_reason": ("text", "finish_reason: must be text"),
    "chunks/11/model": ("text", "response.model: must be text"),
    "chunks/11/system_fingerprint": ("text", "response.system_fingerprint: must be text"),
    "chunks/11/usage": ("object", "response.usage: must be an object"),
    "chunks/11/usage/prompt_tokens": ("whole", "response.usage.prompt_tokens: "),
    "chunks/11/usage/completion_tokens": ("whole", "response.usage.completion_tokens: "),
}
_LAST_EVENT: Final = {
    path.replace("response", "events/7/response", 1): told
    for path, told in _RESPONSES.items()
    if path.startswith("response")
}
_MESSAGE_EVENTS: Final = {
    "events": ("pieces", "response"),
    "events/0": ("piece", "response[0]: must be an object"),
    "events/2/delta/text": ("content", "response.content: must be text or a list of parts"),
    "events/0/message/model": ("text", "response.model: must be text"),
    "events/13/delta/stop_reason": ("text", "response.stop_reason: must be text"),
    "events/0/message/usage/input_tokens": ("whole", "response.usage.input_tokens: "),
    "events/13/usage/output_tokens": ("whole", "response.usage.output_tokens: "),
}


def calls_of(value: Any) -> list[str]:
    """The paths of the spans of OTLP JSON that are calls of a model."""
    return [
        f"resourceSpans/0/scopeSpans/{i}/spans/{j}"
        for i, scope in enumerate(value["resourceSpans"][0]["scopeSpans"])
        for j, span in enumerate(scope["spans"])
        if {one["key"] for one in span.get("attributes", ())}
        & {
            "gen_ai.operation.name",
            "llm.model_name",
            "ai.response.model",
            "llm.request.type",
            "langfuse.observation.model.name",
        }
    ]


def _span(name: str, fields: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Fields of the first call of a fixture, whose attributes are named, and those that every span has."""
    span = calls_of(fixture(name))[0]
    shared = {
        f"{span}/traceId": ("id", "traceId, spanId: missing or no hexadecimal"),
        f"{span}/spanId": ("id of a span", "traceId, spanId: missing or no hexadecimal"),
        f"{span}/startTimeUnixNano": ("nanoseconds", "startTimeUnixNano: "),
        f"{span}/endTimeUnixNano": ("wrong nanoseconds", "endTimeUnixNano: must be nanoseconds"),
    }
    return shared | {f"{span}/attributes/{name}": told for name, told in fields.items()}


WRONG |= {
    "gone": (GONE, None),
    "input": (GONE, None, "", [], [{"content": "x", "role": 7}], [{"role": "user", "content": 7}]),
    "id": (GONE, None, "", "xyz", 7, "0" * 32, ["x"]),
    "id of a span": (GONE, None, "", "xyz", 7, "0" * 16, ["x"]),
    "nanoseconds": (GONE, None, "soon", -1, [], {}, True),
    "wrong nanoseconds": ("soon", -1, [], {}, True),
    "number of a table": (-1, -1.5, False, "soon", [7]),
    "whole of a table": ("x", "-7", -1, 1.5, True, [7]),
    "pieces": ([], "x", 7, {"x": 1}),
    "piece": ("x", 7, [7]),
    "json list": ("[{", "7", '[{"role": 7}]', "{", "[7]", "[{}]"),
}
_MODEL_FIELDS: Final = {
    "gen_ai.request.model": ("text", "gen_ai.request.model: must be text"),
    "gen_ai.response.model": ("text", "gen_ai.response.model: must be text"),
}
_USAGE_FIELDS: Final = {
    "gen_ai.usage.input_tokens": ("whole", "gen_ai.usage.input_tokens: "),
    "gen_ai.usage.output_tokens": ("whole", "gen_ai.usage.output_tokens: "),
}
_EVENTS: Final = "resourceSpans/0/scopeSpans/0/spans/0/events"
_RECORD: Final = "resourceLogs/0/scopeLogs/0/logRecords/0"
TABLES: Final = (
    Table("openai_chat", "OpenAI chat completion", _CHAT),
    Table("openai_responses", "OpenAI Responses API", _RESPONSES),
    Table("anthropic", "Anthropic Messages API", _MESSAGES),
    Table("openai_chat_stream", "OpenAI chat completion", _streamed(_CHAT, _CHUNKS)),
    Table("openai_responses_stream", "OpenAI Responses API", _streamed(_RESPONSES, _LAST_EVENT)),
    Table("anthropic_stream", "Anthropic Messages API", _streamed(_MESSAGES, _MESSAGE_EVENTS)),
    Table("litellm", "LiteLLM StandardLoggingPayload", _LITELLM),
    Table("litellm_spend_log", "LiteLLM spend log", _SPENT),
    Table("langfuse", "Langfuse generation", _LANGFUSE),
    Table(
        "otlp_semconv",
        "OpenTelemetry GenAI span",
        _span(
            "otlp_semconv",
            {
                "gen_ai.request.model": ("text", "gen_ai.request.model: must be text"),
                "gen_ai.response.model": ("text", "gen_ai.response.model: must be text"),
                "gen_ai.provider.name": ("text", "gen_ai.provider.name: must be text"),
                "gen_ai.usage.input_tokens": ("whole", "gen_ai.usage.input_tokens: "),
                "gen_ai.usage.output_tokens": ("whole", "gen_ai.usage.output_tokens: "),
                "gen_ai.input.messages": ("json list", "gen_ai.input.messages"),
                "gen_ai.output.messages": ("gone", "gen_ai.output.messages: missing"),
            },
        ),
    ),
    Table(
        "otlp_openinference",
        "OpenInference span",
        _span(
            "otlp_openinference",
            {
                "llm.model_name": ("text", "llm.model_name: must be text"),
                "llm.provider": ("text", "llm.provider: must be text"),
                "llm.token_count.prompt": ("whole", "llm.token_count.prompt: "),
                "llm.token_count.completion": ("whole", "llm.token_count.completion: "),
                "llm.invocation_parameters": ("cut", "llm.invocation_parameters: no JSON"),
                "llm.input_messages.0.message.role": ("text", "llm.input_messages[0].role: must be text"),
                "llm.input_messages.0.message.content": ("content", "llm.input_messages[0].content: must be text"),
            },
        ),
    ),
    Table(
        "otlp_ai_sdk",
        "Vercel AI SDK span",
        _span(
            "otlp_ai_sdk",
            {
                "ai.model.id": ("text", "ai.model.id: must be text"),
                "ai.model.provider": ("text", "ai.model.provider: must be text"),
                "ai.prompt.messages": ("json list", "ai.prompt.messages"),
                "ai.response.text": ("text", "ai.response.text: must be text"),
                "ai.response.toolCalls": ("cut", "ai.response.toolCalls: no JSON"),
                "ai.response.finishReason": ("text", "ai.response.finishReason: must be text"),
                "ai.usage.promptTokens": ("whole", "ai.usage.promptTokens: "),
                "ai.usage.completionTokens": ("whole", "ai.usage.completionTokens: "),
                "ai.prompt.tools": ("list", "ai.prompt.tools: must be a list"),
            },
        ),
    ),
    Table(
        "otlp_numbered",
        "OpenTelemetry GenAI span",
        _span(
            "otlp_numbered",
            {
                **_MODEL_FIELDS,
                "gen_ai.system": ("text", "gen_ai.system: must be text"),
                "gen_ai.usage.prompt_tokens": ("whole", "gen_ai.usage.prompt_tokens: "),
                "gen_ai.usage.completion_tokens": ("whole", "gen_ai.usage.completion_tokens: "),
                "gen_ai.prompt.1.role": ("text", "gen_ai.prompt[1].role: must be text"),
                "gen_ai.prompt.1.content": ("content", "gen_ai.prompt[1].content: must be text"),
                "gen_ai.completion.0.content": ("content", "gen_ai.completion.0.content: must be text"),
                "gen_ai.completion.0.finish_reason": ("text", "gen_ai.completion.0.finish_reason: must be text"),
            },
        ),
        "resourceSpans/0/scopeSpans/0/spans/1",
    ),
    Table(
        "otlp_openllmetry",
        "OpenTelemetry GenAI span",
        _span(
            "otlp_openllmetry",
            {
                **_MODEL_FIELDS,
                **_USAGE_FIELDS,
                "gen_ai.input.messages": ("json list", "gen_ai.input.messages"),
                "gen_ai.output.messages": ("gone", "gen_ai.output.messages: missing"),
            },
        ),
        "resourceSpans/0/scopeSpans/0/spans/1",
    ),
    Table(
        "otlp_langfuse",
        "Langfuse span",
        _span(
            "otlp_langfuse",
            {
                "langfuse.observation.model.name": ("needed", "langfuse.observation.model.name: "),
                "langfuse.observation.input": ("gone", "langfuse.observation.input: missing"),
                "langfuse.observation.output": ("gone", "langfuse.observation.output: missing"),
                "langfuse.observation.usage_details": ("cut", "langfuse.observation.usage_details: no JSON"),
                "langfuse.observation.metadata.keelwatch_route": ("text", "metadata.keelwatch_route: must be text"),
            },
        ),
    ),
    Table(
        "otlp_events",
        "OpenTelemetry GenAI span",
        _span("otlp_events", _MODEL_FIELDS | _USAGE_FIELDS)
        | {
            f"{_EVENTS}": ("list", "events: must be a list"),
            f"{_EVENTS}/1/attributes/content": ("content", "gen_ai.user.message[1].content: must be text"),
            f"{_EVENTS}/2/attributes/gen_ai.event.content": ("cut", "gen_ai.choice.gen_ai.event.content: no JSON"),
            f"{_EVENTS}/1/attributes": ("list", "attributes: must be a list"),
        },
    ),
    Table(
        "otlp_details",
        "OpenTelemetry GenAI log record",
        {
            f"{_RECORD}/traceId": ("id", "traceId, spanId: missing or no hexadecimal"),
            f"{_RECORD}/spanId": ("id of a span", "traceId, spanId: missing or no hexadecimal"),
            f"{_RECORD}/observedTimeUnixNano": ("nanoseconds", "imeUnixNano: "),
        }
        | {
            f"{_RECORD}/attributes/{name}": told
            for name, told in {
                **_MODEL_FIELDS,
                **_USAGE_FIELDS,
                "gen_ai.provider.name": ("text", "gen_ai.provider.name: must be text"),
                "gen_ai.input.messages": ("json list", "gen_ai.input.messages"),
                "gen_ai.output.messages": ("gone", "gen_ai.output.messages: missing"),
            }.items()
        },
    ),
    Table(
        "cloudevent_structured",
        "CloudEvent",
        {
            "id": ("needed", "id: must be text"),
            "source": ("needed", "source: must be text"),
            "type": ("needed", "type: must be text"),
            "specversion": ("empty", "specversion: must be text"),
            "data": ("data", "data: must be the exchange as a JSON object"),
            "time": ("text time", "time: must be ISO 8601"),
        },
    ),
)
WRONG |= {
    "cut": ("{", '{"x": ', "[", "no JSON"),
    "empty": ("", 7, None, ["x"]),
    "data": (GONE, None, 7, ["x"], "x", True, 1.5),
    "text time": (
        "soon",
        "2026",
        "2026-13-01T00:00:00Z",
        "1764500000",
        "2026-11-24",
        "24.11.2026 18:00",
        "tomorrow",
        "-1",
        "1999",
        "18:00",
        "2026-11",
    ),
}


def framed(schema: int, body: bytes) -> bytes:
    """A payload in the frame of Confluent's serializers."""
    return b"\0" + schema.to_bytes(4) + body


_SCHEMAS: Final = (0, 7, 256, 65_535, 65_536, 0x00007B00, 2**31 - 1)
_NO_JSON: Final = "the payload is no JSON"
_IN_FRAME: Final = {
    b"\x02\x04\x06avro": _NO_JSON,
    b"\x00\x0a\x05hello": _NO_JSON,
    b"\x02\x00\x0a\x05hello": _NO_JSON,
    b"7": _NO_JSON,
    b"": "nothing stands behind",
    b" \n": "nothing stands behind",
    b'[{"a": 1}]': "must be a JSON object",
    b'"text"': "must be a JSON object",
    b"{": "not JSON: ",
    b'{"a": 1': "not JSON: ",
    b'{"a": NaN}': "NaN, Infinity or beyond",
    b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}": "nested more than 64",
    b'{"a": 1}': "no known format",
}


def misframed() -> Iterator[tuple[bytes, str]]:
    """(record, what the reason must say) of what is wrong within Confluent's frame, or with it."""
    for schema in _SCHEMAS:
        for body, said in _IN_FRAME.items():
            yield framed(schema, body), said
    for length in range(1, 5):
        yield framed(7, b"")[:length], "nothing stands behind"
    yield framed(7, framed(7, b'{"a": 1}')), _NO_JSON
