"""A parked record without what an erasure takes out of it. Pure: bytes in, bytes out."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Sequence
from typing import Any, Final

from schemas.base import hash16
from schemas.sample import Sample, SampleBlock
from schemas.score import MEASURES, ScoreBlock
from services.store.erasure import Subject, without
from services.stream.messages import Undecodable, decode_record

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


def _samples_left(value: bytes, block: SampleBlock, left: Sequence[Sample]) -> bytes | None:
    if len(left) == len(block.samples):
        return value
    return SampleBlock(route=block.route, samples=tuple(left)).encode() if left else None


def _block_without(value: bytes, block: ScoreBlock, subject: Subject, ids: Collection[str]) -> bytes:
    """The block with the subject's rows blank. They stay: record has counted them, and detect counts them later.

    An event index then means the same exchange to both, and to every fact that names one.
    """
    names = getattr(block, subject.kind)
    gone = [i for i, id in enumerate(block.id) if id in ids or names[i] in subject.names]
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
