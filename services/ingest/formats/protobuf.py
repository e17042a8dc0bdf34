"""Protobuf as it lies on the wire: fields of a message, without a schema. Nothing is copied, nothing built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5
"""Wire types."""


class WireError(ValueError):
    """Bytes that are no protobuf, or not of the message that they should be."""


def text(raw: bytes, start: int, end: int) -> str:
    """Bytes that are no UTF-8 become lone surrogates, which become U+FFFD with all that is no text, and are flagged."""
    return raw[start:end].decode("utf-8", "surrogateescape")


def nested(number: int, body: bytes) -> bytes:
    """A field (below 16) that holds a message, a text or bytes."""
    return bytes((number << 3 | BYTES,)) + packed(len(body)) + body


def packed(value: int) -> bytes:
    """A whole number of at least 0 as a varint."""
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes((*made, value))


def field(raw: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """The field at a place before the end, as `fields` gives each: a place within a message, and quick for most.

    Raises:
        WireError: if it does not end where it should.
    """
    tag = raw[at]
    if tag < 128 and tag & 7 == BYTES and at + 1 < end and raw[at + 1] < 128:
        stop = at + 2 + raw[at + 1]
        if stop > end:
            raise WireError
        return tag >> 3, BYTES, at + 2, stop
    return next(fields(raw, at, end))


def fields(raw: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
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
        if wire == BYTES:
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
        elif wire == VARINT:
            value, at = _varint(raw, at, end)
            yield number, wire, value, at
        elif wire in {FIXED64, FIXED32}:
            stop = at + (8 if wire == FIXED64 else 4)
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
