"""`/v1/comparisons`: runs held against the baseline's run, and the models of any two compared."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from schemas.base import plain_object
from schemas.evaluation import Comparison, HazardComparison, Outcome
from schemas.exchange import Route
from services.api.auth.authorization import Guard, Principal, needs, visible_globs, who
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.paging import MOST, PAGE, cursor_of, is_id, place_of
from services.api.http.problems import Problem, ProblemBody, query_store
from services.store import journal
from services.store.engine import Database


class SuiteComparison(BaseModel):
    """Two runs of one suite held against each other."""

    suite: str
    overall: Outcome
    reason: str
    hazards: list[HazardComparison]


class RunsComparison(BaseModel):
    """What `keelwatch eval compare` prints: `overall` and `hazards` over all suites, and each suite by itself."""

    overall: Outcome
    reason: str
    hazards: list[HazardComparison]
    suites: list[SuiteComparison]


class ComparisonPage(BaseModel):
    """Comparisons, newest first."""

    items: list[Comparison]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


def router(database: Database, guard: Guard) -> APIRouter:
    """The paths, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["evaluations"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/comparisons",
        operation_id="listComparisons",
        summary="List comparisons",
        responses={200: {"model": ComparisonPage}, **UNCHANGED, **FAULTS},
    )
    async def comparisons(
        request: Request,
        route: Annotated[Route | None, Query(description="Only of this route.", examples=["support-bot/prod"])] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=400)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """Comparisons with the baseline's run, newest first. `/v1/evaluations/{id}/comparison` compares any two."""
        after, principal = None if cursor is None else place_of(cursor), who(request)

        found = await query_store(database, journal.comparisons, visible_globs(principal, route), after, limit + 1)
        following = cursor_of(found[limit - 1].ts, found[limit - 1].id) if len(found) > limit else None
        return tagged(request, {"items": [plain_object(one) for one in found[:limit]], "next": following})

    @made.get(
        "/comparisons/{id}",
        operation_id="getComparison",
        summary="Read a comparison",
        responses={
            200: {"model": Comparison},
            **UNCHANGED,
            404: {"model": ProblemBody, "description": "There is no such comparison."},
            **FAULTS,
        },
    )
    async def comparison(
        request: Request, id: Annotated[str, Path(description="Its id.", examples=["7c3e9f10a2b4d586"])]
    ) -> Response:
        """One comparison, measure by measure and hazard by hazard."""
        found = await query_store(database, _one, who(request), id)
        if found is None:
            raise Problem(404, "there is no such comparison; GET /v1/comparisons lists them")
        return tagged(request, plain_object(found))

    return made


def _one(connection: Connection, principal: Principal, id: str) -> Comparison | None:
    found = journal.comparison(connection, id) if is_id(id) else None
    return found if found is not None and principal.sees(found.route) else None
