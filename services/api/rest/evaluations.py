"""`/v1/evaluations`: runs of suites that were asked for, what they found, and two of them held against each other."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import StringConstraints
from sqlalchemy import Connection

from schemas.base import HEX16
from schemas.exchange import Route
from services.api.body import Budget, read_as
from services.api.guard import Guard, Principal, needs, who
from services.api.planning import NewRun, Planning, unknown_route
from services.api.problems import Problem, ProblemBody, of_store
from services.api.rest.evaluation_models import Compared, Detail, Evaluation, Items, Page, detail, item_told, listed
from services.api.rest.paging import FAULTS, MOST, PAGE, UNCHANGED, cursor_after, cursor_of, key_of, place_of, tagged
from services.api.scope import globs
from services.evaluate.compare import compare
from services.evaluate.item import Measure
from services.evaluate.outcome import as_object
from services.evaluate.result import RunResult
from services.evaluate.telling import stored
from services.store import asked
from services.store.asked import Asked, Place, State, Wanted
from services.store.repository import Repository

Id = Annotated[str, Path(description="Id of a run.", examples=["5d0f6a3c9b1e4f27"])]
RunId = Annotated[str, StringConstraints(pattern=HEX16)]
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,200}$")]
MOST_ITEMS: Final = 50
_ABSENT: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemBody, "description": "There is no such run."}}
_DONE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": Evaluation, "description": "It was asked for already: this is that run."},
    202: {"model": Evaluation, "description": "It will be run by the next worker that evaluates."},
    404: {"model": ProblemBody, "description": "There is no such route."},
    409: {"model": ProblemBody, "description": "The suite was never asked of this route."},
    413: {"model": ProblemBody, "description": "The body is too large."},
    **FAULTS,
}
_ASKED_FOR: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/NewRun"},
                "example": {"route": "support-bot/prod", "suite": "core", "key": "deploy-1841"},
            }
        },
    }
}


def routers(repository: Repository, guard: Guard, planning: Planning, budget: Budget) -> tuple[APIRouter, ...]:
    """The paths: reading for those who may view, asking for a run for those who may operate."""
    return _lists(repository, guard), _one(repository, guard), _asking(guard, planning, budget)


def _lists(repository: Repository, guard: Guard) -> APIRouter:
    made = APIRouter(prefix="/v1", tags=["evaluations"], dependencies=[needs(guard, "viewer")])

    @made.get("/evaluations", summary="List runs of suites", responses={200: {"model": Page}, **UNCHANGED, **FAULTS})
    async def evaluations(
        request: Request,
        route: Annotated[Route | None, Query(description="Only of this route.", examples=["support-bot/prod"])] = None,
        suite: Annotated[Text | None, Query(description="Only of this suite.", examples=["core"])] = None,
        state: Annotated[list[State] | None, Query(description="Only in these states; may be repeated.")] = None,
        identity: Annotated[RunId | None, Query(description="Only of this identity.")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=400)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """Runs that are due, running, done or failed, and fire times that were missed; latest due first."""
        after = None if cursor is None else place_of(cursor)
        principal = who(request)
        found = await of_store(
            lambda: repository.read(
                lambda connection: _listed(connection, principal, route, (suite, state, identity), after, limit + 1)
            )
        )
        following = cursor_of(found[limit - 1].ts, found[limit - 1].place) if len(found) > limit else None
        items = [listed(one).model_dump(mode="json") for one in found[:limit]]
        return tagged(request, {"items": items, "next": following})

    return made


def _one(repository: Repository, guard: Guard) -> APIRouter:
    made = APIRouter(prefix="/v1", tags=["evaluations"], dependencies=[needs(guard, "viewer")])
    one_run: dict[int | str, dict[str, Any]] = {**UNCHANGED, **_ABSENT, **FAULTS}

    @made.get("/evaluations/{id}", summary="Read a run of a suite", responses={200: {"model": Detail}, **one_run})
    async def evaluation(request: Request, id: Id) -> Response:
        """What was asked, of whom, how, and the rates that it found; the answers are under `/items`."""
        one, result = await found_run(repository, who(request), id)
        return tagged(request, detail(one, result).model_dump(mode="json"))

    @made.get("/evaluations/{id}/items", summary="Read a run's answers", responses={200: {"model": Items}, **one_run})
    async def items(
        request: Request,
        id: Id,
        measure: Annotated[Measure | None, Query(description="Only of this measure.")] = None,
        event: Annotated[bool | None, Query(description="Only items that are an event, or that are none.")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=400)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST_ITEMS)] = MOST_ITEMS,
    ) -> Response:
        """The items of a run with their answers, as they are stored, by id."""
        after = "" if cursor is None else key_of(cursor)
        _, result = await found_run(repository, who(request), id)
        return tagged(request, _items(result, (measure, event), after, limit))

    @made.get(
        "/evaluations/{id}/comparison",
        summary="Compare two runs",
        responses={200: {"model": Compared}, **one_run},
    )
    async def comparison(
        request: Request,
        id: Id,
        before: Annotated[RunId, Query(description="Id of the earlier run.", examples=["9a1c0d2b7e6f4a35"])],
    ) -> Response:
        """This run held against an earlier one, item by item: the object that `keelwatch eval compare` prints."""
        earlier, later = await two_runs(repository, who(request), before, id)
        return tagged(request, as_object([(later.suite.name, compare(earlier, later))]))

    return made


def _asking(guard: Guard, planning: Planning, budget: Budget) -> APIRouter:
    made = APIRouter(prefix="/v1", tags=["evaluations"], dependencies=[needs(guard, "operator")])

    @made.post(
        "/evaluations",
        status_code=202,
        summary="Run a suite now",
        openapi_extra=_ASKED_FOR,
        responses=_DONE,
    )
    async def ask(request: Request) -> Response:
        """Ask for a run of a suite against the route's target. One that is under way already is answered with 200."""
        with budget.share() as share:
            wanted = await read_as(request, share, NewRun)
        if not who(request).sees(wanted.route):
            raise unknown_route()
        one, is_new = await planning.ask(wanted)
        return JSONResponse(listed(one).model_dump(mode="json"), 202 if is_new else 200)

    return made


