"""The failures of which faust says nothing are excluded by construction, held on a real broker."""

from __future__ import annotations

import asyncio
import threading

from schemas.topics import EXCHANGES
from services.observability.watchdog import EXIT_FAILED
from services.stream.faust_app import attach, make_app
from services.stream.messages import Handled, OutgoingRecord
from services.stream.runner import StreamJob, StreamRunner
from services.stream.step_loop import StepLimits, StepLoop
from tests.support.streams import lag, publish

N = 200


class Collect:
    """A step in score's place that keeps what it was given, and may be told to fail or to wait."""

    name = "score"
    batch = 16
    every = 0.0
    is_crowded = False

    def __init__(self, poison: bytes = b"", gate: asyncio.Event | None = None):
        self.got: list[bytes] = []
        self.poison, self.gate, self.held = poison, gate, asyncio.Event()

    def fits(self, messages):
        return len(messages)

    async def handle(self, messages):
        values = [message.value for message in messages]
        if self.gate is not None and self.poison in values:
            self.held.set()
            await self.gate.wait()
        elif self.poison and self.poison in values:
            raise RuntimeError("a fault that nobody foresaw")
        return Handled(keep=lambda: self.got.extend(values))

    async def snapshot(self):
        """Nothing is kept."""

    async def resume(self):
        return None

    def forget(self):
        """Nothing is kept."""


def records(n=N):
    return [(b"route-%d" % (i % 7), b"%d" % i) for i in range(n)]


async def run(broker, handler, tmp_path, until, seconds=40.0):
    """A runner in this process until something is true; the codes with which it would have died."""
    died: list[int] = []
    job = StreamJob(
        broker, lambda cluster: [handler], tmp_path / "faust", limits=StepLimits(patience=1.0), die=died.append
    )
    runner = StreamRunner(job)
    task = asyncio.create_task(runner.run())
    async with asyncio.timeout(seconds):
        while not task.done() and not died and not until():
            await asyncio.sleep(0.05)
    runner.stop()
    await task
    return died


def test_what_cannot_be_read_stops_nothing(broker, tmp_path):
    """`stream.take()` with decoding by faust stops for ever at one such message; here each gets its dead letter."""
    bad = [b"{not json", b"\xff\xfe\x00", b'{"x":"y"}', b"[1,2]", b"null", b"\x00", b'{"route":5}', b"{}"]
    good = records()
    mixed = [pair for i, one in enumerate(good) for pair in ([one, (b"k", bad[i % 8])] if i % 3 == 0 else [one])]
    publish(broker, EXCHANGES.name, mixed)
    handler = Collect()
    assert asyncio.run(run(broker, handler, tmp_path, lambda: len(handler.got) >= len(mixed))) == []
    assert sorted(handler.got) == sorted(value for _, value in mixed)
    assert lag(broker, ["score"]) == 0


def test_an_exception_in_the_body_acknowledges_nothing(broker, tmp_path):
    """faust acknowledges the batch of an agent that raises; the step ends the process instead."""
    publish(broker, EXCHANGES.name, [(b"one-route", b"%d" % i) for i in range(N)])
    handler = Collect(poison=b"100")
    assert asyncio.run(run(broker, handler, tmp_path, lambda: False)) == [EXIT_FAILED]
    before = lag(broker, ["score"])
    assert N - 100 <= before <= N
    again = Collect()
    assert asyncio.run(run(broker, again, tmp_path, lambda: b"%d" % (N - 1) in again.got)) == []
    assert {b"%d" % i for i in range(N)} <= {*handler.got, *again.got}
    assert b"100" in again.got
    assert lag(broker, ["score"]) == 0


def test_nothing_is_committed_past_what_is_still_in_flight(broker, tmp_path):
    """With concurrency a later event's offset is committed while an earlier one runs, and a kill loses that one."""

    async def story():
        handler = Collect(poison=b"3", gate=asyncio.Event())
        publishing = threading.Thread(
            target=publish, args=(broker, EXCHANGES.name, [(b"one", b"%d" % i) for i in range(N)])
        )
        publishing.start()
        job = StreamJob(broker, lambda cluster: [handler], tmp_path / "faust", die=lambda code: None)
        runner = StreamRunner(job)
        task = asyncio.create_task(runner.run())
        async with asyncio.timeout(40):
            await asyncio.wait([task, asyncio.create_task(handler.held.wait())], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.to_thread(publishing.join)
            await asyncio.sleep(4.0)  # several of faust's commits, one a second
            behind = await asyncio.to_thread(lag, broker, ["score"])
            handler.gate.set()
            while len(handler.got) < N and not task.done():
                await asyncio.sleep(0.05)
        runner.stop()
        await task
        return behind, handler.got

    behind, got = asyncio.run(story())
    assert behind >= N - 3
    assert got == [b"%d" % i for i in range(N)]
    assert lag(broker, ["score"]) == 0


def test_no_table_of_faust_holds_any_state(broker, tmp_path):
    """Tables recover empty or stale; states are in the database, which the tests of the stream hold."""

    async def tables():
        app = make_app(broker, "keelwatch.test", tmp_path / "faust")

        async def send(record: OutgoingRecord) -> object:
            return record

        attach(app, StepLoop(Collect(), send, lambda: app.consumer_generation_id))
        agents = list(app.agents.values())
        return len(app.tables), [agent.concurrency for agent in agents]

    assert asyncio.run(tables()) == (0, [1])
