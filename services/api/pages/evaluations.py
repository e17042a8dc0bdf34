"""Evaluations and schedules, one run, and the forms that ask for a run or plan one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError
from sqlalchemy import Connection

from schemas.evaluation import Comparison
from services.api.guard import Principal, needs, who
from services.api.pages import csrf, forms, run_view, runs_view
from services.api.pages.render import Parts, page
from services.api.planned import plans
from services.api.planning import NewRun, NewSchedule, Planning, unknown_route
from services.api.problems import Problem, of_store, of_violation
from services.api.rest.evaluations import found_run
from services.api.scope import globs
from services.evaluate.library import suite_names
from services.store import asked, changes
from services.store.asked import Asked, Wanted

_MOST: Final = 100
_MOST_WRONG: Final = 30
_MOST_PLANS: Final = 200
_FIELDS: Final = ("route", "name", "cron", "timezone", "suite")


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The paths of the pages."""
    planning = Planning(parts.repository.database, parts.decisions.clock)
    return _reading(parts), _planning(parts, planning)


def _reading(parts: Parts) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/evaluations")
    async def evaluations(request: Request) -> Response:
        return await _overview(request, parts)

    @made.get("/evaluations/{id}")
    async def evaluation(request: Request, id: str) -> Response:
        one, result = await found_run(parts.repository, who(request), id)
        now = parts.decisions.clock()
        compared, others = await of_store(lambda: parts.repository.read(lambda connection: _beside(connection, one)))
        told = {"line": runs_view.line(one, now, compared), "compared": compared, "others": others, "now": now}
        return page(request, "evaluation.html", told | {"view": None if result is None else run_view.view(result)})

    return made


def _planning(parts: Parts, planning: Planning) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "operator")])

    @made.post("/evaluations")
    async def run_now(request: Request) -> Response:
        fields = await forms.sent(request, parts.budget)
        try:
            route, _, suite = fields.get("what", "").partition(" ")
            wanted = _checked(NewRun, {"route": route, "suite": suite})
            _must_see(who(request), wanted.route)
            one, _ = await planning.ask(wanted)
        except Problem as problem:
            return await _overview(request, parts, problem)
        return RedirectResponse(f"/evaluations/{one.id}", 303)

    @made.post("/evaluations/schedules")
    async def plan(request: Request) -> Response:
        fields = await forms.sent(request, parts.budget)
        try:
            if fields.get("do") == "remove":
                _must_see(who(request), fields.get("route", ""))
                await planning.remove(fields.get("route", ""), fields.get("name", ""))
            else:
                wanted = _checked(NewSchedule, _wanted(fields))
                _must_see(who(request), wanted.route)
                await planning.add(wanted)
        except Problem as problem:
            return await _overview(request, parts, problem, fields)
        return RedirectResponse("/evaluations#schedules", 303)

    return made


async def _overview(
    request: Request, parts: Parts, problem: Problem | None = None, fields: Mapping[str, str] | None = None
) -> Response:
    now, token, seen = parts.decisions.clock(), csrf.token_of(request), globs(who(request))

    def read(connection: Connection) -> tuple[runs_view.Found, tuple[tuple[str, str, str], ...]]:
        open = asked.page(connection, Wanted(seen, states=("due", "running")), None, _MOST)
        wrong = asked.page(connection, Wanted(seen, states=("failed", "missed")), None, _MOST_WRONG)
        ended = asked.page(connection, Wanted(seen, states=("done", "failed")), None, _MOST)
        outcomes = _outcomes(connection, ended)
        found = runs_view.Found(open, wrong, ended, plans(connection, seen, ("", ""), _MOST_PLANS, now), outcomes)
        return found, asked.targets(connection, seen)

    found, targets = await of_store(lambda: parts.repository.read(read))
    kept = {name: (fields or {}).get(name, "") for name in _FIELDS}
    told: dict[str, Any] = {"view": runs_view.overview(found, now), "targets": targets, "now": now, "token": token}
    told |= {"problem": problem, "fields": kept, "suites": suite_names(), "may": _may(who(request))}
    made = page(request, "evaluations.html", told, 200 if problem is None else problem.status)
    csrf.keep(made, token, secure=request.url.scheme == "https")
    return made


def _outcomes(connection: Connection, ended: tuple[Asked, ...]) -> dict[str, Comparison]:
    """Of those runs, by id, what they say against the baseline's."""
    times = {one.ended for one in ended if one.ended is not None}
    found = changes.outcomes(connection, sorted({one.route for one in ended}), times)
    return {one.id: found[one.id] for one in ended if one.id in found}


def _beside(connection: Connection, one: Asked) -> tuple[Comparison | None, tuple[Asked, ...]]:
    """The comparison of a run with the baseline's, and other runs of its suite that it can be held against."""
    compared = _outcomes(connection, (one,)).get(one.id or "") if one.ended else None
    wanted = Wanted((one.route,), one.suite, ("done",))
    found = asked.page(connection, wanted, None, _MOST)
    return compared, tuple(other for other in found if other.id != one.id and other.status == "complete")


def _wanted(fields: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {name: " ".join(fields.get(name, "").split()) for name in ("route", "name", "cron")}
    suite = fields.get("suite", "")
    return {**given, "timezone": fields.get("timezone", "").strip() or "UTC", "suites": (suite,) if suite else None}


def _checked(model: Any, given: Mapping[str, Any]) -> Any:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise of_violation(error) from None


def _must_see(principal: Principal, route: str) -> None:
    if not principal.sees(route):
        raise unknown_route()


def _may(principal: Principal) -> bool:
    return principal.role in ("operator", "admin")
