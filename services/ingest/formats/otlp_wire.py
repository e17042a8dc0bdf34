"""OTLP traces in protobuf, as the Collector's Kafka exporter and the SDKs send them: the few messages that are needed.

The numbers of fields are those of `opentelemetry/proto/trace/v1/trace.proto` (1.x); others are passed over, as
protobuf asks. Nothing is copied but texts, and nothing is built that is not in the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from services.ingest.errors import FormatError
from services.ingest.formats.otlp import exchange_of
from services.ingest.formats.protocol import Draft, Json
from services.ingest.formats.spans import TraceSpan

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEEPEST: Final = 32
_ERROR: Final = 2
_BROKEN: Final = "ends or breaks in the middle of a field; send it as the exporter makes it, whole"
MESSAGE: Final = "OpenTelemetry traces (protobuf)"


class WireError(ValueError):
    """Bytes that are no protobuf, or not of the message that they should be."""


def looks_like_traces(raw: bytes) -> bool:
    """Whether bytes are resource spans to their end: a JSON text that begins with a line break is none."""
    if raw[:1] != b"\x0a":
        return False
    try:
        found = list(_top(raw))
        return all(
            number in {1, 2, 3} and wire == _BYTES
            for start, end in found[:3]
            for number, wire, _, _ in _fields(raw, start, end)
        )
    except WireError:
        return False


def read_traces(raw: bytes) -> Iterator[Draft]:
    """The calls of models among the spans; a span that cannot be read is a draft with that fault.

    Raises:
        FormatError: if the bytes are no traces.
    """
    try:
        found = list(_top(raw))
    except WireError:
        raise FormatError(f"{MESSAGE}: {_BROKEN}") from None
    return _each(raw, found)


def _each(raw: bytes, found: list[tuple[int, int]]) -> Iterator[Draft]:
    for start, end in found:
        try:
            yield from _of_resource(raw, start, end)
        except WireError:
            yield Draft({}, [f"resourceSpans: {_BROKEN}"], piece=partial(_nested, 1, raw[start:end]))


def _top(raw: bytes) -> Iterator[tuple[int, int]]:
    for number, wire, start, end in _fields(raw, 0, len(raw)):
        if number != 1 or wire != _BYTES:
            raise WireError
        yield start, end


def _of_resource(raw: bytes, start: int, end: int) -> Iterator[Draft]:
    parts = list(_fields(raw, start, end))
    resource = next((raw[a:b] for number, wire, a, b in parts if number == 1 and wire == _BYTES), b"")
    about = _attributes(resource, 0, len(resource), 1)
    for number, wire, a, b in parts:
        if number == 2 and wire == _BYTES:
            yield from _of_scope(raw, a, b, resource, about)


def _of_scope(raw: bytes, start: int, end: int, resource: bytes, about: Json) -> Iterator[Draft]:
    parts = list(_fields(raw, start, end))
    scope = next((raw[a:b] for number, wire, a, b in parts if number == 1 and wire == _BYTES), b"")
    name = next((_text(scope, a, b) for number, wire, a, b in _fields(scope, 0, len(scope)) if number == 1), "")
    for number, wire, a, b in parts:
        if number == 2 and wire == _BYTES:
            piece = _piece(resource, scope, raw[a:b])
            try:
                found = exchange_of(_span(raw, a, b, about, name, piece))
            except WireError:
                found = Draft({}, [f"span: {_BROKEN}"], piece=piece)
            if found is not None:
                yield found


def _piece(resource: bytes, scope: bytes, span: bytes) -> Callable[[], bytes]:
    """What makes the record that holds one span alone."""
    return lambda: _nested(1, _nested(1, resource) + _nested(2, _nested(1, scope) + _nested(2, span)))


def _nested(number: int, body: bytes) -> bytes:
    length, size = len(body), bytearray()
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    return bytes((number << 3 | _BYTES,)) + bytes((*size, length)) + body


def _span(raw: bytes, start: int, end: int, resource: Json, scope: str, piece: Callable[[], bytes]) -> TraceSpan:
    found: dict[int, Any] = {1: "", 2: "", 5: "", 7: 0, 8: 0}
    attributes: Json = {}
    events: list[tuple[str, Json]] = []
    status, code = None, 0
    for number, wire, a, b in _fields(raw, start, end):
        if number == 9 and wire == _BYTES:
            _pair(raw, a, b, attributes, 0)
        elif number in {1, 2} and wire == _BYTES:
            found[number] = raw[a:b].hex() if any(raw[a:b]) and b - a == (16 if number == 1 else 8) else ""
        elif number == 5 and wire == _BYTES:
            found[5] = _text(raw, a, b)
        elif number in {7, 8} and wire == _FIXED64:
            found[number] = int.from_bytes(raw[a:b], "little")
        elif number == 11 and wire == _BYTES:
            events.append(_event(raw, a, b))
        elif number == 15 and wire == _BYTES:
            status, code = _status(raw, a, b)
    failed = code == _ERROR
    return TraceSpan(
        trace_id=found[1],
        span_id=found[2],
        name=found[5],
        scope=scope,
        start=found[7],
        end=found[8],
        attributes=attributes,
        events=tuple(events),
        status=status if failed else None,
        failed=failed,
        resource=resource,
        faults=[],
        piece=piece,
    )


def _event(raw: bytes, start: int, end: int) -> tuple[str, Json]:
    name = ""
    attributes: Json = {}
    for number, wire, a, b in _fields(raw, start, end):
        if number == 2 and wire == _BYTES:
            name = _text(raw, a, b)
        elif number == 3 and wire == _BYTES:
            _pair(raw, a, b, attributes, 0)
    return name, attributes


def _status(raw: bytes, start: int, end: int) -> tuple[str | None, int]:
    message, code = None, 0
    for number, wire, a, b in _fields(raw, start, end):
        if number == 2 and wire == _BYTES:
            message = _text(raw, a, b)
        elif number == 3 and wire == _VARINT:
            code = a
    return message, code


def _attributes(raw: bytes, start: int, end: int, wanted: int) -> Json:
    found: Json = {}
    for number, wire, a, b in _fields(raw, start, end):
        if number == wanted and wire == _BYTES:
            _pair(raw, a, b, found, 0)
    return found


def _pair(raw: bytes, start: int, end: int, into: Json, depth: int) -> None:
    key, value = "", None
    for number, wire, a, b in _fields(raw, start, end):
        if number == 1 and wire == _BYTES:
            key = _text(raw, a, b)
        elif number == 2 and wire == _BYTES:
            value = _value(raw, a, b, depth)
    into[key] = value


def _value(raw: bytes, start: int, end: int, depth: int) -> Any:
    if depth > _DEEPEST:
        raise WireError
    value: Any = None
    for number, wire, a, b in _fields(raw, start, end):
        if number == 1 and wire == _BYTES:
            value = _text(raw, a, b)
        elif wire == _VARINT:
            value = bool(a) if number == 2 else a - (1 << 64) if a >> 63 else a
        elif number == 4 and wire == _FIXED64:
            value = struct.unpack("<d", raw[a:b])[0]
        elif wire == _BYTES:
            value = _several(raw, a, b, number, depth)
    return value


def _several(raw: bytes, start: int, end: int, number: int, depth: int) -> Any:
    """An array (5) or an object (6); bytes (7) are nothing that is read."""
    inner = _fields(raw, start, end) if number in {5, 6} else ()
    if number == 5:
        return [_value(raw, a, b, depth + 1) for n, wire, a, b in inner if n == 1 and wire == _BYTES]
    value: Json = {}
    for n, wire, a, b in inner:
        if n == 1 and wire == _BYTES:
            _pair(raw, a, b, value, depth + 1)
    return value if number == 6 else None


def _text(raw: bytes, start: int, end: int) -> str:
    """Bytes that are no UTF-8 become lone surrogates, which become U+FFFD with all that is no text, and are flagged."""
    return raw[start:end].decode("utf-8", "surrogateescape")


def _fields(raw: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, wire type, start, end) of each field; of a varint its value in the place of start.

    Raises:
        WireError: if they do not end where they should.
    """
    while at < end:
        tag = raw[at]
        at += 1
        if tag > 127:
            tag, at = _varint(raw, at - 1, end)
        number, wire = tag >> 3, tag & 7
        if wire == _BYTES:
            if at >= end:
                raise WireError
            length = raw[at]
            at += 1
            if length > 127:
                length, at = _varint(raw, at - 1, end)
            stop = at + length
            if stop > end:
                raise WireError
            yield number, wire, at, stop
            at = stop
        elif wire == _VARINT:
            value, at = _varint(raw, at, end)
            yield number, wire, value, at
        elif wire in {_FIXED64, _FIXED32}:
            stop = at + (8 if wire == _FIXED64 else 4)
            if stop > end:
                raise WireError
            yield number, wire, at, stop
            at = stop
        else:
            raise WireError


def _varint(raw: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= end or shift > 63:
            raise WireError
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, at
        shift += 7
