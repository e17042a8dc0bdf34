"""Every record of every topic survives its bytes; what does not is refused without repeating what it said."""

from __future__ import annotations

import pytest

from schemas.dead_letter import DeadLetter
from schemas.exchange import Exchange
from schemas.topics import TOPICS, dead_topics
from services.stream.messages import RECORDS, Undecodable, decode_record, encode_record, key_of, topic_of
from tests.support.contract import examples_of

CASES = [
    pytest.param(topic.name, name, path, id=f"{topic.name}/{path.stem}")
    for topic in TOPICS
    for name in topic.records
    for path in examples_of(name)
]
# An exchange of the examples may be of a publisher that left out what its record needs: `ingest` decodes those.
KEYED = [case for case in CASES if case.values[1] != "exchange"]


@pytest.mark.parametrize(("topic", "name", "path"), KEYED)
def test_records_survive_their_topic_and_are_keyed_by_route(topic, name, path) -> None:
    record = RECORDS[name].decode(path.read_bytes())
    assert decode_record(topic, encode_record(record)) == record
    assert topic_of(record).name == topic
    assert key_of(record) == record.route.encode()  # type: ignore[attr-defined]


def test_dead_letters_have_no_key_and_no_one_topic() -> None:
    for path in examples_of("dead_letter"):
        letter = DeadLetter.decode(path.read_bytes())
        assert {decode_record(topic.name, encode_record(letter)) == letter for topic in dead_topics()} == {True}
        assert key_of(letter) is None
        with pytest.raises(TypeError, match="no one topic"):
            topic_of(letter)


@pytest.mark.parametrize(
    ("topic", "raw", "reason"),
    [
        ("keelwatch.alerts", None, "record: empty"),
        ("keelwatch.alerts", b"", "record: empty"),
        ("keelwatch.alerts", b"\xff", "record: Invalid JSON"),
        ("keelwatch.alerts", b"[]", "record: "),
        ("keelwatch.scores", b'{"secret": 1}', "route: Field required"),
        ("keelwatch.evaluations", b'{"kind": "comparison"}', "id: Field required"),
        ("keelwatch.samples", b'{"schema_version": 3}', "schema_version: Input should be 2"),
    ],
)
def test_what_is_no_record_has_a_reason(topic: str, raw: bytes | None, reason: str) -> None:
    found = decode_record(topic, raw)
    assert isinstance(found, Undecodable)
    assert found.reason.startswith(reason)
    assert len(found.reason) <= 300


def test_a_reason_repeats_nothing_that_a_publisher_chose() -> None:
    [path, *_] = examples_of("sample")
    spoilt = path.read_bytes().replace(b'"schema_version"', b'"anna@example.org": "555-0199", "schema_version"', 1)
    found = decode_record("keelwatch.samples", spoilt)
    assert found == Undecodable("*: Extra inputs are not permitted")


def test_an_unknown_topic_is_a_mistake_of_the_code() -> None:
    with pytest.raises(KeyError):
        decode_record("keelwatch.nothing", b"{}")
    assert RECORDS["exchange"] is Exchange
