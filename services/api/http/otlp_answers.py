"""What is answered to those that export by OTLP over HTTP, in the form in which they asked: protobuf or JSON.

Accepted, partly accepted and refused as the specification has it (opentelemetry.io/docs/specs/otlp, "OTLP/HTTP
Response"): a partial success is never sent again, 429 and 503 are, after Retry-After; a body that cannot be decoded is
400 with a `google.rpc.Status`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from services.ingest.formats.protobuf import VARINT, nested, packed

TRACES: Final = "/v1/traces"
LOGS: Final = "/v1/logs"
PATHS: Final = frozenset({TRACES, LOGS})
JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"
_NO_TEXT: Final = {"schema": {"type": "string"}}
STATUS: Final[dict[str, Any]] = {
    JSON: {"schema": {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}}},
    PROTOBUF: _NO_TEXT,
}
"""What a refusal holds, as OpenAPI has it."""
ANSWER: Final[dict[str, Any]] = {JSON: {"schema": {"type": "object"}}, PROTOBUF: _NO_TEXT}
"""What an answer to something that was taken holds."""
_UNUSABLE: Final = 422
_REJECTED: Final = {TRACES: "rejectedSpans", LOGS: "rejectedLogRecords"}
_BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"


def content_type(request: Request) -> str:
    """The type of a request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def accepted(request: Request, rejected: int = 0, why: str = "") -> Response:
    """200: everything was taken but so many, and why those were not; or a warning where none were rejected."""
    if content_type(request) == JSON:
        name = _REJECTED[request.scope["path"]]
        # Whole numbers of 64 bits are texts in the JSON of protobuf.
        told: dict[str, Any] = {name: str(rejected), "errorMessage": why} if why else {}
        return JSONResponse({"partialSuccess": told} if told else {}, 200)
    count = bytes((1 << 3 | VARINT,)) + packed(rejected) if rejected else b""
    partial = nested(1, count + nested(2, why.encode())) if why else b""
    return Response(partial, 200, media_type=PROTOBUF)


def refused(
    request: Request, status: int, detail: str, fields: Mapping[str, str], headers: Mapping[str, str]
) -> Response:
    """A `google.rpc.Status`; `fields` are those to blame, each with its remedy. What cannot be used is 400 in OTLP."""
    status = 400 if status == _UNUSABLE else status
    if content_type(request) == JSON:
        faults = [{"field": field, "description": remedy} for field, remedy in fields.items()]
        details = {"details": [{"@type": _BAD_REQUEST, "fieldViolations": faults}]} if faults else {}
        return JSONResponse({"message": detail, **details}, status, dict(headers))
    body = nested(2, detail.encode())
    if fields:
        faults_sent = (nested(1, field.encode()) + nested(2, remedy.encode()) for field, remedy in fields.items())
        violated = b"".join(nested(1, one) for one in faults_sent)
        body += nested(3, nested(1, _BAD_REQUEST.encode()) + nested(2, violated))
    return Response(body, status, dict(headers), PROTOBUF)
