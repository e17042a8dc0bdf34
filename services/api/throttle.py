"""Attempts that failed, by client: beyond a few at once they are slowed down. Who is right is never slowed down."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

BURST: Final = 10
EVERY_SECONDS: Final = 2.0
MOST_CLIENTS: Final = 4_096


class Throttle:
    """Lets each client fail `BURST` times at once, and then once every `EVERY_SECONDS`."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()

    def waits(self, client: str, now: float) -> bool:
        """Whether the client has failed so often that its next failure is slowed down."""
        return self._until.get(client, now) - now > (BURST - 1) * EVERY_SECONDS

    def failed(self, client: str, now: float) -> float:
        """Count one failure at `now`, in seconds; how many seconds the client should wait, 0 while it need not."""
        before = max(self._until.pop(client, now), now)
        wait = before - now - (BURST - 1) * EVERY_SECONDS
        self._until[client] = before if wait > 0 else before + EVERY_SECONDS
        while len(self._until) > MOST_CLIENTS:
            self._until.popitem(last=False)
        return max(wait, 0.0)
