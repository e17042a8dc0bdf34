"""`GET /v1/metrics`: how safe each route is, for Prometheus: rates beside their baseline, incidents, what is not seen.

`/metrics` tells how Keelwatch itself is, to everybody; this needs a key, and tells of the routes that the key sees.
What is not known has no sample: a rate of which nothing was scored is absent, and never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Annotated, Any, Final, get_args

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import Connection

from schemas.alert import SEVERITIES
from services.api.auth.api_key import sees
from services.api.auth.authorization import Guard, Principal, needs, who
from services.api.http.openapi import FAULTS
from services.api.http.problems import call_store
from services.api.resources.route_rates import RouteSafety, SignalRate, rates_of_routes
from services.monitor import Monitor, RoutePolicy
from services.monitor.known_routes import waiting_names
from services.observability.metrics import CONTENT_TYPE
from services.store import fleet, routes
from services.store.engine import Database
from services.store.fleet import FleetRoute
from services.store.route_status import WatchStatus
from services.store.tables import EVERYTHING

MOST_ROUTES: Final = 200
"""Routes of one answer, the worst first; more are asked for by other keys, or with `route`."""
MOST_SIGNALS: Final = 64
"""Signals of one route: those with a floor or an objective first, then by name."""
MOST_GLOBS: Final = 20
WAITING: Final = "waiting"
"""The status of a route that the monitor file lists, before its first exchange: nothing of it is known."""
_Value = tuple[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class ShownRoute:
    """A route, how it stands, and its rates."""

    route: FleetRoute
    safety: RouteSafety
    policy: RoutePolicy

    @property
    def rates(self) -> dict[str, SignalRate | None]:
        """Signal -> its rate on the whole route; None of one that is watched and was never counted.

        What has a floor or an objective stands first: it is the last that a bound may cut off.
        """
        watched = frozenset((*self.policy.floors, *self.policy.objectives))
        found: dict[str, SignalRate | None] = dict.fromkeys(watched)
        found |= {one.signal: one for one in self.safety.rates if one.identity is None and one.slice is None}
        in_order = sorted(found, key=lambda name: (name not in watched, name))
        return {name: found[name] for name in in_order} if self.safety.until is not None else {}


@dataclass(frozen=True, slots=True)
class SafetyFigures:
    """What one answer tells.

    Attributes:
        shown: routes with traffic. waiting: names of routes that the monitor file lists and of which nothing came yet.
        routes: how many of both fit what was asked for. known: how many the key sees, whatever was asked for.
    """

    shown: Sequence[ShownRoute] = ()
    waiting: Sequence[str] = ()
    routes: int = 0
    known: int = 0

    @property
    def n(self) -> int:
        """How many routes are shown."""
        return len(self.shown) + len(self.waiting)

    def rates(self) -> Iterator[tuple[str, str, SignalRate | None]]:
        """Route, signal and rate, of all that is shown."""
        for one in self.shown:
            for signal, rate in list(one.rates.items())[:MOST_SIGNALS]:
                yield one.route.name, signal, rate


@dataclass(frozen=True, slots=True)
class SafetyGauge:
    """One metric; `values` gives a sample for each thing that is known."""

    name: str
    words: str
    labels: tuple[str, ...]
    values: Callable[[SafetyFigures], Iterable[_Value]]

    def family(self, figures: SafetyFigures) -> GaugeMetricFamily:
        """It with its samples."""
        made = GaugeMetricFamily(self.name, self.words, labels=self.labels)
        for labels, value in self.values(figures):
            made.add_metric(labels, value)
        return made


def _of_rates(figure: Callable[[SignalRate], float | None]) -> Callable[[SafetyFigures], Iterator[_Value]]:
    def values(figures: SafetyFigures) -> Iterator[_Value]:
        for route, signal, rate in figures.rates():
            value = None if rate is None else figure(rate)
            if value is not None and isfinite(value):
                yield (route, signal), value

    return values


def _scored(figures: SafetyFigures) -> Iterator[_Value]:
    return (((route, signal), 0 if rate is None else rate.scored) for route, signal, rate in figures.rates())


def _ceilings(figures: SafetyFigures) -> Iterator[_Value]:
    for one in figures.shown:
        for signal, ceiling in sorted(one.policy.objectives.items()):
            yield (one.route.name, signal), ceiling


def _of_routes(figure: Callable[[ShownRoute], float | None]) -> Callable[[SafetyFigures], Iterator[_Value]]:
    def values(figures: SafetyFigures) -> Iterator[_Value]:
        found = ((one.route.name, figure(one)) for one in figures.shown)
        return (((route,), value) for route, value in found if value is not None)

    return values


def _statuses(figures: SafetyFigures) -> Iterator[_Value]:
    for one in figures.shown:
        for status in get_args(WatchStatus):
            yield (one.route.name, status), float(one.route.status.watch == status)
        yield (one.route.name, WAITING), 0.0
    for name in figures.waiting:
        yield from (((name, status), 0.0) for status in get_args(WatchStatus))
        yield (name, WAITING), 1.0


def _incidents(figures: SafetyFigures) -> Iterator[_Value]:
    for one in figures.shown:
        held = None if one.route.incident is None else one.route.incident.severity
        for severity in SEVERITIES:
            yield (one.route.name, severity), float(held == severity)


def _left_out(figures: SafetyFigures) -> Iterator[_Value]:
    yield ("routes",), figures.routes - figures.n
    yield ("signals",), sum(max(len(one.rates) - MOST_SIGNALS, 0) for one in figures.shown)


def _counts(figures: SafetyFigures) -> Iterator[_Value]:
    yield ("shown",), figures.n
    yield ("known",), figures.known


_SIGNAL, _ROUTE = ("route", "signal"), ("route",)
GAUGES: Final = (
    SafetyGauge(
        "keelwatch_signal_rate",
        "Share of the scored exchanges of the route's last 24 hours for which the signal was true.",
        _SIGNAL,
        _of_rates(lambda rate: rate.rate),
    ),
    SafetyGauge(
        "keelwatch_signal_rate_low",
        "Lower end of Wilson's 95% interval of the rate.",
        _SIGNAL,
        _of_rates(lambda rate: rate.low),
    ),
    SafetyGauge(
        "keelwatch_signal_rate_high", "Upper end of that interval.", _SIGNAL, _of_rates(lambda rate: rate.high)
    ),
    SafetyGauge(
        "keelwatch_signal_baseline_rate",
        "The same share of the exchanges of the pinned baseline.",
        _SIGNAL,
        _of_rates(lambda rate: rate.baseline),
    ),
    SafetyGauge(
        "keelwatch_signal_rate_ceiling",
        "What the rate must not exceed: objectives of the monitor file.",
        _SIGNAL,
        _ceilings,
    ),
    SafetyGauge(
        "keelwatch_signal_mean",
        "Of a signal that counts, the mean of the scored exchanges.",
        _SIGNAL,
        _of_rates(lambda rate: rate.mean),
    ),
    SafetyGauge(
        "keelwatch_signal_scored_exchanges",
        "Exchanges of these hours of which the signal could be measured.",
        _SIGNAL,
        _scored,
    ),
    SafetyGauge(
        "keelwatch_route_exchanges",
        "Exchanges of the route's last 24 hours.",
        _ROUTE,
        _of_routes(lambda one: None if one.safety.until is None else one.safety.exchanges),
    ),
    SafetyGauge(
        "keelwatch_route_answered_exchanges",
        "Those of them that were answered.",
        _ROUTE,
        _of_routes(lambda one: None if one.safety.until is None else one.safety.answered),
    ),
    SafetyGauge(
        "keelwatch_route_last_exchange_timestamp_seconds",
        "Time of the newest exchange, with which the 24 hours end.",
        _ROUTE,
        _of_routes(lambda one: None if one.route.clock is None else one.route.clock.timestamp()),
    ),
    SafetyGauge(
        "keelwatch_route_status",
        "1 for how the route is watched, else 0; waiting: the monitor file lists it, and nothing came yet.",
        ("route", "status"),
        _statuses,
    ),
    SafetyGauge(
        "keelwatch_route_blind_spots",
        "Measurements of the route of which nothing can be said.",
        _ROUTE,
        _of_routes(lambda one: sum(spot.n for spot in one.route.status.blind_spots) + len(one.route.status.parked)),
    ),
    SafetyGauge("keelwatch_route_open_incidents", "Incidents not resolved.", ("route", "severity"), _incidents),
    SafetyGauge(
        "keelwatch_safety_left_out",
        f"What is beyond {MOST_ROUTES} routes an answer and {MOST_SIGNALS} signals a route.",
        ("of",),
        _left_out,
    ),
    SafetyGauge(
        "keelwatch_safety_routes",
        "Routes: shown in this answer, and known of those that the key sees, with traffic or listed by the monitor "
        "file.",
        ("of",),
        _counts,
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class _FiguresCollector:
    figures: SafetyFigures

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every metric, for `CollectorRegistry`."""
        return (gauge.family(self.figures) for gauge in GAUGES)


