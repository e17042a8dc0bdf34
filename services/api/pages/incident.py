"""One incident, and the form of its decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from services.api.deciding import stamp
from services.api.guard import needs, who
from services.api.pages import course, csrf, forms
from services.api.pages.render import Parts, page
from services.api.pages.view import view
from services.api.problems import Problem, of_store
from services.api.rest.incidents import ID
from services.api.staleness import seen_of
from services.charts import Chart
from services.store.decisions import Stale
from services.store.dossier import Dossier
from services.store.ledger import Ledger

ENTRIES: Final = 100
"""How many entries of its timeline a page shows."""
_SOON: Final = timedelta(minutes=2)
_REFRESH_SECONDS: Final = 3


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The paths of the page and of its form."""
    return _reading(parts), _deciding(parts)


def _reading(parts: Parts) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/incidents/{id}")
    async def incident(request: Request, id: str, older: Annotated[int, Query(ge=0, le=1_000_000)] = 0) -> Response:
        return await _incident(request, parts, await _dossier(request, parts, id), _Sent(older=older))

    return made


def _deciding(parts: Parts) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "operator")])

    @made.post("/incidents/{id}/decisions")
    async def decide(request: Request, id: str) -> Response:
        fields = await forms.sent(request, parts.budget)
        found = (await _dossier(request, parts, id)).incident
        ts = stamp(found, parts.decisions.clock())
        try:
            decision = forms.decision_of(fields, found, ts, who(request).name)
            await parts.decisions.decide(decision, fields.get("seen"))
        except Problem as problem:
            return await _incident(request, parts, await _dossier(request, parts, id), _Sent(problem, fields))
        except Stale as error:
            refused = Problem(409, str(error))
            return await _incident(request, parts, await _dossier(request, parts, id), _Sent(refused, fields))
        return RedirectResponse(f"/incidents/{found.id}", 303)

    return made


async def _dossier(request: Request, parts: Parts, id: str) -> Dossier:
    found = await of_store(lambda: parts.repository.dossier(id)) if ID.fullmatch(id) else None
    if found is None or not who(request).sees(found.incident.route):
        raise Problem(404, "there is no such incident; the list shows those that there are")
    return found


async def _chart(parts: Parts, dossier: Dossier) -> Chart | None:
    ledger, incident = Ledger(parts.repository.database), dossier.incident
    clock = await of_store(lambda: ledger.clock(incident.route))
    what = course.asked(incident, dossier.alerts, clock)
    if what is None:
        return None
    window = (what.since, what.until)
    points = await of_store(lambda: ledger.course(incident.route, window, what.step, what.slice, what.signal))
    return course.drawn(what, points, incident, dossier.comparisons)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A form that was sent and not done: why, and what it held; `older` is how many newer entries are left out."""

    problem: Problem | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    older: int = 0


async def _incident(request: Request, parts: Parts, dossier: Dossier, sent: _Sent) -> Response:
    now, token = parts.decisions.clock(), csrf.token_of(request)
    shown = view(dossier)
    told = {
        "view": shown,
        "entries": shown.timeline[sent.older : sent.older + ENTRIES],
        "older": sent.older,
        "most": ENTRIES,
        "chart": await _chart(parts, dossier),
        "token": token,
        "seen": seen_of(dossier.incident, dossier.decided),
        "may_decide": forms.may_decide(who(request)),
        "hours": forms.HOURS,
        "now": now,
        "fields": {name: sent.fields.get(name, "") for name in ("actor", "reason")},
        "problem": sent.problem,
    }
    # What was decided a moment ago shows once it went its way; the page looks again by itself until then.
    soon = sent.problem is None and any(abs(now - decision.ts) < _SOON for decision in dossier.decided)
    status = 200 if sent.problem is None else sent.problem.status
    made = page(request, "incident.html", told, status, {"refresh": str(_REFRESH_SECONDS)} if soon else {})
    csrf.keep(made, token, secure=request.url.scheme == "https")
    return made
