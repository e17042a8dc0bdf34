"""The topics are data: one producer each, no cycle, nothing without a reader."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from typing import get_args

import pytest

from schemas.topics import PUBLISHERS, SCORES, TOPICS, Step, dead_topics
from tests.support.contract import RECORDS

STEPS = set(get_args(Step))


def test_the_flow_has_no_cycle() -> None:
    flow: dict[str, set[str]] = {}
    for topic in TOPICS:
        for consumer in topic.consumers:
            flow.setdefault(consumer, set()).add(topic.producer)
    order = list(TopologicalSorter(flow).static_order())
    assert order[-1] == "record"  # raises CycleError when there is one
    assert order.index("score") < order.index("detect") < order.index("alert")


def test_every_topic_has_one_producer_and_a_consumer_that_are_steps() -> None:
    names = [topic.name for topic in TOPICS]
    assert len(names) == len(set(names))
    for topic in TOPICS:
        assert topic.producer in STEPS | {PUBLISHERS}
        assert topic.consumers
        assert set(topic.consumers) <= STEPS
        assert topic.producer not in topic.consumers
    assert {step for topic in TOPICS for step in (topic.producer, *topic.consumers)} == STEPS | {PUBLISHERS}


def test_every_record_travels_on_exactly_one_topic() -> None:
    """But for what lives in the database alone, incidents and samples, which travel in blocks; and dead letters."""
    travels = [record for topic in TOPICS for record in topic.records]
    assert sorted(travels) == sorted(set(RECORDS) - {"incident", "sample", "dead_letter"})


def test_every_consumer_has_its_dead_topic_and_dead_topics_have_none() -> None:
    dead = {topic.name: topic for topic in dead_topics()}
    assert set(dead) == {f"{topic.name}.{step}.dead" for topic in TOPICS for step in topic.consumers}
    for name, topic in dead.items():
        assert re.fullmatch(r"keelwatch\.[a-z]+\.[a-z]+\.dead", name)
        assert topic.records == ("dead_letter",)
        assert topic.consumers == ("record",)
        assert name.split(".")[2] == topic.producer
    with pytest.raises(ValueError, match="does not consume"):
        SCORES.dead("alert")


def test_all_but_exchanges_are_keyed_by_route_and_within_kafkas_limits() -> None:
    for topic in (*TOPICS, *dead_topics()):
        assert re.fullmatch(r"[a-z._]{1,249}", topic.name)
        assert topic.key == ("none" if topic.name.endswith(".dead") else "route")
        assert topic.partitions > 0
        assert topic.retention_hours > 0
        assert topic.max_message_bytes >= 1024 * 1024
