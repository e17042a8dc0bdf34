"""Runs steps in one process: a faust app per consumer group, one producer, a clean end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import faust
from faust.contrib.asgi import bind_to_running_loop

from schemas.base import Record
from services.errors import InputError
from services.flow import topics_of
from services.observability.log import install
from services.observability.metrics import StreamMeters
from services.observability.watchdog import EXIT_FAILED
from services.ports import Publish
from services.stream.broker import Broker, recognised
from services.stream.clients import admin, fault_text, is_dependency, partitions
from services.stream.consumer_groups import UP_GROUP, check_alone, check_deployment
from services.stream.faust_app import attach_all, make_app
from services.stream.member_names import NameTaken, check_name
from services.stream.messages import Handler, OutgoingRecord, outgoing
from services.stream.process_health import HealthConfig, health_running
from services.stream.producer import Producer, SendCheck
from services.stream.step_loop import StepLimits, StepLoop
from services.stream.unpacking import check_codecs

LOG: Final = logging.getLogger("keelwatch.stream")
_STOP_SECONDS: Final = 7.0  # for the steps, and again for faust: a supervisor waits 15 s
_IDLE_SECONDS: Final = 0.5
_CONNECT_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 5.0

AskClusterId = Callable[[], Awaitable[str]]
Companion = Callable[[Publish], Awaitable[None]]
"""Work beside the steps, in none of their groups. Runs until it is cancelled: one that ends ends the process."""


@dataclass(frozen=True, slots=True)
class StreamJob:
    """What a process is to do.

    Attributes:
        broker: where the topics are. handlers: made with the function that asks the broker for its id.
        folder: for files of faust's own. together: all steps are one consumer group, as `up` has them.
        companions: run beside the steps from when these run until they have ended.
        limits: how long and how much each step may hold. meters: where the steps count what they do.
        health: how the process is looked after while it runs; None leaves it alone.
        die: ends the process at once with an exit code.
    """

    broker: Broker
    handlers: Callable[[AskClusterId], Sequence[Handler]]
    folder: Path
    together: bool = False
    limits: StepLimits = field(default_factory=StepLimits)
    meters: StreamMeters = field(default_factory=StreamMeters)
    health: HealthConfig | None = None
    companions: Sequence[Companion] = ()
    die: Callable[[int], None] = os._exit


class StreamRunner:
    """One process of the stream. `apps`, `steps` and `producer` are there once it runs, for others to use."""

    def __init__(self, job: StreamJob) -> None:
        """`job` says what is run; nothing is started yet."""
        self._job = job
        self._stop = asyncio.Event()
        self.apps: list[faust.App] = []
        self.steps: list[StepLoop] = []
        self.producer: Producer | None = None

    def stop(self) -> None:
        """Ask for a clean end: what was handled is saved and acknowledged."""
        self._stop.set()

    async def run(self) -> int:
        """Run until `stop`; the exit code: 70 when faust ended by itself, or the broker did not come in time.

        Raises:
            InputError: if a topic is missing, a codec cannot be read, `keelwatch up` works on the same topics, the
                cluster belongs to another database, or another process has come with the name of this one.
        """
        check_codecs()
        handlers = self._job.handlers(self._cluster)
        found = await self._connected(handlers)
        if found is None:
            return 0 if self._stop.is_set() else EXIT_FAILED
        broker, producer = found
        async with AsyncExitStack() as stack:
            stack.push_async_callback(producer.stop)
            self.producer = producer
            self._make(broker, handlers, producer)
            stack.push_async_callback(self._end_apps)
            if not await self._started():
                return 0
            LOG.info("running %s", ", ".join(step.handler.name for step in self.steps))
            return await self._until_the_end()

    async def _started(self) -> bool:
        """Start the apps; False when the end was asked for before all of them were members of their groups."""
        starting = asyncio.create_task(self._start())
        stopped = asyncio.create_task(self._stop.wait())
        either: list[asyncio.Task[Any]] = [starting, stopped]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if starting.done():
            await starting
            return True
        starting.cancel()
        await asyncio.wait([starting], timeout=_STOP_SECONDS)
        return False

    async def _start(self) -> None:
        for app in self.apps:
            bind_to_running_loop(app)
            app.finalize()
        # Together: each waits a second for its agents, and for the other members of its group to notice.
        await asyncio.gather(*(app.maybe_start() for app in self.apps))

    async def _end_apps(self) -> None:
        """Let faust commit and leave. What it hangs on is worth nothing: all was saved, and at worst comes again."""
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.gather(*(app.stop() for app in self.apps))
        except TimeoutError:
            LOG.warning("faust did not end within %g s", _STOP_SECONDS)
            self._job.die(0 if self._stop.is_set() else EXIT_FAILED)

    async def _connected(self, handlers: Sequence[Handler]) -> tuple[Broker, Producer] | None:
        """The broker and a producer; a broker that is away is waited for, as it would be later."""
        until = time.monotonic() + self._job.limits.patience
        while not self._stop.is_set():
            try:
                broker = await recognised(self._job.broker)
                if not self._job.together:  # `keelwatch up` has looked before it started this process
                    await check_alone(broker, together=False)
                await check_deployment(broker)
                await _check_topics(broker, handlers)
                producer = Producer(broker)
                await producer.start()
            except Exception as error:
                if not is_dependency(error):
                    raise
                LOG.warning("waits for the broker: %s", fault_text(error))
                if time.monotonic() > until:
                    LOG.critical("the broker did not come in time: %s", fault_text(error))
                    return None
                await asyncio.sleep(_CONNECT_SECONDS)
            else:
                return broker, producer
        return None

    def _make(self, broker: Broker, handlers: Sequence[Handler], producer: Producer) -> None:
        async def send(record: OutgoingRecord) -> object:
            try:
                place = await producer.send(record.topic, record.key, record.value)
            except Exception:
                sends.failed()
                raise
            sends.acknowledged()
            return place

        sends = self._job.health.sends if self._job.health else SendCheck()

        groups = {UP_GROUP: list(handlers)} if self._job.together else {f"keelwatch.{h.name}": [h] for h in handlers}
        for group, some in groups.items():
            app = make_app(broker, group, self._job.folder)
            steps = [self._step(app, handler, send) for handler in some]
            self.apps.append(attach_all(app, steps))
            self.steps += steps

    def _step(self, app: faust.App, handler: Handler, send: Callable[[OutgoingRecord], Awaitable[object]]) -> StepLoop:
        return StepLoop(
            handler,
            send,
            lambda: app.consumer_generation_id,
            limits=self._job.limits,
            meters=self._job.meters,
            progress=self._job.health.progress.of(handler.name) if self._job.health else None,
            die=self._job.die,
        )

    async def _publish(self, records: Sequence[Record]) -> None:
        assert self.producer is not None
        for record in map(outgoing, records):
            await self.producer.send(record.topic, record.key, record.value)

    async def _cluster(self) -> str:
        return (await recognised(self._job.broker)).cluster

    async def _until_the_end(self) -> int:
        timers = [asyncio.create_task(_tick(step)) for step in self.steps]
        beside = [asyncio.ensure_future(companion(self._publish)) for companion in self._job.companions]
        ends = [asyncio.create_task(app.wait_until_stopped()) for app in self.apps]
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait([stopped, *ends, *timers, *beside], return_when=asyncio.FIRST_COMPLETED)
        clean = self._stop.is_set()
        for task in (*timers, *ends, stopped):
            task.cancel()
        if not clean:
            await self._check_names(beside)
            LOG.critical("ends by itself: %r", [*(app.crash_reason for app in self.apps), *_faults(beside)])
            self._job.die(EXIT_FAILED)
            return EXIT_FAILED
        await asyncio.gather(self._finish(), _ended(beside))
        return 0

    async def _check_names(self, beside: Sequence[asyncio.Future[None]]) -> None:
        """Check that what ends this process is not another one that has its name: started again, it would take it back.

        Raises:
            NameTaken: if it is.
        """
        try:
            for app in self.apps:
                if isinstance(app.crash_reason, NameTaken):
                    raise app.crash_reason
            broker = self._job.broker
            async with asyncio.timeout(_CHECK_SECONDS), admin(broker) as client:
                for app in self.apps if broker.instance else ():
                    await check_name(client, str(app.conf.id), str(broker.instance))
        except NameTaken:
            await _ended(beside)
            raise
        except Exception as error:
            LOG.warning("does not know who has its name: %r", error)

    async def _finish(self) -> None:
        """Have the steps save and acknowledge; not for longer than it takes to have all of it delivered again."""
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.gather(*(step.finish() for step in self.steps))
        except TimeoutError:
            LOG.warning("the steps did not end within %g s: what they have not saved comes again", _STOP_SECONDS)
            self._job.die(0)


def run(job: StreamJob) -> int:
    """Run the job until SIGTERM or Ctrl-C; the exit code of the process."""
    return asyncio.run(_run(job))


async def _run(job: StreamJob) -> int:
    runner = StreamRunner(job)
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, runner.stop)
    async with AsyncExitStack() as stack:
        if job.health is not None:
            install(job.health.log)
            await stack.enter_async_context(health_running(job.health, runner))
        return await runner.run()


async def _tick(step: StepLoop) -> None:
    while True:
        await asyncio.sleep(_IDLE_SECONDS)
        await step.idle()


def _faults(tasks: Sequence[asyncio.Future[None]]) -> list[BaseException | str]:
    """Why companions ended, which none should."""
    return [task.exception() or "a companion ended" for task in tasks if task.done() and not task.cancelled()]


async def _ended(tasks: Sequence[asyncio.Future[None]]) -> None:
    """Cancel companions and give them a moment to leave things as they should be."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_STOP_SECONDS)


async def _check_topics(broker: Broker, handlers: Sequence[Handler]) -> None:
    """Faust waits for ever for a topic that is not there, and says nothing."""
    wanted = {name for handler in handlers for name in topics_of(handler.name)}
    missing = sorted(wanted - (await partitions(broker, wanted)).keys())
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{broker.bootstrap} has no topic {missing[0]}{more}; run `keelwatch topics create`")
