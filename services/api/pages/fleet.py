"""The fleet: every route, worst first."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from services.api.guard import needs
from services.api.pages.render import Parts


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The paths of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/")
    async def fleet(request: Request) -> Response:
        return RedirectResponse("/incidents", 303)

    return (made,)
