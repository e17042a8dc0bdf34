"""The progress watchdog: what it must see, and whom it must leave alone."""

from __future__ import annotations

import asyncio
import threading
import time
from io import StringIO
from types import SimpleNamespace
from typing import NoReturn

import pytest
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from services.observability.log import open_log
from services.observability.metrics import StreamMeters
from services.observability.watchdog import (
    DEAD_AFTER,
    DOUBTFUL_AFTER,
    FaustPositions,
    Observation,
    PartitionPosition,
    StepWork,
    Watchdog,
    WatchdogState,
    observe,
    stall_reason,
)

A, B = ("keelwatch.scores", 0, "g"), ("keelwatch.scores", 1, "g")
EVERY = 2.0


def run(
    *seen: Observation, every: float = EVERY, watch: WatchdogState | None = None
) -> tuple[WatchdogState, list[str]]:
    watch = watch or WatchdogState()
    begin = 0.0 if watch.looked is None else watch.looked + every
    verdicts = []
    for i, one in enumerate(seen):
        watch, verdict = observe(watch, one, begin + i * every)
        verdicts.append(verdict)
    return watch, verdicts


def at(committed: int | None, end: int, pending: bool | None = None, **steps: StepWork) -> Observation:
    return Observation(
        {A: PartitionPosition(committed, end, end > (committed or 0) if pending is None else pending, steps)}
    )


def test_a_stream_that_stands_is_doubtful_within_60_s_and_dead_at_60_s() -> None:
    watch, verdicts = run(*[at(10, 50)] * 40)
    assert verdicts.index("doubtful") * EVERY == DOUBTFUL_AFTER < 60
    assert verdicts.index("dead") * EVERY == DEAD_AFTER == 60
    assert stall_reason(watch) == "keelwatch.scores[0] has lag and has stood at 10 for 78 s"


def test_a_stream_that_never_committed_is_seen_too() -> None:
    watch, verdicts = run(*[at(None, 3)] * 40)
    assert verdicts[-1] == "dead"
    assert "stood at the start" in str(stall_reason(watch))


def test_an_idle_worker_is_left_alone() -> None:
    assert set(run(*[at(50, 50)] * 200)[1]) == {"well"}


def test_the_marker_of_a_transaction_is_no_lag() -> None:
    watch, verdicts = run(*[at(50, 51, pending=False)] * 200)
    assert set(verdicts) == {"well"}
    assert watch.stalled == 0


