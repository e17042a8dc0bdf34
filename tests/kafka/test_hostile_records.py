"""Records of real producers in every codec, and hostile ones among good neighbours, on a topic that others made."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.topics import EXCHANGES
from services.stream import topics, unpacking
from services.stream.broker import Broker, options
from services.stream.clients import ReadUntil, consumer, from_start, read_records
from services.stream.fetch_bounds import BATCH_BYTES
from services.stream.messages import ORIGIN_HEADER
from tests.support.brokers import Kafka
from tests.support.fleet import Fleet
from tests.support.forged import CODECS, Forged, send_forged
from tests.support.kafka import Cluster
from tests.support.oracle import seen_ids

ROWS = 20
MICROSECONDS = 1_795_930_447_209_000
DEAD = f"{EXCHANGES.name}.score.dead"
PLACE = b'{"cluster":%s,"topic":"t","partition":%d,"offset":%d}'
XERIAL = b"\x82SNAPPY\0"


def exchange(name: str, **more: object) -> bytes:
    fields = {"id": name, "route": "field/kafka", "model": {"requested": "m"}, "prompt": f"Where is {name}?"}
    return json.dumps({**fields, "response": "It left this morning.", **more}).encode()


def origin(value: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return ((ORIGIN_HEADER.encode(), value),)


STAMPS = {"1970": 0, "seconds": 1_795_930_447, "microseconds": MICROSECONDS, "negative": -5, "last": 2**63 - 1}
ORIGINS = {
    "offset": PLACE % (b'"c"', 0, 2**70),
    "partition": PLACE % (b'"c"', 2**40, 1),
    "cluster": PLACE % (b'"%s"' % (b"c" * 10_000), 0, 1),
    "surrogate": PLACE % (b'"\\ud800"', 0, 1),
}
NOW = 1_795_930_447_209
HOSTILE = [
    *[Forged(exchange(f"stamp-{name}"), timestamp=stamp) for name, stamp in STAMPS.items()],
    *[Forged(exchange(f"origin-{name}"), None, NOW, origin(value)) for name, value in ORIGINS.items()],
    Forged(b"\xff\xfe", b"\xff", NOW, [(b"\xff\xfe", b"\xff")]),
    Forged(None, None, NOW),
]
"""Each becomes one dead letter."""
HARMLESS = [
    Forged(exchange("origin-nul"), None, NOW, origin(PLACE % (b'"a\\u0000b"', 0, 1))),
    Forged(exchange("key-of-header"), b"\xff\xfe", NOW, [(b"\xff\xfe", b"v"), (b"", None)]),
    Forged(exchange("own-time", ts="2026-11-29T06:00:00Z"), None, MICROSECONDS),
]
"""Strange, and good exchanges all the same."""


BOMB = Forged(bytes(BATCH_BYTES), None, NOW)
"""With its own few bytes beyond what a batch may unpack to; some KB on the topic, or with snappy 800."""

BOMBS = len(CODECS) - 1


def neighbours() -> list[Forged]:
    """Every hostile record between two good ones, in one batch."""
    batch = [Forged(exchange("good-0"), None, NOW)]
    for i, one in enumerate([*HOSTILE, *HARMLESS]):
        batch += [one, Forged(exchange(f"good-{i + 1}"), None, NOW)]
    return batch


@dataclass
class Outcome:
    """What became of all records of the topic."""

    broker: Broker
    seen: dict[str, int]
    codecs: dict[str, int]
    restarts: list[str]
    xerial: bool
    url: str


@pytest.fixture(scope="module")
def outcome(stage: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """One worker for the module: a topic whose time is the producers', all records on it, settled."""
    folder, broker = tmp_path_factory.mktemp("hostile"), stage.broker
    asyncio.run(_make_topics(broker))
    with ThreadPoolExecutor(len(CODECS)) as pool:
        list(pool.map(lambda codec: console_producer(stage.server, codec), CODECS))
    asyncio.run(send_forged(broker, EXCHANGES.name, 1, neighbours()))
    for codec in range(1, len(CODECS)):
        asyncio.run(send_forged(broker, EXCHANGES.name, 1, [BOMB], codec))
    with batches_seen() as batches:
        asyncio.run(read(broker))
    codecs = Counter(CODECS[codec] for codec, _ in batches)
    snappy = [raw[61:69] == XERIAL for codec, raw in batches if CODECS[codec] == "snappy"]
    url = f"sqlite:///{folder / 'keelwatch.db'}"
    with Fleet(folder, broker, url, only="score,record") as fleet:
        fleet.join("worker")
        fleet.until(lambda: fleet.shared(1) and fleet.settled(), "every record has its end", 60)
        fleet.until(lambda: len(seen_ids(url)) >= 5 * ROWS + len(HARMLESS), "they are recorded", 30)
        restarts = list(fleet.restarts)
        fleet.leave("worker")
    return Outcome(broker, seen_ids(url), codecs, restarts, snappy == [True, True], url)


