"""`GET /v1/incidents`, one incident, its timeline, newest first, a page at a time, and the draft of a postmortem."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, StringConstraints

from schemas.base import plain_object
from schemas.exchange import ToldRoute
from schemas.incident import Incident, IncidentState, TimelineEntry
from schemas.sample import Sample, SampleCall, SampleMessage
from services.api.auth.authorization import Guard, needs, who
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.paging import MOST, PAGE, AskedSpan, cursor_of, is_id, place_of
from services.api.http.problems import Problem, ProblemBody, query_store
from services.charts.evidence_chart import explained
from services.store import incidents as incident_store
from services.store.engine import Database
from services.store.incidents import IncidentFilter
from services.store.tables import EVERYTHING
from services.wording.postmortem import postmortem

MARKDOWN: Final = "text/markdown"

LEAST_OF_ID: Final = 4
"""Digits of an id that a search for it has at least."""
IdStart = Annotated[
    Annotated[str, StringConstraints(pattern=rf"^[0-9a-f]{{{LEAST_OF_ID},16}}$")] | None,
    Query(description="Only those whose id begins so.", examples=["b2a6b1e2"]),
]


class IncidentPage(BaseModel):
    """Incidents, newest first."""

    items: list[Incident]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


def router(database: Database, guard: Guard) -> APIRouter:
    """The paths, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["incidents"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/incidents",
        operation_id="listIncidents",
        summary="List incidents",
        responses={200: {"model": IncidentPage}, **UNCHANGED, **FAULTS},
    )
    async def incidents(
        request: Request,
        span: AskedSpan,
        route: Annotated[
            ToldRoute | None, Query(description="Only of this route.", examples=["support-bot/prod"])
        ] = None,
        state: Annotated[
            list[IncidentState] | None, Query(description="Only in these states; may be repeated.")
        ] = None,
        id: IdStart = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """Incidents of all states, newest first, a page at a time; `since` and `until` are of their opening."""
        after = None if cursor is None else place_of(cursor)
        within = EVERYTHING if route is None else (route,)
        wanted = IncidentFilter(who(request).routes, tuple(state or ()), within=within, opened=span, id=id or "")
        found = await query_store(database, incident_store.page, wanted, after and (0, *after), limit + 1)
        following = cursor_of(found[limit - 1].opened_at, found[limit - 1].id) if len(found) > limit else None
        return tagged(request, {"items": [plain_object(one) for one in found[:limit]], "next": following})

    @made.get(
        "/incidents/{id}",
        operation_id="getIncident",
        summary="Read an incident",
        responses={
            200: {"model": Incident},
            **UNCHANGED,
            404: {"model": ProblemBody, "description": "There is no such incident."},
            **FAULTS,
        },
    )
    async def incident(request: Request, id: str) -> Response:
        """One incident with its timeline: the object that `keelwatch incident show ID --json -` prints."""
        found = await query_store(database, incident_store.get, id) if is_id(id) else None
        if found is None or not who(request).sees(found.route):
            raise Problem(404, "there is no such incident; GET /v1/incidents lists them")
        return tagged(request, plain_object(found))

    return made


class TimelinePage(BaseModel):
    """Entries of a timeline, newest first."""

    items: list[TimelineEntry]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


class SaidText(BaseModel):
    """What was asked and answered, redacted."""

    ts: datetime
    prompt: str
    response: str
    messages: list[SampleMessage]
    tool_calls: list[SampleCall]
    finish_reason: str | None
    signals: list[str] = Field(description="Safety signals that were true of it.")


class TextPair(BaseModel):
    """An exchange that shows the shift, and the nearest one of the baseline."""

    id: str
    text: SaidText | None = Field(description="Null where its text was not kept.")
    counterpart: str | None = Field(description="Its nearest exchange of the baseline; null where none is known.")
    counterpart_text: SaidText | None = Field(description="Null where its text was not kept.")


class TextPairs(BaseModel):
    """Before and after, one for each exemplar of the incident."""

    items: list[TextPair]


def _said(sample: Sample | None) -> SaidText | None:
    if sample is None:
        return None
    return SaidText.model_validate(
        {name: getattr(sample, name) for name in SaidText.model_fields}, from_attributes=True
    )


def pairs_router(database: Database, guard: Guard) -> APIRouter:
    """The path, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["incidents"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/incidents/{id}/pairs",
        operation_id="listIncidentPairs",
        summary="Read what was answered before and after",
        responses={
            200: {"model": TextPairs},
            **UNCHANGED,
            404: {"model": ProblemBody, "description": "There is no such incident."},
            **FAULTS,
        },
    )
    async def pairs(request: Request, id: str) -> Response:
        """Of each exemplar question and answer, and those of the most similar question of the baseline; redacted."""
        found = await query_store(database, incident_store.get, id) if is_id(id) else None
        if found is None or not who(request).sees(found.route):
            raise Problem(404, "there is no such incident; GET /v1/incidents lists them")
        kept = await query_store(database, incident_store.texts, found)
        like = (*found.counterparts, *(None,) * len(found.exemplars))
        items = [
            TextPair(
                id=one, text=_said(kept.get(one)), counterpart=other, counterpart_text=_said(kept.get(other or ""))
            ).model_dump(mode="json")
            for one, other in zip(found.exemplars, like, strict=False)
        ]
        return tagged(request, {"items": items})

    return made


def timeline_router(database: Database, guard: Guard) -> APIRouter:
    """The path, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["incidents"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/incidents/{id}/timeline",
        operation_id="listIncidentTimeline",
        summary="Read an incident's timeline",
        responses={
            200: {"model": TimelinePage},
            **UNCHANGED,
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
        found = await query_store(database, incident_store.get, id) if is_id(id) else None
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


def postmortem_router(database: Database, guard: Guard) -> APIRouter:
    """The path, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["incidents"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/incidents/{id}/postmortem",
        operation_id="draftPostmortem",
        summary="Draft a postmortem",
        response_class=Response,
        responses={
            200: {"content": {MARKDOWN: {"schema": {"type": "string"}}}, "description": "The draft, in Markdown."},
            404: {"model": ProblemBody, "description": "There is no such incident."},
            **FAULTS,
        },
    )
    async def draft(request: Request, id: str) -> Response:
        """What is known of an incident, for a postmortem: timeline, evidence, suites, redacted answers; Markdown."""
        found = await query_store(database, incident_store.details, id) if is_id(id) else None
        if found is None or not who(request).sees(found.incident.route):
            raise Problem(404, "there is no such incident; GET /v1/incidents lists them")
        told, _ = await query_store(database, explained, found)
        written = postmortem(found.incident, told, found.comparisons, found.samples)
        named = {"Content-Disposition": f'attachment; filename="postmortem-{found.incident.id}.md"'}
        return Response(written, media_type=MARKDOWN, headers=named)

    return made