def test_a_slow_worker_that_moves_is_left_alone() -> None:
    slow = [at(10 + second // 25, 10_000) for second in range(400)]
    assert set(run(*slow)[1]) == {"well"}


def test_a_step_that_waits_for_a_dependency_is_left_to_its_own_limit() -> None:
    assert set(run(*[at(10, 50, record=StepWork(busy=True, excused=True))] * 100)[1]) == {"well"}


def test_a_step_that_stands_is_seen_while_another_one_works() -> None:
    """Both have a batch in hand and their partitions stay where they are; one of them gets something done."""
    slow = {A: PartitionPosition(10, 50, True, {"detect": StepWork(busy=True)})}

    def look(second: int) -> Observation:
        score = StepWork(second, busy=True)
        return Observation({**slow, B: PartitionPosition(10, 50, True, {"score": score})})

    watch, verdicts = run(*map(look, range(31)))
    assert verdicts.index("dead") * EVERY == DEAD_AFTER
    assert "keelwatch.scores[0] of step detect has lag" in str(stall_reason(watch))


def test_a_step_that_stands_is_seen_while_another_one_works_through_the_same_partition() -> None:
    """What one step is done with is not committed before the other is."""
    seen = [at(10, 50, detect=StepWork(n, busy=True), record=StepWork(7, busy=True)) for n in range(40)]
    assert run(*seen)[1][-1] == "dead"
    idle = [at(10, 50, detect=StepWork(), record=StepWork(n, busy=True)) for n in range(200)]
    assert set(run(*idle)[1]) == {"well"}  # detect is done; record is slow
    waits = [at(10, 50, detect=StepWork(), record=StepWork(7, busy=True, excused=True))] * 200
    assert set(run(*waits)[1]) == {"well"}


def test_a_step_without_a_batch_that_waits_its_turn_behind_a_slow_one_is_left_alone_and_behind_a_stuck_one_is_not() -> (
    None
):
    slow = [at(10, 50, detect=StepWork(n, waits_turn=True)) for n in range(100)]
    assert set(run(*slow)[1]) == {"well"}
    assert run(*[at(10, 50, detect=StepWork(3, waits_turn=True))] * 40)[1][-1] == "dead"


def test_a_step_that_handles_and_never_commits_is_seen() -> None:
    """It has no batch in hand when it is looked at, and has done some more each time."""
    assert run(*[at(10, 50 + n, detect=StepWork(n)) for n in range(40)])[1][-1] == "dead"


def test_a_step_that_is_not_fed_for_another_one_is_left_alone() -> None:
    assert set(
        run(*[Observation({A: PartitionPosition(10, 50, True, {"record": StepWork()}, behind=True)})] * 200)[1]
    ) == {"well"}


def test_one_partition_that_two_groups_of_a_process_read_is_watched_for_both() -> None:
    other = ("keelwatch.scores", 0, "h")
    seen = [
        Observation({A: PartitionPosition(10, 50, True), other: PartitionPosition(10 + n, 5000, True)})
        for n in range(40)
    ]
    assert run(*seen)[1][-1] == "dead"


def test_one_standing_partition_among_moving_ones_is_seen() -> None:
    seen = [Observation({A: PartitionPosition(10, 50, True), B: PartitionPosition(i, 1000, True)}) for i in range(40)]
    assert run(*seen)[1][-1] == "dead"


def test_a_partition_that_was_given_away_is_forgotten() -> None:
    watch, _ = run(*[at(10, 50)] * 20)
    watch, _ = run(Observation({B: PartitionPosition(1, 1, False)}), watch=watch)
    watch, verdicts = run(*[at(10, 50)] * 20, watch=watch)
    assert set(verdicts) == {"well"}


def test_frequent_rebalances_do_not_hide_a_stream_that_stands() -> None:
    """Twenty seconds of standing, then a rebalance, again and again."""
    seen = ([at(10, 50)] * 10 + [Observation(joining=True)] * 3) * 4
    assert "dead" in run(*seen)[1]


def test_a_long_rebalance_alone_is_no_stall() -> None:
    seen = [at(10, 50), *[Observation(joining=True)] * 60, at(10, 50)]
    assert set(run(*seen)[1]) == {"well"}


def test_joining_for_ever_with_a_reachable_broker_ends_and_without_one_does_not() -> None:
    watch, verdicts = run(*[Observation(joining=True)] * 160)
    assert verdicts[100] == "well"
    assert verdicts[-1] == "dead"
    assert "joining the group" in str(stall_reason(watch))
    assert set(run(*[Observation(joining=True, reachable=False)] * 400)[1]) == {"well"}


def test_while_the_broker_is_away_nothing_counts_as_standing_and_no_consumer_is_asked() -> None:
    """A consumer without a broker may take longer to answer than the watchdog waits; a minute of that was its end."""
    positions = FaustPositions(lambda: [object()], reachable=lambda: False)
    away = asyncio.run(positions.read())
    assert away == Observation(joining=True, reachable=False)
    assert set(run(at(10, 50), *[away] * 60, at(10, 50))[1]) == {"well"}


def test_a_suspended_process_gets_time_to_move() -> None:
    watch, _ = observe(WatchdogState(), at(10, 50), 0.0)
    watch, verdict = observe(watch, at(10, 50), 3600.0)
    assert verdict == "well"
    assert observe(watch, at(20, 50), 3602.0)[0].stalled == 0


@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 9)), max_size=60))
def test_dead_means_sixty_seconds_without_a_move(steps: list[tuple[bool, float]]) -> None:
    """For any course: a stream is called dead exactly when it was seen to stand for 60 s."""
    watch, now, committed, stood = WatchdogState(), 0.0, 0, 0.0
    watch, _ = observe(watch, at(committed, 10_000), now)
    for moves, passed in steps:
        now += passed
        committed, stood = (committed + 1, 0.0) if moves else (committed, stood + passed)
        watch, verdict = observe(watch, at(committed, 10_000), now)
        assert watch.stalled == pytest.approx(stood)
        assert (verdict == "dead") == (watch.stalled >= DEAD_AFTER)


class DiedError(Exception):
    pass


def _die() -> NoReturn:
    raise DiedError


class Told:
    """Positions as a script."""

    def __init__(self, *seen: Observation | Exception) -> None:
        self.seen = list(seen)

    async def read(self) -> Observation:
        now = self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]
        if isinstance(now, Exception):
            raise now
        return now


def _watchdog(positions: Told, meters: StreamMeters, out: StringIO) -> Watchdog:
    ticks = iter(range(0, 10_000, 2))
    return Watchdog(positions, meters, open_log(out), die=_die, clock=lambda: float(next(ticks)))


def test_the_shell_shows_lag_logs_and_ends_the_process() -> None:
    meters, out = StreamMeters(), StringIO()
    dog = _watchdog(Told(at(10, 50)), meters, out)

    async def watch() -> None:
        while True:
            await dog.look()

    with pytest.raises(DiedError):
        asyncio.run(watch())
    assert 'keelwatch_lag{partition="0",topic="keelwatch.scores"} 40.0' in meters.exposition().decode()
    assert "keelwatch_stalled_seconds 60.0" in meters.exposition().decode()
    assert dog.reason() is not None
    assert "has lag and has stood at 10 for 60 s" in out.getvalue()


