"""The demonstration's story in a database, told without a broker: the product's own cores, at times that stand still.

A support bot whose model is silently replaced, a route that is learning, one that is well, and what goes wrong beside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from detectors import registered
from schemas.base import Record
from schemas.change import Change
from schemas.dead_letter import DeadLetter
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run
from schemas.position import Position
from services import wiring
from services.alert.core import step as alert_step
from services.alert.state import AlertInput
from services.demo import endpoint
from services.demo.support_bot import ROUTE, Bot, Script, traffic
from services.evaluate.dependencies import EvaluateDependencies
from services.evaluate.executor import Executor
from services.evaluate.suite_library import load_suite
from services.evaluate.triggers import due_runs
from services.monitor import Monitor, RoutePolicy, Target
from services.offload import Offload
from services.ports import Received
from services.record.recorder import Recorder
from services.replay.runner import ReplayDependencies, ReplayRunner
from services.score.core import ExchangeScorer
from services.settings import Settings
from services.store import deliveries, evaluation_queue, schedules
from services.store.engine import Database
from services.store.evaluation_queue import DueRun
from services.store.schedules import StoredSchedule
from services.stream.stateful import AlertStateStore, DetectStateStore, RouteState
from tests.support.api import NOW
from tests.support.browser import serving

LEARNING = "search-helper/eu/prod"
STEADY = "docs-assistant/prod"
_LEARNED = 180
_LETTERS = 7


@dataclass
class _Story:
    """Who tells it: a replay of all routes, and what records it."""

    database: Database
    script: Script
    url: str
    now: datetime = NOW
    said: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        target = Target(f"{self.url}/v1", "harbour-chat", settings={"temperature": 0})
        policy = RoutePolicy(suites=("smoke",), target=target)
        self.monitor = Monitor(routes={ROUTE: policy}, allow_hosts=("127.0.0.1",))
        self.record = Recorder(self.database, self.monitor.policy).apply
        scorer = ExchangeScorer(wiring.embedder(Settings()), self.monitor.policy)
        self.replay = ReplayRunner(ReplayDependencies(scorer.score, registered(), self.monitor.policy, self._take))

    def _take(self, records: Sequence[Record]) -> None:
        self.said.extend(records)
        self.record(records)

    def feed(self, route: str, script: Script, seed: int, first: int, last: int) -> None:
        """Exchanges `first` to `last` of a route."""
        for i, one in enumerate(list(traffic(script, seed))[first:last], start=first):
            exchange = one if route == ROUTE else one.model_copy(update={"route": route, "id": f"{route}-{i}"})
            self.replay.feed(Received(exchange, Position(cluster="story", topic=route, partition=0, offset=i)))
        self.replay.finish()

    async def evaluate(self, kind: str) -> None:
        """Run what a change of this kind asks for, and let the alert step hear of it."""
        cause = next(one for one in self.said if isinstance(one, Change) and one.kind == kind and one.route == ROUTE)
        rows = due_runs(self.monitor.policy(ROUTE), cause)
        with self.database.write() as connection:
            evaluation_queue.enqueue(connection, rows, self.now)
        with closing(Offload("story")) as thread:
            await Executor(self._means(thread)).once()
        flow = self.replay.seen.flows[ROUTE]
        heard: list[AlertInput] = [one for one in self.said if isinstance(one, Run | Comparison)]
        _, alerts = alert_step(flow.alert, heard)
        self.record(alerts)

    def _means(self, thread: Offload) -> EvaluateDependencies:
        score, scorers = wiring.suite_scorer(self.monitor)

        async def publish(records: Sequence[Record]) -> None:
            await asyncio.to_thread(self._take, records)

        return EvaluateDependencies(
            database=self.database,
            thread=thread,
            monitor=self.monitor,
            suites=load_suite,
            score=score,
            scorers=scorers,
            secret={}.get,
            publish=publish,
            clock=lambda: self.now,
            instance="story",
            chance=Random(7),
        )

    def save(self) -> None:
        """Save the states of the steps, as the stream does."""
        with self.database.write() as connection:
            for route, flow in self.replay.seen.flows.items():
                DetectStateStore(registered()).save(connection, route, RouteState(flow.detect))
                AlertStateStore().save(connection, route, RouteState(flow.alert))


def tell(database: Database) -> None:
    """Write the story into an empty database; about ten seconds of work."""
    asyncio.run(_told(database))


async def _told(database: Database) -> None:
    script = Script()
    starts = NOW - timedelta(minutes=5, seconds=script.step * (script.before + script.after))
    script = Script(starts=starts)
    async with serving(endpoint.app(Bot.of(load_suite("smoke")))) as url:
        story = _Story(database, script, url)
        replaced = starts + timedelta(seconds=script.step * script.before)
        await asyncio.to_thread(story.feed, ROUTE, script, 7, 0, script.before)
        for seed, (route, n) in enumerate(((LEARNING, _LEARNED), (STEADY, script.before)), start=8):
            late = Script(starts=NOW - timedelta(minutes=9, seconds=script.step * n))
            await asyncio.to_thread(story.feed, route, late, seed, 0, n)
        story.now = replaced
        await story.evaluate("pinned")
        await _replace(url)
        await asyncio.to_thread(story.feed, ROUTE, script, 7, script.before, script.before + script.after)
        story.now = NOW - timedelta(minutes=3)
        await story.evaluate("suspected")
        await asyncio.to_thread(story.save)
    await asyncio.to_thread(_beside, database, story.record)


async def _replace(url: str) -> None:
    import httpx  # noqa: PLC0415

    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.post(f"{url}/replace")).raise_for_status()


def _beside(database: Database, record) -> None:
    """Schedules with a fire time that was missed, runs to come and under way, dead letters, deliveries, a decision."""
    record([*_letters(), _announced()])
    nightly = StoredSchedule(
        ROUTE, "nightly", ("smoke",), "15 3 * * *", "Europe/Berlin", True, "command", NOW - _days(3)
    )
    weekly = StoredSchedule(STEADY, "weekly", None, "0 6 * * 1", "UTC", False, "command", NOW - _days(20))
    with database.write() as connection:
        for planned in (nightly, weekly):
            schedules.add(connection, planned)
        schedules.take_fire_time(connection, nightly, NOW - timedelta(hours=33, minutes=45), "the process was down")
        schedules.take_fire_time(connection, nightly, NOW - timedelta(hours=9, minutes=45))
        evaluation_queue.enqueue(connection, [_asked("nightly", -1), _asked("after", 3)], NOW)
        evaluation_queue.claim(connection, "story", NOW, NOW + timedelta(seconds=60), 1)
        deliveries.fan_out(connection, lambda _: ("slack-oncall", "slack-leads"), NOW - timedelta(minutes=2))
        first, *_ = deliveries.first_pending(connection, "slack-oncall")
        deliveries.accept(connection, [first], NOW, deliveries.MessagePlace("C0123", "1764158400.000100", "x", False))
        late, *_ = deliveries.first_pending(connection, "slack-leads")
        deliveries.fail(connection, late, "channel_not_found", NOW)


def _letters() -> list[DeadLetter]:
    reasons = ("not JSON, or cut off", "model.requested: is missing")
    return [
        DeadLetter.of(
            b'{"route": "x"',
            "score",
            reasons[i % 2],
            Position(cluster="story", topic="kw.exchanges.v1", partition=0, offset=9000 + i),
        ).model_copy(update={"first_seen": NOW - timedelta(hours=i)})
        for i in range(_LETTERS)
    ]


def _announced() -> Decision:
    return Decision(
        kind="silence",
        route=STEADY,
        actor="mara",
        reason="load test of the vendor until noon",
        ts=NOW - timedelta(hours=1),
        expires=NOW + timedelta(hours=3),
    )


def _asked(cause: str, hours: float) -> DueRun:
    target = "harbour-chat at https://llm.example/v1"
    return DueRun(ROUTE, cause, "scheduled", None, "smoke", target, 0, NOW + timedelta(hours=hours))


def _days(n: int) -> timedelta:
    return timedelta(days=n)
