"""The states of routes that a step keeps in memory: bounded in bytes, since a route that learns weighs megabytes."""

from __future__ import annotations

import ctypes
import sys
from collections import OrderedDict
from collections.abc import ItemsView, Mapping
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np

MIB: Final = 1024 * 1024
MOST_BYTES: Final = 48 * MIB
MOST_ROUTES: Final = 1024
_LOOKED_AT: Final = 32


class Kept(Protocol):
    """A route's state in memory."""

    @property
    def now(self) -> Any:
        """The state."""

    @property
    def is_dirty(self) -> bool:
        """Whether it has changed since it was saved: it may not leave memory before."""


K = TypeVar("K", bound=Kept)


class RouteMemory(Generic[K]):
    """Routes by name, the longest unused first; what was saved leaves when there are too many or they weigh too much.

    Between two snapshots it can grow beyond its bounds: `is_crowded` says that one is due.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, most_routes: int = MOST_ROUTES) -> None:
        self._most_bytes, self._most_routes = most_bytes, most_routes
        self._routes: OrderedDict[str, K] = OrderedDict()
        self._weights: dict[str, int] = {}
        self._bytes = 0

    def __contains__(self, route: str) -> bool:
        return route in self._routes

    @property
    def weight(self) -> int:
        """About how many bytes all of it takes."""
        return self._bytes

    @property
    def heaviest(self) -> int:
        """About how many bytes the heaviest of them takes; 0 when there is none."""
        return max(self._weights.values(), default=0)

    @property
    def is_crowded(self) -> bool:
        """Whether some should be saved and leave."""
        return self._bytes > self._most_bytes or len(self._routes) > self._most_routes

    def get(self, route: str) -> K | None:
        """The route, if it is there."""
        return self._routes.get(route)

    def items(self) -> ItemsView[str, K]:
        """All of them."""
        return self._routes.items()

    def use(self, routes: Mapping[str, K]) -> None:
        """Put them in with their new states, as the latest used."""
        for route, kept in routes.items():
            self._routes[route] = kept
            self._routes.move_to_end(route)
            now = weight_of(kept.now)
            self._bytes += now - self._weights.get(route, 0)
            self._weights[route] = now

    def saved(self, routes: Mapping[str, K]) -> int:
        """Note that these are saved, and let leave what need not stay; how many left."""
        self._routes.update(routes)
        before = len(self._routes)
        for route in [name for name, kept in self._routes.items() if not kept.is_dirty]:
            if not self.is_crowded:
                break
            del self._routes[route]
            self._bytes -= self._weights.pop(route, 0)
        return before - len(self._routes)

    def clear(self) -> None:
        """Forget all of it."""
        self._routes.clear()
        self._weights.clear()
        self._bytes = 0


def give_back() -> None:
    """Give the kernel the memory that was freed, where the C library keeps it (glibc).

    States that come and go in turn leave holes that no other one fits into: 120 routes that learn took 178 MiB of a
    process for 63 MiB of states, and take 127 so. Some milliseconds, without the GIL.
    """
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim is not None:
        trim(0)


_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


def weight_of(thing: Any) -> int:
    """About how many bytes a state takes. Of long collections a few members stand for all; nothing is shared."""
    if isinstance(thing, np.ndarray):
        return int(thing.nbytes) + 128
    size = sys.getsizeof(thing, 64)
    if is_dataclass(thing) and not isinstance(thing, type):
        return size + sum(weight_of(getattr(thing, field.name)) for field in fields(thing))
    if isinstance(thing, Mapping):
        return size + _extrapolated(len(thing), islice(thing.items(), _LOOKED_AT))
    if isinstance(thing, tuple | list | set | frozenset):
        return size + _extrapolated(len(thing), islice(thing, _LOOKED_AT))
    return size


def _extrapolated(n: int, some: Any) -> int:
    weights = [weight_of(one) for one in some]
    return sum(weights) * n // max(len(weights), 1)
