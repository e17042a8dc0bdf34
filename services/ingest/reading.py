"""Raw bytes as fields of exchanges: envelope, text, JSON, known format, route. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC
from typing import Final

import msgspec

from schemas.base import EARLIEST, LATEST
from schemas.score import Flag
from services.ingest import envelopes, json_text
from services.ingest.envelopes import Letterhead
from services.ingest.errors import FormatError
from services.ingest.formats import FORMATS
from services.ingest.formats.native import NATIVE, to_native
from services.ingest.formats.otlp import OTLP
from services.ingest.formats.otlp_wire import looks_like_otlp, read_otlp
from services.ingest.formats.protocol import Draft, Format, Json
from services.ingest.routing import MISSING, Carriage, route_of

MAX_BYTES: Final = 64 * 1024 * 1024
NO_CALL: Final = (
    "record: holds no call of a model that answers with text; such spans have gen_ai.*, ai.* or OpenInference's "
    "attributes, such log records gen_ai.* events, and embeddings, images or files are none"
)
FORMAT_HEADER: Final = "keelwatch-format"
_PROTOBUF: Final = frozenset({"application/x-protobuf", "application/protobuf", "application/vnd.google.protobuf"})
_TEXTS: Final = frozenset({"prompt", "response"})


@dataclass(slots=True)
class ReadRecord:
    """A record as far as its format is known.

    Attributes:
        form: its format.
        fields: of the exchange, if it is native; drafts: of the calls in it, if it is not.
        flags: what was done to its text.
        letterhead: what its envelope says.
    """

    form: Format
    fields: Json | None = None
    drafts: Iterable[Draft] = ()
    flags: tuple[Flag, ...] = ()
    letterhead: Letterhead = field(default_factory=Letterhead)


def read_record(raw: bytes, carriage: Carriage, formats: tuple[Format, ...] = FORMATS) -> ReadRecord:
    """What a record holds.

    Raises:
        FormatError: if it is of no known format, or of another one than its header says.
    """
    if len(raw) > MAX_BYTES:
        raise FormatError(f"record: longer than {MAX_BYTES // 2**20} MiB; send less text")
    if not raw.strip():
        raise FormatError("record: empty; send one JSON object")
    letterhead = _of_headers(carriage)
    if envelopes.is_framed(raw):
        return _framed(raw, letterhead, carriage, formats)
    if envelopes.is_glue(raw):
        raise FormatError(envelopes.NO_GLUE)
    return _unframed(raw, letterhead, carriage, formats)


def _framed(raw: bytes, letterhead: Letterhead, carriage: Carriage, formats: tuple[Format, ...]) -> ReadRecord:
    """What stands behind Confluent's frame; what is no exchange at all is told with whose frame it is."""
    body = envelopes.unframed(raw)
    try:
        return _unframed(body, letterhead, carriage, formats)
    except FormatError as error:
        raise FormatError(f"{envelopes.FRAMED}: {str(error).removeprefix('record: ')}") from None


def _unframed(raw: bytes, letterhead: Letterhead, carriage: Carriage, formats: tuple[Format, ...]) -> ReadRecord:
    if OTLP in formats and (is_protobuf(carriage) or looks_like_otlp(raw)):
        return ReadRecord(OTLP, None, read_otlp(raw), (), letterhead)
    value, flags = _value(raw)
    if "specversion" in value and not _is_certain(value) and envelopes.is_structured(value):
        body, letterhead = envelopes.opened(value)
        if isinstance(body, bytes):
            if OTLP in formats and looks_like_otlp(body):
                return ReadRecord(OTLP, None, read_otlp(body), flags, letterhead)
            value, more = _value(body)
            flags = flags or more
        else:
            value = body
    return _of_format(value, flags, letterhead, carriage, formats)


def _of_headers(carriage: Carriage) -> Letterhead:
    """What headers say; they may be another's who passed the record on, so that a time that is none costs nothing."""
    letterhead = envelopes.of_headers(carriage.headers) if carriage.headers else Letterhead()
    if letterhead.ts is not None:
        try:
            found = to_native({"ts": letterhead.ts})["ts"].replace(tzinfo=UTC)
        except FormatError:
            found = None
        if found is None or not EARLIEST <= found < LATEST:
            letterhead.ts = None
    return letterhead


def is_protobuf(carriage: Carriage) -> bool:
    """Whether the header says that the record is protobuf."""
    return carriage.headers.get("content-type", "").partition(";")[0].strip().lower() in _PROTOBUF


def _value(raw: bytes) -> tuple[Json, tuple[Flag, ...]]:
    if b"\0" in raw[:2] or raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise FormatError("record: looks like UTF-16 or UTF-32; send UTF-8")
    decoded, replaced = json_text.unicode_of(raw)
    value = json_text.parse(decoded)
    if json_text.may_hide_invalid(decoded):
        value, cleaned = json_text.sanitise(value)
        replaced = replaced or cleaned
    if not isinstance(value, dict):
        raise FormatError("record: must be a JSON object, one per line")
    return value, ("sanitized",) if replaced else ()


