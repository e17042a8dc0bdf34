"""The two kinds of broker that commands must work on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.stream.broker import Broker
from tests.support import kafka as brokers
from tests.support.kafka import Cluster
from tests.support.streams import make_topics, remove_topics


@pytest.fixture(params=["kafka", "embedded_broker"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The shared cluster, then the embedded broker."""
    found: Cluster = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def stage() -> Iterator[Cluster]:
    """An Apache Kafka of the module's own: the steps' topics have fixed names."""
    with brokers.apache_kafka() as server:
        if server is None:
            pytest.skip(brokers.ABSENT)
        yield brokers.cluster_of(server.bootstrap, server)


@pytest.fixture
def broker(stage: Cluster) -> Iterator[Broker]:
    """Its topics, new for each test."""
    make_topics(stage.broker)
    yield stage.broker
    remove_topics(stage.broker)
