"""A parked record without what an erasure takes out of it. Pure: bytes in, bytes out."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Sequence
from typing import Any, Final

from schemas.sample import Sample, SampleBlock
from schemas.score import ScoreBlock
from services.store.erasure import Subject, without
from services.stream.messages import Undecodable, decode_record

_VECTORS: Final = ("prompt_vec", "response_vec", "style")


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
    """The record without the subject's rows, text and names; None where nothing of it is left.

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


def _block_without(value: bytes, block: ScoreBlock, subject: Subject, ids: Collection[str]) -> bytes | None:
    names = getattr(block, subject.kind)
    kept = [i for i, id in enumerate(block.id) if id not in ids and names[i] not in subject.names]
    if len(kept) == len(block.id):
        return value
    if not kept:
        return None
    tree = json.loads(value)
    for name in _VECTORS:
        tree[name] = _vectors(tree[name], len(block.id), kept)
    for name, column in tree.items():
        if isinstance(column, list):
            tree[name] = _rows(column, kept)
    for column in tree["signals"].values():
        column |= {name: _rows(one, kept) for name, one in column.items() if isinstance(one, list)}
    held = set(tree["identity"])
    tree["identities"] = {name: model for name, model in tree["identities"].items() if name in held}
    return ScoreBlock.decode(json.dumps(tree, ensure_ascii=False).encode()).encode()


def _rows(column: list[Any], kept: list[int]) -> list[Any]:
    return [column[i] for i in kept] if column else column


def _vectors(text: str, n: int, kept: list[int]) -> str:
    raw = base64.b64decode(text)
    width = len(raw) // n
    return base64.b64encode(b"".join(raw[i * width : (i + 1) * width] for i in kept)).decode()
