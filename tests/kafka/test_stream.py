"""The steps as real worker processes on a real broker: the same alerts and incidents as replay, whatever happens."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from schemas.topics import EXCHANGES, TOPICS, dead_topics
from services.demo.support_bot import ROUTE, Script, traffic
from services.monitor import load
from tests.support import kafka as brokers
from tests.support.oracle import replayed, scorer_of, seen_dead, text
from tests.support.streams import (
    STEPS,
    Seen,
    Worker,
    keyed,
    lag,
    make_topics,
    publish,
    running,
    seen,
    until,
)

ALL = ",".join(STEPS)
SCRIPT = Script(before=400, after=200, leak=0.03)
MONITOR = "defaults: {baseline: {size: 250, min_size: 100}}\n"


@pytest.fixture(scope="module")
def exchanges():
    return list(traffic(SCRIPT, seed=3))


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("monitor") / "keelwatch.yaml"
    path.write_text(MONITOR)
    return path


@pytest.fixture(scope="module")
def expected(exchanges, config) -> Seen:
    """What replay says of the same exchanges."""
    policy = load(config).policy
    return replayed(scorer_of(policy), policy, exchanges)[ROUTE]


def worker(tmp_path, broker, config, only=ALL, **more) -> Worker:
    return Worker(tmp_path, broker, only, f"sqlite:///{tmp_path / 'keelwatch.db'}", config, **more)


def recorded(one: Worker, n: int) -> bool:
    assert one.process is not None
    assert one.process.poll() is None, one.log.read_text()[-3000:]
    return Path(one.database.removeprefix("sqlite:///")).exists() and seen(one.database, ROUTE).exchanges >= n


def settled(broker) -> bool:
    return lag(broker, ALL.split(",")) == 0


def test_worker_processes_say_what_replay_says(broker, tmp_path, exchanges, config, expected):
    publish(broker, EXCHANGES.name, keyed(exchanges))
    with running(worker(tmp_path, broker, config)) as one:
        until(lambda: recorded(one, len(exchanges)), "every exchange is recorded")
        until(lambda: settled(broker), "every group has committed everything")
        assert one.stop() == 0
    assert text(seen(one.database, ROUTE)) == text(expected)


def test_killed_in_the_middle_nothing_is_lost_counted_twice_or_invented(broker, tmp_path, exchanges, config, expected):
    publish(broker, EXCHANGES.name, keyed(exchanges[:300]))
    one = worker(tmp_path, broker, config)
    with running(one):
        until(lambda: recorded(one, 100), "some exchanges are recorded")
        one.kill()
        one.start()
        until(lambda: recorded(one, 250), "more exchanges are recorded")
        publish(broker, EXCHANGES.name, keyed(exchanges[300:]))
        until(lambda: recorded(one, 420), "exchanges after the change are recorded")
        one.kill()
        one.start()
        until(lambda: recorded(one, len(exchanges)), "every exchange is recorded")
        until(lambda: settled(broker), "every group has committed everything")
        assert one.stop() == 0
    assert text(seen(one.database, ROUTE)) == text(expected)


def test_poison_on_every_topic_is_dead_lettered_and_its_neighbours_are_not_touched(
    broker, tmp_path, exchanges, config, expected
):
    """Also a dead letter that is none; nothing restarts, and the incidents are those of the clean stream."""
    bad = [b"{not json", b"\xff\xfe\x00", b'{"x":"y"}', b"[1,2]", b"null", b"{}"]
    good = keyed(exchanges)
    mixed = [
        pair for i, one in enumerate(good) for pair in ([one, (one[0], bad[i // 10 % 6])] if i % 10 == 0 else [one])
    ]
    publish(broker, EXCHANGES.name, mixed)
    inner = [topic for topic in TOPICS if topic is not EXCHANGES]
    for topic in (*inner, *dead_topics()):
        publish(broker, topic.name, [(b"k", raw) for raw in bad])
    with running(worker(tmp_path, broker, config)) as one:
        until(lambda: recorded(one, len(exchanges)), "every exchange is recorded")
        until(lambda: settled(broker), "every group has committed everything")
        assert one.stop() == 0
    assert text(seen(one.database, ROUTE)) == text(expected)
    assert seen_dead(one.database) == {
        ("score", EXCHANGES.name): len(mixed) - len(good),
        **{(step, topic.name): len(bad) for topic in inner for step in topic.consumers},
        **{("record", topic.name): len(bad) for topic in dead_topics()},
    }


def test_a_broker_that_is_away_at_the_start_and_in_the_middle_is_waited_for(
    broker, stage, tmp_path, exchanges, config, expected
):
    """Nothing exits, nothing is lost, and no good exchange becomes a dead letter."""
    publish(broker, EXCHANGES.name, keyed(exchanges[:300]))
    stage.server.kill()
    with running(worker(tmp_path, broker, config)) as one:
        until(lambda: b"waits for the broker" in one.log.read_bytes(), "the worker waits")
        stage.server.start()
        until(lambda: recorded(one, 60), "some exchanges are recorded")
        stage.server.kill()
        stage.server.start()
        publish(broker, EXCHANGES.name, keyed(exchanges[300:]))
        until(lambda: recorded(one, len(exchanges)), "every exchange is recorded")
        until(lambda: settled(broker), "every group has committed everything")
        assert one.stop() == 0
    assert text(seen(one.database, ROUTE)) == text(expected)
    assert seen_dead(one.database) == {}


@pytest.mark.kafka
def test_all_steps_in_one_group_on_the_embedded_broker_say_the_same(tmp_path, exchanges, config, expected):
    with brokers.embedded() as server:
        broker = brokers.cluster_of(server.bootstrap, server).broker
        make_topics(broker)
        publish(broker, EXCHANGES.name, keyed(exchanges))
        with running(worker(tmp_path, broker, config, options=("--together", "test"))) as one:
            until(lambda: recorded(one, len(exchanges)), "every exchange is recorded")
            until(lambda: text(seen(one.database, ROUTE)) == text(expected), "the incidents are those of replay")
            assert one.stop() == 0
    assert text(seen(one.database, ROUTE)) == text(expected)


def test_steps_in_processes_of_their_own_share_a_postgresql(broker, tmp_path, exchanges, config, expected, postgres):
    url = postgres.fresh()
    publish(broker, EXCHANGES.name, keyed(exchanges))
    with ExitStack() as stack:
        workers = []
        for step in ALL.split(","):
            (folder := tmp_path / step).mkdir()
            workers.append(stack.enter_context(running(Worker(folder, broker, step, url, config))))
        until(lambda: seen(url, ROUTE).exchanges >= len(exchanges), "every exchange is recorded")
        until(lambda: settled(broker), "every group has committed everything")
        assert [one.stop() for one in workers] == [0] * len(workers)
    assert text(seen(url, ROUTE)) == text(expected)


def test_a_second_worker_on_sqlite_is_refused_in_one_sentence(broker, tmp_path, config):
    first = worker(tmp_path, broker, config, only="detect")
    with running(first):
        until((tmp_path / "keelwatch.db").exists, "the first worker has its database")
        second = worker(tmp_path, broker, config, only="alert")
        second.start()
        assert second.wait() == 2
    assert "SQLite has one writer" in second.log.read_text()


def test_a_worker_without_its_topics_says_so(stage, tmp_path, config):
    one = worker(tmp_path, stage.broker, config, only="detect")
    one.start()
    assert one.wait() == 2
    assert "run `keelwatch topics create`" in one.log.read_text()
