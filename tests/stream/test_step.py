"""The loop of a step, on events like faust's: what is acknowledged, when, and what happens when something fails."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import InterfaceError

from schemas.topics import SCORES
from services.errors import UnknownOutcome
from services.observability.watchdog import EXIT_FAILED
from services.store.engine import Conflict
from services.stream.messages import Handled, OutgoingRecord
from services.stream.step_loop import StepLimits, StepLoop

GONE = InterfaceError("select 1", {}, Exception("gone"), connection_invalidated=True)


@dataclass
class Event:
    """One message as faust hands it over."""

    offset: int
    generation: int = 1
    partition: int = 0
    value: bytes = b"v"
    acked: list = field(default_factory=list)

    @property
    def message(self):
        return SimpleNamespace(
            topic="t",
            partition=self.partition,
            offset=self.offset,
            value=self.value,
            timestamp=0.0,
            headers=None,
            generation_id=self.generation,
        )

    def ack(self):
        self.acked.append((self.partition, self.offset))
        return True


class Sum:
    """A step that counts, with a database of its own kind: `saved` survives `forget`."""

    name, batch, is_crowded = "detect", 4, False

    def __init__(self, every=0.0, faults=(), conflicts=0):
        self.every, self.faults, self.conflicts = every, list(faults), conflicts
        self.saved: tuple[int, ...] = ()
        self.now: tuple[int, ...] | None = None
        self.forgotten = 0

    def fits(self, messages):
        return len(messages)

    async def handle(self, messages):
        if self.faults:
            raise self.faults.pop(0)
        seen = self.saved if self.now is None else self.now
        new = tuple(one.offset for one in messages if one.offset not in seen)
        return Handled(
            [OutgoingRecord("out", b"k", b"%d" % one) for one in new], lambda: setattr(self, "now", seen + new)
        )

    async def snapshot(self):
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict("another process")
        self.saved = self.saved if self.now is None else self.now

    async def resume(self):
        return None

    def forget(self):
        self.now, self.forgotten = None, self.forgotten + 1


class Stage:
    """A step with what surrounds it: the generation, what was sent, with which codes it died."""

    def __init__(self, handler, send_faults=(), limits=None):
        self.generation, self.sent, self.died, self.acked = 1, [], [], []
        self.send_faults = list(send_faults)
        limits = limits or StepLimits(pause=0.001, longest_pause=0.002)
        self.step = StepLoop(handler, self.send, lambda: self.generation, limits=limits, die=self.died.append)

    async def send(self, record):
        if self.send_faults and (fault := self.send_faults.pop(0)) is not None:
            raise fault
        self.sent.append(record.value)

    def events(self, *offsets, **more):
        return [Event(offset, acked=self.acked, **more) for offset in offsets]

    async def take(self, *batches):
        async def stream():
            for batch in batches:
                yield batch

        task = asyncio.create_task(self.step.run(stream()))
        while not task.done() and not self.died:
            await asyncio.sleep(0.001)
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def played(handler, *batches, **more):
    stage = Stage(handler, **more)
    asyncio.run(stage.take(*[stage.events(*batch) for batch in batches]))
    return stage


def test_what_is_handled_is_sent_saved_and_acknowledged_in_order():
    handler = Sum()
    stage = played(handler, (0, 1), (2,))
    assert stage.acked == [(0, 0), (0, 1), (0, 2)]
    assert stage.sent == [b"0", b"1", b"2"]
    assert handler.saved == (0, 1, 2)


def test_a_batch_that_does_not_fit_is_taken_piece_by_piece_each_saved_when_it_crowds():
    class Narrow(Sum):
        is_crowded = True

        def fits(self, messages):
            return min(2, len(messages))

    handler = Narrow(every=3600.0)
    stage = played(handler, (0, 1, 2, 3, 4), (5,))
    assert stage.acked == [(0, offset) for offset in range(6)]
    assert handler.saved == tuple(range(6))
    conflicted = Narrow(every=3600.0, conflicts=1)
    assert played(conflicted, (0, 1, 2, 3, 4)).acked == [(0, offset) for offset in range(5)]
    assert conflicted.saved == tuple(range(5))


def test_nothing_more_of_a_batch_is_taken_once_the_process_ends():
    class Narrow(Sum):
        def fits(self, messages):
            return 1

    stage = played(Narrow(faults=[RuntimeError("x")]), (0, 1, 2))
    assert (stage.acked, stage.sent, len(stage.died)) == ([], [], 1)


def test_between_snapshots_nothing_is_acknowledged_and_when_idle_all_of_it():
    async def story():
        handler = Sum(every=3600.0)
        stage = Stage(handler)
        await stage.take(stage.events(0, 1))
        before = list(stage.acked)
        handler.every = 0.0
        await stage.step.idle()
        return before, stage.acked, handler.saved

    assert asyncio.run(story()) == ([], [(0, 0), (0, 1)], (0, 1))


def test_too_much_that_is_pending_is_saved_whatever_the_time():
    by_count = played(Sum(every=3600.0), (0, 1), (2, 3), limits=StepLimits(pending=4))
    assert len(by_count.acked) == 4
    by_size = played(Sum(every=3600.0), (0, 1), limits=StepLimits(pending_bytes=2))
    assert len(by_size.acked) == 2


def test_a_dependency_that_is_away_is_waited_for_and_nothing_is_done_twice():
    faults = [GONE, UnknownOutcome("late"), OSError("disk"), TimeoutError()]
    stage = played(Sum(faults=faults), (0, 1), (2,), send_faults=[None, UnknownOutcome("late")])
    assert stage.died == []
    assert stage.acked == [(0, 0), (0, 1), (0, 2)]
    assert set(stage.sent) == {b"0", b"1", b"2"}
    assert stage.step.waiting_since is None


def test_a_dependency_that_stays_away_ends_the_process_unacknowledged():
    limits = StepLimits(patience=0.02, pause=0.005, longest_pause=0.01)
    begin = time.monotonic()
    stage = played(Sum(faults=[GONE] * 1000), (0, 1), limits=limits)
    assert stage.died == [EXIT_FAILED]
    assert stage.acked == stage.sent == []
    assert time.monotonic() - begin >= limits.patience


@pytest.mark.parametrize("fault", [RuntimeError("a bug"), ValueError("another"), AssertionError()])
def test_any_other_fault_ends_the_process_unacknowledged(fault):
    stage = played(Sum(faults=[fault]), (0, 1), (2,))
    assert stage.died == [EXIT_FAILED]
    assert stage.acked == stage.sent == []
    assert stage.step.pending == 0


def test_a_fault_while_sending_keeps_nothing():
    handler = Sum()
    stage = played(handler, (0, 1), send_faults=[None, RuntimeError("refused")])
    assert (stage.died, stage.acked) == ([EXIT_FAILED], [])
    assert handler.now is None


def test_with_a_new_generation_memory_is_dropped_and_old_events_are_left_alone():
    async def story():
        handler = Sum(every=3600.0)
        stage = Stage(handler)
        await stage.take(stage.events(0, 1))
        stage.generation = 2
        handler.every = 0.0
        await stage.take(stage.events(2, 3), stage.events(0, 1, generation=2))
        return stage.acked, handler.saved, handler.forgotten

    acked, saved, forgotten = asyncio.run(story())
    assert acked == [(0, 0), (0, 1)]
    assert saved == (0, 1)
    assert forgotten == 2


def test_a_generation_that_ends_during_a_snapshot_acknowledges_nothing():
    async def story():
        handler = Sum()
        stage = Stage(handler)
        save = handler.snapshot

        async def slow():
            stage.generation = 2
            await save()

        handler.snapshot = slow
        await stage.take(stage.events(0, 1))
        return stage.acked, stage.step.pending

    assert asyncio.run(story()) == ([], 0)


def test_after_a_conflict_what_is_pending_is_handled_again_on_what_the_database_says():
    handler = Sum(conflicts=2)
    handler.saved = (0,)  # as another process saved it
    handler.now = (7,)  # as memory had it
    stage = played(handler, (0, 1), (2,))
    assert stage.died == []
    assert handler.saved == (0, 1, 2)
    assert stage.acked == [(0, 0), (0, 1), (0, 2)]


def test_conflicts_without_end_end_the_process():
    stage = played(Sum(conflicts=1000), (0, 1))
    assert (stage.died, stage.acked) == ([EXIT_FAILED], [])


def test_a_clean_end_saves_what_is_left_and_takes_no_more():
    async def story():
        handler = Sum(every=3600.0)
        stage = Stage(handler)
        await stage.take(stage.events(0, 1))
        await stage.step.finish()
        await stage.take(stage.events(2))
        return stage.acked, handler.saved

    assert asyncio.run(story()) == ([(0, 0), (0, 1)], (0, 1))


def test_a_clean_end_waits_for_no_dependency_and_acknowledges_nothing_of_what_it_held():
    async def story():
        handler = Sum(faults=[GONE] * 1000)
        stage = Stage(handler, limits=StepLimits(pause=30.0))
        taking = asyncio.create_task(stage.take(stage.events(0, 1), stage.events(2)))
        while stage.step.waiting_since is None:
            await asyncio.sleep(0.001)
        async with asyncio.timeout(5):
            await stage.step.finish()
            await taking
        return stage

    stage = asyncio.run(story())
    assert stage.died == stage.acked == stage.sent == []


def test_a_step_without_work_gets_nothing_done_and_one_that_waits_says_so_until_its_limit():
    """The idle timer runs also where the stream that it looks after has died: that is no progress."""

    class Hangs(Sum):
        async def handle(self, messages):
            if not self.faults:
                await asyncio.Event().wait()
            return await super().handle(messages)

    async def story():
        stage = Stage(Sum())
        await stage.take(stage.events(0, 1))
        before = stage.step.work
        for _ in range(3):
            await stage.step.idle()
        waits = Stage(Hangs(faults=[GONE]), limits=StepLimits(patience=0.2, pause=0.001))
        taking = asyncio.create_task(waits.take(waits.events(0)))
        while waits.step.waiting_since is None:
            await asyncio.sleep(0.001)
        said = waits.step.work
        while waits.step.work.excused:
            await asyncio.sleep(0.01)
        hangs = waits.step.work
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        return before, stage.step.work, said, hangs

    before, after, said, hangs = asyncio.run(story())
    assert before.count > 0
    assert before == after
    assert (said.busy, said.excused) == (True, True)
    assert (hangs.busy, hangs.excused) == (True, False)


@given(faults=st.lists(st.booleans(), max_size=12))
def test_no_block_of_a_route_overtakes_another_whatever_fails(faults):
    """The first appearances of a route's blocks are in order: the fence would swallow one that came late."""

    class Blocks(Sum):
        async def handle(self, messages):
            return Handled(
                [OutgoingRecord(SCORES.name, b"r%d" % (one.offset % 2), b"%d" % one.offset) for one in messages]
            )

    stage = played(
        Blocks(), range(4), range(4, 8), send_faults=[UnknownOutcome("late") if fault else None for fault in faults]
    )
    for route in (0, 1):
        mine = list(dict.fromkeys(int(value) for value in stage.sent if int(value) % 2 == route))
        assert mine == [offset for offset in range(8) if offset % 2 == route]