def _of_format(
    value: Json, flags: tuple[Flag, ...], letterhead: Letterhead, carriage: Carriage, formats: tuple[Format, ...]
) -> ReadRecord:
    form = _form(value, carriage, formats)
    if form is not NATIVE:
        return ReadRecord(form, None, form.read(value), flags, letterhead)
    fields = to_native(value)
    if "route" not in fields:
        route = route_of(_native_draft(fields, letterhead), form.name, carriage)
        if route is not None:
            fields["route"] = route
    _from_letterhead(fields, letterhead)
    return ReadRecord(form, fields, (), flags, letterhead)


def _native_draft(fields: Json, letterhead: Letterhead) -> Draft:
    """A native exchange as rules see it."""
    model, tags = fields.get("model"), fields.get("tags")
    told: Json = {"model": model.get("requested"), "provider": model.get("provider")} if isinstance(model, dict) else {}
    told |= {f"tags.{name}": item for name, item in tags.items()} if isinstance(tags, dict) else {}
    return Draft(fields, facts={**letterhead.facts, **told})


def _from_letterhead(fields: Json, letterhead: Letterhead) -> None:
    if letterhead.id is not None and "id" not in fields:
        fields["id"] = letterhead.id
    if letterhead.ts is not None and "ts" not in fields:
        try:
            fields["ts"] = to_native({"ts": letterhead.ts})["ts"]
        except FormatError:
            raise FormatError("CloudEvent: time: must be ISO 8601, for example 2026-11-24T18:00:00Z") from None


def _form(value: Json, carriage: Carriage, formats: tuple[Format, ...]) -> Format:
    """The format that the header names, else the first that recognises the record."""
    named = carriage.headers.get(FORMAT_HEADER) if carriage.headers else None
    if named is not None:
        known = next((one for one in formats if one.name == named), None)
        if known is None:
            raise FormatError(f"header {FORMAT_HEADER}: no such format; there are {_names(formats)}")
        return known
    if NATIVE in formats and _is_certain(value):
        return NATIVE
    for known in formats:
        if known.recognises(value):
            return known
    wanted = "; an exchange has route, prompt, response and model.requested" if NATIVE in formats else ""
    raise FormatError(f"record: no known format ({_names(formats)}){wanted}")


def _is_certain(value: Json) -> bool:
    """Whether an object is a native exchange, whatever else it has: other formats name the model by a text."""
    if not value.keys() >= _TEXTS:
        return False
    model = value.get("model")
    return isinstance(model, dict) or ("route" in value and not isinstance(model, str))


def _names(formats: tuple[Format, ...]) -> str:
    return ", ".join(one.name for one in formats)


def finished(draft: Draft, record: ReadRecord, carriage: Carriage) -> tuple[Json, tuple[Flag, ...], int]:
    """The fields of a draft as `Exchange` takes them, what was done to its text, and how many characters it has.

    Raises:
        FormatError: with all that is wrong with it, and whose form it is.
    """
    product, faults = draft.product or record.form.product, list(draft.faults)
    if record.letterhead.facts:
        draft.facts = {**record.letterhead.facts, **draft.facts}
    size, brackets, odd = _looked_over(draft.fields)
    fields, replaced = json_text.sanitise(draft.fields) if odd else (draft.fields, False)
    if not isinstance(fields.get("route"), str):
        fields.pop("route", None)
        route = route_of(draft, record.form.name, carriage)
        if route is not None:
            fields["route"] = route
        elif fields:
            faults.append(MISSING)
    if faults:
        raise FormatError(f"{product}: {'; '.join(dict.fromkeys(faults))}")
    if brackets > json_text.MAX_DEPTH and json_text.too_deep(fields):
        raise FormatError(f"{product}: nested more than {json_text.MAX_DEPTH} levels deep; send flatter JSON")
    try:
        native = to_native(fields)
        _from_letterhead(native, record.letterhead)
    except FormatError as error:
        raise FormatError(f"{product}: {error}") from None
    return native, record.flags or (("sanitized",) if replaced else ()), size


def _looked_over(fields: Json) -> tuple[int, int, bool]:
    """Bytes of the fields as JSON, opening brackets in it, and whether it may hold NUL or a lone surrogate.

    Attributes of spans hide JSON in texts, and bytes. What the fast encoder does not write, Python's does.
    """
    try:
        encoded = msgspec.json.encode(fields, enc_hook=str)
    except (UnicodeEncodeError, RecursionError, ValueError, TypeError, OverflowError):
        text = json.dumps(fields, ensure_ascii=False, default=str)
        encoded = text.encode("utf-8", "surrogatepass")
        return len(encoded), text.count("[") + text.count("{"), True
    return len(encoded), encoded.count(b"[") + encoded.count(b"{"), b"\\u0000" in encoded
