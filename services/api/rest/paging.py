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


def tagged(request: Request, body: Mapping[str, Any]) -> Response:
    """JSON with its ETag; 304 without it when the client has that already."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(text, media_type="application/json", headers=headers)


def cursor_of(ts: datetime, id: str) -> str:
    """The place after the last item of a page, as an opaque text."""
    place = f"{(ts - _EPOCH) // timedelta(microseconds=1)}.{id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place_of(cursor: str) -> tuple[datetime, str]:
    """Time and id of the item that a cursor stands behind.

    Raises:
        Problem: 422 if it is none of ours.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        micros, id = text.split(".", 1)
        if not id.isprintable():
            raise ValueError("no id of ours")
        return _EPOCH + timedelta(microseconds=int(micros)), id
    except (ValueError, OverflowError):
        remedy = "is none of ours; take `next` of the page before, or leave it out"
        raise Problem(422, f"cursor: {remedy}", errors=(Fault(field="cursor", remedy=remedy),)) from None
