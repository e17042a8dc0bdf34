"""`GET /v1/routes/{route}/safety` and `/v1/routes/{route}/metrics`: rates now, and over time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import Connection

from schemas.change import Change
from services.api.guard import Guard, needs, who
from services.api.happened import Happened
from services.api.marks import marks, rates_of
from services.api.problems import Problem, ProblemBody, of_store
from services.api.rates import At, Live, answered, live, series
from services.api.rest.paging import FAULTS, tagged
from services.api.window import HOURS, MOST_HOURS, Asked, Step, step_of, window_of
from services.store import pinned as baselines
from services.store import rollups, routes
from services.store.repository import Repository

T = TypeVar("T")

LONGEST: Final = 500
"""Characters of a key in the database; what is longer is none."""
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "As If-None-Match knows it."},
    404: {"model": ProblemBody, "description": "There is no such route."},
    **FAULTS,
}
Since = Annotated[AwareDatetime | None, Query(description="First minute.", examples=["2026-11-24T12:00:00Z"])]
Until = Annotated[
    AwareDatetime | None, Query(description="First minute after it; else the route's clock, its newest exchange's.")
]
Hours = Annotated[int | None, Query(description=f"The last ones before `until`, else {HOURS}.", ge=1, le=MOST_HOURS)]


class BaselineOf(BaseModel):
    """The baseline that rates are held against."""

    id: str
    identity: str
    n: int | None = Field(description="Exchanges that it was made of.")
    ts: datetime = Field(description="When it was pinned.")


class Safety(BaseModel):
    """Live rates of a route over [since, until)."""

    route: str
    since: datetime | None = Field(description="Null, with `until`, while no exchange has told the route's time.")
    until: datetime | None
    interval: str = "Wilson, 95%"
    exchanges: int
    answered: int
    baseline: BaselineOf | None = Field(description="Null while the route learns.")
    rates: list[Live]


class Series(BaseModel):
    """One signal over time; steps without an exchange are left out."""

    signal: str
    points: list[At]


class Metrics(BaseModel):
    """Rates over [since, until) in steps, and what happened in that time."""

    route: str
    since: datetime | None
    until: datetime | None
    step: int | None = Field(description="Seconds.", examples=[600])
    interval: str = "Wilson, 95%"
    series: list[Series]
    marks: list[Happened] = Field(description="Changes, incidents and decisions, the newest 100 of each.")


def router(repository: Repository, guard: Guard) -> APIRouter:
    """The paths, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1/routes", tags=["routes"], dependencies=[needs(guard, "viewer")])
    _add_safety(made, repository)
    _add_metrics(made, repository)
    return made


def _add_safety(made: APIRouter, repository: Repository) -> None:
    @made.get("/{route:path}/safety", summary="Read live rates", responses={200: {"model": Safety}, **_ANSWERS})
    async def safety(
        request: Request, route: str, since: Since = None, until: Until = None, hours: Hours = None
    ) -> Response:
        """How often each signal was true, with confidence intervals, by identity and slice, beside the baseline.

        A rate of which nothing was scored is null: not known, and never safe.
        """
        asked = Asked(since, until, hours)
        found = await _of_route(request, repository, route, lambda connection: _safety(connection, route, asked))
        return tagged(request, found.model_dump(mode="json"))


def _add_metrics(made: APIRouter, repository: Repository) -> None:
    @made.get("/{route:path}/metrics", summary="Read rates over time", responses={200: {"model": Metrics}, **_ANSWERS})
    async def metrics(
        request: Request,
        route: str,
        signal: Annotated[str | None, Query(description="Only this one.", max_length=LONGEST)] = None,
        identity: Annotated[str | None, Query(description="Only where this one answered.", max_length=16)] = None,
        slice: Annotated[
            str | None, Query(description="Only of this slice, dimension=value.", max_length=LONGEST)
        ] = None,
        since: Since = None,
        until: Until = None,
        hours: Hours = None,
        step: Annotated[Step | None, Query(description="How long a point is; else the finest of at most 200.")] = None,
    ) -> Response:
        """The rate of each signal over time with its confidence interval, and what happened on the same axis.

        The window is widened to whole steps.
        """
        asked = Asked(since, until, hours)
        where = {"slice": slice or "", "identity": identity, "signal": signal}
        if any("\0" in text for text in where.values() if text):
            where = {"slice": "\N{REPLACEMENT CHARACTER}", "identity": None, "signal": None}  # nothing is called so
        found = await _of_route(
            request, repository, route, lambda connection: _metrics(connection, route, asked, step, where)
        )
        return tagged(request, found.model_dump(mode="json"))


def _safety(connection: Connection, route: str, asked: Asked) -> Safety:
    window = window_of(asked, routes.clock(connection, route))
    pinned = baselines.current(connection, (route,)).get(route)
    rates = () if window is None else rollups.rates(connection, route, window.since, window.until, None)
    exchanges, with_answer = answered(rates)
    return Safety(
        route=route,
        since=None if window is None else window.since,
        until=None if window is None else window.until,
        exchanges=exchanges,
        answered=with_answer,
        baseline=None if pinned is None else _baseline(pinned),
        rates=list(live(rates, rates_of(pinned))),
    )


def _metrics(connection: Connection, route: str, asked: Asked, wanted: Step | None, where: dict[str, Any]) -> Metrics:
    window = window_of(asked, routes.clock(connection, route))
    if window is None:
        return Metrics(route=route, since=None, until=None, step=None, series=[], marks=[])
    step = step_of(window, wanted)
    whole = window.whole(step)
    points = rollups.points(connection, route, (whole.since, whole.until), step, **where)
    return Metrics(
        route=route,
        since=whole.since,
        until=whole.until,
        step=int(step.total_seconds()),
        series=[Series(signal=name, points=list(found)) for name, found in series(points).items()],
        marks=list(marks(connection, route, whole)),
    )


def _baseline(pinned: Change) -> BaselineOf:
    n = None if pinned.pinning is None else pinned.pinning.n
    return BaselineOf(id=pinned.baseline or "", identity=pinned.to_identity, n=n, ts=pinned.ts)


async def _of_route(request: Request, repository: Repository, route: str, work: Callable[[Connection], T]) -> T:
    """What `work` reads of a route that exists for whoever asks, in one state of the database."""

    def read() -> T | None:
        with repository.database.read() as connection:
            return work(connection) if routes.exists(connection, route) else None

    found = await of_store(read) if "\0" not in route and who(request).sees(route) else None
    if found is None:
        raise Problem(404, "there is no such route; GET /v1/routes lists them")
    return found
