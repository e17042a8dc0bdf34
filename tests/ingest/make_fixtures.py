"""Make the fixtures of tests/ingest with the real libraries: `python -m tests.ingest.make_fixtures` where they are.

    python -m venv env && env/bin/pip install openai anthropic 'litellm[proxy]' opentelemetry-sdk cloudevents \
        opentelemetry-exporter-otlp-proto-common opentelemetry-instrumentation-openai \
        opentelemetry-util-genai openinference-instrumentation-openai langfuse
    env/bin/pip install --no-deps --target old opentelemetry-instrumentation-openai==0.40.14 \
        opentelemetry-semantic-conventions-ai==0.4.9
    env/bin/python -m tests.ingest.make_fixtures old

    python -m venv older && older/bin/pip install "openai<2" opentelemetry-sdk==1.37.0 httpx \
        opentelemetry-exporter-otlp-proto-common==1.37.0 opentelemetry-instrumentation-openai-v2==2.1b0
    KEELWATCH_FIXTURE=logs OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true older/bin/python \
        -m tests.ingest.make_fixtures

Each library asks a server on this machine (`vendor_server`). What they log, export and send is written beside this file
under fixtures/. CI has none of the libraries and reads the fixtures alone.
Spans of the Vercel AI SDK, a library of JavaScript, are made with opentelemetry-sdk and the attributes that it sets.
langfuse.json is written by hand after its API's description: its exports come from a server.
"""

# ruff: noqa: PLC0415 -- each part needs a library of its own

from __future__ import annotations

import base64
import json
import os
import sys
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tests.ingest.vendor_server import (
    ANSWER,
    CALL,
    MESSAGES,
    PIXEL,
    PLAIN,
    QUESTION,
    SYSTEM,
    TOOL,
    Vendor,
)

FOLDER: Final = Path(__file__).parent / "fixtures"


def write(name: str, value: Any) -> None:
    """One fixture: JSON, or bytes as base64."""
    FOLDER.mkdir(exist_ok=True)
    told = {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
    (FOLDER / f"{name}.json").write_text(json.dumps(told, indent=1, default=str) + "\n")
    print(name, file=sys.stderr)


def openai_pairs(url: str) -> None:
    """Request and response as an application has them in hand, whole and from a stream."""
    from openai import OpenAI

    client = OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)
    asked: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES, "tools": [TOOL], "user": "u-4"}
    around = {"route": "support-bot/prod", "latency_ms": 310, "endpoint": "https://api.openai.com/v1"}
    chat = client.chat.completions.create(**asked)
    write("openai_chat", {**around, "request": asked, "response": chat.model_dump(mode="json")})
    chunks = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    write("openai_chat_stream", {**around, "request": asked, "chunks": [one.model_dump(mode="json") for one in chunks]})
    tool = {"type": "function", **TOOL["function"], "strict": False}  # type: ignore[dict-item]
    new: dict[str, Any] = {"model": "gpt-4o", "instructions": SYSTEM, "input": QUESTION, "tools": [tool], "user": "u-4"}
    whole = client.responses.create(**new)
    write("openai_responses", {**around, "request": new, "response": whole.model_dump(mode="json")})
    events = client.responses.create(**new, stream=True)
    write(
        "openai_responses_stream", {**around, "request": new, "events": [one.model_dump(mode="json") for one in events]}
    )


def anthropic_pairs(url: str) -> None:
    """The same of Anthropic's client."""
    from anthropic import Anthropic

    client = Anthropic(base_url=url, api_key="k", max_retries=0)
    tool = {"name": "track", "description": "Where a parcel is.", "input_schema": TOOL["function"]["parameters"]}  # type: ignore[index]
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    content = [{"type": "text", "text": QUESTION}, image]
    asked: dict[str, Any] = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "system": SYSTEM,
        "messages": [{"role": "user", "content": content}],
        "tools": [tool],
        "metadata": {"user_id": "u-4"},
    }
    around = {"route": "support-bot/prod", "latency_ms": 310, "endpoint": "https://api.anthropic.com"}
    whole = client.messages.create(**asked)
    write("anthropic", {**around, "request": asked, "response": whole.model_dump(mode="json")})
    events = client.messages.create(**asked, stream=True)
    write("anthropic_stream", {**around, "request": asked, "events": [one.model_dump(mode="json") for one in events]})


