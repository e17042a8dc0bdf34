"""The page of one route."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.api.guard import needs, who
from services.api.pages import route_file
from services.api.pages.render import Parts, page
from services.api.pages.route_file import RouteFile
from services.api.pages.route_view import RANGES, view
from services.api.problems import Problem, of_store
from services.api.window import HOURS
from services.store.keys import LONGEST


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The path of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/routes/{route:path}")
    async def one(request: Request, route: str) -> Response:
        hours, slice = _hours(request), _slice(request)

        def read() -> RouteFile | None:
            with parts.repository.database.read() as connection:
                return route_file.read(connection, route, hours, slice)

        found = await of_store(read) if "\0" not in route and who(request).sees(route) else None
        if found is None:
            raise Problem(404, "there is no such route; the fleet shows those that there are")
        now = parts.decisions.clock()
        shown = view(found, hours, slice, parts.policy(route), now)
        return page(request, "route.html", {"view": shown, "now": now})

    return (made,)


def _hours(request: Request) -> int:
    """One of the spans that the page links to; what else is asked for is the usual one."""
    given = request.query_params.get("hours", "")
    return next((hours for hours in RANGES if given == str(hours)), HOURS)


def _slice(request: Request) -> str:
    """As the database keys it: a slice that is named otherwise has no exchange."""
    return request.query_params.get("slice", "").replace("\0", "\N{REPLACEMENT CHARACTER}")[:LONGEST]
