"""`GET /v1/incidents` and `/v1/incidents/{id}`."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from schemas.base import HEX16, plain_object
from schemas.exchange import Route
from schemas.incident import Incident, IncidentState
from services.api.guard import Guard
from services.api.problems import Fault, Problem, ProblemBody, of_store
from services.store.repository import Repository

ID: Final = re.compile(HEX16)
"""What is of no such form is no id, and is not looked for."""

PAGE: Final = 50
MOST: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Page(BaseModel):
    """Incidents, newest first."""

    items: list[Incident]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


def router(repository: Repository, guard: Guard) -> APIRouter:
    """The paths, for those whom `guard` lets view."""

    async def may_view(request: Request) -> None:
        await guard(request, "viewer")

    made = APIRouter(prefix="/v1", tags=["incidents"], dependencies=[Depends(may_view)])

    @made.get(
        "/incidents",
        summary="List incidents",
        responses={200: {"model": Page}, 304: {"description": "As If-None-Match knows it."}, **_FAULTS},
    )
    async def incidents(
        request: Request,
        route: Annotated[Route | None, Query(description="Only of this route.", examples=["support-bot/prod"])] = None,
        state: Annotated[
            list[IncidentState] | None, Query(description="Only in these states; may be repeated.")
        ] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """Incidents of all states, newest first, a page at a time."""
        after = None if cursor is None else _place(cursor)
        found = await of_store(lambda: repository.incident_page(route, state, after, limit + 1))
        items = [plain_object(one) for one in found[:limit]]
        following = _cursor(found[limit - 1]) if len(found) > limit else None
        return tagged(request, {"items": items, "next": following})

    @made.get(
        "/incidents/{id}",
        summary="Read an incident",
        responses={
            200: {"model": Incident},
            304: {"description": "As If-None-Match knows it."},
            404: {"model": ProblemBody, "description": "There is no such incident."},
            **_FAULTS,
        },
    )
    async def incident(request: Request, id: str) -> Response:
        """One incident with its timeline: the object that `keelwatch incident show ID --json -` prints."""
        found = await of_store(lambda: repository.incident(id)) if ID.fullmatch(id) else None
        if found is None:
            raise Problem(404, "there is no such incident; GET /v1/incidents lists them")
        return tagged(request, plain_object(found))

    return made


_FAULTS: Final[dict[int | str, dict[str, Any]]] = {
    422: {"model": ProblemBody, "description": "A parameter cannot be used."},
    503: {"model": ProblemBody, "description": "The database does not answer."},
}


def tagged(request: Request, body: Mapping[str, Any]) -> Response:
    """JSON with its ETag; 304 without it when the client has that already."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(text, media_type="application/json", headers=headers)


def _cursor(last: Incident) -> str:
    place = f"{(last.opened_at - _EPOCH) // timedelta(microseconds=1)}.{last.id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        micros, id = text.split(".")
        if not ID.fullmatch(id):
            raise ValueError
        return _EPOCH + timedelta(microseconds=int(micros)), id
    except (ValueError, OverflowError):
        remedy = "is none of ours; take `next` of the page before, or leave it out"
        raise Problem(422, f"cursor: {remedy}", errors=(Fault(field="cursor", remedy=remedy),)) from None
