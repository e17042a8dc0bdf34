"""What the fleet page shows of each route. Pure: words and numbers, no markup."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from services.api.spots import words_of
from services.monitor import RoutePolicy
from services.store.fleet import Counts, Open, Standing, Watch
from services.store.fleet_details import HOURS, Entry

STATES: Final[Mapping[Standing, str]] = {
    "incident": "open incident",
    "blind": "blind",
    "learning": "learning",
    "watching": "watching",
}
"""What can be filtered by, and its word."""
_SHOWN_SPOTS: Final = 3
_TALL, _STEP = 24, 4


@dataclass(frozen=True, slots=True)
class Spark:
    """Exchanges by hour as one path, a bar an hour, in a box of `width` by `height`; `words` says the same."""

    path: str
    width: int
    height: int
    words: str


@dataclass(frozen=True, slots=True)
class Card:
    """One route. `learned` and `of` are exchanges; `spots` are blind spots, `more` how many are not shown."""

    route: str
    href: str
    watch: Watch
    incident: Open | None
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
    spark: Spark

    @property
    def tone(self) -> str:
        """Class of its colour: the severity of what is open, else how it is watched."""
        return f"sev-{self.incident.severity}" if self.incident else self.watch


@dataclass(frozen=True, slots=True)
class Paging:
    """Where a page of many stands: addresses of the one before and after, None at an end."""

    number: int
    pages: int
    before: str | None
    after: str | None


def card(entry: Entry, policy: Callable[[str], RoutePolicy], now: datetime) -> Card:
    """One route of the page."""
    glance, held, used = entry.glance, policy(entry.glance.route), entry.used
    told = words_of(entry, now)
    return Card(
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


def spark(hours: Sequence[int]) -> Spark:
    """Bars of the exchanges of each hour; the tallest fills the height, and any that is not 0 can be seen."""
    most = max([*hours, 1])
    bars = (f"M{place * _STEP + 2} {_TALL}v-{max(n / most * _TALL, 1.5):.1f}" for place, n in enumerate(hours) if n)
    words = f"exchanges an hour, over {HOURS} hours: at most {max([*hours, 0]):,}"
    return Spark("".join(bars), len(hours) * _STEP, _TALL, words)


def heading(counts: Counts) -> str:
    """The page in one line: how many routes have an open incident."""
    n, open_ = counts.routes, counts.incident
    routes = f"{n:,} route{'s' if n != 1 else ''}"
    if not n:
        return "No route yet"
    if not open_:
        return f"No open incident on {routes}"
    return f"{open_:,} of {routes} {'has' if open_ == 1 else 'have'} an open incident"


def summary(counts: Counts) -> str:
    """How the routes are watched, in one line; that none has an incident does not say that all are seen."""
    watching = counts.routes - counts.blind - counts.learning
    told = [_are(counts.blind, "blind"), _are(counts.learning, "learning"), _are(watching, "watched")]
    return ", ".join(one for one in told if one)


def paging(number: int, size: int, counts: Counts, asked: Mapping[str, str]) -> Paging:
    """Where page `number` stands, of pages of `size` routes, for the filter that was `asked` for."""
    pages = max(-(-counts.routes // size), 1)

    def to(place: int) -> str:
        return "/?" + urlencode({**{name: value for name, value in asked.items() if value}, "page": place})

    return Paging(number, pages, to(number - 1) if number > 1 else None, to(number + 1) if number < pages else None)


def _headline(entry: Entry) -> str:
    """Without the route's name, which stands above it."""
    told = (entry.headline or "something moved").replace(f" of {entry.glance.route}", "", 1)
    return told if told.startswith(entry.glance.route) else told[0].upper() + told[1:]


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n:,} times")


def _are(n: int, word: str) -> str:
    return f"{n:,} {'is' if n == 1 else 'are'} {word}" if n else ""
