"""How many exchanges a minute a key, and a route, may send by the API: what comes beyond is to come again, and counted.

Buckets of tokens in this process: each holds a minute's worth, and fills evenly. Two replicas of the API take twice as
much.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.monitor import IngestLimits

_MINUTE: Final = 60.0
_MOST_BUCKETS: Final = 10_000

Bucket = tuple[str, str]
"""What is limited, `key` or `route`, and its name."""


@dataclass(frozen=True, slots=True)
class Excess:
    """That an exchange is beyond a limit, in words, and in how many seconds one more may come."""

    words: str
    seconds: int


class IngestLimiter:
    """Lets exchanges pass as long as there are tokens for their key and their route."""

    def __init__(self, limits: IngestLimits, clock: Callable[[], float] = time.monotonic) -> None:
        """All buckets are full. `clock` counts seconds."""
        self._limits, self._clock = limits, clock
        self._tokens: dict[Bucket, tuple[float, float]] = {}

    def take_each(self, sender: str | None, routes: Sequence[str]) -> list[Excess | None]:
        """One exchange after the other: None where it may be sent, which takes a token of its key and its route."""
        return [self._take(tuple(self._buckets(sender, route)), 1) for route in routes]

    def take_all(self, sender: str | None, routes: Sequence[str]) -> Excess | None:
        """All of them or none, for those who send all again: what is more than a minute's worth waits for it later."""
        if not routes:
            return None
        of_routes = [bucket for route in set(routes) for bucket in self._buckets(None, route, keys=False)]
        buckets = [*self._buckets(sender, None), *of_routes]
        excess = next((one for one in map(self._excess, buckets) if one is not None), None)
        if excess is None:
            sent = Counter({("route", route): n for route, n in Counter(routes).items()})
            for bucket in buckets:
                self._spend(bucket, sent.get(bucket, len(routes)))
        return excess

    def _take(self, buckets: Sequence[Bucket], n: int) -> Excess | None:
        excess = next((one for one in map(self._excess, buckets) if one is not None), None)
        if excess is None:
            for bucket in buckets:
                self._spend(bucket, n)
        return excess

    def _buckets(self, sender: str | None, route: str | None, *, keys: bool = True) -> Iterator[Bucket]:
        if keys and self._limits.per_key is not None:
            yield "key", sender or ""
        if route is not None and self._limits.per_route is not None:
            yield "route", route

    def _excess(self, bucket: Bucket) -> Excess | None:
        tokens = self._left(bucket)
        if tokens >= 1:
            return None
        most = self._most(bucket)
        seconds = max(1, math.ceil((1 - tokens) * _MINUTE / most))
        words = f"more than {most:,} exchanges a minute of this {bucket[0]} (ingest_limits.per_{bucket[0]})"
        return Excess(f"{words}; send it again after {seconds} s", seconds)

    def _spend(self, bucket: Bucket, n: int) -> None:
        if len(self._tokens) >= _MOST_BUCKETS:
            self._forget_full()
        self._tokens[bucket] = self._left(bucket) - n, self._clock()

    def _left(self, bucket: Bucket) -> float:
        tokens, at = self._tokens.get(bucket, (math.inf, 0.0))
        most = self._most(bucket)
        return min(float(most), tokens + (self._clock() - at) * most / _MINUTE)

    def _most(self, bucket: Bucket) -> int:
        most = self._limits.per_key if bucket[0] == "key" else self._limits.per_route
        assert most is not None
        return most

    def _forget_full(self) -> None:
        """A full bucket is like one that was never there."""
        self._tokens = {one: held for one, held in self._tokens.items() if self._left(one) < self._most(one)}


NO_LIMITS: Final = IngestLimiter(IngestLimits())
