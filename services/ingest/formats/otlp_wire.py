"""OTLP traces and logs in protobuf, as the Collector's Kafka exporter and the SDKs send them: the messages needed.

The numbers of fields are those of `opentelemetry/proto` (1.x: trace/v1, logs/v1, common/v1); others are passed over, as
protobuf asks. Nothing is copied but texts, and nothing is built that is not in the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import Any, Final

from services.ingest.errors import FormatError
from services.ingest.formats.gen_ai import EVENTS
from services.ingest.formats.otlp import calls_of, drafts_of_events, exchange_of
from services.ingest.formats.protobuf import BYTES, FIXED32, FIXED64, VARINT, WireError, field, fields, nested, text
from services.ingest.formats.protocol import Draft, Json
from services.ingest.formats.spans import LogEvent, TraceSpan

_DEEPEST: Final = 32
_ERROR: Final = 2
MOST_RECORDS: Final = 100_000
"""Spans, log records and what holds them, of one message: each may be two bytes on the wire, and hundreds in memory."""
_BROKEN: Final = "ends or breaks in the middle of a field; send it as the exporter makes it, whole"
MESSAGE: Final = "OpenTelemetry traces or logs (protobuf)"


def looks_like_otlp(raw: bytes) -> bool:
    """Whether bytes are resource spans or logs to their end: a JSON text that begins with a line break is none."""
    if raw[:1] != b"\x0a":
        return False
    try:
        found = list(islice(_top(raw), MOST_RECORDS + 1))
        return all(
            number in {1, 2, 3} and wire == BYTES
            for start, end in found[:3]
            for number, wire, _, _ in fields(raw, start, end)
        )
    except WireError:
        return False


def read_otlp(raw: bytes) -> Iterator[Draft]:
    """The calls of models among the spans or the log records; one that cannot be read is a draft with that fault.

    Raises:
        FormatError: if the bytes are neither.
    """
    try:
        found = list(islice(_top(raw), MOST_RECORDS + 1))
        if len(found) > MOST_RECORDS or _holds_too_many(raw, found):
            raise FormatError(f"{MESSAGE}: more than {MOST_RECORDS:,} spans or log records; send fewer a message")
    except WireError:
        raise FormatError(f"{MESSAGE}: {_BROKEN}") from None
    return _of_logs(raw, found) if _are_logs(raw, found) else _of_traces(raw, found)


def _holds_too_many(raw: bytes, found: Sequence[tuple[int, int]]) -> bool:
    """Whether there are more records than may be, counted where they lie. Each takes two bytes at the least."""
    if len(raw) <= 2 * MOST_RECORDS:
        return False
    left = MOST_RECORDS - len(found)
    for start, end in found:
        try:
            for number, wire, a, b in fields(raw, start, end):
                inner = fields(raw, a, b) if (number, wire) == (2, BYTES) else iter(())
                left -= 1 + sum(1 for _ in islice(inner, left + 1))
                if left < 0:
                    return True
        except WireError:  # which costs what is broken alone, and is said where it is read
            continue
    return False


def _top(raw: bytes) -> Iterator[tuple[int, int]]:
    for number, wire, start, end in fields(raw, 0, len(raw)):
        if number != 1 or wire != BYTES:
            raise WireError
        yield start, end


def _are_logs(raw: bytes, found: Sequence[tuple[int, int]]) -> bool:
    """Whether what lies in the scopes are log records: both messages are alike down to there, and nothing names them.

    A log record begins with a time of 64 bits, a span with the bytes of its trace.
    """
    try:
        for start, end in found:
            for a, b in _inside(raw, start, end, 2):
                for c, d in _inside(raw, a, b, 2):
                    for number, wire, _, _ in fields(raw, c, d):
                        if (number, wire) in _OF_LOG:
                            return True
                        if (number, wire) in _OF_SPAN:
                            return False
    except WireError:
        pass  # which is said where it is read
    return False


_OF_LOG: Final = frozenset({(1, FIXED64), (11, FIXED64), (2, VARINT), (8, FIXED32), (6, BYTES), (12, BYTES)})
_OF_SPAN: Final = frozenset({(1, BYTES), (2, BYTES), (7, FIXED64), (8, FIXED64), (11, BYTES), (15, BYTES)})


def _inside(raw: bytes, start: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    return ((a, b) for number, wire, a, b in fields(raw, start, end) if number == wanted and wire == BYTES)


def _of_traces(raw: bytes, found: Iterable[tuple[int, int]]) -> Iterator[Draft]:
    for start, end in found:
        try:
            for scope in _scopes(raw, start, end):
                yield from _of_scope(raw, scope)
        except WireError:
            yield Draft({}, [f"resourceSpans: {_BROKEN}"], piece=partial(nested, 1, raw[start:end]))


def _of_logs(raw: bytes, found: Iterable[tuple[int, int]]) -> Iterator[Draft]:
    events: list[LogEvent] = []
    for start, end in found:
        try:
            for scope in _scopes(raw, start, end):
                for a, b in scope.records:
                    piece = _piece(scope, raw[a:b])
                    try:
                        event = _log(raw, a, b, scope, piece)
                    except WireError:
                        yield Draft({}, [f"logRecord: {_BROKEN}"], piece=piece)
                    else:
                        events += [] if event is None else [event]
        except WireError:
            yield Draft({}, [f"resourceLogs: {_BROKEN}"], piece=partial(nested, 1, raw[start:end]))
    yield from drafts_of_events(calls_of(events))


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the records of one scope share, as bytes and read, and where they lie."""

    resource: bytes
    scope: bytes
    about: Json
    name: str
    records: list[tuple[int, int]]


