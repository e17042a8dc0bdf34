"""Baselines and decisions: the baseline of every route, who accepted it and why, its silences, and a form for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection

from services.api.auth import csrf
from services.api.auth.authorization import needs, who
from services.api.decision_conflicts import route_version
from services.api.http.paging import cursor_of, place_of
from services.api.http.parameters import PageText
from services.api.http.problems import Problem, query_store
from services.api.pages import forms
from services.api.pages.render import PageContext, page
from services.api.resources.baselines import threshold_of
from services.api.route_snapshot import muted_alerts
from services.store import baselines as baseline_store
from services.store import decisions, incidents, routes, silences
from services.store.baselines import RouteBaselines
from services.store.decisions import DecisionFilter, StaleDecision

_ROUTES: Final = 50
_DECISIONS: Final = 50
_BASELINES: Final = 20


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The paths of the pages and of the form."""
    return _reading(parts), _deciding(parts)


def _reading(parts: PageContext) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/baselines")
    async def baselines(request: Request, route: PageText = "", after: PageText = "") -> Response:
        text = route.strip().lower()
        within = ("*",) if not text else (text if "*" in text else f"*{text}*",)
        seen, now = who(request).routes, parts.decisions.clock()
        found = await query_store(parts.database, baseline_store.page_of_routes, seen, after, _ROUTES + 1, within)
        following = {"route": route, "after": found[_ROUTES - 1].route} if len(found) > _ROUTES else {}
        told = {
            "shown": found[:_ROUTES],
            "next": f"/baselines?{urlencode(following)}" if following else None,
            "route": route,
            "narrowed": bool(text or after),
            "routes": await query_store(parts.database, routes.count, seen),
            "silenced": await query_store(parts.database, silences.shown, [one.route for one in found], now),
            "policy": parts.policy,
            "now": now,
        }
        return page(request, "baselines.html", told)

    @made.get("/baselines/{route:path}")
    async def baseline(request: Request, route: str, cursor: PageText = "") -> Response:
        return await _route(request, parts, route, _RouteForm(cursor=cursor))

    return made


def _deciding(parts: PageContext) -> APIRouter:
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


@dataclass(frozen=True, slots=True)
class _RouteForm:
    """A form that was sent and not done: why, and what it held; or where the history goes on."""

    problem: Problem | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    cursor: str = ""


async def _standing_of(request: Request, parts: PageContext, route: str) -> RouteBaselines:
    known = forms.is_route(route) and who(request).sees(route)
    found = await query_store(parts.database, baseline_store.page_of_routes, (route,), "", 1) if known else ()
    if not found:
        raise Problem(404, "there is no such route; the list shows those that there are")
    return found[0]


async def _route(request: Request, parts: PageContext, route: str, sent: _RouteForm) -> Response:
    database, now, token = parts.database, parts.decisions.clock(), csrf.token_of(request)
    standing = await _standing_of(request, parts, route)
    after = place_of(sent.cursor) if sent.cursor else None
    decided = await query_store(database, decisions.page, DecisionFilter((route,)), after, _DECISIONS + 1)
    version, is_open = await query_store(database, _version_seen, route)
    facts = None if standing.baseline is None else standing.baseline.change.pinning
    told = {
        "standing": standing,
        "policy": parts.policy(route),
        "silences": (await query_store(database, silences.shown, (route,), now)).get(route, ()),
        "muted": await query_store(database, muted_alerts, route, now),
        "baselines": await query_store(database, baseline_store.page, (route,), None, _BASELINES),
        "threshold": None if facts is None else threshold_of(facts.arl),
        "decided": decided[:_DECISIONS],
        "next": cursor_of(*decided[_DECISIONS - 1].place) if len(decided) > _DECISIONS else None,
        "is_open": is_open,
        "seen": version,
        "token": token,
        "may_decide": who(request).may("operator"),
        "hours": forms.HOURS,
        "fields": {name: sent.fields.get(name, "") for name in forms.ROUTE_FIELDS},
        "problem": sent.problem,
        "now": now,
    }
    made = page(request, "baseline.html", told, 200 if sent.problem is None else sent.problem.status)
    csrf.keep(made, token, secure=request.url.scheme == "https")
    return made


def _version_seen(connection: Connection, route: str) -> tuple[str, bool]:
    """What the page shows of the route, for a decision to be held against, and whether an incident is open."""
    newest = decisions.of_route(connection, route)[-1:]
    pinned = baseline_store.current_pinnings(connection, [route]).get(route)
    version = route_version(newest[0] if newest else None, None if pinned is None else pinned.baseline)
    return version, incidents.has_unresolved(connection, route)
