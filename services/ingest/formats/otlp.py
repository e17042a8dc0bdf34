"""Spans of OpenTelemetry (OTLP JSON, and protobuf once it is read): each span that is a call of a model.

A record of the Collector's Kafka exporter holds many spans, most of which are no such calls: those are passed over. A
span is one exchange with an id made of its trace and its own; one that lacks something costs no other.
"""

from __future__ import annotations

import json
import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.ingest.formats.ai_sdk import AI_SDK
from services.ingest.formats.fields import host_of, milliseconds, moment_of_nanoseconds, without_nothing
from services.ingest.formats.gen_ai import GEN_AI
from services.ingest.formats.openinference import OPENINFERENCE
from services.ingest.formats.protocol import Draft, Format, Json
from services.ingest.formats.spans import TraceSpan

CONVENTIONS: Final = (OPENINFERENCE, AI_SDK, GEN_AI)
"""In this order: a span may follow several, and the first that knows it says most."""
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_WHOLE: Final = re.compile(r"-?\d{1,19}", re.ASCII)
_DEEPEST: Final = 32


def recognises(value: Mapping[str, Any]) -> bool:
    """Traces as the Collector and the SDKs send them."""
    return "resourceSpans" in value or "resource_spans" in value


def exchange_of(span: TraceSpan) -> Draft | None:
    """The call of a model that a span is; None where it is none."""
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
    named, fields = span.named, draft.fields
    if not (span.trace_id and span.span_id):
        draft.faults.append("traceId, spanId: missing or no hexadecimal; send spans as an SDK makes them")
    start, end = moment_of_nanoseconds(span.start), moment_of_nanoseconds(span.end)
    if start is None:
        draft.faults.append("startTimeUnixNano: missing; send the nanoseconds since 1970 as a text of digits")
    model = fields["model"]
    port = named.get("server.port")
    host = named.get("server.address")
    if isinstance(host, str):
        model["endpoint"] = host_of(f"{host}:{port}" if port and str(port) not in {"443", "80"} else host)
    fields["model"] = without_nothing(model)
    draft.fields = without_nothing(
        {
            "id": f"otlp:{span.trace_id}/{span.span_id}",
            "ts": start,
            "route": _text(named, "keelwatch.route"),
            "conversation": _text(named, "gen_ai.conversation.id", "session.id", "conversation.id"),
            "user": _text(named, "user.id", "enduser.pseudo.id", "enduser.id"),
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


def _text(named: Mapping[str, Any], *names: str) -> str | None:
    return next((found for name in names if isinstance(found := named.get(name), str) and found), None)


def read(value: Json) -> Iterator[Draft]:
    """The calls of models among the spans of a record of JSON."""
    if not recognises(value):
        yield Draft({}, ["resourceSpans: missing; send traces as OTLP JSON has them"])
    for span in spans_of(value):
        if isinstance(span, Draft):
            yield span
        elif (draft := exchange_of(span)) is not None:
            yield draft


def spans_of(value: Json) -> Iterator[TraceSpan | Draft]:
    """The spans of a record; what stands in the place of one and is none is a draft with that fault."""
    for of_resource in _list(value, "resourceSpans", "resource_spans"):
        if not isinstance(of_resource, dict):
            yield _no_object("resourceSpans", {"resourceSpans": [of_resource]})
        resource = of_resource.get("resource") if isinstance(of_resource, dict) else None
        about = attributes_of(resource.get("attributes") if isinstance(resource, dict) else None, [])
        scopes = _list(of_resource, "scopeSpans", "scope_spans", "instrumentationLibrarySpans")
        for of_scope in scopes:
            if not isinstance(of_scope, dict):
                yield _no_object("scopeSpans", {"resourceSpans": [{"scopeSpans": [of_scope]}]})
            scope = of_scope.get("scope") if isinstance(of_scope, dict) else None
            name = scope.get("name") if isinstance(scope, dict) else None
            for sent in _list(of_scope, "spans"):
                yield _span(sent, about, name if isinstance(name, str) else "", resource, scope)


def _no_object(name: str, alone: Json) -> Draft:
    fault = f"{name}: each must be an object; send OTLP JSON as an SDK makes it"
    return Draft({}, [fault], piece=lambda: json.dumps(alone).encode())


def _list(value: Any, *names: str) -> list[Any]:
    """What stands there; a thing that is no list, such as one object, is a list of itself."""
    known = value if isinstance(value, dict) else {}
    found: Any = next((known[name] for name in names if known.get(name) is not None), [])
    return found if isinstance(found, list) else [found]


def _span(sent: Any, resource: Json, scope: str, told: Any, told_scope: Any) -> TraceSpan | Draft:
    def piece() -> bytes:
        spans = {"scope": told_scope or {}, "spans": [sent]}
        return json.dumps({"resourceSpans": [{"resource": told or {}, "scopeSpans": [spans]}]}).encode()

    if not isinstance(sent, dict):
        return Draft({}, ["spans: each must be an object; send OTLP JSON as an SDK makes it"], piece=piece)
    faults: list[str] = []
    status = sent.get("status")
    name = sent.get("name")
    return TraceSpan(
        trace_id=_hex(sent.get("traceId", sent.get("trace_id")), 32),
        span_id=_hex(sent.get("spanId", sent.get("span_id")), 16),
        name=name if isinstance(name, str) else "",
        scope=scope,
        start=_nanoseconds(
            sent.get("startTimeUnixNano", sent.get("start_time_unix_nano")), "startTimeUnixNano", faults
        ),
        end=_nanoseconds(sent.get("endTimeUnixNano", sent.get("end_time_unix_nano")), "endTimeUnixNano", faults),
        attributes=attributes_of(sent.get("attributes"), faults),
        events=tuple(_events(sent.get("events"), faults)),
        status=status.get("message") if isinstance(status, dict) and status.get("code") in _ERRORS else None,
        failed=isinstance(status, dict) and status.get("code") in _ERRORS,
        resource=resource,
        faults=faults,
        piece=piece,
    )


_ERRORS: Final = (2, "2", "STATUS_CODE_ERROR")


def _hex(value: Any, length: int) -> str:
    ok = isinstance(value, str) and len(value) == length and _HEX.fullmatch(value) and value.strip("0")
    return value.lower() if ok else ""


def _nanoseconds(value: Any, name: str, faults: list[str]) -> int:
    """A text of digits, as JSON has 64 bits, or a number; 0 where it is missing."""
    if value is None:
        return 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**64:
        return int(value)
    faults.append(f"{name}: must be nanoseconds since 1970 as a text of digits")
    return 0


def _events(sent: Any, faults: list[str]) -> Iterator[tuple[str, Json]]:
    if sent is not None and not isinstance(sent, list):
        faults.append("events: must be a list")
        return
    for one in sent or ():
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            yield one["name"], attributes_of(one.get("attributes"), faults)


def attributes_of(sent: Any, faults: list[str]) -> Json:
    """Attributes by name, as plain values."""
    found: Json = {}
    if sent is None:
        return found
    if not isinstance(sent, list):
        faults.append("attributes: must be a list of {key, value}, as OTLP JSON has them")
        return found
    for one in sent:
        if isinstance(one, dict) and isinstance(one.get("key"), str) and isinstance(one.get("value", {}), dict):
            found[one["key"]] = _plain(one.get("value") or {}, 0)
        else:
            faults.append("attributes: each must be {key, value: {stringValue: ...}}, as OTLP JSON has them")
            if isinstance(one, dict) and isinstance(one.get("key"), str):
                found[one["key"]] = None
    return found


_PLAIN: Final = frozenset({"stringValue", "string_value", "boolValue", "bool_value", "doubleValue", "double_value"})


def _plain(value: Any, depth: int) -> Any:
    """The value of an `AnyValue`; of what is none, None."""
    name, item = next(iter(value.items()), ("", None)) if isinstance(value, dict) and depth <= _DEEPEST else ("", None)
    if name in _PLAIN:
        return item
    if name in {"intValue", "int_value"}:
        return int(item) if isinstance(item, str) and _WHOLE.fullmatch(item) else item
    inner = item.get("values") if isinstance(item, dict) else None
    found: Any = None
    if name in {"arrayValue", "array_value"}:
        found = [_plain(one, depth + 1) for one in inner] if isinstance(inner, list) else []
    elif name in {"kvlistValue", "kvlist_value"}:
        pairs = inner if isinstance(inner, list) else []
        known = (one for one in pairs if isinstance(one, dict) and isinstance(one.get("key"), str))
        found = {one["key"]: _plain(one.get("value"), depth + 1) for one in known}
    return found


OTLP: Final = Format("otlp", "OpenTelemetry span", recognises, read)
