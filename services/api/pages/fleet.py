"""The fleet: every route as a card, worst first."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, get_args
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.api.auth.authorization import needs, who
from services.api.http.problems import query_store
from services.api.learning_pace import learning_line, pace_of
from services.api.pages.connect import WaitingRoutes, connect_view, waiting_for
from services.api.pages.render import PageContext, page
from services.api.route_status import not_monitored
from services.incident.provider_event import ProviderEvent
from services.monitor import RoutePolicy
from services.record.provider_watch import read_events
from services.store import fleet as fleet_store
from services.store.fleet import (
    NO_ROUTES,
    FleetCounts,
    FleetEntry,
    FleetFilter,
    FleetStatus,
    UnresolvedIncident,
)
from services.store.learning import HOURS
from services.store.route_status import WatchStatus
from services.wording import routes
from services.wording.decisions import silenced_route
from services.wording.incidents import SOMETHING
from services.wording.numbers import sentence_case

_SHOWN_SPOTS: Final = 3
_TALL, _STEP = 24, 4


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Exchanges by hour as one path, a bar an hour, in a box of `width` by `height`; `words` says the same."""

    path: str
    width: int
    height: int
    words: str


@dataclass(frozen=True, slots=True)
class RouteCard:
    """One route. `learned` and `of` are exchanges; `spots` are blind spots, `more` how many are not shown."""

    route: str
    href: str
    watch: WatchStatus
    incident: UnresolvedIncident | None
    headline: str
    learned: int
    of: int
    learning: str
    spots: tuple[str, ...]
    more: int
    budget: str
    over: bool
    pages: str
    clock: datetime | None
    exchanges: str
    spark: Sparkline
    silenced: str

    @property
    def tone(self) -> str:
        """Class of its colour: the severity of what is open, else how it is watched."""
        return f"sev-{self.incident.severity}" if self.incident else self.watch


@dataclass(frozen=True, slots=True)
class PageLinks:
    """Where a page of many stands: addresses of the one before and after, None at an end."""

    number: int
    pages: int
    before: str | None
    after: str | None


def route_card(entry: FleetEntry, policy: Callable[[str], RoutePolicy], now: datetime) -> RouteCard:
    """One route of the page."""
    route, held, used = entry.route, policy(entry.route.name), entry.page_budget
    unseen = not_monitored(route.status)
    return RouteCard(
        route=route.name,
        href=f"/routes/{quote(route.name)}",
        watch=route.status.watch,
        incident=route.incident,
        headline=sentence_case(entry.headline or SOMETHING),
        learned=min(entry.learned, held.baseline.first.size),
        of=held.baseline.first.size,
        learning=_learning(entry, held, now),
        spots=unseen[:_SHOWN_SPOTS],
        more=len(unseen[_SHOWN_SPOTS:]),
        budget=routes.budget_used(used.false_alarms, held.false_pages_per_month),
        over=used.false_alarms > held.false_pages_per_month,
        pages=routes.pages(used.pages),
        clock=route.clock,
        exchanges=f"{entry.exchanges:,}",
        spark=spark(entry.hours),
        silenced=silenced_route(route.silences) if route.silences else "",
    )


def spark(hours: Sequence[int]) -> Sparkline:
    """Bars of the exchanges of each hour; the tallest fills the height, and any that is not 0 can be seen."""
    most = max([*hours, 1])
    bars = (f"M{place * _STEP + 2} {_TALL}v-{max(n / most * _TALL, 1.5):.1f}" for place, n in enumerate(hours) if n)
    words = routes.traffic(max([*hours, 0]), HOURS)
    return Sparkline("".join(bars), len(hours) * _STEP, _TALL, words)


def fleet_heading(counts: FleetCounts) -> str:
    """The page in one line: how many routes have an open incident."""
    return routes.fleet_heading(counts.routes, counts.incident)


def fleet_summary(counts: FleetCounts) -> str:
    """How the routes are watched, in one line."""
    return routes.fleet_summary(counts.blind, counts.learning, counts.routes - counts.blind - counts.learning)


def page_links(number: int, size: int, counts: FleetCounts, asked: Mapping[str, str]) -> PageLinks:
    """Where page `number` stands, of pages of `size` routes, for the filter that was `asked` for."""
    pages = max(-(-counts.routes // size), 1)

    def to(place: int) -> str:
        return "/?" + urlencode({**{name: value for name, value in asked.items() if value}, "page": place})

    return PageLinks(number, pages, to(number - 1) if number > 1 else None, to(number + 1) if number < pages else None)


def _learning(entry: FleetEntry, held: RoutePolicy, now: datetime) -> str:
    pace = pace_of(entry.learned, entry.learns_from, entry.route.clock, held, now)
    return learning_line(entry.learned, entry.held_back, pace, held)


SIZE: Final = 100
_EVENTS: Final = timedelta(hours=24)
_MOST_PAGES: Final = 10_000
_PART_OF_A_ROUTE: Final = re.compile(r"[a-z0-9._/-]{0,200}")


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The paths of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/")
    async def fleet(request: Request) -> Response:
        asked = {name: request.query_params.get(name, "").strip() for name in ("route", "state")}
        text, number = asked["route"].lower(), _number(request.query_params.get("page", ""))
        states = [state for state in get_args(FleetStatus) if state == asked["state"]]
        known = _PART_OF_A_ROUTE.fullmatch(text) is not None
        wanted = FleetFilter(who(request).routes, text if known else "", states)
        now = parts.decisions.clock()
        every, fits, found = await query_store(parts.database, fleet_store.page, wanted, (number - 1) * SIZE, SIZE, now)
        if not known:  # what is part of no route's name fits none
            fits, found = NO_ROUTES, ()
        events = await query_store(parts.database, read_events, now - _EVENTS)
        connect, waiting = None, WaitingRoutes()
        if not every.routes:
            connect = await query_store(parts.database, partial(connect_view, parts, request))
        elif not any(request.query_params.values()):
            waiting = await query_store(parts.database, partial(waiting_for, parts, who(request)))
        told = {
            "moved_together": [one for one in events if _sees(request, one)],
            "cards": [route_card(entry, parts.policy, now) for entry in found],
            "connect": connect,
            "waiting": waiting,
            "heading": fleet_heading(every),
            "summary": fleet_summary(every),
            "every": every,
            "fits": fits,
            "paging": page_links(number, SIZE, fits, asked),
            "asked": asked,
            "states": routes.STATES,
            "now": now,
        }
        return page(request, "fleet.html", told)

    return (made,)


def _sees(request: Request, event: ProviderEvent) -> bool:
    """Whether somebody may see all routes that an event is of."""
    return all(who(request).sees(one.route) for one in event.incidents)


def _number(text: str) -> int:
    """The page that was asked for; the first one where that is none."""
    return min(max(int(text), 1), _MOST_PAGES) if text.isascii() and text.isdigit() and len(text) < 9 else 1