def exposition(figures: SafetyFigures) -> bytes:
    """The figures in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_FiguresCollector(figures))
    return generate_latest(registry)


def read_figures(
    connection: Connection,
    caller: Principal,
    within: Sequence[str],
    watched: Monitor,
    now: datetime,
) -> SafetyFigures:
    """What there is for who asks of the routes within some globs, in a number of statements that does not grow.

    Routes that wait come last: the bound cuts nothing off for them of which something is known.
    """
    policy = watched.policy
    counts, found = fleet.worst(connection, caller.routes, within, MOST_ROUTES, now)
    rates = rates_of_routes(connection, {one.name: one.clock for one in found}, policy)
    shown = [ShownRoute(one, rates[one.name], policy(one.name)) for one in found]
    seen = routes.names(connection)
    waiting = waiting_names(watched, seen, caller.sees)
    fitting = [one for one in waiting if sees(within, one)]
    known = len(waiting) + sum(caller.sees(one) for one in seen)
    return SafetyFigures(shown, fitting[: MOST_ROUTES - len(shown)], counts.routes + len(fitting), known)


_Glob = Annotated[str, Query(pattern=r"^[a-z0-9._/*-]*$", max_length=200)]
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text format."},
    **FAULTS,
}


def router(database: Database, guard: Guard, watched: Monitor, clock: Callable[[], datetime]) -> APIRouter:
    """The path, for those whom `guard` lets view; `watched` is the monitor file."""
    made = APIRouter(prefix="/v1", tags=["metrics"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/metrics",
        operation_id="getSafetyMetrics",
        summary="Read safety rates for Prometheus",
        response_class=Response,
        responses=_ANSWERS,
    )
    async def metrics(
        request: Request,
        route: Annotated[
            list[_Glob] | None,
            Query(
                description="Only routes that fit; * stands for any characters; may be repeated.", max_length=MOST_GLOBS
            ),
        ] = None,
    ) -> Response:
        """Rates of the last 24 hours beside their baselines, open incidents, and what is not monitored, by route.

        The figures are those of `/v1/routes/{route}/safety`. What is not known has no sample; a route that the monitor
        file lists and of which nothing came yet has its status alone. At most 200 routes, the worst first;
        `keelwatch_safety_left_out` says how many are not among them.
        """
        caller, now = who(request), clock()

        def read() -> bytes:
            return exposition(database.query(read_figures, caller, route or EVERYTHING, watched, now))

        body = await call_store(read)
        return Response(body, media_type=CONTENT_TYPE, headers={"cache-control": "no-store"})

    return made
