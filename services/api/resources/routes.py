"""`GET /v1/routes` and `/v1/routes/{route}`: how each route stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from schemas.alert import Severity
from schemas.base import Hash16, Timestamp
from schemas.identity import Model
from schemas.incident import IncidentState
from services.api.auth.authorization import Guard, Principal, needs, who
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.paging import MOST, PAGE, cursor_of, foreign_cursor, place_of
from services.api.http.problems import LOG, Problem, ProblemBody, call_store, query_store
from services.api.route_status import blind_spots
from services.monitor import Monitor, RoutePolicy
from services.monitor.known_routes import named_routes, waiting_names
from services.store import fleet, route_deletion
from services.store import routes as route_store
from services.store.engine import Database
from services.store.fleet import FleetEntry, FleetFilter, FleetRoute, FleetStatus, PageBudgetUse
from services.store.route_status import RouteStatus, WatchStatus
from services.wording.routes import NO_EXCHANGE

ROUTE: Final = re.compile(r"[a-z0-9._/-]{1,200}")
"""What is of no such form is no route, and is not looked for."""
RouteState = Literal[WatchStatus, "waiting"]
"""How a route stands: as it is watched, or that the monitor file lists it and nothing came yet."""
RouteFilter = Literal[FleetStatus, "waiting"]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Text = Annotated[str, Field(pattern=r"^[a-z0-9._/-]*$", max_length=200)]


class RouteBaseline(BaseModel):
    """The baseline that the route is measured against: of `n` exchanges of `identity`."""

    id: Hash16
    identity: Hash16
    n: int
    ts: Timestamp


class OpenIncident(BaseModel):
    """The incident of the route that is not resolved."""

    id: Hash16
    severity: Severity
    state: IncidentState
    headline: str
    opened_at: Timestamp


class IdentityShare(BaseModel):
    """An identity that answered in the last 24 hours; `model` is null where nobody knows what stands behind it."""

    identity: str
    model: Model | None
    exchanges: int


class BudgetUsed(BaseModel):
    """False pages, of the 30 days up to `clock`.

    `pages` counts the incidents that reached warning or worse, which is when people are called; `false_alarms` those of
    them that somebody called a false alarm.
    """

    false_pages_per_month: float = Field(description="The budget, from the monitor file.")
    pages: int
    false_alarms: int


class RouteSummary(BaseModel):
    """How a route stands. An empty `blind_spots` does not say that the route is safe: `incident` may be open."""

    route: str
    state: RouteState = Field(
        description="blind: something is not measured, a step fails on the route, or nothing arrives. "
        "learning: no baseline yet. waiting: the monitor file lists it, and no exchange came yet. Else watching."
    )
    learned: int = Field(description="Exchanges of the baseline, or towards the first one; told every 50.")
    of: int = Field(description="Exchanges that a baseline takes, from the monitor file.")
    not_pinned: str | None = Field(
        description="Why no baseline is pinned although enough was learned: a rate is above its ceiling. Else null."
    )
    clock: Timestamp | None = Field(description="Time of the last exchange; null when none was counted yet.")
    exchanges_24h: int = Field(description="Exchanges in the 24 clock hours up to `clock`.")
    incident: OpenIncident | None
    blind_spots: list[str] = Field(description="What nobody can say anything about, in words; at most 25.")
    identities: list[IdentityShare] = Field(description="Who answered in those hours, most first; at most 5.")
    baseline: RouteBaseline | None
    budget: BudgetUsed
    silenced_until: Timestamp | None = Field(description="Nobody is told of any alert before; null when people are.")
    silenced_alerts: list[str] = Field(description="Fingerprints of alerts of which nobody is told for now.")


class RoutePage(BaseModel):
    """Routes, by name."""

    items: list[RouteSummary]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


@dataclass(frozen=True, slots=True)
class RouteQuery:
    """Routes that `caller` sees, hold `text` in their name and stand in one of `states`, if any."""

    caller: Principal
    text: str = ""
    states: Sequence[RouteFilter] = ()

    @property
    def stored(self) -> FleetFilter | None:
        """Which of those that had traffic; None of none."""
        states = [one for one in self.states if one != "waiting"]
        return FleetFilter(self.caller.routes, self.text, states) if states or not self.states else None

    def waiting(self, connection: Connection, watched: Monitor) -> list[str]:
        """Those of the monitor file that wait, by name."""
        if self.states and "waiting" not in self.states:
            return []
        names = waiting_names(watched, route_store.names(connection), self.caller.sees)
        return [name for name in names if self.text in name]


def read_page(
    connection: Connection, asked: RouteQuery, after: str | None, most: int, watched: Monitor, now: datetime
) -> list[dict[str, Any]]:
    """At most so many routes that follow the one named `after`, by name: with traffic, and those that wait for it."""
    stored, waiting = asked.stored, asked.waiting(connection, watched)
    entries = () if stored is None else fleet.page_by_name(connection, stored, after, most, now)
    found = [route_object(entry, watched.policy) for entry in entries]
    following = [name for name in waiting if after is None or name > after][:most]
    found += (waiting_object(name, watched.policy) for name in following)
    return sorted(found, key=itemgetter("route"))[:most]


def read_one(
    connection: Connection, caller: Principal, route: str, watched: Monitor, now: datetime
) -> dict[str, Any] | None:
    """How one route stands, also one that waits; None if there is none for who asks."""
    if not caller.sees(route):
        return None
    entry = fleet.entry(connection, route, now)
    if entry is not None:
        return route_object(entry, watched.policy)
    return waiting_object(route, watched.policy) if route in named_routes(watched) else None


def router(database: Database, watched: Monitor, clock: Callable[[], datetime], guard: Guard) -> APIRouter:
    """The paths, for those whom `guard` lets view; `watched` is the monitor file.

    The second one takes every path below /v1/routes that no router before it took.
    """
    made = APIRouter(prefix="/v1", tags=["routes"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/routes",
        operation_id="listRoutes",
        summary="List routes",
        responses={200: {"model": RoutePage}, **UNCHANGED, **FAULTS},
    )
    async def routes(
        request: Request,
        text: Annotated[_Text, Query(description="Only routes whose name holds this.", examples=["support"])] = "",
        state: Annotated[list[RouteFilter] | None, Query(description="Only in these; may be repeated.")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=400)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """How each route stands, by name, a page at a time; also those that the monitor file lists before traffic."""
        after = None if cursor is None else _route_of(cursor)
        asked = RouteQuery(who(request), text, state or ())
        found = await query_store(database, read_page, asked, after, limit + 1, watched, clock())
        following = cursor_of(_EPOCH, found[limit - 1]["route"]) if len(found) > limit else None
        return tagged(request, {"items": found[:limit], "next": following})

    @made.get(
        "/routes/{route:path}",
        operation_id="getRoute",
        summary="Read a route",
        responses={
            200: {"model": RouteSummary},
            **UNCHANGED,
            404: {"model": ProblemBody, "description": "There is no such route."},
            **FAULTS,
        },
    )
    async def one(request: Request, route: str) -> Response:
        """How one route stands."""
        known = ROUTE.fullmatch(route) is not None
        found = await query_store(database, read_one, who(request), route, watched, clock()) if known else None
        if found is None:
            raise _unknown_route()
        return tagged(request, found)

    return made


class RouteDeletion(BaseModel):
    """A route that was deleted, with all that was stored of it."""

    route: str = Field(examples=["invented/17"])
    rows: dict[str, int] = Field(description="Table: how many rows went.", examples=[{"score_rows": 120, "routes": 1}])
    actor: str = Field(description="Who said so.", examples=["ops"])
    reason: str = Field(examples=["was never ours"])


def deleting_router(database: Database, guard: Guard) -> APIRouter:
    """The path for those whom `guard` lets do everything."""
    made = APIRouter(prefix="/v1", tags=["routes"], dependencies=[needs(guard, "admin")])

    @made.delete(
        "/routes/{route:path}",
        operation_id="deleteRoute",
        summary="Delete a route",
        responses={
            200: {"model": RouteDeletion},
            404: {"model": ProblemBody, "description": "There is no such route."},
            **FAULTS,
        },
    )
    async def delete(
        request: Request,
        route: str,
        reason: Annotated[str, Query(description="Why; it is logged.", min_length=1, max_length=500)],
        actor: Annotated[
            str | None, Query(description="Who says so, where there are no keys.", min_length=1, max_length=100)
        ] = None,
    ) -> Response:
        """Delete all that is stored of a route. Exchanges that come later make it anew, as a route never seen."""
        by = who(request)
        if ROUTE.fullmatch(route) is None or not by.sees(route):
            raise _unknown_route()
        named = by.name or actor or "nobody named"
        work = lambda connection: route_deletion.delete_by(connection, route, named, reason)  # noqa: E731
        rows = await call_store(lambda: database.transact(work))
        if not rows:
            raise _unknown_route()
        LOG.warning("route %s was deleted by %s: %s", route, named, " ".join(reason.split()))
        return JSONResponse(RouteDeletion(route=route, rows=rows, actor=named, reason=reason).model_dump(mode="json"))

    return made


def _unknown_route() -> Problem:
    return Problem(404, "there is no such route; GET /v1/routes lists them")


def route_object(entry: FleetEntry, policy: Callable[[str], RoutePolicy]) -> dict[str, Any]:
    """The object of one route."""
    route, held = entry.route, policy(entry.route.name)
    incident, pin = route.incident, route.pin
    opened = None
    if incident is not None:
        told = {"id": incident.id, "severity": incident.severity, "state": incident.state}
        opened = OpenIncident(**told, headline=entry.headline, opened_at=incident.opened_at)
    made = RouteSummary(
        route=route.name,
        state=route.status.watch,
        learned=entry.learned,
        of=held.baseline.first.size if pin is None else held.baseline.size,
        not_pinned=entry.held_back,
        clock=route.clock,
        exchanges_24h=entry.exchanges,
        incident=opened,
        blind_spots=list(blind_spots(route.status)),
        identities=[IdentityShare(identity=one.identity, model=one.model, exchanges=one.n) for one in entry.answering],
        baseline=None if pin is None else RouteBaseline(id=pin.baseline, identity=pin.identity, n=pin.n, ts=pin.ts),
        budget=BudgetUsed(
            false_pages_per_month=held.false_pages_per_month,
            pages=entry.page_budget.pages,
            false_alarms=entry.page_budget.false_alarms,
        ),
        silenced_until=max((one.until for one in route.silences if one.fingerprint is None), default=None),
        silenced_alerts=sorted({one.fingerprint for one in route.silences if one.fingerprint is not None}),
    )
    return made.model_dump(mode="json")


def waiting_object(route: str, policy: Callable[[str], RoutePolicy]) -> dict[str, Any]:
    """The object of a route of which nothing came yet: nothing is known, and nothing is called quiet."""
    nothing = FleetRoute(route, RouteStatus("learning"), None, None, None)
    told = route_object(FleetEntry(nothing, 0, (), (), PageBudgetUse(), ""), policy)
    return told | {"state": "waiting", "blind_spots": [NO_EXCHANGE]}


def _route_of(cursor: str) -> str:
    route = place_of(cursor)[1]
    if ROUTE.fullmatch(route) is None:
        raise foreign_cursor()
    return route
