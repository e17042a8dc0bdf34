"""`GET /v1/routes/{route}/profile`: the suite-based label of who answers a route, and the schema of such labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import StringConstraints
from sqlalchemy import Connection

from schemas.base import HEX16, canonical
from schemas.exchange import Route
from services.api.auth.authorization import Guard, needs, who
from services.api.http.etags import etag_of, unchanged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.problems import ProblemBody, query_store
from services.api.schedules import unknown_route
from services.evaluate.profile_label import RouteProfile, label_object
from services.evaluate.profile_schema import published_schema
from services.evaluate.profile_sources import route_profile
from services.monitor import RoutePolicy
from services.store.engine import Database

Clock = Callable[[], datetime]
Policy = Callable[[str], RoutePolicy]
Scorers = Callable[[], Mapping[str, str]]
ProfileRoute = Annotated[Route, Path(description="The route.", examples=["support-bot/prod"])]
ProfileIdentity = Annotated[
    Annotated[str, StringConstraints(pattern=HEX16)] | None,
    Query(description="Of this identity; else of who answers now.", examples=["b2a6b1e24b1c0c5e"]),
]
_SCHEMA: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The schema.", "content": {"application/schema+json": {"schema": {"type": "object"}}}}
}


def router(database: Database, guard: Guard, policy: Policy, clock: Clock, scorers: Scorers) -> APIRouter:
    """The paths, for those whom `guard` lets view; `scorers` are the versions that would score here."""
    made = APIRouter(prefix="/v1", tags=["routes"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/routes/{route:path}/profile",
        operation_id="getRouteProfile",
        summary="Read a route's profile",
        responses={
            200: {"model": RouteProfile},
            **UNCHANGED,
            404: {"model": ProblemBody, "description": "There is no such route."},
            **FAULTS,
        },
    )
    async def profile(request: Request, route: ProfileRoute, identity: ProfileIdentity = None) -> Response:
        """What suites say of a model, exactly how it was asked, what was not tested, and what speaks against it.

        Canonical JSON: it changes only with what it says, but for `made`. Its schema is at `/v1/schemas/profile.json`.
        """
        if not who(request).sees(route):
            raise unknown_route()
        found = await query_store(database, profile_in, route, policy(route), clock(), identity, scorers())
        headers = etag_of(found.sha256.encode())
        return unchanged(request, headers) or Response(
            canonical(label_object(found)), media_type="application/json", headers=headers
        )

    @made.get(
        "/schemas/profile.json",
        operation_id="getProfileSchema",
        summary="Read the schema of profiles",
        responses={**_SCHEMA, **UNCHANGED},
    )
    async def schema(request: Request) -> Response:
        """The JSON schema (2020-12) of a route's profile; `schema_version` of a profile says which one it is."""
        text = published_schema()
        headers = etag_of(text)
        return unchanged(request, headers) or Response(text, media_type="application/schema+json", headers=headers)

    return made


def profile_in(
    connection: Connection,
    route: str,
    policy: RoutePolicy,
    now: datetime,
    identity: str | None,
    scorers: Mapping[str, str],
) -> RouteProfile:
    """The profile of a route.

    Raises:
        Problem: 404 if there is no such route.
    """
    found = route_profile(connection, route, policy, now, scorers, identity)
    if found is None:
        raise unknown_route()
    return found
