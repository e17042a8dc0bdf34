"""`GET /v1/health`."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.api.guard import Guard, needs, who
from services.api.health import Health
from services.api.report import Report, report
from services.api.rest.paging import tagged


def router(health: Health, guard: Guard) -> APIRouter:
    """The path, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["health"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/health",
        summary="How Keelwatch itself is",
        responses={200: {"model": Report}, 304: {"description": "As If-None-Match knows it."}},
    )
    async def read(request: Request) -> Response:
        """Steps and how far they are behind, dead letters, deliveries, decisions and evaluations that wait.

        It tells what was last seen, at most half a minute ago, and answers while broker and database are away. What is
        null is not known.
        """
        told = report(health, who(request).sees, datetime.now(UTC))
        return tagged(request, told.model_dump(mode="json"))

    return made
