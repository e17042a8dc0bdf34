"""Whether a route was ever seen, and which names are near one that was not: a slip must not look like a quiet route."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from difflib import get_close_matches
from itertools import chain, islice
from typing import Final

from services.monitor.policy import Monitor

_MOST_NAMES: Final = 5_000
_SUGGESTED: Final = 3
_ALIKE: Final = 0.7
_WILD: Final = frozenset("*?[")


def is_known(route: str, seen: Iterable[str], watched: Monitor) -> bool:
    """Whether exchanges of the route arrived, or the monitor file lists it by name or by a pattern."""
    return watched.lists(route) or route in seen


def near_routes(
    route: str, seen: Iterable[str], watched: Monitor, may_see: Callable[[str], bool] = lambda _: True
) -> tuple[str, ...]:
    """At most three routes with a similar name, the most similar first, of those seen and those that the file names.

    `may_see` says which of them may be told of.

    >>> near_routes("support/prd", ["support/prod", "billing"], Monitor())
    ('support/prod',)
    """
    return tuple(get_close_matches(route, known_routes(watched, seen, may_see), _SUGGESTED, _ALIKE))


def known_routes(watched: Monitor, seen: Iterable[str], may_see: Callable[[str], bool] = lambda _: True) -> list[str]:
    """The first 5,000 routes of those that the file names and those seen, sorted; patterns are no names."""
    return sorted(set(islice(filter(may_see, chain(named_routes(watched), seen)), _MOST_NAMES)))


def waiting_names(
    watched: Monitor, seen: Collection[str], may_see: Callable[[str], bool] = lambda _: True
) -> tuple[str, ...]:
    """The routes that the file names and of which nothing is known yet, sorted; patterns are no names."""
    return tuple(sorted(filter(may_see, set(named_routes(watched)).difference(seen))))


def named_routes(watched: Monitor) -> tuple[str, ...]:
    """The routes that the file names, in its order; patterns are no names."""
    return tuple(pattern for pattern in watched.routes if _WILD.isdisjoint(pattern))
