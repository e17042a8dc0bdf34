"""The API and its pages as one FastAPI application, or added to one that exists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from schemas.exchange import Exchange
from services.api import decisions, description, exchanges, problems
from services.api.body import Budget
from services.api.deciding import Decisions
from services.api.door import Door
from services.api.entry import Entry
from services.api.gateway import Gateway
from services.api.guard import Guard, Secure, by_role, needs
from services.api.health import Health
from services.api.live import Live
from services.api.meters import Metered
from services.api.pages import app as pages
from services.api.planning import NewRun, NewSchedule, Planning
from services.api.relay import Relay
from services.api.rest import (
    baselines,
    changes,
    comparisons,
    dead,
    evaluations,
    health,
    incidents,
    profile,
    readings,
    routes,
    safety,
    schedules,
    silences,
    suites,
    timeline,
)
from services.api.rest import decisions as decided
from services.api.rest import exchanges as scored
from services.monitor import RoutePolicy
from services.monitor.policy import default_policy
from services.store.ledger import Ledger
from services.store.repository import Repository

TITLE: Final = "Keelwatch"
VERSION: Final = "1"
_ABOUT: Final = (
    "Watches the safety of LLM traffic. Errors are application/problem+json and name field and remedy; what may "
    "succeed later carries Retry-After."
)


@dataclass(frozen=True, slots=True)
class Api:
    """What the API is made of.

    Attributes:
        relay: publishes what people decide; whoever runs the API runs it.
        health: how Keelwatch itself is; whoever runs the API runs its survey.
        door: who asks. guard: who may do what.
        policy: what the monitor file says of a route.
        live: tells open pages what changed; whoever stops the server closes it before. None has one made.
    """

    repository: Repository
    gateway: Gateway
    decisions: Decisions
    relay: Relay
    health: Health
    door: Door
    guard: Guard = by_role
    budget: Budget = field(default_factory=Budget)
    policy: Callable[[str], RoutePolicy] = default_policy
    live: Live | None = None


def install(app: FastAPI, api: Api) -> None:
    """Add every path, the answers to what goes wrong, the security headers and the description to `app`."""
    problems.install(app, pages.failed)
    for router in _resources(api):
        app.include_router(router)
    live = api.live or Live(api.repository.marks)
    parts = (api.repository, api.decisions, api.guard, api.budget, api.policy, api.health, api.door, live)
    pages.install(app, pages.Parts(*parts))
    app.add_middleware(Entry, door=api.door, told=problems.teller(pages.failed))
    app.add_middleware(Secure)
    app.add_middleware(Metered, meters=api.health.meters)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    app.add_api_route("/openapi.json", app.openapi, include_in_schema=False, dependencies=[needs(api.guard, "viewer")])


def _resources(api: Api) -> Iterator[APIRouter]:
    """What lies below /v1, in the order in which paths are looked up."""
    repository, guard, budget = api.repository, api.guard, api.budget
    yield exchanges.router(api.gateway, guard, budget)
    yield decisions.router(api.decisions, repository, guard, budget)
    asking = (repository, guard, Planning(repository.database, api.decisions.clock), budget)
    yield from (*evaluations.routers(*asking), *schedules.routers(*asking), suites.router(guard))
    for resource in (incidents, timeline, comparisons, changes, profile, safety, readings, scored):
        yield resource.router(repository, guard)
    yield health.router(api.health, guard)
    yield from dead.routers(repository, api.health, guard, budget)
    ledger = Ledger(repository.database)
    yield decided.router(ledger, guard)
    yield silences.router(ledger, guard, api.decisions.clock)
    yield baselines.router(ledger, guard)
    # Last: it takes all that is left below /v1/routes.
    yield routes.router(repository, api.policy, api.decisions.clock, guard)


def make(api: Api) -> FastAPI:
    """An application of its own. It serves no interactive documentation: that would load scripts from elsewhere."""
    app = FastAPI(title=TITLE, version=VERSION, openapi_url=None)
    install(app, api)
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """OpenAPI with the bodies that are read by hand, so that nothing is parsed before it may be."""
    if app.openapi_schema is None:
        found = get_openapi(title=TITLE, version=VERSION, description=_ABOUT, routes=app.routes)
        read_by_hand = (Exchange, decisions.Change, decisions.Deciding, NewRun, NewSchedule, dead.Replaying)
        bodies = [(model, "validation") for model in read_by_hand]
        _, definitions = models_json_schema(bodies, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
        found.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
        description.complete(found)
        app.openapi_schema = found
    return app.openapi_schema
