"""Spans and logs of OpenTelemetry (OTLP JSON, and protobuf once it is read): each span that is a call of a model.

A record of the Collector's Kafka exporter holds many spans, most of which are no such calls: those are passed over. A
span is one exchange with an id made of its trace and its own; one that lacks something costs no other. Log records that
are events of a call are joined with its span where both come in one record, else they are read by themselves.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from services.ingest.formats.ai_sdk import AI_SDK
from services.ingest.formats.fields import host_of, milliseconds, moment_of_nanoseconds, without_nothing
from services.ingest.formats.gen_ai import GEN_AI
from services.ingest.formats.langfuse_spans import LANGFUSE_SPANS
from services.ingest.formats.openinference import OPENINFERENCE
from services.ingest.formats.otlp_json import logs_of, spans_of
from services.ingest.formats.protocol import Draft, Format, Json
from services.ingest.formats.spans import LogEvent, TraceSpan, span_of, with_events

CONVENTIONS: Final = (LANGFUSE_SPANS, OPENINFERENCE, AI_SDK, GEN_AI)
"""In this order: a span may follow several, and the first that knows it says most."""
_FORMS: Final = frozenset({"resourceSpans", "resource_spans", "resourceLogs", "resource_logs"})
_MODEL: Final = "gen_ai.request.model: missing"
_NO_MODEL: Final = (
    "gen_ai.request.model: missing; log records of events name no model: send spans and logs in one record, or the "
    "contents with the span (OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=span_only)"
)


def recognises(value: Mapping[str, Any]) -> bool:
    """Traces or logs as the Collector and the SDKs send them."""
    return not _FORMS.isdisjoint(value)


def exchange_of(span: TraceSpan, events: Sequence[LogEvent] | None = None) -> Draft | None:
    """The call of a model that a span is, with its log records; None where it is none."""
    if events:
        span = with_events(span, events)
    known = next((one for one in CONVENTIONS if one.claims(span)), None)
    if known is None or not known.is_call(span):
        return _unread(span, known is not None)
    draft = Draft({}, product=f"{known.name} span")
    known.read(span, draft)
    if span.faults:
        draft.faults[:0] = span.faults
    _identify(span, draft)
    return draft


def _unread(span: TraceSpan, claimed: bool) -> Draft | None:
    """A span is passed over as no call only where its attributes can be read, since they would say that it is one."""
    broken = [one for one in span.faults if one.startswith("attributes")]
    if broken and (claimed or not span.attributes):
        return Draft({}, broken, product="OpenTelemetry span", piece=span.piece)
    return None


def _identify(span: TraceSpan, draft: Draft) -> None:
    """Id, time, route, endpoint, who asked: what conventions share."""
    fields = draft.fields
    if not (span.trace_id and span.span_id):
        draft.faults.append("traceId, spanId: missing or no hexadecimal; send spans as an SDK makes them")
    start, end = moment_of_nanoseconds(span.start), moment_of_nanoseconds(span.end)
    if start is None:
        draft.faults.append("startTimeUnixNano: missing; send the nanoseconds since 1970 as a text of digits")
    model = fields["model"]
    port = span.get("server.port")
    host = span.get("server.address")
    if isinstance(host, str):
        model["endpoint"] = host_of(f"{host}:{port}" if port and str(port) not in {"443", "80"} else host)
    fields["model"] = without_nothing(model)
    draft.fields = without_nothing(
        {
            "id": f"otlp:{span.trace_id}/{span.span_id}",
            "ts": start,
            "route": _text(span, "keelwatch.route"),
            "conversation": _text(span, "gen_ai.conversation.id", "session.id", "conversation.id"),
            "user": _text(span, "user.id", "enduser.pseudo.id", "enduser.id"),
            "latency_ms": milliseconds(start, end),
        }
        | without_nothing(fields)
    )
    told = {name: model.get(key) for name, key in (("model", "requested"), ("provider", "provider"))}
    draft.facts = ChainMap(told, span.attributes, span.resource, {"span": span.name, "scope": span.scope})
    service = span.resource.get("service.name")
    known = isinstance(service, str) and not service.startswith("unknown_service")
    draft.service = service if known else None
    draft.piece = span.piece


def _text(span: TraceSpan, *names: str) -> str | None:
    for name in names:
        found = span.get(name)
        if isinstance(found, str) and found:
            return found
    return None


Call = tuple[str, str]
"""A call of a model as its events and its span name it: (trace, span)."""


def read(value: Json) -> Iterator[Draft]:
    """The calls of models among the spans and log records of a record of JSON."""
    if not recognises(value):
        yield Draft({}, ["resourceSpans: missing; send traces or logs as OTLP JSON has them"])
    events: list[LogEvent] = []
    for event in logs_of(value):
        if isinstance(event, Draft):
            yield event
        else:
            events.append(event)
    calls = calls_of(events)
    for span in spans_of(value):
        if isinstance(span, Draft):
            yield span
        elif (draft := exchange_of(span, calls.get((span.trace_id, span.span_id)) if calls else None)) is not None:
            calls.pop((span.trace_id, span.span_id), None)
            yield draft
    yield from drafts_of_events(calls)


def calls_of(events: Iterable[LogEvent]) -> dict[Call, list[LogEvent]]:
    """The events of each call; one that names no call is alone."""
    found: dict[Call, list[LogEvent]] = {}
    for i, event in enumerate(events):
        named = event.trace_id and event.span_id
        found.setdefault((event.trace_id, event.span_id) if named else ("", str(i)), []).append(event)
    return found


def drafts_of_events(calls: Mapping[Call, Sequence[LogEvent]]) -> Iterator[Draft]:
    """The calls of which there are log records alone; those that answer nobody are passed over."""
    for events in calls.values():
        span = span_of(events)
        if not GEN_AI.is_call(span) and "gen_ai.operation.name" in span.attributes:
            continue
        draft = Draft({}, product="OpenTelemetry GenAI log record")
        GEN_AI.read(span, draft)
        if "model" in draft.fields and not draft.fields["model"].get("requested"):
            draft.faults[:] = [_NO_MODEL if one.startswith(_MODEL) else one for one in draft.faults]
        draft.faults[:0] = span.faults
        _identify(span, draft)
        yield draft


OTLP: Final = Format("otlp", "OpenTelemetry span", recognises, read)
