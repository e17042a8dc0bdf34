"""Who is told of which route."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.monitor import RoutePolicy
from services.notify.port import Channel

DEFAULT = "default"
"""The receiver of routes whose policy names none."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """One channel, and whom to mention in it."""

    channel: Channel
    mention: str | None = None


@dataclass(frozen=True, slots=True)
class Receivers:
    """All receivers by name, `default` among them; `policy` is the monitor's."""

    by_name: Mapping[str, Receiver]
    policy: Callable[[str], RoutePolicy]

    def of(self, route: str) -> tuple[str, ...]:
        """Names of those who are told of the route."""
        return tuple(dict.fromkeys(self.policy(route).notify)) or (DEFAULT,)
