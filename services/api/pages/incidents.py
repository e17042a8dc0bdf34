"""The list of incidents: what is open, the worst first, and what was; narrowed down, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from schemas.alert import SEVERITIES, Severity
from schemas.incident import Incident, IncidentState
from services.api.auth.authorization import Principal, needs, who
from services.api.http.paging import cursor_of, place_of
from services.api.http.parameters import PageText
from services.api.http.problems import Problem, query_store
from services.api.pages import incident
from services.api.pages.incident import incidents_heading
from services.api.pages.render import PageContext, page
from services.store import incidents as incident_store
from services.store import routes
from services.store.incidents import IncidentFilter, IncidentPlace

_PAGE: Final = 50
_UNRESOLVED: Final[tuple[IncidentState, ...]] = ("open", "acknowledged", "snoozed")
_STATES: Final[dict[str, tuple[IncidentState, ...]]] = {
    "unresolved": _UNRESOLVED,
    **{state: (state,) for state in get_args(IncidentState)},
    "all": (),
}
"""What the form offers -> the states that it means."""


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The paths of the list and of one incident."""
    return _listing(parts), *incident.routers(parts)


def _listing(parts: PageContext) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/incidents")
    async def incidents(
        request: Request, route: PageText = "", state: PageText = "", severity: PageText = "", cursor: PageText = ""
    ) -> Response:
        fields = {"route": route.strip(), "state": state, "severity": severity}
        asker = who(request)
        wanted = _wanted(asker, fields)
        found, n = await query_store(parts.database, _listed, wanted, _place(cursor))
        everything = not any(fields.values()) and not cursor
        done: Sequence[Incident] = ()
        if everything:
            past = IncidentFilter(asker.routes, ("resolved",))
            done, _ = await query_store(parts.database, _listed, past, None)
        told = {
            "fields": fields,
            "shown": found[:_PAGE],
            "n": n,
            "next": _after(found, wanted, fields),
            "resolved": done[:_PAGE],
            "more_resolved": _after(done, IncidentFilter(), {"state": "resolved"}),
            "everything": everything,
            "routes": await query_store(parts.database, routes.count, asker.routes),
            "heading": incidents_heading(n)
            if fields["state"] in ("", "unresolved")
            else f"{n:,} incident{'s' * (n != 1)}",
            "states": tuple(_STATES),
            "severities": SEVERITIES,
            "now": parts.decisions.clock(),
        }
        return page(request, "incidents.html", told)

    return made


def _listed(
    connection: Connection, wanted: IncidentFilter, after: IncidentPlace | None
) -> tuple[tuple[Incident, ...], int]:
    """One more than a page of the incidents that follow that place, and how many there are in all."""
    return incident_store.page(connection, wanted, after, _PAGE + 1), incident_store.count(connection, wanted)


def _wanted(asker: Principal, fields: dict[str, str]) -> IncidentFilter:
    state, severity, route = fields["state"] or "unresolved", fields["severity"], fields["route"].lower()
    if state not in _STATES:
        raise Problem.of_field("state", f"choose one of {', '.join(_STATES)}")
    if severity and severity not in SEVERITIES:
        raise Problem.of_field("severity", f"choose one of {', '.join(SEVERITIES)}")
    worst: tuple[Severity, ...] = tuple(one for one in SEVERITIES if one == severity)
    within = ("*",) if not route else (route if "*" in route else f"*{route}*",)
    is_open = state not in ("resolved", "all")
    return IncidentFilter(asker.routes, _STATES[state], worst, worst_first=is_open, within=within)


def _after(found: Sequence[Incident], wanted: IncidentFilter, fields: dict[str, str]) -> str | None:
    """The address of the page that follows; None when there is none."""
    if len(found) <= _PAGE:
        return None
    rank, ts, id = incident_store.place_of(found[_PAGE - 1], wanted)
    kept: dict[str, Any] = {name: value for name, value in fields.items() if value}
    return f"/incidents?{urlencode({**kept, 'cursor': cursor_of(ts, f'{rank}.{id}')})}"


def _place(cursor: str) -> IncidentPlace | None:
    if not cursor:
        return None
    ts, rest = place_of(cursor)
    rank, _, id = rest.partition(".")
    if rank not in ("0", "1", "2", "3"):
        raise Problem.of_field("cursor", "is none of ours; open the list anew")
    return int(rank), ts, id
