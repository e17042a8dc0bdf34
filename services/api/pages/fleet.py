"""The fleet: every route as a card, worst first.

What the fleet page shows of each route. Pure: words and numbers, no markup.

The fleet: every route, worst first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.api.auth.authorization import needs, who
from services.api.http.problems import call_store
from services.api.pages.render import Parts, page
from services.api.route_status import blind_spot_sentences
from services.monitor import RoutePolicy
from services.store.fleet import (
    HOURS,
    NO_ROUTES,
    FleetCounts,
    FleetEntry,
    FleetFilter,
    FleetStatus,
    UnresolvedIncident,
    WatchStatus,
)

STATES: Final[Mapping[FleetStatus, str]] = {
    "incident": "open incident",
    "blind": "blind",
    "learning": "learning",
    "watching": "watching",
}
"""What can be filtered by, and its word."""
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
    spots: tuple[str, ...]
    more: int
    budget: str
    over: bool
    called: str
    clock: datetime | None
    exchanges: str
    spark: Sparkline

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
    glance, held, used = entry.glance, policy(entry.glance.route), entry.used
    told = blind_spot_sentences(entry, now)
    return RouteCard(
        route=glance.route,
        href=f"/routes/{quote(glance.route)}",
        watch=glance.watch,
        incident=glance.incident,
        headline=_headline(entry),
        learned=min(entry.learned, held.baseline.size),
        of=held.baseline.size,
        spots=told[:_SHOWN_SPOTS],
        more=len(told[_SHOWN_SPOTS:]),
        budget=f"{used.false_alarms} of {held.false_pages_per_month:g}",
        over=used.false_alarms > held.false_pages_per_month,
        called="nobody was called" if not used.pages else f"people called {_times(used.pages)}",
        clock=glance.clock,
        exchanges=f"{entry.exchanges:,}",
        spark=spark(entry.hours),
    )


def spark(hours: Sequence[int]) -> Sparkline:
    """Bars of the exchanges of each hour; the tallest fills the height, and any that is not 0 can be seen."""
    most = max([*hours, 1])
    bars = (f"M{place * _STEP + 2} {_TALL}v-{max(n / most * _TALL, 1.5):.1f}" for place, n in enumerate(hours) if n)
    words = f"exchanges an hour, over {HOURS} hours: at most {max([*hours, 0]):,}"
    return Sparkline("".join(bars), len(hours) * _STEP, _TALL, words)


def fleet_heading(counts: FleetCounts) -> str:
    """The page in one line: how many routes have an open incident."""
    n, open_ = counts.routes, counts.incident
    routes = f"{n:,} route{'s' if n != 1 else ''}"
    if not n:
        return "No route yet"
    if not open_:
        return f"No open incident on {routes}"
    return f"{open_:,} of {routes} {'has' if open_ == 1 else 'have'} an open incident"


def fleet_summary(counts: FleetCounts) -> str:
    """How the routes are watched, in one line; that none has an incident does not say that all are seen."""
    watching = counts.routes - counts.blind - counts.learning
    told = [_are(counts.blind, "blind"), _are(counts.learning, "learning"), _are(watching, "watched")]
    return ", ".join(one for one in told if one)


def page_links(number: int, size: int, counts: FleetCounts, asked: Mapping[str, str]) -> PageLinks:
    """Where page `number` stands, of pages of `size` routes, for the filter that was `asked` for."""
    pages = max(-(-counts.routes // size), 1)

    def to(place: int) -> str:
        return "/?" + urlencode({**{name: value for name, value in asked.items() if value}, "page": place})

    return PageLinks(number, pages, to(number - 1) if number > 1 else None, to(number + 1) if number < pages else None)


def _headline(entry: FleetEntry) -> str:
    """Without the route's name, which stands above it."""
    told = (entry.headline or "something moved").replace(f" of {entry.glance.route}", "", 1)
    return told if told.startswith(entry.glance.route) else told[0].upper() + told[1:]


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n:,} times")


def _are(n: int, word: str) -> str:
    return f"{n:,} {'is' if n == 1 else 'are'} {word}" if n else ""


SIZE: Final = 100
_MOST_PAGES: Final = 10_000
_PART_OF_A_ROUTE: Final = re.compile(r"[a-z0-9._/-]{0,200}")


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The paths of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/")
    async def fleet(request: Request) -> Response:
        asked = {name: request.query_params.get(name, "").strip() for name in ("route", "state")}
        text, number = asked["route"].lower(), _number(request.query_params.get("page", ""))
        states = [state for state in STATES if state == asked["state"]]
        known = _PART_OF_A_ROUTE.fullmatch(text) is not None
        wanted = FleetFilter(who(request).routes, text if known else "", states)
        every, fits, found = await call_store(lambda: parts.repository.fleet(wanted, (number - 1) * SIZE, SIZE))
        if not known:  # what is part of no route's name fits none
            fits, found = NO_ROUTES, ()
        now = parts.decisions.clock()
        told = {
            "cards": [route_card(entry, parts.policy, now) for entry in found],
            "heading": fleet_heading(every),
            "summary": fleet_summary(every),
            "every": every,
            "fits": fits,
            "paging": page_links(number, SIZE, fits, asked),
            "asked": asked,
            "states": STATES,
            "now": now,
        }
        return page(request, "fleet.html", told)

    return (made,)


def _number(text: str) -> int:
    """The page that was asked for; the first one where that is none."""
    return min(max(int(text), 1), _MOST_PAGES) if text.isascii() and text.isdigit() and len(text) < 9 else 1