def litellm_payloads(url: str) -> None:
    """What LiteLLM hands to a callback: of a call, of a stream, of a failure."""
    import time

    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the internet for prices
    import litellm

    logged: list[dict[str, Any]] = []

    def log(kwargs: Any, *_: Any) -> None:
        logged.append(kwargs["standard_logging_object"])

    litellm.success_callback, litellm.failure_callback = [log], [log]
    asked: dict[str, Any] = {
        "messages": MESSAGES,
        "tools": [TOOL],
        "api_base": f"{url}/v1",
        "api_key": "k",
        "user": "u-4",
    }
    asked["metadata"] = {"requester_metadata": {"keelwatch_route": "support-bot/prod"}}  # as the proxy has it
    litellm.completion(model="openai/gpt-4o", **asked)
    for _chunk in litellm.completion(
        model="openai/gpt-4o", stream=True, stream_options={"include_usage": True}, **asked
    ):
        pass
    try:
        litellm.completion(model="openai/fail", num_retries=0, **asked)
    except Exception as error:
        print(type(error).__name__, file=sys.stderr)
    deadline = time.monotonic() + 120
    while len(logged) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    logged.sort(key=lambda one: (one["status"] == "failure", bool(one["stream"])))
    print([(one["status"], one["stream"]) for one in logged], file=sys.stderr)
    for name, payload in zip(("litellm", "litellm_stream", "litellm_failure"), logged, strict=True):
        (payload.get("error_information") or {}).update(traceback="")  # it holds paths of this machine
        write(name, payload)


def spend_logs(url: str) -> None:
    """The row that LiteLLM's proxy writes for a call, where it stores prompts."""
    import time

    os.environ["STORE_PROMPTS_IN_SPEND_LOGS"] = "true"
    import litellm
    from litellm.proxy.spend_tracking.spend_tracking_utils import get_logging_payload

    rows: list[Any] = []
    litellm.success_callback = [lambda *told: rows.append(get_logging_payload(*told))]
    body = {"model": "gpt-4o", "messages": MESSAGES, "tools": [TOOL]}
    litellm.completion(
        **{**body, "model": "openai/gpt-4o"},
        api_base=f"{url}/v1",
        api_key="k",
        proxy_server_request={"url": "/chat/completions", "method": "POST", "headers": {}, "body": body},
        metadata={"model_group": "gpt-4o", "spend_logs_metadata": {"keelwatch_route": "support-bot/prod"}},
    )
    deadline = time.monotonic() + 120
    while not rows and time.monotonic() < deadline:
        time.sleep(0.1)
    write("litellm_spend_log", rows[0])


def traced(instrument: Callable[[Any], None], work: Callable[[], None]) -> bytes:
    """OTLP protobuf of the spans that a piece of work makes, as exporters send it."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource.create({"service.name": "Support Bot", "deployment.environment.name": "p"})
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument(provider)
    with provider.get_tracer("app").start_as_current_span("POST /chat"):
        work()
    encoded: bytes = encode_spans(exporter.get_finished_spans()).SerializeToString()
    return encoded


def _log_provider() -> tuple[Any, Callable[[], Any]]:
    """A provider of loggers, and what gives the records as a message of OTLP."""
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.sdk._logs import LoggerProvider, export
    from opentelemetry.sdk.resources import Resource

    exporter = getattr(export, "InMemoryLogRecordExporter", None) or export.InMemoryLogExporter  # the older name
    kept = exporter()
    made = LoggerProvider(resource=Resource.create({"service.name": "Support Bot"}))
    made.add_log_record_processor(export.SimpleLogRecordProcessor(kept))
    return made, lambda: encode_logs(kept.get_finished_logs())


def write_logs(name: str, message: Any) -> Any:
    """Write log records in both encodings; their JSON, whose ids are hexadecimal."""
    from google.protobuf.json_format import MessageToDict

    write(f"otlp_{name}_proto", message.SerializeToString())
    found = MessageToDict(message)
    for resource in found["resourceLogs"]:
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                for id in ("traceId", "spanId"):
                    record[id] = base64.b64decode(record[id]).hex()
    write(f"otlp_{name}", found)
    return found


def logged(url: str) -> None:
    """Log records that hold what was said, by OpenTelemetry's instrumentation for OpenAI, and with their spans."""
    from openai import OpenAI
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
    from opentelemetry.sdk._events import EventLoggerProvider

    logs, message = _log_provider()
    client = OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)

    def instrument(provider: Any) -> None:
        OpenAIInstrumentor().instrument(tracer_provider=provider, event_logger_provider=EventLoggerProvider(logs))

    def work() -> None:
        client.chat.completions.create(model="gpt-4o", messages=PLAIN, tools=[TOOL])  # type: ignore[call-overload]

    spans_sent = traced(instrument, work)
    write("otlp_logs_with_spans", as_otlp_json(spans_sent) | write_logs("logs", message()))


