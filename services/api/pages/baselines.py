"""Baselines and decisions: the baseline of every route, who accepted it and why, its silences, and a form for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from services.api.auth import csrf
from services.api.auth.authorization import needs, who
from services.api.decision_conflicts import route_version
from services.api.http.paging import cursor_of, place_of
from services.api.http.problems import Problem, call_store
from services.api.pages import forms
from services.api.pages.render import Parts, page
from services.api.resources.baselines import threshold_of
from services.api.resources.silences import muted_alerts, silence_state
from services.store.baselines import RouteBaselines
from services.store.decisions import DecisionFilter, RecordedDecision, StaleDecision
from services.store.repository import Ledger

_ROUTES: Final = 50
_DECISIONS: Final = 50
_BASELINES: Final = 20
_Text = Annotated[str, Query(max_length=200)]


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The paths of the pages and of the form."""
    return _reading(parts), _deciding(parts)


def _reading(parts: Parts) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])
    ledger = Ledger(parts.repository.database)

    @made.get("/baselines")
    async def baselines(request: Request, route: _Text = "", after: _Text = "") -> Response:
        text = route.strip().lower()
        within = ("*",) if not text else (text if "*" in text else f"*{text}*",)
        seen = who(request).routes
        found = await call_store(lambda: ledger.standings(seen, after, _ROUTES + 1, within))
        following = {"route": route, "after": found[_ROUTES - 1].route} if len(found) > _ROUTES else {}
        told = {
            "shown": found[:_ROUTES],
            "next": f"/baselines?{urlencode(following)}" if following else None,
            "route": route,
            "narrowed": bool(text or after),
            "routes": await call_store(lambda: ledger.routes(seen)),
            "active": active_silences,
            "now": parts.decisions.clock(),
        }
        return page(request, "baselines.html", told)

    @made.get("/baselines/{route:path}")
    async def baseline(request: Request, route: str, cursor: _Text = "") -> Response:
        return await _route(request, parts, route, _RouteForm(cursor=cursor))

    return made


def _deciding(parts: Parts) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "operator")])

    @made.post("/baselines/{route:path}/decisions")
    async def decide(request: Request, route: str) -> Response:
        fields = await forms.read_form(request, parts.budget)
        await _standing_of(request, parts, route)
        try:
            decision = forms.route_decision_of(fields, route, parts.decisions.clock(), who(request).name)
            await parts.decisions.decide(decision, fields.get("seen"))
        except Problem as problem:
            return await _route(request, parts, route, _RouteForm(problem, fields))
        except StaleDecision as error:
            return await _route(request, parts, route, _RouteForm(Problem(409, str(error)), fields))
        return RedirectResponse(f"/baselines/{route}", 303)

    return made


def active_silences(standing: RouteBaselines, now: datetime) -> tuple[RecordedDecision, ...]:
    """The silences of a route that hold."""
    return tuple(one for one in standing.silences if silence_state(one, now) == "active")


@dataclass(frozen=True, slots=True)
class _RouteForm:
    """A form that was sent and not done: why, and what it held; or where the history goes on."""

    problem: Problem | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    cursor: str = ""


async def _standing_of(request: Request, parts: Parts, route: str) -> RouteBaselines:
    ledger = Ledger(parts.repository.database)
    known = forms.is_route(route) and who(request).sees(route)
    found = await call_store(lambda: ledger.standings((route,), "", 1)) if known else ()
    if not found:
        raise Problem(404, "there is no such route; the list shows those that there are")
    return found[0]


async def _route(request: Request, parts: Parts, route: str, sent: _RouteForm) -> Response:
    ledger, now, token = Ledger(parts.repository.database), parts.decisions.clock(), csrf.token_of(request)
    standing = await _standing_of(request, parts, route)
    after = place_of(sent.cursor) if sent.cursor else None
    decided = await call_store(lambda: ledger.decisions(DecisionFilter((route,)), after, _DECISIONS + 1))
    newest, pinned, is_open = await call_store(lambda: ledger.seen(route))
    facts = None if standing.baseline is None else standing.baseline.change.pinning
    told = {
        "standing": standing,
        "silences": active_silences(standing, now),
        "muted": await call_store(lambda: muted_alerts(ledger, route, now)),
        "baselines": await call_store(lambda: ledger.baselines((route,), None, _BASELINES)),
        "threshold": None if facts is None else threshold_of(facts.arl),
        "decided": decided[:_DECISIONS],
        "next": cursor_of(*decided[_DECISIONS - 1].place) if len(decided) > _DECISIONS else None,
        "is_open": is_open,
        "seen": route_version(newest, pinned),
        "token": token,
        "may_decide": forms.may_decide(who(request)),
        "hours": forms.HOURS,
        "fields": {name: sent.fields.get(name, "") for name in forms.ROUTE_FIELDS},
        "problem": sent.problem,
        "now": now,
    }
    made = page(request, "baseline.html", told, 200 if sent.problem is None else sent.problem.status)
    csrf.keep(made, token, secure=request.url.scheme == "https")
    return made
