"""What the sender tells Prometheus."""

from __future__ import annotations

from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS: Final = (0.5, 1, 2, 5, 10, 30, 60, 300, 3600, 86_400)


class Meters:
    """The meters of one sender, in a registry that may hold others."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """`registry` is what `/metrics` shows."""
        self._outcomes = Counter(
            "keelwatch_notifications",
            "Notifications by what became of them.",
            ("receiver", "outcome"),
            registry=registry,
        )
        self._seconds = Histogram(
            "keelwatch_notification_seconds", "From the outbox to accepted.", registry=registry, buckets=_SECONDS
        )
        self._unconfirmed = Gauge(
            "keelwatch_unconfirmed_incidents", "Incidents that a receiver should have heard of.", registry=registry
        )

    def sent(self, receiver: str, seconds: float) -> None:
        """The vendor accepted a notification, so long after it was first seen."""
        self._outcomes.labels(receiver, "sent").inc()
        self._seconds.observe(seconds)

    def not_sent(self, receiver: str, outcome: Literal["refused", "failed"], n: int = 1) -> None:
        """`refused` notifications are tried again, `failed` ones were given up."""
        self._outcomes.labels(receiver, outcome).inc(n)

    def unconfirmed(self, n: int) -> None:
        """So many incidents are not confirmed."""
        self._unconfirmed.set(n)