def as_otlp_json(encoded: bytes) -> Any:
    """The same as OTLP JSON, whose ids are hexadecimal, as the Collector writes it."""
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found = MessageToDict(ExportTraceServiceRequest.FromString(encoded))
    for resource in found["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = base64.b64decode(span[name]).hex()
    return found


def spans(url: str) -> None:
    """Spans of the instrumentations of OpenAI's client, each in its own process: they patch one another's work."""
    from openai import OpenAI

    kind = os.environ["KEELWATCH_FIXTURE"]
    client = OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)

    def work() -> None:
        for messages in (PLAIN, MESSAGES):
            client.chat.completions.create(model="gpt-4o", messages=messages, tools=[TOOL])  # type: ignore[call-overload]

    encoded = traced(INSTRUMENTATIONS[kind], work)
    write(f"otlp_{kind}_proto", encoded)
    write(f"otlp_{kind}", as_otlp_json(encoded))


def _openllmetry(provider: Any) -> None:
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=provider)


def _openinference(provider: Any) -> None:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=provider)


INSTRUMENTATIONS: Final[dict[str, Callable[[Any], None]]] = {
    "openllmetry": _openllmetry,
    "openinference": _openinference,
    "numbered": _openllmetry,
}


def written_spans() -> None:
    """Spans with attributes that other libraries set: events of the older conventions, and the Vercel AI SDK's."""
    providers: list[Any] = []

    def events() -> None:
        with providers[-1].get_tracer("azure.ai.inference").start_as_current_span("chat gpt-4o") as span:
            span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.system": "az.ai.inference"})
            span.set_attributes({"gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-2024-08-06"})
            span.set_attributes({"gen_ai.usage.input_tokens": 21, "gen_ai.usage.output_tokens": 9})
            span.set_attribute("gen_ai.response.finish_reasons", ["stop"])
            span.add_event("gen_ai.system.message", {"content": SYSTEM, "gen_ai.system": "az.ai.inference"})
            span.add_event("gen_ai.user.message", {"content": QUESTION, "gen_ai.system": "az.ai.inference"})
            body = {"message": {"content": ANSWER, "tool_calls": [CALL]}, "finish_reason": "stop", "index": 0}
            span.add_event("gen_ai.choice", {"gen_ai.event.content": json.dumps(body)})

    def ai_sdk() -> None:
        tracer = providers[-1].get_tracer("ai")
        shared = {"ai.model.id": "gpt-4o", "ai.model.provider": "openai.chat", "ai.telemetry.functionId": "support"}
        shared |= {"ai.telemetry.metadata.userId": "u-4", "ai.telemetry.metadata.sessionId": "c-17"}
        with tracer.start_as_current_span("ai.generateText") as outer:
            outer.set_attributes({**shared, "ai.operationId": "ai.generateText", "ai.response.text": ANSWER})
            outer.set_attribute("ai.prompt", json.dumps({"system": SYSTEM, "prompt": QUESTION}))
            with tracer.start_as_current_span("ai.generateText.doGenerate") as span:
                span.set_attributes({**shared, "ai.operationId": "ai.generateText.doGenerate"})
                content = [{"type": "text", "text": QUESTION}, {"type": "image", "image": PIXEL}]
                messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]
                span.set_attribute("ai.prompt.messages", json.dumps(messages))
                span.set_attribute(
                    "ai.prompt.tools", [json.dumps({"type": "function", "name": "track", "inputSchema": {}})]
                )
                span.set_attribute("ai.response.text", ANSWER)
                calls = [
                    {"toolCallType": "function", "toolCallId": "call_1", "toolName": "track", "args": '{"parcel": "7"}'}
                ]
                span.set_attribute("ai.response.toolCalls", json.dumps(calls))
                span.set_attributes({"ai.response.finishReason": "stop", "ai.response.model": "gpt-4o-2024-08-06"})
                span.set_attributes({"ai.usage.promptTokens": 21, "ai.usage.completionTokens": 9})
                span.set_attributes({"gen_ai.system": "openai.chat", "gen_ai.request.model": "gpt-4o"})

    for name, work in (
        ("events", events),
        ("ai_sdk", ai_sdk),
        ("semconv", lambda: told_by_parts(tracer_provider=providers[-1])),
    ):
        encoded = traced(providers.append, work)
        write(f"otlp_{name}_proto", encoded)
        write(f"otlp_{name}", as_otlp_json(encoded))


