"""Traces and logs of OTLP JSON as plain values: what stands in the place of one and is none is a draft that says so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from services.ingest.formats.gen_ai import EVENTS
from services.ingest.formats.protocol import Draft, Json
from services.ingest.formats.spans import LogEvent, TraceSpan

_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_WHOLE: Final = re.compile(r"-?\d{1,19}", re.ASCII)
_DEEPEST: Final = 32


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


def logs_of(value: Json) -> Iterator[LogEvent | Draft]:
    """The log records of a record that are events of a call of a model; all others are passed over."""
    for of_resource in _list(value, "resourceLogs", "resource_logs"):
        if not isinstance(of_resource, dict):
            yield _no_object("resourceLogs", {"resourceLogs": [of_resource]})
        resource = of_resource.get("resource") if isinstance(of_resource, dict) else None
        about = attributes_of(resource.get("attributes") if isinstance(resource, dict) else None, [])
        for of_scope in _list(of_resource, "scopeLogs", "scope_logs", "instrumentationLibraryLogs"):
            if not isinstance(of_scope, dict):
                yield _no_object("scopeLogs", {"resourceLogs": [{"scopeLogs": [of_scope]}]})
            scope = of_scope.get("scope") if isinstance(of_scope, dict) else None
            for sent in _list(of_scope, "logRecords", "log_records", "logs"):
                if (found := _log(sent, about, resource, scope)) is not None:
                    yield found


def _log(sent: Any, resource: Json, told: Any, told_scope: Any) -> LogEvent | Draft | None:
    def piece() -> bytes:
        logs = {"scope": told_scope or {}, "logRecords": [sent]}
        return json.dumps({"resourceLogs": [{"resource": told or {}, "scopeLogs": [logs]}]}).encode()

    if not isinstance(sent, dict):
        return Draft({}, ["logRecords: each must be an object; send OTLP JSON as an SDK makes it"], piece=piece)
    faults: list[str] = []
    attributes = attributes_of(sent.get("attributes"), faults)
    name = sent.get("eventName") or sent.get("event_name") or attributes.get("event.name")
    if not isinstance(name, str) or name not in EVENTS:
        return None
    when = sent.get("timeUnixNano", sent.get("time_unix_nano"))
    if when in (None, 0, "0", ""):
        when = sent.get("observedTimeUnixNano", sent.get("observed_time_unix_nano"))
    scope = told_scope.get("name") if isinstance(told_scope, dict) else None
    return LogEvent(
        trace_id=_hex(sent.get("traceId", sent.get("trace_id")), 32),
        span_id=_hex(sent.get("spanId", sent.get("span_id")), 16),
        name=name,
        scope=scope if isinstance(scope, str) else "",
        at=_nanoseconds(when, "timeUnixNano", faults),
        attributes=attributes,
        body=_plain(sent.get("body"), 0),
        resource=resource,
        faults=faults,
        piece=piece,
    )


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
        key = one.get("key") if isinstance(one, dict) else None
        value = one.get("value", _NOTHING) if isinstance(key, str) else None
        if isinstance(key, str) and isinstance(value, dict):
            found[key] = value["stringValue"] if len(value) == 1 and "stringValue" in value else _plain(value, 0)
        else:
            faults.append("attributes: each must be {key, value: {stringValue: ...}}, as OTLP JSON has them")
            if isinstance(one, dict) and isinstance(one.get("key"), str):
                found[one["key"]] = None
    return found


_NOTHING: Final[Json] = {}
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
