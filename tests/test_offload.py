"""CPU work off the event loop: order, backpressure, exceptions, cancellation."""

from __future__ import annotations

import asyncio
import threading

import pytest

from services.offload import Offload, Progress


@pytest.fixture
def offload():
    thread = Offload("test", waiting=1)
    yield thread
    thread.close()


def test_work_runs_in_one_other_thread_in_the_order_of_the_calls(offload):
    ran = []

    async def main():
        return await asyncio.gather(
            *(offload.run(lambda i=i: ran.append(i) or threading.get_ident()) for i in range(20))
        )

    threads = set(asyncio.run(main()))
    assert ran == list(range(20))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_the_loop_goes_on_and_callers_wait_when_the_queue_is_full(offload):
    async def main():
        gate, running = threading.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def first():
            loop.call_soon_threadsafe(running.set)
            return gate.wait(30)

        tasks = [asyncio.create_task(offload.run(work)) for work in (first, lambda: 2, lambda: 3, lambda: 4)]
        await running.wait()
        queued = offload.queued
        gate.set()
        return queued, await asyncio.gather(*tasks), offload.queued

    assert asyncio.run(main()) == (1, [True, 2, 3, 4], 0)


def test_an_exception_reaches_its_caller_and_the_next_work_runs(offload):
    def fail():
        raise KeyError("lost")

    async def main():
        with pytest.raises(KeyError, match="lost"):
            await offload.run(fail)
        return await offload.run(lambda: "next")

    assert asyncio.run(main()) == "next"


def test_cancelled_before_its_turn_it_never_starts_and_makes_room(offload):
    ran = []

    async def main():
        gate = threading.Event()
        first = asyncio.create_task(offload.run(lambda: gate.wait(30)))
        second = asyncio.create_task(offload.run(lambda: ran.append("second")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])  # it is told in the loop's next turn; the thread must not be free before
        gate.set()
        await first
        await asyncio.gather(*(offload.run(lambda i=i: ran.append(i)) for i in range(3)))
        assert second.cancelled()

    asyncio.run(main())
    assert ran == [0, 1, 2]


def test_a_caller_that_gives_up_on_running_work_frees_no_room(offload):
    async def main():
        gate, running = threading.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def first():
            loop.call_soon_threadsafe(running.set)
            gate.wait(30)

        task = asyncio.create_task(offload.run(first))
        await running.wait()
        task.cancel()
        later = [asyncio.create_task(offload.run(lambda i=i: i)) for i in range(3)]
        await asyncio.gather(task, return_exceptions=True)
        queued = offload.queued
        gate.set()
        return queued, await asyncio.gather(*later)

    assert asyncio.run(main()) == (1, [0, 1, 2])


def test_after_close_nothing_runs():
    offload = Offload("test")
    offload.close()

    async def main():
        for _ in range(5):
            with pytest.raises(RuntimeError):
                await offload.run(int)

    asyncio.run(main())


def test_a_negative_queue_is_refused():
    with pytest.raises(ValueError, match="-1"):
        Offload("test", waiting=-1)


def test_work_that_nobody_waits_for_has_its_turn_and_its_fault_is_its_own(offload):
    ran = []

    def fail():
        ran.append("begun")
        raise KeyError("lost")

    async def main():
        offload.begin(fail)
        return await offload.run(lambda: [*ran, "next"])

    assert asyncio.run(main()) == ["begun", "next"]


def test_a_step_whose_work_waits_its_turn_moves_with_the_work_ahead_of_it_and_stands_with_it(offload):
    """A batch of another step that is slow in the shared thread is no standstill of this one; one that hangs is."""

    async def main():
        first, second, gate, running = Progress(), Progress(), threading.Event(), threading.Event()

        def works():
            running.set()
            gate.wait(30)

        ahead = asyncio.create_task(offload.of(first).run(works))
        await asyncio.to_thread(running.wait, 30)
        behind = asyncio.create_task(offload.of(second).run(second.tick))
        await asyncio.sleep(0)
        counts = [second.count]
        counts += [second.count]  # what runs hangs
        first.tick()
        counts += [second.count]
        gate.set()
        await asyncio.gather(ahead, behind)
        done = second.count
        await offload.of(first).run(first.tick)
        return counts, first.done, second.done, done, second.count

    (before, hanging, slow), first, second, done, later = asyncio.run(main())
    assert before == hanging != slow
    assert (first, second) == (2, 1)
    assert done == later == 1  # what others do in the thread is nothing of its own
