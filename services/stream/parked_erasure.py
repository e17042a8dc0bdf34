"""A record that waits or is under way, without what an erasure takes out of it.

Bytes in, bytes out; of the database it is only asked who was erased.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from schemas.base import EARLIEST, hash16
from schemas.sample import Sample, SampleBlock
from schemas.score import MEASURES, ScoreBlock
from services.store.engine import Database
from services.store.erasure import ErasedTest, Subject, still_erased, without
from services.stream.messages import TopicMessage, Undecodable, decode_record
from services.stream.parking import Item

_VECTORS: Final = ("prompt_vec", "response_vec", "style")
_OF_ROWS: Final = ("id", "user", "conversation", "tags", "embedded", *MEASURES)
_OF_SIGNALS: Final = ("value", "probability", "status", "parts")
_BLANKS: Final[dict[str, Any]] = {"tags": {}, "embedded": False, "status": "unscored", "parts": {}}
"""What stands in a column where nothing is known; in all others null."""
_ERASED_ID: Final = "erased:"


def ids_in(topic: str, value: bytes, subject: Subject) -> set[str]:
    """The ids of the subject's exchanges that a parked record holds rows or text of."""
    record = decode_record(topic, value)
    if isinstance(record, ScoreBlock):
        rows = zip(record.id, getattr(record, subject.kind), strict=True)
        return {id for id, name in rows if name in subject.names}
    if isinstance(record, SampleBlock):
        return {one.id for one in record.samples if getattr(one, subject.kind) in subject.names}
    return set()


def parked_without(topic: str, value: bytes, subject: Subject, ids: Collection[str]) -> bytes | None:
    """The record without the subject's text and names, its score rows blank; None where nothing of it is left.

    `ids` are those of the subject's exchanges.
    """
    record = decode_record(topic, value)
    if isinstance(record, Undecodable):  # of another release: nobody knows whom it names
        return None if any(name.encode() in value for name in (*subject.names, *ids)) else value
    if isinstance(record, ScoreBlock):
        return _block_without(value, record, subject, ids)
    if isinstance(record, SampleBlock):
        left = [one for one in record.samples if one.id not in ids and getattr(one, subject.kind) not in subject.names]
        return _samples_left(value, record, left)
    new = without(value.decode(), {*subject.names, *ids})
    return value if new is None else new.encode()


def coming_without(items: Sequence[Item], erased: ErasedTest) -> list[Item]:
    """Records that were under way while somebody was erased: what they hold of theirs is gone, as in one that waited.

    A row came no later than its record did, so it is of before the erasure if either of their times is: what an
    exchange says of its own alone is no reason to take it in.
    """
    return [one for item in items if (one := _coming(item, erased)) is not None]


def _coming(item: Item, erased: ErasedTest) -> Item | None:
    message, record = item
    if isinstance(record, ScoreBlock):
        rows = zip(record.user, record.conversation, record.id, record.ts, strict=True)
        gone = [i for i, (*names, ts) in enumerate(rows) if _is_gone(names, ts, message, erased)]
        return _with_value(message, _block_blank_at(message.value, record, gone)) if gone else item
    if isinstance(record, SampleBlock):
        kept = [
            one for one in record.samples if not _is_gone((one.user, one.conversation, one.id), one.ts, message, erased)
        ]
        value = _samples_left(message.value, record, kept)
        return None if value is None else item if value is message.value else _with_value(message, value)
    return item


def _is_gone(names: Sequence[str | None], ts: datetime, message: TopicMessage, erased: ErasedTest) -> bool:
    came = min(ts, message.ts) if message.ts >= EARLIEST else ts
    return erased(dict(zip(("user", "conversation", "id"), names, strict=True)), came)


def _with_value(message: TopicMessage, value: bytes) -> Item:
    record = decode_record(message.topic, value)
    assert not isinstance(record, Undecodable)
    return replace(message, value=value), record


def _samples_left(value: bytes, block: SampleBlock, left: Sequence[Sample]) -> bytes | None:
    if len(left) == len(block.samples):
        return value
    return SampleBlock(route=block.route, samples=tuple(left)).encode() if left else None


def _block_without(value: bytes, block: ScoreBlock, subject: Subject, ids: Collection[str]) -> bytes:
    """The block with the subject's rows blank. They stay: record has counted them, and detect counts them later.

    An event index then means the same exchange to both, and to every fact that names one.
    """
    names = getattr(block, subject.kind)
    return _block_blank_at(value, block, [i for i, id in enumerate(block.id) if id in ids or names[i] in subject.names])


def _block_blank_at(value: bytes, block: ScoreBlock, gone: list[int]) -> bytes:
    if not gone:
        return value
    tree = json.loads(value)
    for name in _VECTORS:
        tree[name] = _zeroed(tree[name], len(block.id), gone)
    for name in _OF_ROWS:
        _blank(tree, name, gone)
    for column in tree["signals"].values():
        for name in _OF_SIGNALS:
            _blank(column, name, gone)
        if not any(column.get("parts", ())):
            column.pop("parts", None)
    for name in MEASURES:
        if all(number is None for number in tree.get(name, ())):
            tree.pop(name, None)
    return ScoreBlock.decode(json.dumps(tree, ensure_ascii=False).encode()).encode()


def _blank(tree: dict[str, Any], name: str, gone: list[int]) -> None:
    """What the column says of these rows is what it says of one of which nothing is known."""
    column: list[Any] = tree.get(name) or []
    for i in gone if column else ():
        column[i] = erased_id(column[i]) if name == "id" else _BLANKS.get(name)


def erased_id(id: str) -> str:
    """What stands for the id of an erased exchange where its row has to stay: the same for the same id."""
    return f"{_ERASED_ID}{hash16([id])}"


def _zeroed(text: str, n: int, gone: list[int]) -> str:
    raw = bytearray(base64.b64decode(text))
    width = len(raw) // n
    for i in gone:
        raw[i * width : (i + 1) * width] = bytes(width)
    return base64.b64encode(raw).decode()


def not_erased(database: Database, items: Sequence[Item]) -> list[Item]:
    """The records without what was erased while they were under way; who that is is asked where one may name it."""
    if not any(isinstance(record, ScoreBlock | SampleBlock) for _, record in items):
        return list(items)
    erased = database.query(still_erased)
    return list(items) if erased is None else coming_without(items, erased)
