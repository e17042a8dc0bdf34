"""Records as bytes on topics, and bytes as records or the reason why they are none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from schemas.alert import Alert
from schemas.base import Part, Record
from schemas.change import Change
from schemas.dead_letter import DeadLetter
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run
from schemas.exchange import Exchange
from schemas.reading import Reading
from schemas.sample import Sample
from schemas.score import ScoreBlock
from schemas.topics import TOPICS, Topic, dead_topics

_LONGEST: Final = 300
_KIND: Final = re.compile(rb'"kind"\s*:\s*"comparison"')

RECORDS: Final[Mapping[str, type[Record]]] = {
    "exchange": Exchange,
    "score": ScoreBlock,
    "sample": Sample,
    "reading": Reading,
    "change": Change,
    "decision": Decision,
    "run": Run,
    "comparison": Comparison,
    "alert": Alert,
    "dead_letter": DeadLetter,
}
"""Name in `schemas.topics` -> class."""

_BY_NAME: Final[Mapping[str, Topic]] = {topic.name: topic for topic in (*TOPICS, *dead_topics())}
_OWN: Final[Mapping[type[Record], Topic]] = {RECORDS[name]: topic for topic in TOPICS for name in topic.records}


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Bytes that are no record of their topic; `reason` names the field and never repeats content."""

    reason: str


def topic_of(record: Record) -> Topic:
    """The topic on which a record is sent; a dead letter's depends on what it is of, see `Topic.dead`.

    Raises:
        TypeError: if there is no one topic for it.
    """
    found = _OWN.get(type(record))
    if found is None:
        raise TypeError(f"a {type(record).__name__} has no one topic")
    return found


def key_of(record: Record) -> bytes | None:
    """The record's route, which keys every topic but those of dead letters."""
    route = getattr(record, "route", None)
    return route.encode() if isinstance(route, str) else None


def encode(record: Record) -> bytes:
    """The record as JSON."""
    return record.encode()


def decode(topic: str, raw: bytes | None) -> Record | Undecodable:
    """The record in `raw`, or the reason for the dead letter.

    Exchanges of foreign formats, or without a time, are decoded by `services.ingest`, not here.

    Raises:
        KeyError: if Keelwatch has no such topic.
    """
    names = _BY_NAME[topic].records
    if not raw:
        return Undecodable("record: empty; send one JSON object")
    name = names[-1] if len(names) > 1 and _KIND.search(raw) else names[0]
    try:
        return RECORDS[name].decode(raw)
    except ValidationError as error:
        return Undecodable(_reason(error))


def _names(kind: type[Part]) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        yield field.alias or name
    for inner in kind.__subclasses__():
        yield from _names(inner)


_FIELDS: Final = frozenset(_names(Part))


def _reason(error: ValidationError) -> str:
    """Path, what is wrong there, how many more there are. Names that the schema does not know may be personal: *."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    steps = [str(step) if isinstance(step, int) or step in _FIELDS else "*" for step in found[0]["loc"]]
    path = ".".join(steps) or "record"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    text = " ".join(f"{path}: {found[0]['msg']}{more}".split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
