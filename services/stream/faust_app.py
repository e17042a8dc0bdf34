"""faust's part: an app per consumer group with one agent per step on raw bytes, and how it leaves its group.

A member that leaves says so, and the group deals its partitions anew at once. aiokafka's own end has two faults here.
A member with a name of its own (`group.instance.id`) never says that it leaves, so that nobody reads its partitions
for the session timeout, 30 s. And one that is just joining waits for the answer, which comes when every member has
joined, or when those that were killed are forgotten: up to a minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import faust
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String
from faust.transport.drivers import aiokafka as driver
from mode.threads import WorkerThread

from services.flow import topics_of
from services.stream import unpacking
from services.stream.broker import Broker, options
from services.stream.fetch_bounds import PIECE_BYTES, WAITING_BYTES, BoundedQueue, pieces
from services.stream.step_loop import StepLoop

LOG: Final = logging.getLogger("keelwatch.stream")
WITHIN_SECONDS: Final = 0.1
_LEAVE_SECONDS: Final = 3.0
_THREAD_SECONDS: Final = 2.0
_BUFFER: Final = 512  # messages of each app that wait for its steps; their bytes have a bound of their own
_TEXT: Final = String("utf-8")


async def leave_group(consumer: Any) -> None:
    """End the membership of an aiokafka consumer that is about to be stopped; what fails is left to time-outs."""
    coordinator = consumer._coordinator
    instance = coordinator._group_instance_id
    task = coordinator._coordination_task
    task.cancel()
    await asyncio.wait([task], timeout=_LEAVE_SECONDS)
    if instance is None or coordinator.coordinator_id is None:
        return  # aiokafka says it for members without a name; without a coordinator there is nobody to tell
    request = _Leave(coordinator.group_id, coordinator.member_id, instance)
    try:
        async with asyncio.timeout(_LEAVE_SECONDS):
            # Not over the coordinator's own connection: the broker answers there in order, after a pending join.
            answer = await consumer._client.send(coordinator.coordinator_id, request)
            if code := next((code for _, _, code in answer.members), answer.error_code):
                raise for_code(code)
    except Exception as error:
        LOG.warning("%s: did not let %s leave: %r", coordinator.group_id, instance, error)


def rejoin(app: faust.App) -> None:
    """Have the app's group dealt anew. The leader alone brings that about; of all others the broker takes no notice.

    A member with a name of its own that comes back is given what it had, without a look at the topics: partitions
    that were added meanwhile, and topics that were made anew, are then nobody's, and aiokafka never notices.
    """
    thread = app.consumer._thread
    thread.thread_loop.call_soon_threadsafe(thread._consumer._coordinator.request_rejoin)


class _Left(Response):  # type: ignore[misc]
    API_KEY: ClassVar = 13
    API_VERSION: ClassVar = 3
    SCHEMA: ClassVar = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("members", Array(("member_id", _TEXT), ("group_instance_id", _TEXT), ("error_code", Int16))),
    )


class _LeaveStruct(RequestStruct):  # type: ignore[misc]
    API_KEY: ClassVar = 13
    API_VERSION: ClassVar = 3
    RESPONSE_TYPE: ClassVar = _Left
    SCHEMA: ClassVar = Schema(("group", _TEXT), ("members", Array(("member_id", _TEXT), ("group_instance_id", _TEXT))))


class _Leave(Request[_LeaveStruct]):  # type: ignore[misc]
    """LeaveGroup as brokers take it since 2.4: with the member's name, which aiokafka's version has no place for."""

    API_KEY: ClassVar = 13

    def __init__(self, group: str, member: str, instance: str) -> None:
        self._group, self._members = group, [(member, instance)]

    def build(self, request_struct_class: type[_LeaveStruct]) -> _LeaveStruct:
        return request_struct_class(self._group, self._members)


def make_app(broker: Broker, group: str, folder: Path) -> faust.App:
    """A faust app that is one consumer group. `folder` is where faust keeps files of its own."""
    given = options(broker, group)
    folder.mkdir(parents=True, exist_ok=True)  # faust makes its own folder only within one that exists
    app = _App(**given.faust, datadir=str(folder / group), stream_buffer_maxsize=_BUFFER)
    app.fetch_wait_ms = given.fetch_wait_ms
    return app


def attach(app: faust.App, step: StepLoop) -> None:
    """Let the step read its topics within the app: one agent, one message after the other."""
    names = topics_of(step.handler.name)
    most = PIECE_BYTES if step.handler.name == "score" else WAITING_BYTES
    raw: dict[str, Any] = {"key_type": bytes, "key_serializer": "raw", "value_type": bytes, "value_serializer": "raw"}

    async def agent(stream: Any) -> None:
        taken = stream.noack_take(step.handler.batch, within=WITHIN_SECONDS)
        await step.run(pieces(taken, most, stream.channel.queue.done))

    app.agent(app.topic(*names, **raw), name=f"keelwatch.{step.handler.name}", concurrency=1)(agent)


def attach_all(app: faust.App, steps: Sequence[StepLoop]) -> faust.App:
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
            await leave_group(self._consumer)
        await super().on_thread_stop()

    def _create_worker_consumer(self, transport: Any) -> Any:
        unpacking.install()
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

    def FlowControlQueue(self, maxsize: int | None = None, *, clear_on_resume: bool = False) -> Any:  # noqa: N802
        """A queue of events that is bounded by their bytes too."""
        return BoundedQueue(maxsize=maxsize, flow_control=self.flow_control, clear_on_resume=clear_on_resume)

    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)
