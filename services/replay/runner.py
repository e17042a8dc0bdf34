"""Runs the cores of every step over exchanges in order; the same cores that the stream runs on Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from detectors.protocol import Detector
from schemas.alert import Alert
from schemas.base import Record, moment
from schemas.dead_letter import DeadLetter
from schemas.decision import Decision
from schemas.fact import Fact
from schemas.score import ScoreBlock
from services.alert.state import Mute
from services.detect.state import DetectionPlan
from services.flow import RouteFlow, advance
from services.incident.fold import fold
from services.incident.state import RouteIncidents
from services.monitor import RoutePolicy
from services.ports import Received
from services.score.blocks import ScoredRow, blocks_of
from services.score.core import ScoredBatch

BATCH: Final = 128


@dataclass(frozen=True, slots=True)
class ReplayDependencies:
    """What a replay is made with.

    Attributes:
        score: the scorer. detectors: those of the routes, in order. policy: route -> its part of the monitor file.
        record: takes every record of a batch, to store them; None keeps nothing.
    """

    score: Callable[[Sequence[Received]], ScoredBatch]
    detectors: tuple[Detector[Any, Any], ...]
    policy: Callable[[str], RoutePolicy]
    record: Callable[[Sequence[Record]], None] | None = None


@dataclass(slots=True)
class ReplayResult:
    """What a replay saw. `alerts` are in the order of their making; incidents are folded from the facts of a route."""

    dead: int = 0
    flows: dict[str, RouteFlow] = field(default_factory=dict)
    facts: dict[str, list[Fact]] = field(default_factory=dict)
    redelivered: int = 0

    @property
    def events(self) -> int:
        """Valid exchanges that were no duplicates."""
        return sum(flow.detect.intake.count for flow in self.flows.values())

    @property
    def duplicates(self) -> int:
        """Exchanges dropped because their id, or their position, had been counted."""
        return self.redelivered + sum(flow.detect.intake.duplicates for flow in self.flows.values())

    @property
    def alerts(self) -> list[Alert]:
        """Every transition, sorted by (ts, route, fingerprint)."""
        found = [fact for facts in self.facts.values() for fact in facts if isinstance(fact, Alert)]
        return sorted(found, key=lambda alert: (alert.ts, alert.route, alert.fingerprint))

    def incidents(self, route: str) -> RouteIncidents:
        """The incidents of one route, as of its own clock."""
        return fold(route, self.facts.get(route, ()), self._now(route))

    def muted(self, route: str) -> tuple[Mute, ...]:
        """The mutes of one route in force, as of its own clock."""
        now = self._now(route)
        return () if now is None else self.flows[route].alert.muted(now)

    def _now(self, route: str) -> datetime | None:
        clock = self.flows[route].detect.intake.clock if route in self.flows else None
        return None if clock is None else moment(clock)


class ReplayRunner:
    """Feeds exchanges, or rows that were scored before, and decisions through the flow, batch by batch."""

    def __init__(self, tools: ReplayDependencies, decisions: Iterable[Decision] = (), batch: int = BATCH) -> None:
        """Decisions apply before the first exchange of their route at or after their `ts`."""
        self._tools = tools
        self._batch = batch
        self._waiting: list[Received | ScoredRow] = []
        self._due: dict[str, list[Decision]] = {}
        for decision in sorted(decisions, key=lambda one: one.ts, reverse=True):
            self._due.setdefault(decision.route, []).append(decision)
        self._out: list[Record] = []
        self.seen = ReplayResult()

    def feed(self, item: Received | ScoredRow | DeadLetter) -> None:
        """Take in what one line of a file became, in order."""
        if isinstance(item, DeadLetter):
            self.seen.dead += 1
            self._out.append(item)
            return
        route, ts = (item.route, item.ts) if isinstance(item, ScoredRow) else (item.exchange.route, item.exchange.ts)
        if self._due_before(route, ts) or (self._waiting and type(item) is not type(self._waiting[-1])):
            self._flush()
            self._decide(route, ts)
        self._waiting.append(item)
        if len(self._waiting) >= self._batch:
            self._flush()

    def finish(self) -> ReplayResult:
        """Take in what is left, the decisions after the last exchange included."""
        self._flush()
        for route in sorted(self._due):
            self._decide(route, None)
        self._store()
        return self.seen

    def _due_before(self, route: str, ts: datetime | None) -> bool:
        """Whether a decision of the route comes before an exchange at `ts` (None: before the end)."""
        waiting = self._due.get(route, [])
        return bool(waiting) and (ts is None or waiting[-1].ts <= ts)

    def _decide(self, route: str, ts: datetime | None) -> None:
        while self._due_before(route, ts):
            self._advance(self._due[route].pop())

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        rows = sorted((item for item in waiting if isinstance(item, ScoredRow)), key=lambda row: row.route)
        scored = self._tools.score([item for item in waiting if isinstance(item, Received)])
        self.seen.dead += len(scored.dead)
        self._out += [*scored.samples, *scored.dead]
        for block in (*scored.blocks, *blocks_of(rows)):
            self._advance(block)
        self._store()

    def _advance(self, item: ScoreBlock | Decision) -> None:
        route = item.route
        before = self.seen.flows.get(route) or RouteFlow.start(route)
        plan = DetectionPlan(self._tools.detectors, self._tools.policy(route))
        after, output = advance(plan, before, item)
        self.seen.flows[route] = after
        facts: list[Fact] = [*([item] if isinstance(item, Decision) else []), *output.changes, *output.alerts]
        self.seen.facts.setdefault(route, []).extend(facts)
        self._out += [item, *output.readings, *output.changes, *output.alerts]
        if isinstance(item, ScoreBlock):
            old, new = before.detect.intake, after.detect.intake
            counted = new.count - old.count + new.duplicates - old.duplicates
            self.seen.redelivered += len(item.id) - counted

    def _store(self) -> None:
        if self._tools.record is not None and self._out:
            self._tools.record(self._out)
        self._out = []
