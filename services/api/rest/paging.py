"""What the lists and objects of the API share: pages by cursor, and ETags."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from services.api.problems import Fault, Problem, ProblemBody

PAGE: Final = 50
MOST: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FAULTS: Final[dict[int | str, dict[str, Any]]] = {
    422: {"model": ProblemBody, "description": "A parameter cannot be used."},
    503: {"model": ProblemBody, "description": "The database does not answer."},
}
"""Answers that every path may give."""
UNCHANGED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "As If-None-Match knows it."}}
"""The answer of every path that bears a tag."""


def tagged(request: Request, body: Mapping[str, Any]) -> Response:
    """JSON with its ETag; 304 without it when the client has that already."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    headers = etag_of(text)
    return unchanged(request, headers) or Response(text, media_type="application/json", headers=headers)


def etag_of(content: bytes) -> dict[str, str]:
    """The headers by which a client knows the content again."""
    return {"etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "cache-control": "private, no-cache"}


def unchanged(request: Request, headers: Mapping[str, str]) -> Response | None:
    """304 if the client has what these headers are of."""
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    return Response(status_code=304, headers=headers) if headers["etag"] in known or "*" in known else None


def cursor_of(ts: datetime, id: str) -> str:
    """The place after the last item of a page, as an opaque text."""
    return cursor_after(f"{(ts - _EPOCH) // timedelta(microseconds=1)}.{id}")


def cursor_after(text: str) -> str:
    """The place after the item with this key, as an opaque text."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(cursor: str) -> tuple[datetime, str]:
    """Time and id of the item that a cursor stands behind.

    Raises:
        Problem: 422 if it is none of ours.
    """
    try:
        micros, id = key_of(cursor).split(".", 1)
        return _EPOCH + timedelta(microseconds=int(micros)), id
    except (ValueError, OverflowError):
        raise foreign() from None


def key_of(cursor: str) -> str:
    """The key of the item that a cursor stands behind.

    Raises:
        Problem: 422 if it is none of ours.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except ValueError:
        raise foreign() from None
    if not text.isprintable():
        raise foreign()
    return text


def foreign() -> Problem:
    """What is said of a cursor that is none of ours."""
    remedy = "is none of ours; take `next` of the page before, or leave it out"
    return Problem(422, f"cursor: {remedy}", errors=(Fault(field="cursor", remedy=remedy),))
