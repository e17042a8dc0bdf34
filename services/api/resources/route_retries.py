"""`POST /v1/route-retries`: a route on which a step failed is tried again, after the cause was mended."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from schemas.base import Part
from schemas.exchange import Route
from services.api.auth.authorization import Guard, needs, who
from services.api.http.body import BodyBudget, read_model
from services.api.http.openapi import FAULTS
from services.api.http.problems import LOG, ProblemBody, call_store, query_store
from services.api.schedules import unknown_route
from services.store import parks, routes
from services.store.engine import Database
from services.store.parks import ParkedRoute


class RouteRetry(Part):
    """What is to be tried again."""

    route: Route = Field(description="The route.", examples=["support-bot/prod"])


class ParkedStep(BaseModel):
    """A step that fails on the route: where, since when, and how many of its records wait."""

    step: str = Field(examples=["detect"])
    reason: str = Field(examples=["ValueError in services.vectors, line 25"])
    since: datetime
    waiting: int
    beyond: int = Field(description="Records that found no room, and are dead letters.")


class RetryAsked(BaseModel):
    """The steps that are asked to try again; empty when none fails on the route."""

    route: str
    steps: list[ParkedStep]


_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": f"#/components/schemas/{RouteRetry.__name__}"},
                "example": {"route": "support-bot/prod"},
            }
        },
    }
}
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": RetryAsked},
    404: {"model": ProblemBody, "description": "There is no such route."},
    413: {"model": ProblemBody, "description": "The body is too large."},
    **FAULTS,
}


def router(database: Database, guard: Guard, budget: BodyBudget) -> APIRouter:
    """The path, for those whom `guard` lets operate."""
    made = APIRouter(prefix="/v1", tags=["routes"], dependencies=[needs(guard, "operator")])

    @made.post(
        "/route-retries",
        status_code=202,
        operation_id="retryRoute",
        summary="Try a route again",
        openapi_extra=_BODY,
        responses=_RESPONSES,
    )
    async def retry(request: Request) -> Response:
        """Have the records that wait taken up again, in order, by every step that failed on them.

        A record that then fails alone once more is a dead letter, and the route goes on.
        """
        principal = who(request)
        with budget.share() as share:
            wanted = await read_model(request, share, RouteRetry)
        if not principal.sees(wanted.route) or not await query_store(database, routes.exists, wanted.route):
            raise unknown_route()
        asked = await call_store(lambda: database.transact(partial(parks.ask_again, route=wanted.route)))
        LOG.info("%s is tried again, as %s asks", wanted.route, principal.name or "somebody on this machine")
        told = RetryAsked(route=wanted.route, steps=[_shown(one) for one in asked])
        return JSONResponse(told.model_dump(mode="json"), 202)

    return made


def _shown(one: ParkedRoute) -> ParkedStep:
    return ParkedStep(step=one.step, reason=one.reason, since=one.since, waiting=one.n, beyond=one.beyond)
