"""The steps as real worker processes on a real broker: the same alerts and incidents as replay, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from detectors import DETECTORS
from schemas.position import Position
from schemas.topics import EXCHANGES
from services.demo.bot import ROUTE, Script, traffic
from services.monitor import load
from services.ports import Received
from services.replay.report import report, to_text
from services.replay.runner import Replay, Tools
from services.score.core import Scorer
from services.score.embed.cached import CachedEmbedder
from services.score.embed.openvino import OpenVinoEmbedder
from tests.support import kafka as brokers
from tests.support.kafka import Cluster
from tests.support.streams import Seen, Worker, keyed, lag, make_topics, publish, remove_topics, running, seen, until

ALL = "score,detect,alert,record"
SCRIPT = Script(before=400, after=200, leak=0.03)
MONITOR = "defaults: {baseline: {size: 250, min_size: 100}}\n"


@pytest.fixture(scope="module")
def stage() -> Iterator[Cluster]:
    """A broker of this module's own: the steps' topics have fixed names."""
    with brokers.apache_kafka() as server:
        if server is None:
            pytest.skip(brokers.ABSENT)
        yield brokers.cluster_of(server.bootstrap, server)


@pytest.fixture
def broker(stage):
    """Its topics, new for each test."""
    make_topics(stage.broker)
    yield stage.broker
    remove_topics(stage.broker)


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
    scorer = Scorer(CachedEmbedder(OpenVinoEmbedder(threads=1)), policy)
    replay = Replay(Tools(scorer.score, DETECTORS, policy))
    for offset, exchange in enumerate(exchanges):
        place = Position(cluster="file", topic="f", partition=0, offset=offset)
        replay.feed(Received(exchange, place))
    found = report(replay.finish(), policy)
    return Seen(found["alerts"], found["incidents"], len(exchanges))


def text(found: Seen) -> str:
    """All that people see, in the form in which replay prints it: numbers of 6 digits."""
    return to_text({"alerts": found.alerts, "incidents": found.incidents, "exchanges": found.exchanges})


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