def told_by_parts(**providers: Any) -> None:
    """One call by the library of the conventions itself, whose messages have parts."""
    from opentelemetry.util.genai.handler import TelemetryHandler
    from opentelemetry.util.genai.types import BlobPart, InputMessage, OutputMessage, TextPart, ToolCallRequestPart

    image = BlobPart(mime_type="image/png", modality="image", content=base64.b64decode(PIXEL))
    told = {"request_model": "gpt-4o", "server_address": "api.openai.com", "server_port": 443}
    with TelemetryHandler(**providers).inference("openai", **told) as call:
        call.system_instruction = [TextPart(content=SYSTEM)]
        call.input_messages = [InputMessage(role="user", parts=[TextPart(content=QUESTION), image])]
        asked = ToolCallRequestPart(arguments={"parcel": "7"}, name="track", id="call_1")
        parts = [TextPart(content=ANSWER), asked]
        call.output_messages = [OutputMessage(role="assistant", parts=parts, finish_reason="stop")]
        call.response_model_name, call.input_tokens, call.output_tokens = "gpt-4o-2024-08-06", 21, 9
        call.finish_reasons = ["stop"]


def details() -> None:
    """The same as the one log record that holds a whole call."""
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "event_only"
    logs, message = _log_provider()
    traced(lambda provider: told_by_parts(tracer_provider=provider, logger_provider=logs), lambda: None)
    write_logs("details", message())


def langfuse_spans(url: str) -> None:
    """What Langfuse's wrapper of OpenAI's client exports, a route in its metadata."""
    from langfuse import Langfuse
    from langfuse.openai import OpenAI
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    traces = Langfuse(public_key="pk-lf-k", secret_key="sk-lf-k", base_url=url, span_exporter=exporter)
    client = OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)
    with traces.start_as_current_observation(as_type="span", name="POST /chat"):
        client.chat.completions.create(
            model="gpt-4o",
            messages=MESSAGES,  # type: ignore[arg-type]
            tools=[TOOL],  # type: ignore[list-item]
            metadata={"keelwatch_route": "support-bot/prod"},
        )
    traces.flush()
    encoded = encode_spans(exporter.get_finished_spans()).SerializeToString()
    write("otlp_langfuse_proto", encoded)
    write("otlp_langfuse", as_otlp_json(encoded))


def cloud_events() -> None:
    """One exchange as a CloudEvent, structured and binary, by the SDK."""
    from cloudevents.core.bindings.http import to_binary, to_structured
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    model = {"requested": "gpt-4o", "served": "gpt-4o-2024-08-06"}
    exchange = {"route": "support-bot/prod", "model": model, "prompt": QUESTION, "response": ANSWER}
    attributes = {"id": "e-1", "source": "/shop", "type": "chat.answered", "specversion": "1.0"}
    event = CloudEvent(attributes=attributes | {"datacontenttype": "application/json"}, data=exchange)
    whole = to_structured(event, JSONFormat())
    write("cloudevent_structured", json.loads(whole.body))
    parts = to_binary(event, JSONFormat())
    write("cloudevent_binary", {"headers": dict(parts.headers), "body": json.loads(parts.body)})


def main() -> None:
    """Write every fixture, or spans of the one instrumentation that the environment names."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    if "KEELWATCH_FIXTURE" in os.environ:
        (logged if os.environ["KEELWATCH_FIXTURE"] == "logs" else spans)(url)
        return
    import subprocess

    for kind in INSTRUMENTATIONS:
        wanted = {
            "KEELWATCH_FIXTURE": kind,
            "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only",
            "TRACELOOP_TRACE_CONTENT": "true",
        }
        older = {"PYTHONPATH": str(Path(sys.argv[1]).resolve())} if kind == "numbered" else {}
        subprocess.run(
            [sys.executable, "-m", "tests.ingest.make_fixtures"], env={**os.environ, **wanted, **older}, check=True
        )
    os.environ.update(wanted)
    written_spans()
    openai_pairs(url)
    anthropic_pairs(url)
    litellm_payloads(url)
    spend_logs(url)
    langfuse_spans(url)
    cloud_events()
    details()


if __name__ == "__main__":
    main()
