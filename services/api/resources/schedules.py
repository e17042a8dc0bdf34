"""`/v1/schedules`: when suites are run by the clock, what was missed, and what comes next."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.exchange import Route
from services.api.auth.authorization import Guard, needs, visible_globs, who
from services.api.http.body import BodyBudget, read_model
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.paging import MOST, PAGE, cursor_after, key_of
from services.api.http.problems import Problem, ProblemBody, query_store
from services.api.schedules import (
    EvaluationPlanner,
    FireOutcome,
    NewSchedule,
    ScheduleStatus,
    schedule_statuses,
    unknown_route,
)
from services.store.engine import Database

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@/-]{0,99}$")]


class ScheduleSummary(BaseModel):
    """When suites of a route are run by the clock."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "route": "support-bot/prod",
                "name": "weekly",
                "cron": "0 6 * * 1",
                "timezone": "Europe/Berlin",
                "overlap": "queue",
                "catch_up": "last",
                "suites": None,
                "enabled": True,
                "origin": "file",
                "since": "2026-11-01T09:00:00Z",
                "next": "2026-11-30T05:00:00Z",
                "last": "2026-11-23T05:00:00Z",
                "outcome": "missed",
                "reason": "no process ran at that time",
                "runs": [],
            }
        }
    )
    route: str
    name: str
    cron: str = Field(description="Five fields as crontab(5) reads them, or an interval such as `@every 6h`.")
    timezone: str
    overlap: str = Field(description="`skip` or `queue`: a time at which runs of the one before are not done.")
    catch_up: str = Field(description="`none`, `last` or `all`: which times that nobody noticed are run afterwards.")
    suites: list[str] | None = Field(description="Null: those of the route in the monitor file.")
    enabled: bool
    origin: str = Field(description="`file` is the monitor file; `command` was added by a person.")
    since: datetime = Field(description="No fire time up to then counts.")
    next: datetime | None = Field(description="Its next fire time.")
    last: datetime | None = Field(description="The last fire time that was taken.")
    outcome: FireOutcome = Field(description="What became of the last fire time.")
    reason: str | None
    runs: list[str] = Field(description="Ids of the runs of the last fire time.")


class SchedulePage(BaseModel):
    """Schedules, by route and name."""

    items: list[ScheduleSummary]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


class ScheduleKey(BaseModel):
    """The schedule is there."""

    route: str
    name: str


_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/NewSchedule"},
                "example": {
                    "route": "support-bot/prod",
                    "name": "weekly",
                    "cron": "0 6 * * 1",
                    "timezone": "Europe/Berlin",
                    "suites": ["core"],
                },
            }
        },
    }
}
_ADDED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": ScheduleKey, "description": "The very same schedule was there already."},
    201: {"model": ScheduleKey, "description": "It was added."},
    404: {"model": ProblemBody, "description": "There is no such route."},
    409: {"model": ProblemBody, "description": "The route has another schedule of that name."},
    413: {"model": ProblemBody, "description": "The body is too large."},
    **FAULTS,
}
_REMOVED: Final[dict[int | str, dict[str, Any]]] = {
    204: {"description": "It was removed."},
    404: {"model": ProblemBody, "description": "There is no such schedule."},
    409: {"model": ProblemBody, "description": "It stands in the monitor file."},
    **FAULTS,
}


def routers(database: Database, guard: Guard, planning: EvaluationPlanner, budget: BodyBudget) -> tuple[APIRouter, ...]:
    """The paths: reading for those who may view, planning for those who may operate."""
    return _reading(database, guard, planning), _planning(guard, planning, budget)


def _reading(database: Database, guard: Guard, planning: EvaluationPlanner) -> APIRouter:
    made = APIRouter(prefix="/v1", tags=["evaluations"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/schedules",
        operation_id="listSchedules",
        summary="List schedules",
        responses={200: {"model": SchedulePage}, **UNCHANGED, **FAULTS},
    )
    async def schedules(
        request: Request,
        route: Annotated[Route | None, Query(description="Only of this route.", examples=["support-bot/prod"])] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=600)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """Schedules of the monitor file and those that people added, with their last and next fire time."""
        place, principal = ("", "") if cursor is None else _place(key_of(cursor)), who(request)
        seen = visible_globs(principal, route)
        found = await query_store(database, schedule_statuses, seen, place, limit + 1, planning.clock())
        last = found[limit - 1].schedule if len(found) > limit else None
        items = [schedule_summary(one).model_dump(mode="json") for one in found[:limit]]
        return tagged(request, {"items": items, "next": last and cursor_after(f"{last.route}|{last.name}")})

    return made


def _planning(guard: Guard, planning: EvaluationPlanner, budget: BodyBudget) -> APIRouter:
    made = APIRouter(prefix="/v1", tags=["evaluations"], dependencies=[needs(guard, "operator")])

    @made.post(
        "/schedules",
        status_code=201,
        operation_id="addSchedule",
        summary="Add a schedule",
        openapi_extra=_BODY,
        responses=_ADDED,
    )
    async def add(request: Request) -> Response:
        """Run suites of a route by the clock. Sent again it changes nothing."""
        with budget.share() as share:
            wanted = await read_model(request, share, NewSchedule)
        if not who(request).sees(wanted.route):
            raise unknown_route()
        is_new = await planning.add(wanted, who(request).sees)
        return JSONResponse({"route": wanted.route, "name": wanted.name}, 201 if is_new else 200)

    @made.delete(
        "/schedules", status_code=204, operation_id="removeSchedule", summary="Remove a schedule", responses=_REMOVED
    )
    async def remove(
        request: Request,
        route: Annotated[Route, Query(description="Its route.", examples=["support-bot/prod"])],
        name: Annotated[Name, Query(description="Its name.", examples=["weekly"])],
    ) -> Response:
        """Remove a schedule that a person added; its runs stay."""
        if not who(request).sees(route):
            raise Problem(404, "there is no such schedule; GET /v1/schedules lists them")
        await planning.remove(route, name)
        return Response(status_code=204)

    return made


def schedule_summary(plan: ScheduleStatus) -> ScheduleSummary:
    """A schedule as the API tells of it."""
    one = plan.schedule
    return ScheduleSummary(
        route=one.route,
        name=one.name,
        cron=one.cron,
        timezone=one.timezone,
        overlap=one.overlap,
        catch_up=one.catch_up,
        suites=None if one.suites is None else list(one.suites),
        enabled=one.enabled,
        origin=one.origin,
        since=one.since,
        next=plan.next,
        last=plan.last,
        outcome=plan.outcome,
        reason=plan.reason,
        runs=[run.id for run in plan.runs if run.id is not None],
    )


def _place(key: str) -> tuple[str, str]:
    route, _, name = key.partition("|")
    return route, name
