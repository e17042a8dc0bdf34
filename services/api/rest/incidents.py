"""`GET /v1/incidents` and `/v1/incidents/{id}`."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from schemas.base import HEX16, plain_object
from schemas.exchange import Route
from schemas.incident import Incident, IncidentState
from services.api.guard import Guard, needs, who
from services.api.problems import Problem, ProblemBody, of_store
from services.api.rest.paging import FAULTS, MOST, PAGE, cursor_of, place_of, tagged
from services.store.repository import Repository

ID: Final = re.compile(HEX16)
"""What is of no such form is no id, and is not looked for."""


class Page(BaseModel):
    """Incidents, newest first."""

    items: list[Incident]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


def router(repository: Repository, guard: Guard) -> APIRouter:
    """The paths, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["incidents"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/incidents",
        summary="List incidents",
        responses={200: {"model": Page}, 304: {"description": "As If-None-Match knows it."}, **FAULTS},
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
        after = None if cursor is None else place_of(cursor)
        globs = who(request).routes
        found = await of_store(lambda: repository.incident_page(route, state, after, limit + 1, globs))
        items = [plain_object(one) for one in found[:limit]]
        following = cursor_of(found[limit - 1].opened_at, found[limit - 1].id) if len(found) > limit else None
        return tagged(request, {"items": items, "next": following})

    @made.get(
        "/incidents/{id}",
        summary="Read an incident",
        responses={
            200: {"model": Incident},
            304: {"description": "As If-None-Match knows it."},
            404: {"model": ProblemBody, "description": "There is no such incident."},
            **FAULTS,
        },
    )
    async def incident(request: Request, id: str) -> Response:
        """One incident with its timeline: the object that `keelwatch incident show ID --json -` prints."""
        found = await of_store(lambda: repository.incident(id)) if ID.fullmatch(id) else None
        if found is None or not who(request).sees(found.route):
            raise Problem(404, "there is no such incident; GET /v1/incidents lists them")
        return tagged(request, plain_object(found))

    return made
