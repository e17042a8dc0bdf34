"""The records of a topic as lines of a file: as `replay` takes them, one JSON line a record."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from aiokafka.structs import ConsumerRecord
from pydantic import ValidationError

from schemas.position import Position
from schemas.sample import SampleBlock
from schemas.score import ScoreBlock
from schemas.topics import EXCHANGES, SAMPLES, SCORES, TOPICS, dead_topics
from services.errors import InputError
from services.ingest.decode import RecordArrival, decode_all
from services.ingest.routing import Carriage, RouteRule
from services.ports import Received
from services.score.score_lines import block_lines
from services.stream.broker import Broker
from services.stream.clients import (
    ReadUntil,
    connected_broker,
    consumer,
    from_now,
    from_start,
    partitions_of,
    read_records,
)
from services.stream.messages import ARRIVED_HEADER, ORIGIN_HEADER, first_arrival, kafka_time

_KNOWN: Final = {topic.name for topic in (*TOPICS, *dead_topics())}
_BLOCK: Final = {"scorer", "identities", "prompt_vec", "signals"}


async def capture(
    broker: Broker,
    topic: str,
    write: Callable[[str], object],
    *,
    from_beginning: bool,
    idle: float | None,
    rules: tuple[RouteRule, ...] = (),
) -> int:
    """Write the records of a topic as lines until none came for `idle` seconds; how many records there were.

    What stands there at the start is read in any case, but of the embedded broker, which does not say how much that is.

    `rules` give a route to exchanges that name none, as the score step does.

    Raises:
        Unreachable: if the cluster does not answer.
        NoTopicError: if there is no such topic.
        InputError: if the broker cannot read from now on.
    """
    known = await connected_broker(broker)
    places = await partitions_of(known, topic)
    if known.kind == "embedded" and not from_beginning:
        raise InputError("the embedded broker cannot say where a topic ends; capture it --from-beginning")
    count = 0
    async with consumer(known) as client:
        if from_beginning:
            await from_start(client, places)
        else:
            await from_now(client, places)
        ends = None if known.kind == "embedded" else await client.end_offsets(places)
        async for batch in read_records(client, ReadUntil(idle, ends) if idle is not None else ReadUntil()):
            for record in batch:
                count += 1
                for line in lines_of(record, known.cluster, rules):
                    write(line + "\n")
    return count


def lines_of(record: ConsumerRecord, cluster: str, rules: tuple[RouteRule, ...] = ()) -> Iterator[str]:
    """The lines of one record; what is no record of its topic comes as it is, so that it is refused again."""
    raw = record.value or b""
    kind = _kind(record.topic, raw)
    if kind == SCORES.name:
        try:
            block = ScoreBlock.decode(raw)
        except ValidationError:
            yield _as_it_is(raw)
            return
        for line in block_lines(block, vectors=True):
            yield _json(line)
    elif kind == SAMPLES.name:
        yield from _samples(raw)
    elif kind == EXCHANGES.name:
        yield from _exchanges(record, raw, cluster, rules)
    else:
        yield _as_it_is(raw)


def _kind(topic: str, raw: bytes) -> str:
    """The topic's name; of a topic that Keelwatch does not know, the one whose records it seems to hold."""
    if topic in _KNOWN:
        return topic
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError):
        return EXCHANGES.name
    if isinstance(value, dict) and value.keys() >= _BLOCK:
        return SCORES.name
    return EXCHANGES.name if isinstance(value, dict) and "schema_version" not in value else topic


def _samples(raw: bytes) -> Iterator[str]:
    """The samples of a block, each by itself."""
    try:
        block = SampleBlock.decode(raw)
    except ValidationError:
        yield _as_it_is(raw)
        return
    for sample in block.samples:
        yield sample.encode().decode()


def _exchanges(record: ConsumerRecord, raw: bytes, cluster: str, rules: tuple[RouteRule, ...]) -> Iterator[str]:
    """The exchanges with their ids and times, as `score` takes them in."""
    position = Position(cluster=cluster, topic=record.topic, partition=record.partition, offset=record.offset)
    moment = kafka_time(record.timestamp / 1000)
    headers = dict(record.headers)
    received = first_arrival(headers.get(ARRIVED_HEADER)) if ORIGIN_HEADER in headers else None
    arrival = RecordArrival(position, received or moment, moment, origin=_origin(record))
    items = decode_all(raw, arrival, Carriage.of(record.headers, rules))
    for item in items:
        if isinstance(item, Received):
            yield item.exchange.model_dump_json(by_alias=True, exclude_none=True, exclude_defaults=True)
        else:
            yield _as_it_is(raw if len(items) == 1 else base64.b64decode(item.raw))


def _origin(record: ConsumerRecord) -> Position | None:
    for name, value in reversed(record.headers):
        if name == ORIGIN_HEADER:
            try:
                return Position.model_validate_json(value)
            except ValidationError:
                return None
    return None


def _as_it_is(raw: bytes) -> str:
    """One line, whatever the bytes are: JSON without line breaks, other text as it is, else as a JSON string."""
    try:
        text = raw.decode()
        return _json(json.loads(text)) if "\n" in text or "\r" in text else text if text.strip() else '""'
    except (ValueError, RecursionError):
        return _json(raw.decode(errors="replace"))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
