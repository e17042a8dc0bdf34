"""`keelwatch-client[kafka]`: exchanges go straight to a broker, keyed by route, and wait while there is none."""

from __future__ import annotations

import json
import socket

from keelwatch_client import KafkaTransport, Publisher
from tests.support.kafka import Cluster
from tests.support.streams import read_all

EXCHANGE = {"model": {"requested": "gpt-4"}, "prompt": "Where is my parcel?", "response": "On its way."}


def test_exchanges_are_on_the_topic_under_their_route(embedded_broker: Cluster) -> None:
    topic = embedded_broker.topic("client")
    with Publisher(route="a/b", transport=lambda: KafkaTransport(embedded_broker.bootstrap, topic)) as publisher:
        for i in range(50):
            publisher.publish({**EXCHANGE, "route": f"a/{i % 2}", "prompt": str(i)})
        assert publisher.flush(60)
        assert (publisher.stats().delivered, publisher.stats().dropped) == (50, {})
    found = read_all(embedded_broker.broker, topic)
    exchanges = [json.loads(one.value) for one in found]
    assert sorted(int(one["prompt"]) for one in exchanges) == list(range(50))
    assert {(one.key.decode(), json.loads(one.value)["route"]) for one in found} == {("a/0", "a/0"), ("a/1", "a/1")}


def test_without_a_broker_exchanges_wait_and_closing_is_bounded() -> None:
    with socket.socket() as held:  # nobody else may listen there meanwhile
        held.bind(("127.0.0.1", 0))
        bootstrap = f"127.0.0.1:{held.getsockname()[1]}"
        publisher = Publisher(route="a/b", transport=lambda: KafkaTransport(bootstrap), linger_seconds=0)
        publisher.publish(EXCHANGE)
        assert not publisher.flush(0.5)
        assert publisher.stats().buffered == 1
        assert not publisher.close(0.5)
        assert publisher.stats().dropped == {"unsent": 1}
