"""What a worker, and what sends notifications, tell Prometheus: a method per thing that happens."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from schemas.alert import Alert
from schemas.base import Record
from schemas.dead_letter import DeadLetter
from schemas.reading import Reading
from schemas.score import ScoreBlock

OTHER: Final = "_other"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_MAX_NAMES: Final = 50
_SHARE_OF: Final = 1000
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_FIELD: Final = re.compile(r"[a-z][a-z_]{0,30}(?=[:.\[])")

Place = tuple[str, int]
"""Topic and partition."""


class CappedLabels:
    """Values of a label, capped: the first `limit` keep their names, all later ones are `_other`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        """`value`, or `_other`. What is called `_other` by itself only joins it."""
        if value in self._known:
            return value
        if len(self._known) >= self._limit:
            return OTHER
        self._known.add(value)
        return value


def reason_class(reason: str) -> str:
    """The field that a dead letter's reason names, never its words.

    >>> reason_class("prompt[0].content: must be text (and 2 more)"), reason_class("record: empty")
    ('prompt', 'record')
    """
    found = _FIELD.match(reason)
    return found.group() if found else "other"


class StreamMeters:
    """The meters of one process. Every method only counts: none reads the world, waits or raises.

    None of them names a route: whoever asks needs no key, and routes are told by `/v1/metrics`, which asks for one.

    Args:
        clock: monotonic seconds, for ages.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._reason, self._family = CappedLabels(_MAX_NAMES), CappedLabels(_MAX_NAMES)
        self._lags: dict[Place, int] = {}
        self._blind: dict[str, set[tuple[str | None, ...]]] = {}
        self._recent: deque[tuple[int, int]] = deque()
        self._of_flow()
        self._of_work()
        ProcessCollector(registry=self.registry)

    def _of_flow(self) -> None:
        into = self.registry
        self._lag = Gauge("keelwatch_lag", "Records not yet acknowledged.", ("topic", "partition"), registry=into)
        self._records = Counter("keelwatch_records", "Records taken.", ("step", "topic"), registry=into)
        self._exchanges = Counter("keelwatch_exchanges", "Exchanges scored.", registry=into)
        self._embedded = Counter("keelwatch_embedded", "Exchanges that were embedded.", registry=into)
        self._share = Gauge(
            "keelwatch_embedded_share", f"Share embedded of about the last {_SHARE_OF} exchanges.", registry=into
        )
        self._dead = Counter("keelwatch_dead_letters", "What could not be read.", ("step", "reason"), registry=into)
        self._twice = Counter("keelwatch_duplicates", "Records at or below a fence, skipped.", ("step",), registry=into)
        self._alerts = Counter("keelwatch_alerts", "Alerts sent.", ("family", "status", "severity"), registry=into)
        self._blind_routes = Gauge("keelwatch_blind_routes", "Routes with a blind stream, here.", registry=into)
        self._blind_streams = Gauge("keelwatch_blind_streams", "Blind streams of them.", registry=into)

    def _of_work(self) -> None:
        into, seconds = self.registry, _SECONDS
        self._batch = Histogram("keelwatch_batch_seconds", "A batch.", ("step",), registry=into, buckets=seconds)
        self._stage = Histogram(
            "keelwatch_stage_seconds", "A stage of it.", ("step", "stage"), registry=into, buckets=seconds
        )
        self._snapshot = Gauge(
            "keelwatch_snapshot_age_seconds", "Since the last snapshot of the state.", ("step",), registry=into
        )
        self._watchdog = Gauge("keelwatch_watchdog_age_seconds", "Since the watchdog last looked.", registry=into)
        self._stalled = Gauge("keelwatch_stalled_seconds", "How long lag did not move, at worst.", registry=into)
        self._watchdog.set_function(lambda: float("nan"))

    def lag(self, lags: Mapping[Place, int]) -> None:
        """All partitions that this process reads; those that it lost are no longer shown."""
        for topic, partition in self._lags.keys() - lags.keys():
            self._lag.remove(topic, str(partition))
        for (topic, partition), behind in lags.items():
            self._lag.labels(topic, str(partition)).set(behind)
        self._lags = dict(lags)

    @property
    def waiting(self) -> dict[str, int]:
        """Topic -> records that wait in the partitions that this process reads, as /metrics shows them."""
        return {topic: sum(n for (one, _), n in self._lags.items() if one == topic) for topic, _ in self._lags}

    def taken(self, step: str, topic: str, n: int) -> None:
        """`n` records of a topic were taken."""
        self._records.labels(step, topic).inc(n)

    def scored(self, block: ScoreBlock) -> None:
        """A block of scores was sent."""
        n, embedded = len(block.id), sum(block.embedded)
        self._exchanges.inc(n)
        self._embedded.inc(embedded)
        self._recent.append((n, embedded))
        while sum(rows for rows, _ in self._recent) > _SHARE_OF and len(self._recent) > 1:
            self._recent.popleft()
        self._share.set(sum(done for _, done in self._recent) / sum(rows for rows, _ in self._recent))

    def dead(self, step: str, reason: str) -> None:
        """A dead letter was acknowledged by the broker; only the class of its reason is kept."""
        self._dead.labels(step, self._reason(reason_class(reason))).inc()

    def duplicates(self, step: str, n: int) -> None:
        """`n` records were at or below a fence."""
        self._twice.labels(step).inc(n)

    def sent(self, step: str, records: Iterable[Record]) -> None:
        """The broker has these records of a step."""
        readings = []
        for record in records:
            if isinstance(record, ScoreBlock):
                self.scored(record)
            elif isinstance(record, Reading):
                readings.append(record)
            elif isinstance(record, Alert):
                self.alert(record)
            elif isinstance(record, DeadLetter):
                self.dead(step, record.reason)
        if readings:
            self.readings(readings)

    def alert(self, alert: Alert) -> None:
        """An alert was sent."""
        self._alerts.labels(self._family(alert.family), alert.status, alert.severity).inc()

    def readings(self, readings: Sequence[Reading]) -> None:
        """What detectors said: keeps account of what is blind."""
        for reading in readings:
            if reading.again is not None:  # no word on what is held against the baseline
                continue
            stream = (
                reading.detector,
                reading.signal,
                reading.hazard,
                reading.slice,
                reading.direction,
                reading.identity,
            )
            if reading.status == "blind":
                self._blind.setdefault(reading.route, set()).add(stream)
            elif stream in (streams := self._blind.get(reading.route, set())):
                streams.discard(stream)
                if not streams:
                    del self._blind[reading.route]
        self._show_blind()

    def forget(self) -> None:
        """Memory was dropped for a new generation: the routes may be another worker's now."""
        self._blind.clear()
        self._show_blind()

    def batch(self, step: str, seconds: float) -> None:
        """A batch took so long, from taken to acknowledged."""
        self._batch.labels(step).observe(seconds)

    @contextmanager
    def stage(self, step: str, stage: str) -> Iterator[None]:
        """Times what is inside: decode, handle, send, snapshot or ack."""
        begin = self._clock()
        try:
            yield
        finally:
            self._stage.labels(step, stage).observe(self._clock() - begin)

    def snapshot(self, step: str) -> None:
        """A step's state is in the database as of now."""
        at = self._clock()
        self._snapshot.labels(step).set_function(lambda: self._clock() - at)

    def watched(self, stalled: float) -> None:
        """The watchdog looked; the partition that has not moved for longest has not for `stalled` seconds."""
        at = self._clock()
        self._watchdog.set_function(lambda: self._clock() - at)
        self._stalled.set(stalled)

    def exposition(self) -> bytes:
        """All meters in Prometheus' text format."""
        return generate_latest(self.registry)

    def _show_blind(self) -> None:
        self._blind_routes.set(len(self._blind))
        self._blind_streams.set(sum(map(len, self._blind.values())))


