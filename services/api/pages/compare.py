"""Two runs of a route held against each other: chosen by a form, shown measure by measure."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from schemas.base import HEX16
from schemas.identity import Model
from services.api.guard import needs, who
from services.api.pages import compare_view
from services.api.pages.render import Parts, page
from services.api.problems import of_store
from services.api.rest.evaluations import two_runs
from services.api.scope import globs
from services.evaluate.compare import compare
from services.evaluate.result import RunResult
from services.store import asked, scores
from services.store.asked import Asked, Wanted

_MOST_RUNS: Final = 100
_EMPTY: Final = ""
Given = Annotated[str, Query(max_length=200)]


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The path of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/compare")
    async def two(request: Request, route: Given = _EMPTY, before: Given = _EMPTY, after: Given = _EMPTY) -> Response:
        principal = who(request)
        told: dict[str, Any] = {"view": None, "earlier": None, "later": None, "models": {}}
        if re.fullmatch(HEX16, before) and re.fullmatch(HEX16, after):
            earlier, later = await two_runs(parts.repository, principal, before, after)
            shown = await of_store(lambda: compare_view.view(earlier, later, compare(earlier, later)))
            route = later.route
            told |= {"view": shown, "earlier": earlier, "later": later}
        seen = globs(principal, route or None)
        choices = await of_store(lambda: parts.repository.read(lambda connection: _choices(connection, seen)))
        told |= {"route": route, "before": before, "after": after, "choices": choices}
        if told["later"] is not None:
            told["models"] = await of_store(
                lambda: parts.repository.read(lambda connection: _models(connection, told["earlier"], told["later"]))
            )
        return page(request, "compare.html", told)

    return (made,)


def _choices(connection: Connection, seen: tuple[str, ...]) -> tuple[Asked, ...]:
    """Runs that have a result, the newest first."""
    found = asked.page(connection, Wanted(seen, states=("done", "failed")), None, _MOST_RUNS)
    return tuple(one for one in found if one.status is not None)


def _models(connection: Connection, *runs: RunResult) -> dict[str, Model]:
    """Identity -> what stands behind it, of the runs' routes."""
    found: dict[str, Model] = {}
    for route in {run.route for run in runs}:
        found |= scores.identities(connection, route)
    return found
