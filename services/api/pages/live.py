"""`GET /live`: server-sent events that tell an open page that something of its routes changed."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from services.api.auth.authorization import Principal, needs, who
from services.api.pages.render import PageContext

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The path."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/live")
    async def live(request: Request) -> Response:
        async def again() -> Principal:
            request.state.caller = await parts.door.caller(request)
            return await parts.guard(request, "viewer")

        parts.live.check(who(request))
        events = parts.live.events(again, who(request))
        return StreamingResponse(events, media_type="text/event-stream", headers=_HEADERS)

    return (made,)
