"""What the API tells Prometheus: its requests, and the state of the whole system as its survey last saw it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.alert import Severity
from services.api.survey import Survey
from services.store.standing import Standing

OTHER: Final = "_other"
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "error", "critical")
_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


class Meters:
    """The meters of one API, in a registry that may hold others. What is not known is not shown."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """`registry` is what `/metrics` shows."""
        into: dict[str, Any] = {"registry": registry}
        self._requests = Counter("keelwatch_api_requests", "Answers.", ("method", "path", "status"), **into)
        self._seconds = Histogram(
            "keelwatch_api_request_seconds", "Until answered.", ("method", "path"), buckets=_SECONDS, **into
        )
        self._seen = Gauge("keelwatch_seen", "Whether it answered the API's last look: 1 or 0.", ("part",), **into)
        self._lag = Gauge("keelwatch_consumer_lag", "Records a step has not acknowledged.", ("step", "topic"), **into)
        self._workers = Gauge("keelwatch_workers", "Processes that read for a step.", ("step",), **into)
        self._incidents = Gauge("keelwatch_open_incidents", "Incidents not resolved.", ("severity",), **into)
        self._deliveries = Gauge(
            "keelwatch_deliveries", "Notifications: pending, or failed for good.", ("receiver", "state"), **into
        )
        self._runs = Gauge(
            "keelwatch_evaluations", "Runs: due, left by their process, failed or missed in a week.", ("state",), **into
        )
        self._waits = Gauge("keelwatch_waiting_seconds", "How long the oldest has waited.", ("queue",), **into)
        self._decisions = Gauge("keelwatch_decisions_waiting", "Decisions not yet published.", **into)

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """A request was answered; `path` is the template of its path, never what was asked for."""
        known = method if method in _METHODS else OTHER
        self._requests.labels(known, path, str(status)).inc()
        self._seconds.labels(known, path).observe(seconds)

    def show(self, survey: Survey) -> None:
        """The state of the system."""
        behind, standing = survey.broker.value, survey.database.value
        self._seen.labels("broker").set(behind is not None)
        self._seen.labels("database").set(standing is not None)
        self._lag.clear()
        self._workers.clear()
        for one in behind or ():
            self._workers.labels(one.step).set(one.workers)
            if one.records is not None:
                self._lag.labels(one.step, one.topic).set(one.records)
        for gauge in (self._incidents, self._deliveries, self._runs, self._waits):
            gauge.clear()
        if standing is None:
            self._decisions.set(float("nan"))
        else:
            self._stand(standing)

    def _stand(self, standing: Standing) -> None:
        now = time.time()
        for severity in _SEVERITIES:
            self._incidents.labels(severity).set(standing.incidents.get(severity, 0))
        for one in standing.receivers:
            self._deliveries.labels(one.receiver, "pending").set(one.pending)
            self._deliveries.labels(one.receiver, "failed").set(one.failed)
        for state in ("due", "left", "failed"):
            self._runs.labels(state).set(sum(getattr(run, state) for run in standing.runs))
        self._runs.labels("missed").set(sum(one.n for one in standing.missed))
        self._decisions.set(standing.decisions.n)
        oldest = {
            "decisions": standing.decisions.oldest,
            "deliveries": min((one.oldest for one in standing.receivers if one.oldest), default=None),
            "evaluations": min((one.oldest for one in standing.runs if one.oldest), default=None),
        }
        for queue, since in oldest.items():
            self._waits.labels(queue).set(0.0 if since is None else max(now - since.timestamp(), 0.0))


class Metered:
    """ASGI middleware: counts and times every answer."""

    def __init__(self, app: _App, meters: Meters) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.monotonic(), 500

        async def noted(message: _Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            path = getattr(scope.get("route"), "path", OTHER)
            self._meters.answered(scope["method"], path, status, time.monotonic() - begin)
