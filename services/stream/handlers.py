"""The handlers of the steps that read topics: what each does with a batch of messages.

- score: raw exchanges in; score blocks, redacted samples and dead letters out. It has no state.
- detect: score blocks and decisions of a route in; readings and changes out.
- evaluate: what changes and decisions ask for is written down and acknowledged: a row per (change, suite, target,
  delay), which waits in the database for an executor. Nothing is run here.
- alert: readings, changes, evaluations and decisions of a route in; alerts out.
- record: every record into the database, each batch in one transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Final

from pydantic import ValidationError

from schemas.base import Record
from schemas.change import Change
from schemas.dead_letter import DeadLetter
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run
from schemas.position import Position
from schemas.reading import Reading
from schemas.score import ScoreBlock
from services.alert.core import step as alert_step
from services.alert.state import AlertInput, AlertState
from services.detect.core import step as detect_step
from services.detect.serialization import Detectors
from services.detect.state import DetectionPlan, DetectState
from services.evaluate.triggers import due_runs
from services.ingest.decode import RecordArrival, decode_all
from services.ingest.explain import lacking
from services.ingest.routing import ROUTE_HEADER, Carriage, RouteRule
from services.monitor import RoutePolicy
from services.monitor.policy import default_policy
from services.monitor.route_limit import RouteLimit
from services.offload import WorkThread
from services.ports import Clock, Received
from services.score.core import ScoredBatch
from services.score.samples import sample_blocks
from services.store import evaluation_queue
from services.stream.letter_keys import in_clear
from services.stream.messages import (
    ARRIVED_HEADER,
    ORIGIN_HEADER,
    Handled,
    OutgoingRecord,
    Seal,
    TopicMessage,
    dead_letter,
    first_arrival,
    outgoing,
    sealed_records,
)
from services.stream.sink import SinkHandler
from services.stream.stateful import ALERT, DETECT, AlertStateStore, DetectStateStore, HandlerResources, Stateful
from services.stream.unpacking import UnreadableBytes

EVALUATE: Final = "evaluate"
RECORD: Final = "record"


class _Stateless:
    """What handlers without a state have in common: everything is sent, or in the database, when a batch is handled."""

    batch = 128
    every = 0.0
    is_crowded = False

    def fits(self, messages: Sequence[TopicMessage]) -> int:
        """All of them: nothing of a route is in memory."""
        return len(messages)

    async def snapshot(self) -> None:
        """Nothing is left to save."""

    async def resume(self) -> Handled | None:
        """Nothing waits."""
        return None

    def forget(self) -> None:
        """Nothing is kept."""


class ScoreHandler(_Stateless):
    """Scores exchanges in the thread for CPU work."""

    name = "score"

    def __init__(
        self,
        score: Callable[[Sequence[Received]], ScoredBatch],
        cpu: WorkThread,
        cluster: Callable[[], Awaitable[str]],
        limit: RouteLimit | None = None,
        clock: Clock = lambda: datetime.now(UTC),
        seal: Seal = in_clear,
        rules: tuple[RouteRule, ...] = (),
    ) -> None:
        """`cluster` asks the broker for its id: it is part of every exchange's position. `clock` is our own.

        `limit` says which routes may be new; without one all may. `seal` is what becomes of dead letters before they
        are sent. `rules` give a route to what names none.
        """
        self._rules = rules
        self._seal = seal
        self._limit = limit
        self._score = score
        self._clock = clock
        self._cpu = cpu
        self._ask = cluster
        self._cluster = ""

    async def handle(self, messages: Sequence[TopicMessage]) -> Handled:
        """Score a batch: the exchanges of a route keep their order."""
        if not self._cluster:
            self._cluster = await self._ask()
        scored, letters = await self._cpu.run(partial(self._work, self._cluster, messages))
        return Handled([*await sealed_records(letters, self._seal), *scored])

    def forget(self) -> None:
        """Ask for the cluster again: an embedded broker that was restarted is another one."""
        self._cluster = ""

    def _work(
        self, cluster: str, messages: Sequence[TopicMessage]
    ) -> tuple[list[OutgoingRecord], list[tuple[DeadLetter, str]]]:
        received: list[Received] = []
        letters: list[tuple[DeadLetter, str]] = []
        now = self._clock()
        for message in messages:
            items = _decoded(message, cluster, now, self._rules)
            whole = len(items) == 1 and message.header(ROUTE_HEADER) is None
            for item in items:
                admitted = self._admitted(item, message, now, whole) if isinstance(item, Received) else item
                if isinstance(admitted, Received):
                    received.append(replace(admitted, lacks=lacking(admitted)))
                else:
                    letters.append((admitted, message.topic))
        scored = self._score(received)
        letters += [(letter, messages[0].topic) for letter in scored.dead]
        return [outgoing(record) for record in (*scored.blocks, *sample_blocks(scored.samples))], letters

    def _admitted(self, item: Received, message: TopicMessage, now: datetime, whole: bool) -> Received | DeadLetter:
        """The exchange, or its dead letter if its route may not be new: `whole` is the message, else the exchange."""
        reason = None if self._limit is None else self._limit.refusal(item.exchange.route, now)
        if self._limit is None or reason is None:
            return item
        kept = self._limit.keeps_content(now)
        raw = message.value if whole else item.exchange.encode()
        return DeadLetter.of(raw, self.name, reason, item.position, min(message.ts, now), content=kept)


def _decoded(
    message: TopicMessage, cluster: str, now: datetime, rules: tuple[RouteRule, ...]
) -> list[Received | DeadLetter]:
    """The exchanges of a message and its dead letters; `now` is our own time, for topics that keep the producers'."""
    if isinstance(message.value, UnreadableBytes):
        return [dead_letter(message, ScoreHandler.name, message.value.reason, cluster)]
    header = message.header(ORIGIN_HEADER)
    origin, received = None, message.ts
    if header is not None:
        try:
            origin = Position.model_validate_json(header)
        except ValidationError:
            reason = f"header {ORIGIN_HEADER}: must be a position as JSON"
            return [dead_letter(message, ScoreHandler.name, reason, cluster)]
        received = first_arrival(message.header(ARRIVED_HEADER)) or received
    trusted = message.ts if message.appended else now
    arrival = RecordArrival(message.position(cluster), received, trusted, origin=origin)
    return decode_all(message.value, arrival, Carriage.of(message.headers, rules))


