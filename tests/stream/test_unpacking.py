"""Whatever a batch holds, it is unpacked: good neighbours whole and in order, what is malformed as raw bytes."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest
from aiokafka import codec
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import UnsupportedCodecError
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.dead_letter import DeadLetter
from schemas.position import Position
from schemas.topics import EXCHANGES
from services.errors import InputError
from services.offload import Offload
from services.score.core import ScoredBatch
from services.stream.handlers import ScoreHandler
from services.stream.messages import ORIGIN_HEADER
from services.stream.step_loop import message_of
from services.stream.unpacking import RecordBatches, UnreadableBytes, check_codecs, missing_codecs
from tests.support.forged import CODECS, Forged, batch_of
from tests.support.source import ROOT

HEAD = 61  # of a batch; the records follow
PLACE = TopicPartition(EXCHANGES.name, 3)
GOOD = [json.dumps({"route": "r", "prompt": f"p{i}", "response": "y", "model": {"requested": "m"}}) for i in range(3)]
ORIGINS = (
    b"",
    b"\xff",
    b"null",
    b"[" * 5_000,
    b'{"cluster":"c","topic":"t","partition":0,"offset":%d}' % 2**70,
    b'{"cluster":"c","topic":"t","partition":%d,"offset":1}' % 2**40,
    b'{"cluster":"%s","topic":"t","partition":0,"offset":1}' % (b"c" * 10_000),
    b'{"cluster":"a\\u0000b","topic":"t","partition":0,"offset":1}',
    b'{"cluster":"\\ud800","topic":"t","partition":0,"offset":1}',
    b'{"cluster":"c","topic":"%s","partition":0,"offset":1}' % (b"t" * 250),
)
KEYS = st.sampled_from([ORIGIN_HEADER.encode(), b"\xff\xfe", b"\xed\xa0\x80", b"", b"\0"]) | st.binary(max_size=8)
STAMPS = st.sampled_from([0, -1, -5, 2**63 - 1, -(2**62), 1_795_930_447_209_000, 253_402_300_800_000]) | st.integers(
    -(2**62), 2**62
)
HOSTILE = st.builds(
    Forged,
    st.none() | st.binary(max_size=30) | st.sampled_from([one.encode() for one in GOOD]),
    st.none() | st.binary(max_size=8),
    STAMPS,
    st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=20) | st.sampled_from(ORIGINS)), max_size=3),
)


WHOLE = [batch_of([Forged(one.encode(), timestamp=1_795_930_447_209) for one in GOOD], kind) for kind in range(5)]
"""The good ones in every codec; made once, since gzip writes the time of day."""


def unpacked(raw: bytes) -> list:
    """The records of a fetch, as a consumer of aiokafka gets them, and then as faust hands them on."""
    records = PartitionRecords(PLACE, RecordBatches(raw), None, 0, None, None, True, 0)
    found = list(records)
    messages = [
        message_of(SimpleNamespace(message=SimpleNamespace(**vars(one) | {"timestamp": one.timestamp / 1000})))
        for one in found
    ]
    return [records.next_fetch_offset, *messages]


def handled(messages: list) -> tuple[list, list[DeadLetter]]:
    """What `score` would score, and the dead letters that it sends, read as their reader does."""
    scored: list = []

    def score(received):
        scored.extend(received)
        return ScoredBatch((), (), ())

    async def cluster() -> str:
        return "c"

    async def work():
        cpu = Offload("cpu")
        try:
            return await ScoreHandler(score, cpu, cluster).handle(messages)
        finally:
            cpu.close()

    sent = asyncio.run(work()).outgoing
    return scored, [DeadLetter.decode(one.value) for one in sent]


@settings(max_examples=200)
@given(hostile=st.lists(HOSTILE, min_size=1, max_size=3), kind=st.integers(0, 4))
def test_hostile_records_cost_no_neighbour(hostile: list[Forged], kind: int) -> None:
    good = [Forged(one.encode(), timestamp=1_795_930_447_209) for one in GOOD]
    records = [good[0], *hostile, good[1], good[2]]
    following, *messages = unpacked(batch_of(records, kind))
    assert following == len(records)
    assert [one.value for one in messages] == [one.value or b"" for one in records]
    scored, letters = handled(messages)
    assert len(scored) + len(letters) == len(records)
    assert {one.exchange.prompt for one in scored} >= {"p0", "p1", "p2"}


@pytest.mark.parametrize("kind", range(len(CODECS)), ids=CODECS)
@settings(max_examples=150)
@given(data=st.data())
def test_a_batch_that_cannot_be_unpacked_is_one_dead_letter(kind: int, data: st.DataObject) -> None:
    """As a broker lets it through that does not look into batches; its checksum is right."""
    raw = WHOLE[kind]
    garbage = data.draw(st.binary(min_size=1, max_size=20))
    at = data.draw(st.integers(HEAD, len(raw) - 1))
    broken = (raw[:at] + garbage + raw[at + len(garbage) :])[: len(raw)]
    batch = RecordBatches(broken + raw).next_batch()
    found = list(batch)
    unread = [one for one in found if isinstance(one.value, UnreadableBytes)]
    offsets = [one.offset for one in found]
    assert offsets == sorted(set(offsets) & set(range(len(GOOD))))
    assert unread in ([], found[-1:])
    for one in unread:
        assert (bytes(one.value), one.value.reason[:7]) == (broken, "record:")
        message = message_of(SimpleNamespace(message=_faust(one)))
        _, [letter] = handled([message])
        assert (letter.reason, letter.length) == (one.value.reason, len(broken))
        assert letter.source == Position(cluster="c", topic=PLACE.topic, partition=3, offset=one.offset)


def test_what_follows_a_broken_batch_is_read() -> None:
    raw = WHOLE[3]
    broken = raw[:HEAD] + b"\xff" * (len(raw) - HEAD)
    batches = RecordBatches(broken + raw)
    found = []
    while batches.has_next():
        found.append([type(one.value) for one in batches.next_batch()])
    assert found == [[UnreadableBytes], [bytes] * 3]


def _faust(one):
    fields = {name: getattr(one, name) for name in ("offset", "value", "headers")}
    return SimpleNamespace(topic=PLACE.topic, partition=3, timestamp=one.timestamp / 1000, **fields)


def test_without_its_library_a_codec_is_refused_and_no_record_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    check_codecs()
    raw = batch_of([Forged(b"v" * 500)], 3)
    monkeypatch.setattr(codec, "cramjam", None)
    assert missing_codecs() == ["snappy", "lz4", "zstd"]
    with pytest.raises(InputError, match="snappy, lz4, zstd cannot be read"):
        check_codecs()
    with pytest.raises(UnsupportedCodecError):
        list(RecordBatches(raw).next_batch())


@pytest.mark.parametrize("folder", ["stream", "ingest"])
def test_where_records_come_in_none_is_made_without_being_checked(folder: str) -> None:
    """A dead letter whose time was set unchecked could not be read by its own reader."""
    unchecked = [
        path.name
        for path in (ROOT / "services" / folder).rglob("*.py")
        if "model_copy" in (text := path.read_text()) or "model_construct" in text
    ]
    assert unchecked == (["topic_adoption.py"] if folder == "stream" else [])  # there from our own database