async def found_run(repository: Repository, principal: Principal, id: str) -> tuple[Asked, RunResult | None]:
    """One run that was asked for, and its result if there is one.

    Raises:
        Problem: 404 if there is none for whoever asks.
    """

    def read(connection: Connection) -> tuple[Asked, RunResult | None] | None:
        one = asked.get(connection, id)
        if one is None or not principal.sees(one.route):
            return None
        return one, stored(connection, id)

    found = await of_store(lambda: repository.read(read)) if _is_id(id) else None
    if found is None:
        raise Problem(404, "there is no such run; GET /v1/evaluations lists them")
    return found


async def two_runs(
    repository: Repository, principal: Principal, before: str, after: str
) -> tuple[RunResult, RunResult]:
    """The results of two runs.

    Raises:
        Problem: 404 if one of them is none, or has no result.
    """
    found = [(await found_run(repository, principal, id))[1] for id in (before, after)]
    earlier, later = found
    if earlier is None or later is None:
        raise Problem(404, f"run {before if earlier is None else after} has no result yet; wait until it is done")
    return earlier, later


def _listed(
    connection: Connection,
    principal: Principal,
    route: str | None,
    more: tuple[str | None, list[State] | None, str | None],
    after: Place | None,
    most: int,
) -> tuple[Asked, ...]:
    return asked.page(connection, Wanted(globs(principal, route), *more), after, most)


def _items(
    result: RunResult | None, wanted: tuple[Measure | None, bool | None], after: str, limit: int
) -> dict[str, Any]:
    if result is None:
        return {"items": [], "next": None}
    measure, event = wanted
    events = result.events
    fitting = [
        item
        for item in sorted(result.suite.items, key=lambda item: item.id)
        if item.id > after
        and (measure is None or item.measure == measure)
        and (event is None or events[item.id] is event)
    ]
    shown = fitting[:limit]
    answers = {item.id: tuple(one for one in result.answers if one.item == item.id) for item in shown}
    told = [item_told(item, answers[item.id], events[item.id]).model_dump(mode="json") for item in shown]
    return {"items": told, "next": cursor_after(shown[-1].id) if len(fitting) > limit else None}


def _is_id(id: str) -> bool:
    return re.fullmatch(HEX16, id) is not None
