"""faust's part: an app per consumer group, made inside a function, with one agent per step on raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import faust
from faust.transport.drivers import aiokafka as driver
from mode.threads import WorkerThread

from schemas.topics import dead_topics
from services.flow import STEPS
from services.stream.config import Broker, options
from services.stream.leave import leave
from services.stream.step import Step

WITHIN_SECONDS: Final = 0.1
_THREAD_SECONDS: Final = 2.0
_BUFFER: Final = 512  # messages of each app that wait for its steps; blocks can be large


def topics_of(step: str) -> list[str]:
    """Names of the topics that a step reads."""
    (known,) = (one for one in STEPS if one.name == step)
    names = [topic.name for topic in known.consumes]
    return names + [topic.name for topic in dead_topics() if step in topic.consumers]


def make_app(broker: Broker, group: str, folder: Path) -> faust.App:
    """A faust app that is one consumer group. `folder` is where faust keeps files of its own."""
    given = options(broker, group)
    folder.mkdir(parents=True, exist_ok=True)  # faust makes its own folder only within one that exists
    app = _App(**given.faust, datadir=str(folder / group), stream_buffer_maxsize=_BUFFER)
    app.fetch_wait_ms = given.fetch_wait_ms
    return app


def attach(app: faust.App, step: Step) -> None:
    """Let the step read its topics within the app: one agent, one message after the other."""
    names = topics_of(step.handler.name)
    raw: dict[str, Any] = {"key_type": bytes, "key_serializer": "raw", "value_type": bytes, "value_serializer": "raw"}

    async def agent(stream: Any) -> None:
        await step.run(stream.noack_take(step.handler.batch, within=WITHIN_SECONDS))

    app.agent(app.topic(*names, **raw), name=f"keelwatch.{step.handler.name}", concurrency=1)(agent)


def members(app: faust.App, steps: Sequence[Step]) -> faust.App:
    """The app with all of the steps."""
    for step in steps:
        attach(app, step)
    return app


class _Worker(WorkerThread):
    """faust joins this thread from the event loop, which then serves nothing that the thread waits for: for ever."""

    def __init__(self, service: Any) -> None:
        super().__init__(service)
        self.daemon = True

    def stop(self) -> None:
        """`_Thread.stop` waits, beside the loop."""


class _Thread(driver.AIOKafkaConsumerThread):
    """faust waits 1.5 s for a fetch, whatever its settings: the embedded broker answers at half of that."""

    Worker = _Worker

    async def stop(self) -> None:
        await super().stop()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.is_stopped.wait, _THREAD_SECONDS)

    async def on_thread_stop(self) -> None:
        if self._consumer is not None:
            await leave(self._consumer)
        await super().on_thread_stop()

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = cast(_App, self.app).fetch_wait_ms
        return consumer


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class _Transport(driver.Transport):
    Consumer = _Consumer


class _App(faust.App):
    fetch_wait_ms = 500
    consumer_generation_id = (
        -1
    )  # none yet; the embedded broker's first generation is 0, which is what faust begins with

    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)