def test_positions_that_cannot_be_read_have_not_moved() -> None:
    dog = _watchdog(Told(at(10, 50), OSError("x")), StreamMeters(), StringIO())

    async def watch() -> None:
        for _ in range(100):
            await dog.look()

    with pytest.raises(DiedError):
        asyncio.run(watch())


def test_a_blocked_event_loop_ends_the_process_from_outside() -> None:
    ended = threading.Event()

    dog = Watchdog(Told(at(1, 1)), StreamMeters(), open_log(StringIO()), die=ended.set, every=0.002, hung_after=0.2)

    async def block() -> None:
        task = asyncio.create_task(dog.run())
        await asyncio.sleep(0)
        begin = time.monotonic()
        while not ended.is_set() and time.monotonic() - begin < 30:
            time.sleep(0.01)  # blocks the loop: this is the fault
        task.cancel()

    asyncio.run(block())
    assert ended.is_set()


def test_a_step_that_does_not_take_what_it_was_fed_stands_though_another_one_works() -> None:
    """Of one consumer: `exchanges` has a batch in hand, `changes` was given a record, `readings` waits for room."""
    topics = [TopicPartition(name, 0) for name in ("exchanges", "changes", "readings")]

    class Consumer:
        unacked = (SimpleNamespace(tp=topics[0]), SimpleNamespace(tp=topics[1]))

        def __init__(self) -> None:
            self._committed_offset: dict[object, int] = {}
            self._read_offset: dict[object, int] = {}

        def assignment(self) -> list[TopicPartition]:
            return topics

        def highwater(self, _: TopicPartition) -> int:
            return 9

        async def position(self, _: TopicPartition) -> int:
            return 5

    def behind(work: dict[str, dict[str, StepWork]]) -> dict[str, bool]:
        seen = asyncio.run(FaustPositions(lambda: [app], lambda group: work if group == "g" else {}).read()).partitions
        return {topic: one.behind for (topic, _, _), one in seen.items()}

    consumer = Consumer()
    app = SimpleNamespace(consumer=consumer, _consumer=consumer, rebalancing=False, consumer_generation_id=1)
    app.conf = SimpleNamespace(id="g")
    work = {
        "exchanges": {"score": StepWork(1, busy=True)},
        "changes": {"alert": StepWork(3)},
        "readings": {"x": StepWork()},
    }
    seen = asyncio.run(FaustPositions(lambda: [app], lambda group: work if group == "g" else {}).read()).partitions
    assert behind(work) == {"exchanges": False, "changes": False, "readings": True}
    work["exchanges"] = {"score": StepWork(1, excused=True)}
    assert behind(work)["readings"], "it waits for one that waits for its database, without a batch in hand"
    assert seen[("changes", 0, "g")].steps == {"alert": StepWork(3)}


def test_a_topic_whose_offsets_begin_anew_is_told_and_a_member_that_is_placed_is_not() -> None:
    """What is read next stands at the last read offset after a start, and behind it when the topic was made anew."""
    place = TopicPartition("keelwatch.scores", 0)

    class Consumer:
        unacked: tuple[object, ...] = ()
        stands, ends = 10, 10

        def __init__(self) -> None:
            self._committed_offset, self._read_offset = {place: 10}, {place: 10}

        def assignment(self) -> set[TopicPartition]:
            return {place}

        def highwater(self, _: TopicPartition) -> int:
            return self.ends

        async def position(self, _: TopicPartition) -> int:
            return self.stands

    consumer = Consumer()
    app = SimpleNamespace(consumer=consumer, _consumer=consumer, rebalancing=False, consumer_generation_id=1)
    app.conf = SimpleNamespace(id="g")
    positions = FaustPositions(lambda: [app])

    def fault() -> str | None:
        return asyncio.run(positions.read()).partitions[("keelwatch.scores", 0, "g")].fault

    assert [fault(), fault(), fault()] == [None] * 3  # nothing new since it was started
    consumer._read_offset, consumer.stands, consumer.ends = {place: 11}, 12, 12
    assert [fault(), fault()] == [None] * 2  # two were read
    consumer.stands = 10
    assert fault() is None  # for a moment, while it is placed
    consumer.stands = 12
    assert fault() is None
    consumer.stands = 4
    assert fault() is None
    assert "keelwatch topics adopt keelwatch.scores" in str(fault())
    consumer.stands = consumer.ends = 20
    assert "made anew" in str(fault())
    app.consumer_generation_id, consumer._read_offset = 2, {place: 20}
    assert fault() is None
