"""A record whose one field is hostile is recorded, or is no record: it never stops its batch, on either database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from hashlib import sha256
from typing import Any

from schemas.base import Record
from schemas.topics import TOPICS, dead_topics
from services.monitor import RoutePolicy
from services.record.recorder import Recorder
from services.store.engine import Database
from services.stream.messages import RECORDS, Undecodable, decode_record
from tests.support.contract import examples_of

TEXTS = (
    "",
    "a\0b",
    "x" * 10_000,
    "".join(sha256(b"%d" % i).hexdigest() for i in range(160)),
    "\N{PILE OF POO}" * 3_000,
)
NUMBERS = (-(2**70), -1, 2**31, 2**63 - 1, 2**63, 2**70, 1e308)
TOPIC_OF = {name: topic.name for topic in (*TOPICS, *dead_topics()) for name in topic.records}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every leaf, and to the first item alone of a column."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        if value:
            yield from places(value[0], (*path, 0))
    else:
        yield path


def with_value(record: dict[str, Any], path: tuple[Any, ...], value: Any) -> bytes:
    changed = deepcopy(record)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return json.dumps(changed).encode()


def hostile(name: str) -> Iterator[tuple[str, bytes]]:
    """(what is hostile in it, the record's bytes) of every example, field and value."""
    for example in examples_of(name):
        record = json.loads(example.read_bytes())
        for path in places(record):
            kept = record
            for step in path:
                kept = kept[step]
            for value in NUMBERS if isinstance(kept, int | float) and not isinstance(kept, bool) else TEXTS:
                yield f"{name} {'.'.join(map(str, path))} {str(value)[:20]!r}", with_value(record, path, value)


def test_no_field_of_a_record_stops_the_database(database: Database) -> None:
    recorder = Recorder(database, lambda _route: RoutePolicy())
    faults, taken, refused = [], 0, 0
    for name in RECORDS:
        if name == "exchange":
            continue  # `score` alone reads them, and tests/ingest has their fuzz
        for what, raw in hostile(name):
            found = decode_record(TOPIC_OF[name], raw)
            if isinstance(found, Undecodable):
                refused += 1
                continue
            assert isinstance(found, Record)
            assert found.encode()
            try:
                recorder.apply([found])
                taken += 1
            except Exception as error:
                faults.append(f"{what}: {type(error).__name__} {str(error)[:120]}")
    assert not faults, f"{len(faults)} of {len(faults) + taken}: " + "\n".join(faults[:40])
    assert taken > 100 < refused