def detect_handler(
    detectors: Detectors, policy: Callable[[str], RoutePolicy], tools: HandlerResources
) -> Stateful[DetectState]:
    """The detect step with these detectors; `policy` gives a route's part of the monitor file."""

    def advance(route: str, state: DetectState, records: Sequence[Record]) -> tuple[DetectState, Sequence[Record]]:
        plan = DetectionPlan(tuple(detectors), policy(route))
        items = [record for record in records if isinstance(record, ScoreBlock | Decision)]
        state, output = detect_step(plan, state, items)
        return state, (*output.readings, *output.changes)

    return Stateful(DETECT, advance, DetectStateStore(detectors), tools, repeated_exchanges)


def repeated_exchanges(before: DetectState, after: DetectState, records: Sequence[Record]) -> int:
    """Exchanges of the blocks that were not counted: at or below the fence, or with an id that had been seen."""
    rows = sum(len(record.id) for record in records if isinstance(record, ScoreBlock))
    return rows - (after.intake.count - before.intake.count)


def evaluate_handler(policy: Callable[[str], RoutePolicy], tools: HandlerResources) -> SinkHandler:
    """The evaluate step: it writes what is due. The same change, delivered again, asks for nothing new.

    `policy` gives a route's suites, target and delays.
    """

    def schedule(records: Sequence[Record]) -> None:
        causes = [record for record in records if isinstance(record, Change | Decision)]
        rows = [row for cause in causes for row in due_runs(policy(cause.route), cause)]
        if rows:
            tools.database.transact(lambda connection: evaluation_queue.enqueue(connection, rows))

    return SinkHandler(EVALUATE, schedule, tools)


def alert_handler(
    tools: HandlerResources, policy: Callable[[str], RoutePolicy] = default_policy
) -> Stateful[AlertState]:
    """The alert step. `policy` says which alerts of a route are in shadow."""

    def advance(route: str, state: AlertState, records: Sequence[Record]) -> tuple[AlertState, Sequence[Record]]:
        return alert_step(state, list(in_order(records)), None, policy(route).shadows)

    return Stateful(ALERT, advance, AlertStateStore(), tools)


def in_order(records: Iterable[Record]) -> Iterator[AlertInput]:
    """Readings and changes between two decisions by exchange, readings first, as replay has them.

    They come on two topics, whose records meet in any order; decisions and evaluations keep their place.
    """
    inputs = (one for one in records if isinstance(one, Reading | Change | Run | Comparison | Decision))
    for placed, some in groupby(inputs, key=lambda one: isinstance(one, Reading | Change)):
        together = list(some)
        yield from sorted(together, key=_place) if placed else together


def _place(item: AlertInput) -> tuple[int, bool]:
    assert isinstance(item, Reading | Change)
    return item.event_index, isinstance(item, Change)


def record_handler(apply: Callable[[Sequence[Record]], None], tools: HandlerResources) -> SinkHandler:
    """The record step: `apply` writes records to the database, and changes nothing when they come again."""
    return SinkHandler(RECORD, apply, tools)
