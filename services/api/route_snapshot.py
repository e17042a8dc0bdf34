"""All that the page of a route shows, read in one state of the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from schemas.alert import Alert
from schemas.change import Change
from schemas.decision import Silence
from schemas.evaluation import Comparison
from schemas.identity import Model
from schemas.incident import Incident, IncidentState
from schemas.reading import Reading
from services.alert.state import AlertState, Mute
from services.api.annotations import Annotation, marks
from services.api.time_window import Window, WindowQuery, readable_step, window_of
from services.store import (
    baselines,
    fleet,
    incidents,
    journal,
    learning,
    readings,
    rollups,
    routes,
    scores,
    silences,
    step_states,
)
from services.store.codec import CodecError, unpack
from services.store.incidents import IncidentFilter
from services.store.learning import LearningTraffic
from services.store.rollups import RollupPoint, RollupRate
from services.store.route_status import RouteStatus, StreamStatus, is_current, learned, status_of
from services.store.scores import StoredExchange

UNRESOLVED: Final[tuple[IncidentState, ...]] = ("open", "acknowledged", "snoozed")
SAMPLES: Final = 8
_INCIDENTS: Final = 8
_COMPARISONS: Final = 3
_STREAMS: Final = 500
_STEP: Final = "alert"
_SHADOWS: Final = timedelta(days=7)
_MOST_SHADOWS: Final = 8


@dataclass(frozen=True, slots=True)
class RouteSnapshot:
    """A route and what is known of it.

    Attributes:
        clock: time of its newest exchange. window: what is counted, None while it has no exchange; drawn: the
            same in whole steps, each of `step`.
        points: of the slice that is shown. rates: of the window, by identity, slice and signal.
        readings: the newest of each stream that speak of now. status: how the route stands now.
        learned: exchanges that its first baseline has so far.
        seen: identity -> the hours in which it answered first and last.
        open: its incident that is not resolved. incidents: the newest. comparisons: of suites, newest last.
        exchanges: the newest of which the redacted text was kept. silences: those that hold on it.
        mutes: what fires unheard on it, and by whose decision. shadows: the newest of each alert in shadow.
        held_back: why a ceiling lets no first baseline be pinned. learns_from: while it learns its first one.
    """

    route: str
    clock: datetime | None
    window: Window | None
    drawn: Window | None
    step: timedelta
    points: tuple[RollupPoint, ...]
    rates: tuple[RollupRate, ...]
    marks: tuple[Annotation, ...]
    readings: tuple[Reading, ...]
    status: RouteStatus
    learned: int
    pinned: Change | None
    models: Mapping[str, Model]
    seen: Mapping[str, tuple[datetime, datetime]]
    open: Incident | None
    incidents: tuple[Incident, ...]
    comparisons: tuple[Comparison, ...]
    exchanges: tuple[StoredExchange, ...]
    silences: tuple[Silence, ...] = ()
    mutes: tuple[Mute, ...] = ()
    held_back: str | None = None
    shadows: tuple[Alert, ...] = ()
    learns_from: LearningTraffic | None = None


def read_route(connection: Connection, route: str, hours: int, slice: str, now: datetime) -> RouteSnapshot | None:
    """The file of a route with the last hours of a slice, empty for the whole route; None if there is no such route."""
    if not routes.exists(connection, route):
        return None
    clock = routes.clock(connection, route)
    window = window_of(WindowQuery(hours=hours), clock)
    step, whole = timedelta(minutes=1), None
    rates: tuple[RollupRate, ...] = ()
    if window is not None:
        rates = rollups.rates(connection, route, window.since, window.until, None)
        step = readable_step(window, sum(one.n for one in rates if one.slice == slice and not one.signal))
        whole = window.whole(step)
    [unresolved] = incidents.page(connection, IncidentFilter(states=UNRESOLVED, within=(route,)), None, 1) or (None,)
    facts, latest = fleet.facts_of(connection, route), readings.streams(connection, route, None, _STREAMS)
    clocks = {route: clock} if clock is not None and facts.baseline is None else {}
    return RouteSnapshot(
        route=route,
        clock=clock,
        window=window,
        drawn=whole,
        step=step,
        points=()
        if whole is None
        else rollups.points(connection, route, (whole.since, whole.until), step, slice=slice),
        rates=rates,
        marks=() if whole is None else marks(connection, route, whole),
        readings=tuple(one for one in latest if is_current(StreamStatus.of_reading(one), facts)),
        status=status_of(facts, now),
        learned=learned(facts.streams),
        pinned=baselines.current_pinnings(connection, (route,)).get(route),
        models=routes.identities(connection, route),
        seen=rollups.identities_seen(connection, route),
        open=unresolved,
        incidents=incidents.page(connection, IncidentFilter(within=(route,)), None, _INCIDENTS),
        comparisons=_comparisons(connection, route),
        exchanges=scores.exchanges(connection, route, None, SAMPLES, scores.ExchangeFilter(kept=True)),
        silences=silences.of_route(connection, route, now),
        mutes=muted_alerts(connection, route, now),
        held_back=None if facts.baseline is not None else readings.held_back(connection, (route,)).get(route),
        shadows=shadow_alerts(connection, route, now - _SHADOWS),
        learns_from=learning.traffic_of(connection, clocks).get(route),
    )


def muted_alerts(connection: Connection, route: str, now: datetime) -> tuple[Mute, ...]:
    """What fires unheard on the route since people decided about it."""
    stored = step_states.load(connection, _STEP, route)
    try:
        return () if stored is None else unpack(AlertState, stored[1]).muted(now)
    except CodecError:  # of another version: its worker writes it anew
        return ()


def shadow_alerts(connection: Connection, route: str, since: datetime) -> tuple[Alert, ...]:
    """The newest of each alert in shadow since then, newest first."""
    found = journal.facts_within(connection, route, ("alert",), since, None)
    newest = {fact.fingerprint: fact for fact in found if isinstance(fact, Alert) and fact.shadow}
    return tuple(sorted(newest.values(), key=lambda alert: alert.ts, reverse=True))[:_MOST_SHADOWS]


def _comparisons(connection: Connection, route: str) -> tuple[Comparison, ...]:
    found = journal.facts_within(connection, route, ("comparison",), None, None, _COMPARISONS)
    return tuple(fact for fact in found if isinstance(fact, Comparison))
