"""faust's part: an app per consumer group with one agent per step on raw bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import faust
from faust.assignor.partition_assignor import PartitionAssignor
from faust.transport.drivers import aiokafka as driver

from services.flow import topics_of
from services.stream.broker import Broker, options
from services.stream.consumer_groups import deployment_mark
from services.stream.faust_consumer import StreamConsumer
from services.stream.fetch_bounds import PIECE_BYTES, WAITING_BYTES, BoundedQueue, pieces
from services.stream.member_names import process_url
from services.stream.step_loop import StepLoop

WITHIN_SECONDS: Final = 0.1
_BUFFER: Final = 512  # messages of each app that wait for its steps; their bytes have a bound of their own


def rejoin(app: faust.App) -> None:
    """Have the app's group dealt anew. The leader alone brings that about; of all others the broker takes no notice.

    A member with a name of its own that comes back is given what it had, without a look at the topics: partitions
    that were added meanwhile, and topics that were made anew, are then nobody's, and aiokafka never notices.
    """
    thread = cast(Any, app.consumer)._thread
    thread.thread_loop.call_soon_threadsafe(thread._consumer._coordinator.request_rejoin)


def make_app(broker: Broker, group: str, folder: Path) -> faust.App:
    """A faust app that is one consumer group. `folder` is where faust keeps files of its own."""
    given = options(broker, group)
    folder.mkdir(parents=True, exist_ok=True)  # faust makes its own folder only within one that exists
    app = _App(**given.faust, datadir=str(folder / group), stream_buffer_maxsize=_BUFFER, PartitionAssignor=_Assignor)
    app.known_broker, app.consumer_options, app.mark = broker, given.consumer, deployment_mark(broker)
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


class _Assignor(PartitionAssignor):
    @property
    def _metadata(self) -> Any:
        """What a member tells of itself; that of changelogs, of which there are none, has room for its process."""
        told = super()._metadata
        told.changelog_distribution = {**told.changelog_distribution, process_url(): {}}
        return told


class _Transport(driver.Transport):
    Consumer = StreamConsumer


class _App(faust.App):
    known_broker: Broker
    mark = ""
    consumer_options: Mapping[str, Any]
    consumer_generation_id = (
        -1
    )  # none yet; the embedded broker's first generation is 0, which is what faust begins with

    def FlowControlQueue(self, maxsize: int | None = None, *, clear_on_resume: bool = False) -> Any:  # noqa: N802
        """A queue of events that is bounded by their bytes too."""
        return BoundedQueue(maxsize=maxsize, flow_control=self.flow_control, clear_on_resume=clear_on_resume)

    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)