def _scopes(raw: bytes, start: int, end: int) -> Iterator[_Scope]:
    parts = list(fields(raw, start, end))
    resource = next((raw[a:b] for number, wire, a, b in parts if number == 1 and wire == BYTES), b"")
    about = _known_resource(resource) if len(resource) <= _SMALL else _attributes(resource, 0, len(resource), 1)
    for number, wire, a, b in parts:
        if number == 2 and wire == BYTES:
            inner = list(fields(raw, a, b))
            scope = next((raw[c:d] for n, w, c, d in inner if n == 1 and w == BYTES), b"")
            name = next((text(scope, c, d) for n, w, c, d in fields(scope, 0, len(scope)) if n == 1 and w == BYTES), "")
            records = [(c, d) for n, w, c, d in inner if n == 2 and w == BYTES]
            yield _Scope(resource, scope, about, name, records)


_SMALL: Final = 4096


@lru_cache(maxsize=64)
def _known_resource(resource: bytes) -> Json:
    """The attributes of a resource, which a sender repeats in each record; nobody writes to them."""
    return _attributes(resource, 0, len(resource), 1)


def _of_scope(raw: bytes, scope: _Scope) -> Iterator[Draft]:
    for a, b in scope.records:
        piece = _piece(scope, raw[a:b])
        try:
            found = exchange_of(_span(raw, a, b, scope, piece))
        except WireError:
            found = Draft({}, [f"span: {_BROKEN}"], piece=piece)
        if found is not None:
            yield found


def _piece(scope: _Scope, record: bytes) -> Callable[[], bytes]:
    """What makes the record that holds one span or log record alone."""
    return lambda: nested(1, nested(1, scope.resource) + nested(2, nested(1, scope.scope) + nested(2, record)))


def _log(raw: bytes, start: int, end: int, scope: _Scope, piece: Callable[[], bytes]) -> LogEvent | None:
    """A log record that is an event of a call; None of any other."""
    found: dict[int, Any] = {1: 0, 9: "", 10: "", 11: 0, 12: ""}
    attributes: Json = {}
    body: tuple[int, int] | None = None
    for number, wire, a, b in fields(raw, start, end):
        if number == 6 and wire == BYTES:
            _pair(raw, a, b, attributes, 0)
        elif number == 5 and wire == BYTES:
            body = (a, b)
        elif number in {9, 10} and wire == BYTES:
            found[number] = _id(raw[a:b], 16 if number == 9 else 8)
        elif number in {1, 11} and wire == FIXED64:
            found[number] = int.from_bytes(raw[a:b], "little")
        elif number == 12 and wire == BYTES:
            found[12] = text(raw, a, b)
    name = found[12] or attributes.get("event.name")
    if not isinstance(name, str) or name not in EVENTS:
        return None
    return LogEvent(
        trace_id=found[9],
        span_id=found[10],
        name=name,
        scope=scope.name,
        at=found[1] or found[11],
        attributes=attributes,
        body=None if body is None else _value(raw, *body, 0),
        resource=scope.about,
        faults=[],
        piece=piece,
    )


_ID_BYTES: Final = {1: 16, 2: 8}
"""Of a span: field -> bytes of its trace and of its own."""


def _id(value: bytes, length: int) -> str:
    return value.hex() if len(value) == length and any(value) else ""


def _span(raw: bytes, start: int, end: int, scope: _Scope, piece: Callable[[], bytes]) -> TraceSpan:
    ids = {1: "", 2: ""}
    name = ""
    begin = finish = code = 0
    attributes: Json = {}
    events: list[tuple[str, Json]] = []
    status = None
    at = start
    while at < end:
        number, wire, a, at = field(raw, at, end)
        if wire == BYTES:
            if number == 9:
                _pair(raw, a, at, attributes, 0)
            elif number in _ID_BYTES:
                ids[number] = _id(raw[a:at], _ID_BYTES[number])
            elif number == 5:
                name = text(raw, a, at)
            elif number == 11:
                events.append(_event(raw, a, at))
            elif number == 15:
                status, code = _status(raw, a, at)
        elif wire == FIXED64 and number == 7:
            begin = int.from_bytes(raw[a:at], "little")
        elif wire == FIXED64 and number == 8:
            finish = int.from_bytes(raw[a:at], "little")
    failed = code == _ERROR
    return TraceSpan(
        trace_id=ids[1],
        span_id=ids[2],
        name=name,
        scope=scope.name,
        start=begin,
        end=finish,
        attributes=attributes,
        events=tuple(events),
        status=status if failed else None,
        failed=failed,
        resource=scope.about,
        faults=[],
        piece=piece,
    )


