"""The API and its pages as one FastAPI application, or added to one that exists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from schemas.exchange import Exchange
from services.api.auth.authentication import Authenticator
from services.api.auth.authorization import Guard, by_role, needs
from services.api.auth.middleware import AuthenticationMiddleware, SecurityMiddleware
from services.api.decision_outbox import DecisionPublisher, DecisionWriter
from services.api.exchange_publisher import ExchangePublisher
from services.api.http import openapi, problems
from services.api.http.body import BodyBudget
from services.api.http.parameters import refuse_unknown, refusing_unknown
from services.api.ingest_counter import IngestCounter
from services.api.pages import app as pages
from services.api.pages.render import PageContext
from services.api.resources import (
    baselines,
    changes,
    comparisons,
    coverage,
    dead_letters,
    decisions,
    evaluations,
    exchanges,
    health,
    incidents,
    otlp,
    profile,
    readings,
    route_rates,
    route_retries,
    routes,
    safety_metrics,
    schedules,
    silences,
    suites,
    webhooks,
)
from services.api.schedules import EvaluationPlanner, NewRun, NewSchedule
from services.api.sse import LiveUpdates
from services.api.system import MetricsMiddleware, SystemHealth
from services.monitor import Monitor, RoutePolicy
from services.monitor.known_routes import named_routes
from services.store import change_marks
from services.store.engine import Database
from services.wording.sources import SourceAddresses

TITLE: Final = "Keelwatch"
VERSION: Final = "1"
_ABOUT: Final = (
    "Watches the safety of LLM traffic. Errors are application/problem+json and name field and remedy; what may "
    "succeed later carries Retry-After."
)


@dataclass(frozen=True, slots=True)
class Front:
    """What stands before the API: whether people come by `https`, and the `proxies` that are believed."""

    https: bool = False
    proxies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Api:
    """What the API is made of.

    Attributes:
        relay: publishes what people decide; whoever runs the API runs it.
        health: how Keelwatch itself is; whoever runs the API runs its survey.
        door: who asks. guard: who may do what.
        watched: the monitor file.
        front: what stands before it. github_secret: by which GitHub signs the deploys that it tells of.
        scorers: versions that would score answers to suites here, by name.
        counter: writes what its gateway counts; whoever runs the API runs it.
        addresses: where sources reach it, as the page says that waits for the first exchange.
        live: tells open pages what changed; whoever stops the server closes it before. None has one made.
    """

    database: Database
    gateway: ExchangePublisher
    decisions: DecisionWriter
    relay: DecisionPublisher
    health: SystemHealth
    door: Authenticator
    guard: Guard = by_role
    budget: BodyBudget = field(default_factory=BodyBudget)
    watched: Monitor = field(default_factory=Monitor)
    live: LiveUpdates | None = None
    front: Front = Front()
    github_secret: str | None = field(default=None, repr=False)
    scorers: Callable[[], Mapping[str, str]] = dict
    counter: IngestCounter | None = None
    addresses: SourceAddresses | None = None

    @property
    def policy(self) -> Callable[[str], RoutePolicy]:
        """What the monitor file says of a route."""
        return self.watched.policy


def install(app: FastAPI, api: Api) -> None:
    """Add every path, the answers to what goes wrong, the security headers and the description to `app`."""
    problems.install(app, pages.failed)
    for router in _resources(api):
        app.include_router(refusing_unknown(router))
    live = api.live or LiveUpdates(lambda: api.database.query(change_marks.read))
    parts = (api.database, api.decisions, api.guard, api.budget, api.watched, api.health, api.door, live)
    pages.install(app, PageContext(*parts, api.scorers, api.addresses))
    app.add_middleware(AuthenticationMiddleware, door=api.door, respond=problems.responder(pages.failed))
    app.add_middleware(SecurityMiddleware, https=api.front.https)
    app.add_middleware(MetricsMiddleware, meters=api.health.meters)
    api.health.meters.listed(len(named_routes(api.watched)))
    if api.front.proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(api.front.proxies))
    app.router.redirect_slashes = False  # it would repeat the name by which it was asked, whatever that is
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    app.add_api_route(
        "/openapi.json",
        app.openapi,
        include_in_schema=False,
        dependencies=[needs(api.guard, "viewer"), Depends(refuse_unknown)],
    )


def _resources(api: Api) -> Iterator[APIRouter]:
    """What lies below /v1, in the order in which paths are looked up."""
    database, guard, budget = api.database, api.guard, api.budget
    yield exchanges.ingest_router(api.gateway, guard, budget, api.watched.ingest)
    yield otlp.router(api.gateway, guard, budget, api.watched.ingest)
    yield decisions.posting_router(api.decisions, database, guard, budget, api.watched)
    hooks = webhooks.Webhooks(api.decisions, database, api.watched, api.github_secret)
    yield webhooks.router(hooks, guard, budget)
    yield webhooks.github_router(hooks, budget)
    asking = (database, guard, EvaluationPlanner(database, api.decisions.clock, api.watched), budget)
    yield from (*evaluations.routers(*asking), *schedules.routers(*asking), suites.router(guard))
    yield incidents.router(database, guard)
    yield incidents.timeline_router(database, guard)
    yield incidents.pairs_router(database, guard)
    yield incidents.postmortem_router(database, guard)
    for resource in (comparisons, changes, readings, exchanges):
        yield resource.router(database, guard)
    yield profile.router(database, guard, api.policy, api.decisions.clock, api.scorers)
    yield route_rates.router(database, guard, api.policy)
    yield safety_metrics.router(database, guard, api.watched, api.decisions.clock)
    yield coverage.router(database, guard, api.policy, api.decisions.clock)
    yield health.router(api.health, database, guard)
    yield from dead_letters.routers(database, api.health, guard, budget)
    yield decisions.router(database, guard)
    yield silences.posting_router(api.decisions, database, guard, budget, api.watched)
    yield silences.router(database, guard, api.decisions.clock)
    yield baselines.router(database, guard)
    yield routes.deleting_router(database, guard)
    yield route_retries.router(database, guard, budget)
    # Last: it takes all that is left below /v1/routes.
    yield routes.router(database, api.watched, api.decisions.clock, guard)


def make(api: Api) -> FastAPI:
    """An application of its own. FastAPI's documentation loads scripts from elsewhere; `/docs` is a page of ours."""
    app = FastAPI(title=TITLE, version=VERSION, openapi_url=None)
    install(app, api)
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """OpenAPI with the bodies that are read by hand, so that nothing is parsed before it may be."""
    if app.openapi_schema is None:
        # A copy: what follows changes parts that the paths' own descriptions lend.
        found = deepcopy(get_openapi(title=TITLE, version=VERSION, description=_ABOUT, routes=app.routes))
        read_by_hand = (
            Exchange,
            decisions.ChangeAnnouncement,
            decisions.DecisionDraft,
            NewRun,
            NewSchedule,
            dead_letters.ReplayRequest,
            route_retries.RouteRetry,
            silences.NewSilence,
            silences.SilenceEnd,
            webhooks.DeployNotice,
        )
        bodies = [(model, "validation") for model in read_by_hand]
        _, definitions = models_json_schema(bodies, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
        found.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
        openapi.complete_openapi(found)
        app.openapi_schema = found
    return app.openapi_schema