async def _make_topics(broker: Broker) -> None:
    """Exchanges on a topic as others make it, whose brokers accept any time; the rest as ours are."""
    admin = AIOKafkaAdminClient(**options(broker).admin)
    await admin.start()
    theirs = {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": str(2**63 - 1)}
    await admin.create_topics([NewTopic(EXCHANGES.name, 2, 1, topic_configs=theirs)])
    await admin.close()
    await topics.create(broker, topics.all_topics(2))


def console_producer(server: Kafka, codec: str) -> None:
    """One batch of Kafka's own producer in Java."""
    command = server._java("-Xmx64m", "org.apache.kafka.tools.ConsoleProducer", "--topic", EXCHANGES.name)
    given = ["--bootstrap-server", server.bootstrap, "--compression-codec", codec, "--batch-size", "65536"]
    lines = b"".join(exchange(f"{codec}-{i}") + b"\n" for i in range(ROWS))
    done = subprocess.run([*command, *given], input=lines, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def batches_seen() -> Iterator[list[tuple[int, bytes]]]:
    """The codec and the bytes of every batch that consumers of this process unpack."""
    seen: list[tuple[int, bytes]] = []

    class Spied(unpacking.RecordBatches):
        def next_batch(self):
            batch = super().next_batch()
            seen.append((batch.compression_type, batch._raw[batch._place]))
            return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unpacking, "RecordBatches", Spied)
        yield seen
    unpacking.install()


async def read(broker: Broker) -> int:
    async with consumer(broker) as client:
        places = [TopicPartition(EXCHANGES.name, i) for i in range(2)]
        await from_start(client, places)
        return sum(
            [len(batch) async for batch in read_records(client, ReadUntil(ends=await client.end_offsets(places)))]
        )


def test_every_codec_of_a_java_producer_is_scored(outcome: Outcome) -> None:
    assert {codec: outcome.codecs[codec] for codec in CODECS[1:]} == dict.fromkeys(CODECS[1:], 2)  # and a bomb
    assert outcome.codecs["none"] >= 2
    assert outcome.xerial, "snappy as Java frames it"
    scored = Counter(name.rsplit("-", 1)[0] for name in outcome.seen)
    assert {codec: scored[codec] for codec in CODECS} == dict.fromkeys(CODECS, ROWS)


def test_hostile_records_are_dead_letters_and_their_neighbours_scored(
    outcome: Outcome, keelwatch, tmp_path: Path
) -> None:
    assert outcome.restarts == []
    assert set(outcome.seen.values()) == {1}
    others = {name for name in outcome.seen if name.rsplit("-", 1)[0] not in CODECS}
    wanted = {json.loads(one.value)["id"] for one in neighbours() if one not in HOSTILE}
    assert others == wanted
    where = ("--bootstrap", outcome.broker.bootstrap, "--database", outcome.url)
    code, said, _ = keelwatch("dead", "list", *where, "--json", "-", "--show-content")
    letters = json.loads(said)
    bombs = [one for one in letters if "would unpack to more than" in one["reason"]]
    assert len(bombs) == BOMBS
    assert all(one["length"] < BATCH_BYTES // 8 for one in bombs)
    letters = [one for one in letters if one not in bombs]
    assert (code, len(letters)) == (0, len(HOSTILE))
    assert all(one["step"] == "score" and one["source"] for one in letters)
    assert [one["content"] for one in letters] == [(one.value or b"").decode(errors="replace") for one in HOSTILE]
    reasons = Counter(one["reason"].split(":")[0] for one in letters)
    assert reasons == {"ts": len(STAMPS), f"header {ORIGIN_HEADER}": len(ORIGINS), "record": 2}


def test_capture_and_replay_outlive_them(outcome: Outcome, keelwatch, tmp_path: Path) -> None:
    where = ("--bootstrap", outcome.broker.bootstrap, "--topic")
    captured = ("--from-beginning", "--until-idle", 1, "--out", tmp_path / "out")
    assert keelwatch("capture", *where, EXCHANGES.name, *captured)[0] == 0
    lines = (tmp_path / "out").read_text().splitlines()
    assert len(lines) == len(CODECS) * ROWS + len(neighbours()) + BOMBS
    for sent in (len(HOSTILE) + BOMBS - 1, 0):  # the bomb of snappy is too long to be kept whole
        code, said, _ = keelwatch("dead", "replay", *where, DEAD, "--database", outcome.url)
        assert (code, said.splitlines()[0]) == (0, f"{sent} dead letters sent again")
