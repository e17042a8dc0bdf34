"""`GET /v1/readings`: what each detector says of a route's streams now, and said before."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from schemas.base import HEX16, plain_object
from schemas.exchange import Route
from schemas.reading import Reading
from services.api.auth.authorization import Guard, needs, who
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.paging import MOST, PAGE, AskedSpan, index_cursor, index_place_of
from services.api.http.problems import query_store
from services.store import readings
from services.store.engine import Database


class StreamReading(Reading):
    """A reading, with the stream that it is of."""

    stream: str = Field(description="Ask with it for the stream's history.", examples=["a1b2c3d4e5f60718"])


class ReadingPage(BaseModel):
    """Readings: the newest of each stream in the order of the streams, or those of one stream, newest first."""

    items: list[StreamReading]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


def router(database: Database, guard: Guard) -> APIRouter:
    """The path, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["readings"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/readings",
        operation_id="listReadings",
        summary="List readings",
        responses={200: {"model": ReadingPage}, **UNCHANGED, **FAULTS},
    )
    async def listed(
        request: Request,
        span: AskedSpan,
        route: Annotated[Route, Query(description="Of this route.", examples=["support-bot/prod"])],
        stream: Annotated[
            str | None, Query(description="The history of this stream, newest first.", pattern=HEX16)
        ] = None,
        signal: Annotated[
            str | None,
            Query(description="Only of this signal.", pattern="^[a-z0-9_.]{1,100}$", examples=["refusal"]),
        ] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """The newest reading of each stream of a route, or with `stream` the last 200 readings of that one.

        `status` is learning, quiet, firing or blind; blind and learning do not say that the route is safe.
        `evidence.log_e` fires when it reaches `evidence.threshold`; `effect` bounds the change.
        """
        after = None if cursor is None else index_place_of(cursor)
        wanted = readings.ReadingFilter(signal, span)
        seen = who(request).sees(route)
        found: tuple[Reading, ...] = ()
        if seen and stream is None:
            found = await query_store(database, readings.streams, route, after and after[1], limit + 1, wanted)
        elif seen and stream is not None:
            found = await query_store(database, readings.history, route, stream, after, limit + 1, wanted)
        items = [{**plain_object(one), "stream": readings.stream_of(one)} for one in found[:limit]]
        return tagged(request, {"items": items, "next": _next(found, limit, whole=stream is None)})

    return made


def _next(found: tuple[Reading, ...], limit: int, *, whole: bool) -> str | None:
    if len(found) <= limit:
        return None
    last = found[limit - 1]
    return index_cursor(0, readings.stream_of(last)) if whole else index_cursor(last.event_index, last.id)
