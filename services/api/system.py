"""The state of the whole system as the API last saw it: survey of broker and database, metrics, probes.

A page or a probe never asks the world: it tells what was last seen, and what was seen too long ago is not known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Generic, NoReturn, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.alert import Severity
from schemas.dead_letter import DeadLetter
from services.api.dead_letter_replays import DeadLetterReplays, NoteFunction, ReplayFunction, ReplayStatus
from services.api.http.problems import LOG
from services.ports import StepLag
from services.store import audit_log, backlog
from services.store.backlog import Backlog
from services.store.engine import Database

T = TypeVar("T")

SURVEY_EVERY: Final = 5.0
PATIENCE: Final = 8.0
STALE_AFTER: Final = 30.0
NOT_LOOKED_AT: Final = "not looked at yet; wait a few seconds"


@dataclass(frozen=True, slots=True)
class SurveyResult(Generic[T]):
    """What was seen, or why nothing was.

    Attributes:
        value: None when it is not known. fault: why it is not, in one line.
        at: when, by the clock on the wall; took: seconds that the answer took.
    """

    value: T | None = None
    fault: str | None = NOT_LOOKED_AT
    at: datetime | None = None
    took: float = 0.0


class Survey:
    """Looks at broker and database.

    Args:
        database: the database. behind: asks the broker how far the steps are behind.
        tell: is called after each look. every, patience: seconds between looks, and for one.
    """

    def __init__(
        self,
        database: Database,
        behind: Callable[[], Awaitable[Sequence[StepLag]]],
        tell: Callable[[Survey], object] = lambda _: None,
        *,
        every: float = SURVEY_EVERY,
        patience: float = PATIENCE,
    ) -> None:
        self._store, self._behind, self._tell = database, behind, tell
        self._every, self._patience = every, patience
        # Its own: a database that hangs must not keep other work from being done.
        self._thread = ThreadPoolExecutor(1, "survey")
        self._asking: asyncio.Future[Backlog] | None = None
        self._broker: SurveyResult[Sequence[StepLag]] = SurveyResult()
        self._database: SurveyResult[Backlog] = SurveyResult()

    @property
    def broker(self) -> SurveyResult[Sequence[StepLag]]:
        """How far the steps are behind."""
        return _current(self._broker)

    @property
    def database(self) -> SurveyResult[Backlog]:
        """What waits and what failed."""
        return _current(self._database)

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            await asyncio.gather(self._again(self.look_at_broker), self._again(self.look_at_database))
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def look(self) -> None:
        """Ask both once."""
        await asyncio.gather(self.look_at_broker(), self.look_at_database())

    async def look_at_broker(self) -> None:
        """Ask the broker once."""
        self._broker = await self._seen("the broker", self._behind)
        self._tell(self)

    async def look_at_database(self) -> None:
        """Ask the database once. While one question hangs no second one is asked."""
        self._database = await self._seen("the database", self._backlog)
        self._tell(self)

    async def _backlog(self) -> Backlog:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().run_in_executor(
                self._thread, self._store.query, backlog.read, datetime.now(UTC)
            )
            self._asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._asking)

    async def _seen(self, what: str, ask: Callable[[], Awaitable[T]]) -> SurveyResult[T]:
        begin = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                value = await ask()
        except TimeoutError:
            return SurveyResult(None, f"{what} does not answer within {self._patience:g} s", datetime.now(UTC))
        except Exception as error:  # whatever it is, it is not known: the page says so
            LOG.warning("%s does not answer: %s", what, type(error).__name__)
            return SurveyResult(None, f"{what} does not answer: {type(error).__name__}", datetime.now(UTC))
        return SurveyResult(value, None, datetime.now(UTC), time.monotonic() - begin)

    async def _again(self, look: Callable[[], Awaitable[Any]]) -> None:
        while True:
            await look()
            await asyncio.sleep(self._every)


def _current(sight: SurveyResult[T]) -> SurveyResult[T]:
    if sight.at is None:
        return sight
    age = (datetime.now(UTC) - sight.at).total_seconds()
    return sight if age <= STALE_AFTER else SurveyResult(None, f"not looked at for {age:.0f} s", sight.at)


OTHER_LABEL: Final = "_other"
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PARKING: Final = ("detect", "evaluate", "alert", "record")
_SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "error", "critical")


class ApiMetrics:
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
        self._listed = Gauge("keelwatch_listed_routes", "Routes that the API's monitor file names.", **into)
        self._parked = Gauge("keelwatch_parked_routes", "Routes that a step does not go on with.", ("step",), **into)

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """A request was answered; `path` is the template of its path, never what was asked for."""
        known = method if method in _METHODS else OTHER_LABEL
        self._requests.labels(known, path, str(status)).inc()
        self._seconds.labels(known, path).observe(seconds)

    def listed(self, n: int) -> None:
        """The monitor file names so many routes."""
        self._listed.set(n)

    def show(self, survey: Survey, behind: Sequence[StepLag] | None) -> None:
        """The state of the system; `behind` is how far each step is, as the pages tell it."""
        waiting = survey.database.value
        self._seen.labels("broker").set(survey.broker.value is not None)
        self._seen.labels("database").set(waiting is not None)
        self._lag.clear()
        self._workers.clear()
        for one in behind or ():
            self._workers.labels(one.step).set(one.workers)
            if one.records is not None:
                self._lag.labels(one.step, one.topic).set(one.records)
        for gauge in (self._incidents, self._deliveries, self._runs, self._waits, self._parked):
            gauge.clear()
        if waiting is None:
            self._decisions.set(float("nan"))
        else:
            self._show_backlog(waiting)

    def _show_backlog(self, waiting: Backlog) -> None:
        now = time.time()
        for severity in _SEVERITIES:
            self._incidents.labels(severity).set(waiting.incidents.get(severity, 0))
        for one in waiting.receivers:
            self._deliveries.labels(one.receiver, "pending").set(one.pending)
            self._deliveries.labels(one.receiver, "failed").set(one.failed)
        for state in ("due", "left", "failed"):
            self._runs.labels(state).set(sum(getattr(run, state) for run in waiting.runs))
        self._runs.labels("missed").set(sum(one.n for one in waiting.missed))
        self._decisions.set(waiting.decisions.n)
        for step in _PARKING:
            self._parked.labels(step).set(sum(one.step == step for one in waiting.parked))
        oldest = {
            "decisions": waiting.decisions.oldest,
            "deliveries": min((one.oldest for one in waiting.receivers if one.oldest), default=None),
            "evaluations": min((one.oldest for one in waiting.runs if one.oldest), default=None),
        }
        for queue, since in oldest.items():
            self._waits.labels(queue).set(0.0 if since is None else max(now - since.timestamp(), 0.0))


class MetricsMiddleware:
    """ASGI middleware: counts and times every answer."""

    def __init__(self, app: ASGIApp, meters: ApiMetrics) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.monotonic(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            path = getattr(scope.get("route"), "path", OTHER_LABEL)
            self._meters.answered(scope["method"], path, status, time.monotonic() - begin)


async def _nobody(*_: object) -> NoReturn:
    raise ConnectionError("there is no broker")


@dataclass(frozen=True, slots=True)
class BrokerOperations:
    """What the API asks of the broker.

    Attributes:
        behind: how far the steps are behind. replay: sends a step's dead letters again.
        letters: the newest dead letters of a step (None: of all), at most so many.
    """

    behind: Callable[[], Awaitable[Sequence[StepLag]]] = _nobody
    replay: ReplayFunction = _nobody
    letters: Callable[[str | None, int], Awaitable[Sequence[DeadLetter]]] = _nobody


@dataclass(frozen=True, slots=True)
class ProcessProbes:
    """What the process that answers says of itself.

    Attributes:
        unready: what keeps it from being ready, by check. stuck: why its watchdog would end it; None when it is well.
        waiting: topic -> records that wait for it, where the broker does not tell.
    """

    unready: Callable[[], Mapping[str, str]] = dict
    stuck: Callable[[], str | None] = lambda: None
    waiting: Callable[[], Mapping[str, int]] = dict


def noting_replays(database: Database) -> NoteFunction:
    """What writes replays of dead letters into the audit log of this database."""

    def note(replay: ReplayStatus) -> None:
        told = replay.model_dump(mode="json")
        subject = [replay.step, told["started"]]
        database.transact(lambda connection: audit_log.act(connection, audit_log.REPLAYS, subject, told))

    return note


class SystemHealth:
    """What the pages and paths about Keelwatch itself are made of.

    Whoever runs the API runs its `survey`, and sets its `probes`.
    """

    def __init__(
        self,
        database: Database,
        operations: BrokerOperations | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """`registry` is what /metrics shows."""
        self.operations = operations or BrokerOperations()
        self.probes = ProcessProbes()
        self.registry = registry or CollectorRegistry()
        self.meters = ApiMetrics(self.registry)
        self.survey = Survey(database, self.operations.behind, lambda survey: self.meters.show(survey, self.behind))
        self.replays = DeadLetterReplays(self.operations.replay, noting_replays(database))

    @property
    def behind(self) -> tuple[StepLag, ...] | None:
        """How far each step is behind; None when that is not known. Pages, paths and metrics tell these figures.

        What the broker does not tell, the process that answers may know: what it reads itself.
        """
        told, waiting = self.survey.broker.value, self.probes.waiting()
        if told is None:
            return None
        return tuple(one if one.records is not None else replace(one, records=waiting.get(one.topic)) for one in told)
