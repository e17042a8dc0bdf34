"""The list of incidents, one incident, and its form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from schemas.alert import rank
from services.api.body import SMALL_BYTES, read
from services.api.deciding import stamp
from services.api.guard import needs, who
from services.api.pages import csrf, forms
from services.api.pages.render import Parts, page
from services.api.pages.view import heading, view
from services.api.problems import Problem, of_store
from services.api.rest.incidents import ID
from services.store.decisions import Stale
from services.store.dossier import Dossier

_UNRESOLVED: Final = ("open", "acknowledged", "snoozed")
_MOST_RESOLVED: Final = 50
_MOST_OPEN: Final = 500
_SOON: Final = timedelta(minutes=2)
_REFRESH_SECONDS: Final = 3


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The paths of the pages."""
    return _reading(parts), _deciding(parts)


def _reading(parts: Parts) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/incidents")
    async def incidents(request: Request) -> Response:
        now = parts.decisions.clock()
        caller, listed = who(request), parts.repository.incident_page
        found = await of_store(lambda: listed(None, _UNRESOLVED, None, _MOST_OPEN, caller.routes))
        done = await of_store(lambda: listed(None, ("resolved",), None, _MOST_RESOLVED, caller.routes))
        routes = [route for route in await of_store(parts.repository.routes) if caller.sees(route)]
        worst_first = sorted(found, key=lambda one: rank(one.severity), reverse=True)
        told = {"open": worst_first, "resolved": done, "routes": routes, "heading": heading(found), "now": now}
        return page(request, "incidents.html", told)

    @made.get("/incidents/{id}")
    async def incident(request: Request, id: str) -> Response:
        return _incident(request, parts, await _dossier(request, parts, id), _Sent())

    return made


def _deciding(parts: Parts) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "operator")])

    @made.post("/incidents/{id}/decisions")
    async def decide(request: Request, id: str) -> Response:
        with parts.budget.share() as share:
            fields = forms.fields_of(await read(request, share, SMALL_BYTES))
        csrf.check(request, fields.get(csrf.FIELD, ""))
        fields |= {"actor": who(request).name or fields.get("actor", "")}
        found = (await _dossier(request, parts, id)).incident
        try:
            await parts.decisions.decide(forms.decision_of(fields, found, stamp(found, parts.decisions.clock())))
        except Problem as problem:
            return _incident(request, parts, await _dossier(request, parts, id), _Sent(problem, fields))
        except Stale as error:
            return _incident(
                request, parts, await _dossier(request, parts, id), _Sent(Problem(409, str(error)), fields)
            )
        return RedirectResponse(f"/incidents/{found.id}", 303)

    return made


async def _dossier(request: Request, parts: Parts, id: str) -> Dossier:
    found = await of_store(lambda: parts.repository.dossier(id)) if ID.fullmatch(id) else None
    if found is None or not who(request).sees(found.incident.route):
        raise Problem(404, "there is no such incident; the list shows those that there are")
    return found


@dataclass(frozen=True, slots=True)
class _Sent:
    """A form that was sent and not done: why, and what it held."""

    problem: Problem | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


def _incident(request: Request, parts: Parts, dossier: Dossier, sent: _Sent) -> Response:
    now, token = parts.decisions.clock(), csrf.token_of(request)
    kept = {name: sent.fields.get(name, "") for name in ("actor", "reason")}
    told = {"view": view(dossier), "token": token, "hours": forms.HOURS, "now": now}
    told |= {"fields": kept, "problem": sent.problem}
    # What was decided a moment ago shows once it went its way; the page looks again by itself until then.
    soon = sent.problem is None and any(abs(now - decision.ts) < _SOON for decision in dossier.decided)
    status = 200 if sent.problem is None else sent.problem.status
    made = page(request, "incident.html", told, status, {"refresh": str(_REFRESH_SECONDS)} if soon else {})
    csrf.keep(made, token, secure=request.url.scheme == "https")
    return made
