"""JSON answers with an ETag, and 304 for a client that has them already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import Response


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
