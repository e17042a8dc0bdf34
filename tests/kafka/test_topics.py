"""Topics are made as they must be, never silently different, and accepted anew when a person says so."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest
from aiokafka.admin import NewTopic

from schemas.topics import EXCHANGES, Topic
from services.stream.clients import admin
from services.stream.topics import TopicStatus, all_topics, create, describe, wanted
from tests.support.kafka import Cluster, embedded


def fresh(n: int = 3) -> list[Topic]:
    return [replace(EXCHANGES, name=f"{uuid.uuid4().hex}.{i}", partitions=i + 1) for i in range(n)]


def make(cluster: Cluster, topic: NewTopic) -> None:
    async def work() -> None:
        async with admin(cluster.broker) as client:
            [(_, code, message)] = (await client.create_topics([topic])).topic_errors
            assert code == 0, message

    asyncio.run(work())


def test_missing_topics_are_made_once_and_as_they_must_be(cluster: Cluster) -> None:
    topics = fresh()
    assert [found.deviations for found in asyncio.run(describe(cluster.broker, topics))] == [("does not exist",)] * 3

    made, found = asyncio.run(create(cluster.broker, topics))
    assert (made, found) == (tuple(topic.name for topic in topics), asyncio.run(describe(cluster.broker, topics)))
    assert [one.partitions for one in found] == [1, 2, 3]
    assert [one.deviations for one in found] == [()] * 3

    made, again = asyncio.run(create(cluster.broker, topics))
    assert (made, again) == ((), found)


def test_a_topic_that_is_different_is_left_alone_and_every_deviation_is_named(cluster: Cluster) -> None:
    right, wrong = fresh(2)
    configs = {"retention.ms": "3600000", "max.message.bytes": "1048576", "cleanup.policy": "compact"}
    make(cluster, NewTopic(wrong.name, 5, 1, topic_configs=configs))

    made, (first, second) = asyncio.run(create(cluster.broker, [right, wrong]))
    assert made == (right.name,)
    assert first.deviations == ()
    assert second.deviations == (
        "partitions: 5 instead of 2",
        "retention.ms: 3600000 instead of 604800000",
        "max.message.bytes: 1048576 instead of 4194304",
        "cleanup.policy: compact instead of delete",
    )


def test_a_setting_that_nobody_made_is_a_deviation() -> None:
    configs = {name: value for name, value in wanted(EXCHANGES).items() if name != "retention.ms"}
    found = TopicStatus(EXCHANGES, EXCHANGES.partitions, tuple(configs.items()))
    assert found.deviations == ("retention.ms: not set instead of 604800000",)


def test_dead_topics_are_among_all_topics_and_keep_their_one_partition() -> None:
    sizes = {topic.name: topic.partitions for topic in all_topics(4)}
    assert sizes["keelwatch.exchanges"] == 4
    assert sizes["keelwatch.exchanges.score.dead"] == 1
    assert len(sizes) == len(all_topics())


@pytest.mark.kafka
def test_check_exits_1_for_what_create_would_have_to_make(keelwatch) -> None:
    with embedded() as server:
        where = ("--bootstrap", server.bootstrap)
        code, said, _ = keelwatch("topics", "check", *where)
        assert (code, said.count("does not exist")) == (1, len(all_topics()))
        assert keelwatch("topics", "create", *where, "--partitions", 4)[:2] == (0, "24 topics made, 0 were there\n")
        assert keelwatch("topics", "create", *where, "--partitions", 4)[:2] == (0, "0 topics made, 24 were there\n")
        assert keelwatch("topics", "check", *where, "--partitions", 4)[0] == 0
        code, said, _ = keelwatch("topics", "create", *where)
        assert (code, said.count("partitions: 4 instead of 6")) == (1, 8)
        code, said, _ = keelwatch("topics", "show", *where)
        assert code == 0
        assert "keelwatch.exchanges.score.dead" in said
    code, _, said = keelwatch("topics", "check", *where)
    assert (code, len(said.splitlines())) == (1, 1)
    assert "keelwatch doctor" in said