_DELIVERY_SECONDS: Final = (0.5, 1, 2, 5, 10, 30, 60, 300, 3600, 86_400)


class NotificationMeters:
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
            "keelwatch_notification_seconds",
            "From the outbox to accepted.",
            registry=registry,
            buckets=_DELIVERY_SECONDS,
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


_UNKNOWN: Final = float("nan")
"""Prometheus' value for what is not known: no rule fires by it, and no board takes it for 0."""


class ScoreEventMeters:
    """The meters of what sends scores out as events, in a registry that may hold others."""

    def __init__(
        self,
        registry: CollectorRegistry,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`registry` is what `/metrics` shows; `clock` tells monotonic seconds, `now` those since 1970."""
        self._clock, self._since = clock, 0.0
        self._now, self._oldest = now, _UNKNOWN
        self._events = Counter(
            "keelwatch_score_events", "Events of scores by what became of them.", ("outcome",), registry=registry
        )
        self._failing = Gauge(
            "keelwatch_score_events_failing_seconds", "How long nothing of what waits is taken.", registry=registry
        )
        self._failing.set_function(lambda: self._clock() - self._since if self._since else 0.0)
        self._waiting = Gauge(
            "keelwatch_score_blocks_waiting", "Blocks of scores that this process has to send.", registry=registry
        )
        self._waiting.set(_UNKNOWN)
        age = Gauge(
            "keelwatch_score_events_oldest_seconds",
            "Age of the oldest block of scores that waits to be sent; 0 when none does.",
            registry=registry,
        )
        age.set_function(lambda: max(self._now() - self._oldest, 0.0) if self._oldest else 0.0)
        self._lost = Counter(
            "keelwatch_score_blocks_lost",
            "Blocks of scores that nobody took in time, or could read.",
            registry=registry,
        )
        for outcome in ("sent", "refused"):
            self._events.labels(outcome)

    def sent(self, n: int, refused: int = 0) -> None:
        """So many events arrived; `refused` of them were not taken for what they are, and are not sent again."""
        self._events.labels("sent").inc(n - refused)
        self._events.labels("refused").inc(refused)
        self.well()

    def well(self) -> None:
        """What waited was taken, or nothing waits."""
        self._since = 0.0

    def waiting(self, n: int | None, oldest: float | None = None) -> None:
        """So many blocks wait, the oldest since then, in seconds since 1970; None: that is not known."""
        self._waiting.set(_UNKNOWN if n is None else n)
        self._oldest = 0.0 if n == 0 else _UNKNOWN if n is None or oldest is None else oldest

    def lost(self, n: int) -> None:
        """So many blocks of scores left their topic before anybody took them, or could not be read."""
        self._lost.inc(n)

    def failed(self) -> None:
        """What waits was not taken, or cannot be read, and is tried again."""
        self._since = self._since or self._clock()
