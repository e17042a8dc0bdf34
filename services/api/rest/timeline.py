"""`GET /v1/incidents/{id}/timeline`: what happened to an incident, newest first, a page at a time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from schemas.base import plain_object
from schemas.incident import TimelineEntry
from services.api.guard import Guard, needs, who
from services.api.problems import Problem, ProblemBody, of_store
from services.api.rest.incidents import ID
from services.api.rest.paging import FAULTS, MOST, PAGE, cursor_of, place_of, tagged
from services.store.repository import Repository


class TimelinePage(BaseModel):
    """Entries of a timeline, newest first."""

    items: list[TimelineEntry]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


def router(repository: Repository, guard: Guard) -> APIRouter:
    """The path, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["incidents"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/incidents/{id}/timeline",
        summary="Read an incident's timeline",
        responses={
            200: {"model": TimelinePage},
            304: {"description": "As If-None-Match knows it."},
            404: {"model": ProblemBody, "description": "There is no such incident."},
            **FAULTS,
        },
    )
    async def timeline(
        request: Request,
        id: str,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """What happened to an incident: what moved, what was decided and by whom, evaluations, changes."""
        before = None if cursor is None else place_of(cursor)
        found = await of_store(lambda: repository.incident(id)) if ID.fullmatch(id) else None
        if found is None or not who(request).sees(found.route):
            raise Problem(404, "there is no such incident; GET /v1/incidents lists them")
        # Of entries of one time the later one in the timeline is the newer one: its number tells them apart.
        numbered = [((entry.ts, f"{n:09d}"), entry) for n, entry in enumerate(found.timeline)]
        items = [
            one for one in sorted(numbered, key=lambda one: one[0], reverse=True) if before is None or one[0] < before
        ]
        following = cursor_of(*items[limit - 1][0]) if len(items) > limit else None
        return tagged(request, {"items": [plain_object(entry) for _, entry in items[:limit]], "next": following})

    return made