def _event(raw: bytes, start: int, end: int) -> tuple[str, Json]:
    name = ""
    attributes: Json = {}
    for number, wire, a, b in fields(raw, start, end):
        if number == 2 and wire == BYTES:
            name = text(raw, a, b)
        elif number == 3 and wire == BYTES:
            _pair(raw, a, b, attributes, 0)
    return name, attributes


def _status(raw: bytes, start: int, end: int) -> tuple[str | None, int]:
    message, code = None, 0
    for number, wire, a, b in fields(raw, start, end):
        if number == 2 and wire == BYTES:
            message = text(raw, a, b)
        elif number == 3 and wire == VARINT:
            code = a
    return message, code


def _attributes(raw: bytes, start: int, end: int, wanted: int) -> Json:
    found: Json = {}
    for number, wire, a, b in fields(raw, start, end):
        if number == wanted and wire == BYTES:
            _pair(raw, a, b, found, 0)
    return found


def _pair(raw: bytes, start: int, end: int, into: Json, depth: int) -> None:
    """A key and its value. Nearly all are a short key and a value behind it: those are read where they lie."""
    if start + 2 < end and raw[start] == _KEY and raw[start + 1] < _LONG:
        at = start + 2 + raw[start + 1]
        if at + 3 < end and _is_short_text(raw, at, end):
            key = raw[start + 2 : at].decode("utf-8", "surrogateescape")
            into[key] = raw[at + 4 : end].decode("utf-8", "surrogateescape")
            return
        if at + 2 < end and raw[at] == _VALUE and (begin := _to_the_end(raw, at + 1, end)):
            into[raw[start + 2 : at].decode("utf-8", "surrogateescape")] = _value(raw, begin, end, depth)
            return
    key, value = "", None
    for number, wire, a, b in fields(raw, start, end):
        if number == 1 and wire == BYTES:
            key = text(raw, a, b)
        elif number == 2 and wire == BYTES:
            value = _value(raw, a, b, depth)
    into[key] = value


_KEY: Final = 1 << 3 | BYTES
_VALUE: Final = 2 << 3 | BYTES
_LONG: Final = 128
"""A length of one byte is below it."""


def _is_short_text(raw: bytes, at: int, end: int) -> bool:
    """Whether a value goes to the end and is a text alone, both with lengths of one byte."""
    short = raw[at] == _VALUE and raw[at + 2] == _KEY and end < at + _LONG
    return short and at + 4 + raw[at + 3] == end and raw[at + 1] == raw[at + 3] + 2


def _to_the_end(raw: bytes, at: int, end: int) -> int:
    """Where what has its length at `at` begins, if it goes to the end and the length has one or two bytes; else 0."""
    length = raw[at]
    at += 1
    if length >= _LONG and at < end:
        more = raw[at]
        if more >= _LONG:
            return 0
        length, at = length & 127 | more << 7, at + 1
    return at if at + length == end else 0


def _value(raw: bytes, start: int, end: int, depth: int) -> Any:
    if depth > _DEEPEST:
        raise WireError
    if start + 1 < end and raw[start] == _KEY and (begin := _to_the_end(raw, start + 1, end)):
        return raw[begin:end].decode("utf-8", "surrogateescape")
    value: Any = None
    for number, wire, a, b in fields(raw, start, end):
        if number == 1 and wire == BYTES:
            value = text(raw, a, b)
        elif wire == VARINT:
            value = bool(a) if number == 2 else a - (1 << 64) if a >> 63 else a
        elif number == 4 and wire == FIXED64:
            value = struct.unpack("<d", raw[a:b])[0]
        elif wire == BYTES:
            value = _several(raw, a, b, number, depth)
    return value


def _several(raw: bytes, start: int, end: int, number: int, depth: int) -> Any:
    """An array (5) or an object (6); bytes (7) are nothing that is read."""
    inner = fields(raw, start, end) if number in {5, 6} else ()
    if number == 5:
        return [_value(raw, a, b, depth + 1) for n, wire, a, b in inner if n == 1 and wire == BYTES]
    value: Json = {}
    for n, wire, a, b in inner:
        if n == 1 and wire == BYTES:
            _pair(raw, a, b, value, depth + 1)
    return value if number == 6 else None
