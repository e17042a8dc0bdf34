"""Dead letters are shown without their content, and sent again once, as what they were."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from schemas.dead_letter import KEPT_BYTES, DeadLetter
from schemas.position import Position
from schemas.topics import Topic
from services.store.engine import open_database
from services.stream import dead_letters
from services.stream.letter_keys import ensure
from services.stream.letter_seal import sealed
from services.stream.producer import Producer
from services.stream.topics import create
from services.wording import dead_letters as words
from tests.support.kafka import Cluster

SEEN = datetime(2026, 11, 24, 18, 0, 0, 250_000, tzinfo=UTC)
SECRET = "my number is 555-0199"


def topics(cluster: Cluster) -> tuple[str, str]:
    """A topic and the one of its dead letters, both new."""
    name = f"exchanges.{uuid.uuid4().hex[:12]}"
    made = (Topic(name, ("exchange",), "publishers", ("score",), partitions=3),)
    made += (Topic(f"{name}.score.dead", ("dead_letter",), "score", ("record",), partitions=1),)
    asyncio.run(create(cluster.broker, made))
    return name, f"{name}.score.dead"


def exchange(i: int) -> bytes:
    fields = {"route": f"r{i % 2}", "prompt": f"{SECRET} {i}", "response": "yes", "model": {"requested": "m"}}
    return json.dumps(fields).encode()


def letter(topic: str, i: int, raw: bytes | None = None) -> DeadLetter:
    at = Position(cluster="old", topic=topic, partition=i % 3, offset=i)
    made = DeadLetter.of(exchange(i) if raw is None else raw, "score", "prompt: must be text", at)
    return made.model_copy(update={"first_seen": SEEN})


def bury(cluster: Cluster, topic: str, records: list[bytes]) -> None:
    async def work() -> None:
        producer = Producer(cluster.broker)
        await producer.start()
        await asyncio.gather(*[producer.send(topic, None, record) for record in records])
        await producer.stop()

    asyncio.run(work())


def captured(keelwatch, cluster: Cluster, topic: str, folder: Path) -> list[dict]:
    where = ("--bootstrap", cluster.bootstrap, "--topic", topic, "--out", folder / "out")
    assert keelwatch("capture", *where, "--from-beginning", "--until-idle", 1)[0] == 0
    return [json.loads(line) for line in (folder / "out").read_text().splitlines()]


def test_letters_are_listed_without_their_content(keelwatch, cluster: Cluster, tmp_path: Path) -> None:
    topic, graves = topics(cluster)
    bury(cluster, graves, [letter(topic, i).encode() for i in range(5)])
    where = ("dead", "list", "--bootstrap", cluster.bootstrap, "--topic", graves)

    code, said, _ = keelwatch(*where, "--json", tmp_path / "found.json")
    assert code == 0
    found = (tmp_path / "found.json").read_text()
    assert "555" not in said + found
    assert [row["source"] for row in json.loads(found)] == [["old", topic, i % 3, i] for i in range(5)]
    assert {row["reason"] for row in json.loads(found)} == {"prompt: must be text"}

    code, said, _ = keelwatch(*where, "--show-content", "--json", "-")
    assert [row["content"] for row in json.loads(said)] == [exchange(i).decode() for i in range(5)]


def test_a_topic_without_letters_has_none_and_one_that_is_missing_too(keelwatch, cluster: Cluster) -> None:
    _, graves = topics(cluster)
    for topic in (graves, "no-such-topic"):
        code, said, _ = keelwatch("dead", "list", "--bootstrap", cluster.bootstrap, "--topic", topic)
        assert (code, said) == (0, "no dead letter\n")


def test_letters_are_sent_again_once_under_their_first_place_and_time(keelwatch, cluster: Cluster, tmp_path) -> None:
    topic, graves = topics(cluster)
    bury(cluster, graves, [letter(topic, i).encode() for i in (*range(20), 3, 4)])
    again = ("dead", "replay", "--bootstrap", cluster.bootstrap, "--topic", graves)
    assert keelwatch(*again)[:2] == (0, "20 dead letters sent again\n")
    assert keelwatch(*again)[:2] == (0, "0 dead letters sent again\n")

    found = captured(keelwatch, cluster, topic, tmp_path)
    assert sorted(one["id"] for one in found) == sorted(f"k:old/{topic}/{i % 3}/{i}" for i in range(20))
    assert {one["ts"] for one in found} == {"2026-11-24T18:00:00.250000Z"}
    for route in range(2):
        assert [one["prompt"] for one in found if one["route"] == f"r{route}"] == [
            f"{SECRET} {i}" for i in range(route, 20, 2)
        ]

    bury(cluster, graves, [letter(topic, 20).encode()])
    assert keelwatch(*again)[:2] == (0, "1 dead letter sent again\n")
    assert len(captured(keelwatch, cluster, topic, tmp_path)) == 21


def test_what_cannot_be_sent_again_is_said_and_stops_nothing(keelwatch, cluster: Cluster) -> None:
    topic, graves = topics(cluster)
    big = letter(topic, 1, exchange(1) + b" " * KEPT_BYTES)
    bury(cluster, graves, [b"no letter", big.encode(), letter(topic, 2).encode()])
    again = ("dead", "replay", "--bootstrap", cluster.bootstrap, "--topic", graves)
    code, said, _ = keelwatch(*again)
    assert (code, said.splitlines()) == (
        0,
        ["1 dead letter sent again", f"1 left: {dead_letters.TOO_LONG}", f"1 left: {dead_letters.NO_LETTER}"],
    )
    assert keelwatch(*again)[:2] == (0, "0 dead letters sent again\n")


def test_a_letter_that_the_broker_does_not_take_is_sent_by_the_next_run(keelwatch, cluster: Cluster) -> None:
    topic, _ = topics(cluster)
    orphan = f"{uuid.uuid4().hex}.score.dead"
    asyncio.run(create(cluster.broker, [Topic(orphan, ("dead_letter",), "score", ("record",), partitions=1)]))
    bury(cluster, orphan, [letter(topic, 1).encode()])
    again = ("dead", "replay", "--bootstrap", cluster.bootstrap, "--topic", orphan)
    if cluster.broker.kind == "kafka":  # the embedded broker makes a topic that is missing
        code, said, error = keelwatch(*again)
        assert (code, said, len(error.splitlines())) == (1, "", 2), error
        made = Topic(orphan.removesuffix(".score.dead"), ("exchange",), "publishers", ("score",), partitions=1)
        asyncio.run(create(cluster.broker, [made]))
    assert keelwatch(*again)[:2] == (0, "1 dead letter sent again\n")


def test_what_fails_again_is_left_and_said(keelwatch, cluster: Cluster) -> None:
    topic, graves = topics(cluster)
    bury(cluster, graves, [letter(topic, i).encode() for i in range(3)])
    again = ("dead", "replay", "--bootstrap", cluster.bootstrap, "--topic", graves)
    assert keelwatch(*again)[:2] == (0, "3 dead letters sent again\n")
    bury(cluster, graves, [letter(topic, i).encode() for i in range(2)])
    said = f"0 dead letters sent again\n2 left: {dead_letters.FAILED_AGAIN}\n"
    assert keelwatch(*again)[:2] == (0, said)
    assert keelwatch(*again)[:2] == (0, "0 dead letters sent again\n")


def test_sealed_letters_are_read_and_sent_again_with_the_database_alone(
    keelwatch, cluster: Cluster, tmp_path: Path
) -> None:
    topic, graves = topics(cluster)
    url, day = f"sqlite:///{tmp_path / 'keys.db'}", datetime.now(UTC).date()
    with closing(open_database(url)) as database:
        key = ensure(database, [day], SEEN)[day]
    bury(cluster, graves, [sealed(letter(topic, i), key).encode() for i in range(4)])
    bury(cluster, graves, [letter(topic, 4).encode(), sealed(letter(topic, 5), None).encode()])
    where = ("--bootstrap", cluster.bootstrap, "--topic", graves)

    code, said, _ = keelwatch("dead", "list", *where, "--show-content", "--json", "-")
    found = json.loads(said)
    assert (code, [row["content"] for row in found]) == (0, [None] * 4 + [exchange(4).decode(), None])
    assert [row.get("no_content") for row in found] == [words.UNOPENED] * 4 + [None, words.NO_KEY]
    code, said, _ = keelwatch("dead", "list", *where, "--show-content", "--database", url, "--json", "-")
    assert [row["content"] for row in json.loads(said)] == [exchange(i).decode() for i in range(5)] + [None]

    code, said, error = keelwatch("dead", "replay", *where)
    assert (code, said, words.UNOPENED in error) == (2, "", True)
    named = (*where, "--database", url)
    assert keelwatch("dead", "replay", *named)[:2] == (0, f"5 dead letters sent again\n1 left: {words.NO_KEY}\n")
    found = captured(keelwatch, cluster, topic, tmp_path)
    assert sorted(one["id"] for one in found) == sorted(f"k:old/{topic}/{i % 3}/{i}" for i in range(5))

    bury(cluster, graves, [sealed(letter(topic, 6), key).encode()])
    assert keelwatch("erase", "--user", "somebody", "--database", url)[0] == 0
    assert keelwatch("dead", "replay", *named)[:2] == (0, f"0 dead letters sent again\n1 left: {words.FORGOTTEN}\n")
    code, said, _ = keelwatch("dead", "list", *where, "--show-content", "--database", url, "--json", "-")
    assert [row["content"] for row in json.loads(said)] == [None] * 4 + [exchange(4).decode(), None, None]
