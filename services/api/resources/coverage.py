"""`GET /v1/routes/{route}/coverage`: how much of what users ask of a route its suites ask too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from schemas.exchange import Route
from services.api.auth.authorization import Guard, needs, who
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.problems import ProblemBody, query_store
from services.api.schedules import check_route_exists, unknown_route
from services.evaluate.coverage import CoverageReport
from services.evaluate.coverage_watch import current_report
from services.monitor import RoutePolicy
from services.store import samples
from services.store.engine import Database
from services.wording import coverage as words

SHOWN: Final = 2_000
"""Characters of an example."""


class UncoveredExample(BaseModel):
    """One question: the beginning of its redacted text, or null where that is kept no longer."""

    exchange: str
    prompt: str | None


class CoverageGap(BaseModel):
    """Questions that are alike, and like no item of a suite."""

    number: int = Field(description="What `keelwatch suite add --cluster` takes.")
    words: list[str] = Field(description="That mark them; empty where too few texts are kept.")
    share: float = Field(description="Of all questions.")
    questions: int
    exchanges: int
    risky: float | None = Field(description="Share of them of which a signal of risk was true; null: not scored.")
    declined: float | None = Field(description="Share of them that was declined; null: not scored.")
    examples: list[UncoveredExample]


class RouteCoverage(BaseModel):
    """Which share of the last week's questions resembles an item of the suites that are run for the route."""

    route: str
    known: bool
    reason: str | None = Field(description="Why it is not known; a share that is not known is null, never 1.")
    headline: str = Field(description="The share as people read it; empty where it is not known.")
    sentence: str = Field(description="What is known, as people read it.")
    suites: dict[str, str] = Field(description="The suites that it is of: name and version.")
    share: float | None
    low: float | None = Field(description="Lower end of its 95% interval.")
    high: float | None = Field(description="Upper end.")
    questions: int = Field(description="Distinct ones; each counts once.")
    exchanges: int = Field(description="That asked them.")
    since: datetime | None
    until: datetime | None
    measured: datetime | None
    scattered: float | None = Field(description="Share that is uncovered, and in none of the gaps.")
    gaps: list[CoverageGap] = Field(description="The worst first: by share and risk.")


def router(
    database: Database, guard: Guard, policy: Callable[[str], RoutePolicy], clock: Callable[[], datetime]
) -> APIRouter:
    """The path, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["routes"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/routes/{route:path}/coverage",
        operation_id="getRouteCoverage",
        summary="Read how far the suites ask what a route's users ask",
        responses={
            200: {"model": RouteCoverage},
            **UNCHANGED,
            404: {"model": ProblemBody, "description": "There is no such route."},
            **FAULTS,
        },
    )
    async def coverage(
        request: Request, route: Annotated[Route, Path(description="The route.", examples=["support-bot/prod"])]
    ) -> Response:
        """The share as it was measured last, and the questions that no suite asks."""
        if not who(request).sees(route):
            raise unknown_route()
        found = await query_store(database, _existing, route, policy(route), clock())
        return tagged(request, found.model_dump(mode="json"))

    return made


def _existing(connection: Connection, route: str, policy: RoutePolicy, now: datetime) -> RouteCoverage:
    check_route_exists(connection, route)
    return coverage_of(connection, route, policy, now)


def coverage_of(connection: Connection, route: str, policy: RoutePolicy | None, now: datetime) -> RouteCoverage:
    """What was measured last, as it may be shown; without a policy it is not asked what is run now."""
    report, stale = current_report(connection, route, policy, now)
    if policy is not None and (policy.target is None or not policy.suites):
        return _unknown(route, words.NO_SUITE, None)
    if report is None:
        return _unknown(route, words.NOT_YET, None)
    if stale is not None:
        return _unknown(route, stale, report)
    if report.share is None or report.low is None or report.high is None:
        return _unknown(route, words.UNKNOWN.get(report.unknown or "", words.NOT_YET), report)
    ids = [id for one in report.clusters for id in one.examples]
    texts = {id: one.prompt[:SHOWN] for id, one in samples.by_id(connection, route, ids).items()}
    gaps = [
        CoverageGap(
            number=place,
            words=list(one.words),
            share=one.share,
            questions=one.questions,
            exchanges=one.exchanges,
            risky=one.risky,
            declined=one.declined,
            examples=[UncoveredExample(exchange=id, prompt=texts.get(id)) for id in one.examples],
        )
        for place, one in enumerate(report.clusters, 1)
    ]
    worst = gaps[0] if gaps else None
    gap = None if worst is None else words.gap(1, worst.words, worst.share, worst.risky, worst.declined)
    bare = _base(route, report)
    return bare.model_copy(
        update={
            "known": True,
            "reason": None,
            "sentence": words.sentence(report.share, report.span, gap),
            "headline": words.headline(report.share, report.span),
            "share": report.share,
            "low": report.low,
            "high": report.high,
            "scattered": report.scattered,
            "gaps": gaps,
        }
    )


def _unknown(route: str, reason: str, report: CoverageReport | None) -> RouteCoverage:
    return _base(route, report).model_copy(update={"reason": reason, "sentence": words.unknown(reason)})


def _base(route: str, report: CoverageReport | None) -> RouteCoverage:
    return RouteCoverage(
        route=route,
        known=False,
        reason=None,
        headline="",
        sentence="",
        suites={} if report is None else dict(report.suites),
        share=None,
        low=None,
        high=None,
        questions=0 if report is None else report.questions,
        exchanges=0 if report is None else report.exchanges,
        since=None if report is None else report.since,
        until=None if report is None else report.until,
        measured=None if report is None else report.measured,
        scattered=None,
        gaps=[],
    )
