"""What is around a record: Confluent's Schema-Registry framing, and CloudEvents (binary and structured)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.ingest.errors import FormatError
from services.ingest.formats.protocol import Json

_FRAME: Final = 5
_GLUE: Final = 18
_CONTEXT: Final = ("ce_", "ce-")
_TEXT_STARTS: Final = frozenset({b"{", b"[", b'"', b" ", b"\n", b"\r", b"\t"})
FRAMED: Final = "Confluent Schema Registry"
NO_GLUE: Final = (
    "AWS Glue Schema Registry: its framing is not read; produce plain JSON, or in Confluent's framing by its JSON "
    "Schema serializer"
)
_LONGEST_ID: Final = 400


@dataclass(slots=True)
class Letterhead:
    """What an envelope says of the record in it: an id and a time where the record has none, and facts for rules."""

    id: str | None = None
    ts: str | None = None
    facts: Json = field(default_factory=dict)


def is_framed(raw: bytes) -> bool:
    """Whether a record begins with Confluent's magic byte, and is no text in UTF-16 or UTF-32 that begins so."""
    if raw[:1] != b"\0":
        return False
    utf16 = raw[1:2] in _TEXT_STARTS and raw[2:3] == b"\0" and raw[3:4] != b"\0"
    utf32 = raw[1:3] == b"\0\0" and raw[3:4] in _TEXT_STARTS and raw[4:7] == b"\0\0\0"
    return not (utf16 or utf32)


def is_glue(raw: bytes) -> bool:
    """Whether a record begins as those of AWS Glue's serializers: its version, and how it is compressed."""
    return len(raw) > _GLUE and raw[0] == 3 and raw[1] in {0, 5}


def unframed(raw: bytes) -> bytes:
    """The JSON object behind Confluent's magic byte and schema id.

    Raises:
        FormatError: if what stands there is none.
    """
    body = raw[_FRAME:].lstrip()
    if not body:
        raise FormatError(
            f"{FRAMED}: nothing stands behind the magic byte and the schema's id; send the exchange there"
        )
    if body[:1] in {b"[", b'"'}:
        raise FormatError(f"{FRAMED}: the payload must be a JSON object; send one exchange a record")
    if body[:1] != b"{":
        raise FormatError(
            f"{FRAMED}: the payload is no JSON (Avro? Protobuf?); produce with the JSON Schema serializer"
        )
    return body


def of_headers(headers: Mapping[str, str]) -> Letterhead:
    """What the attributes of a binary CloudEvent say, which travel as headers."""
    found = {
        name.removeprefix(prefix): value
        for prefix in _CONTEXT
        for name, value in headers.items()
        if name.startswith(prefix)
    }
    return _letterhead(found) if "specversion" in found else Letterhead()


def without_context(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that say nothing of one event: those of a body that holds several would give all of them one id."""
    return {name: value for name, value in headers.items() if not name.startswith(_CONTEXT)}


def is_structured(value: Mapping[str, Any]) -> bool:
    """Whether an object is a CloudEvent with its data in it."""
    return "specversion" in value and ("data" in value or "data_base64" in value or "source" in value)


def opened(value: Json) -> tuple[Json | bytes, Letterhead]:
    """The data of a structured CloudEvent, and what it says of it; bytes where the data is no JSON object.

    Raises:
        FormatError: with all that is wrong with the envelope.
    """
    faults = [
        f"{name}: must be text that is not empty"
        for name in ("specversion", "id", "source", "type")
        if not (isinstance(value.get(name), str) and value[name])
    ]
    data = value.get("data")
    encoded = value.get("data_base64")
    body: Json | bytes = b""
    if isinstance(data, dict):
        body = data
    elif isinstance(data, str) and data.lstrip().startswith("{"):
        body = data.encode("utf-8", "surrogatepass")
    elif isinstance(encoded, str):
        try:
            body = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            faults.append("data_base64: must be base64")
    else:
        faults.append("data: must be the exchange as a JSON object (or data_base64)")
    if faults:
        raise FormatError("CloudEvent: " + "; ".join(faults))
    return body, _letterhead(value)


def _letterhead(sent: Mapping[str, Any]) -> Letterhead:
    told = {name: item for name, item in sent.items() if isinstance(item, str) and not name.startswith("data")}
    source, id = told.get("source"), told.get("id")
    made = f"ce:{source}/{id}" if source and id else None
    known = {f"ce.{name}": item for name, item in told.items()}
    fits = made is not None and len(made) <= _LONGEST_ID and "\0" not in made
    return Letterhead(made if fits else None, told.get("time"), known)
