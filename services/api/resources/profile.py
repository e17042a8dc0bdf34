"""`GET /v1/routes/{route}/profile`: the suite-based label of who answers a route now."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from schemas.exchange import Route
from schemas.identity import Model
from services.api.auth.authorization import Guard, needs, who
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.problems import ProblemBody, query_store
from services.api.resources.evaluations import MeasureRate, measure_rates
from services.api.schedules import check_route_exists, unknown_route
from services.evaluate.persistence import stored_run
from services.store import routes, runs, scores
from services.store.engine import Database
from services.wording import evaluations, numbers

NOT_KNOWN: Final = numbers.UNKNOWN


class SuiteLabel(BaseModel):
    """What the newest complete run of one suite says of the identity."""

    suite: str
    suite_sha256: str
    run: str
    ts: datetime
    measures: list[MeasureRate]


class RouteProfile(BaseModel):
    """The label of who answers now. Without a complete run of exactly this identity it is not known, never safe."""

    route: str
    identity: str | None = Field(description="Who answered the newest exchange; null when none is stored.")
    model: Model | None
    label: str = Field(description="`known`, or `not known` when no complete run of this identity is stored.")
    reason: str | None = Field(description="Why it is not known.")
    suites: list[SuiteLabel]


def router(database: Database, guard: Guard) -> APIRouter:
    """The path, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["routes"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/routes/{route:path}/profile",
        summary="Read a route's profile",
        responses={
            200: {"model": RouteProfile},
            **UNCHANGED,
            404: {"model": ProblemBody, "description": "There is no such route."},
            **FAULTS,
        },
    )
    async def profile(
        request: Request, route: Annotated[Route, Path(description="The route.", examples=["support-bot/prod"])]
    ) -> Response:
        """What suites say of the model that answers now: events by measure and hazard, with intervals."""
        if not who(request).sees(route):
            raise unknown_route()
        found = await query_store(database, profile_of, route)
        return tagged(request, found.model_dump(mode="json"))

    return made


def profile_of(connection: Connection, route: str) -> RouteProfile:
    """The profile of a route.

    Raises:
        Problem: 404 if there is no such route.
    """
    check_route_exists(connection, route)
    identity = scores.latest_identity(connection, route)
    if identity is None:
        reason = evaluations.NOBODY_ANSWERED
        return RouteProfile(route=route, identity=None, model=None, label=NOT_KNOWN, reason=reason, suites=[])
    found = []
    for id in runs.newest_complete(connection, route, identity):
        result = stored_run(connection, id)
        assert result is not None
        found.append(
            SuiteLabel(
                suite=result.suite.name,
                suite_sha256=result.suite.sha256,
                run=result.id,
                ts=result.ended,
                measures=measure_rates(result),
            )
        )
    return RouteProfile(
        route=route,
        identity=identity,
        model=routes.identities(connection, route).get(identity),
        label="known" if found else NOT_KNOWN,
        reason=None if found else evaluations.NEVER_ASKED,
        suites=found,
    )
