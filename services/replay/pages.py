"""Whom a replay would have called, and how that differs from another replay of the same exchanges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.alert import Alert, Severity
from schemas.base import iso
from services.replay.runner import ReplayResult

SAME_MATTER: Final = timedelta(hours=24)
"""Two pages of a route that lie no further apart tell of one matter, even where another alert came first."""


@dataclass(frozen=True, slots=True)
class Page:
    """One call of people: the firing alert that raised an incident to warning or above.

    `event_index` is the exchange of the crossing, counted from the first exchange of the replay.
    """

    route: str
    ts: datetime
    event_index: int
    severity: Severity
    fingerprint: str
    text: str


@dataclass(frozen=True, slots=True)
class PageComparison:
    """What another configuration changes of the pages of the same exchanges.

    Attributes:
        kept: pages at the same exchange with the same severity. moved: (before, after) of one matter, at another
            exchange, with another severity or by another alert.
    """

    kept: tuple[Page, ...]
    gained: tuple[Page, ...]
    lost: tuple[Page, ...]
    moved: tuple[tuple[Page, Page], ...]


def pages_of(seen: ReplayResult, since: datetime | None = None) -> tuple[Page, ...]:
    """The pages of a replay, in order of time; `since` leaves out earlier ones."""
    found: list[Page] = []
    for route in sorted(seen.flows):
        fired = {
            (fact.fingerprint, fact.ts): fact
            for fact in seen.facts.get(route, ())
            if isinstance(fact, Alert) and fact.status == "firing"
        }
        for told in seen.incidents(route).notifications:
            alert = fired.get((told.fingerprint or "", told.ts))
            if told.mention and alert is not None and (since is None or told.ts >= since):
                found.append(
                    Page(route, told.ts, alert.event_index, alert.severity, alert.fingerprint, told.text),
                )
    return tuple(sorted(found, key=_order))


def compare_pages(before: Sequence[Page], after: Sequence[Page]) -> PageComparison:
    """Pair the pages of two replays: first those of one alert in their order, then what is left of one matter."""
    pairs = _of_one_alert(before, after)
    old = [page for page in before if all(page is not one for one, _ in pairs)]
    new = [page for page in after if all(page is not one for _, one in pairs)]
    for page in list(old):
        other = next((one for one in new if one.route == page.route and abs(one.ts - page.ts) <= SAME_MATTER), None)
        if other is not None:
            pairs.append((page, other))
            old.remove(page)
            new.remove(other)
    kept = [two[1] for two in pairs if _is_same(*two)]
    moved = [two for two in pairs if not _is_same(*two)]
    return PageComparison(
        tuple(sorted(kept, key=_order)),
        tuple(new),
        tuple(old),
        tuple(sorted(moved, key=lambda two: _order(two[1]))),
    )


def page_object(page: Page) -> dict[str, Any]:
    """One page as JSON."""
    names = ("route", "event_index", "severity", "fingerprint", "text")
    return {**{name: getattr(page, name) for name in names}, "ts": iso(page.ts)}


def comparison_object(found: PageComparison) -> dict[str, Any]:
    """The comparison as JSON."""
    return {
        "kept": [page_object(page) for page in found.kept],
        "gained": [page_object(page) for page in found.gained],
        "lost": [page_object(page) for page in found.lost],
        "moved": [{"before": page_object(old), "after": page_object(new)} for old, new in found.moved],
    }


def _of_one_alert(before: Sequence[Page], after: Sequence[Page]) -> list[tuple[Page, Page]]:
    """Pages of the same fingerprint that lie nearest to each other, and no further apart than one matter."""
    waiting: dict[str, list[Page]] = defaultdict(list)
    for page in after:
        waiting[page.fingerprint].append(page)
    pairs = []
    for page in before:
        some = waiting[page.fingerprint]
        nearest = min(some, key=lambda one: abs(one.ts - page.ts), default=None)
        if nearest is not None and abs(nearest.ts - page.ts) <= SAME_MATTER:
            some.remove(nearest)
            pairs.append((page, nearest))
    return pairs


def _is_same(one: Page, other: Page) -> bool:
    return (one.event_index, one.severity, one.fingerprint) == (other.event_index, other.severity, other.fingerprint)


def _order(page: Page) -> tuple[datetime, str, int, str]:
    return page.ts, page.route, page.event_index, page.fingerprint
