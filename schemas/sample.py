"""Redacted text of exchanges: what people may need to read, and what they may soon need to."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from schemas.base import Hash16, Id, Part, Record, Text, Timestamp
from schemas.exchange import Route
from schemas.position import Position

Why = Literal["kept", "ring", "baseline"]
"""`kept`: a safety signal was true, the id was drawn, or the route keeps all. `ring`: one of the last of its route,
until something names it. `baseline`: drawn to be read beside later exchanges, should it become one of a baseline."""

BASELINE_TEXTS: Final = 200
"""So many exchanges of a baseline keep their text."""
MOST_SAMPLES: Final = 128
"""Samples of one block."""
_BITS: Final = 64


def is_drawn(id: str, share: float, purpose: str) -> bool:
    """Whether `id` is among the `share` (0 to 1) drawn for `purpose`; draws for two purposes are independent.

    >>> is_drawn("k:c/t/0/1", 1.0, "embed"), is_drawn("k:c/t/0/1", 0.0, "embed")
    (True, False)
    """
    return _draw(id, purpose) < int(share * (1 << _BITS))


def is_drawn_for_baseline(id: str, size: int) -> bool:
    """Whether the exchange keeps its text should it be one of a baseline of `size` exchanges."""
    return is_drawn(id, min(BASELINE_TEXTS / size, 1.0), "baseline")


def rank_for_baseline(id: str) -> int:
    """Of those that are drawn the ones of the lowest rank come first."""
    return _draw(id, "baseline")


def _draw(id: str, purpose: str) -> int:
    digest = hashlib.blake2b(id.encode(), digest_size=_BITS // 8, person=purpose.encode()).digest()
    return int.from_bytes(digest, "big")


class SampleMessage(Part):
    """One message of the conversation, masked."""

    role: Text
    text: Text


class SampleCall(Part):
    """One call of a tool in the answer, its arguments as masked JSON."""

    name: Text
    arguments: Text


class Sample(Record):
    """One exchange's redacted text, and why it travels.

    `prompt` is the last user message and `response` the text of the answer. `messages` is the conversation in its
    order, without system messages, where it holds more than the prompt: the newest 32 KiB. `signals` are the safety
    signals that were true of it.
    """

    schema_version: Literal[2] = 2  # type: ignore[assignment]
    id: Id
    route: Route
    source: Position
    ts: Timestamp
    identity: Hash16
    user: Text | None = None
    conversation: Text | None = None
    prompt: Text
    response: Text
    messages: tuple[SampleMessage, ...] = ()
    tool_calls: tuple[SampleCall, ...] = ()
    finish_reason: Text | None = None
    signals: tuple[Text, ...] = ()
    why: Why

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote, in this version or the first one.

        Raises:
            pydantic.ValidationError: if `data` is not JSON or violates the schema.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            if not any(one["loc"] == ("schema_version",) and one.get("input") == 1 for one in error.errors()):
                raise
        return cls.model_validate(FirstSample.model_validate_json(data).upgraded())


class SampleBlock(Record):
    """Samples of one route, as they travel: of one batch, at most 128, in the order of its exchanges.

    What stands in a database is each sample by itself.
    """

    route: Route
    samples: Annotated[tuple[Sample, ...], Field(min_length=1, max_length=MOST_SAMPLES)]

    @model_validator(mode="after")
    def _is_of_one_route(self) -> Self:
        for place, sample in enumerate(self.samples):
            if sample.route != self.route:
                raise ValueError(f"samples.{place} is not of the route of the block")
        return self

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote, or a sample that travelled alone, as those of before did: a block of one.

        Raises:
            pydantic.ValidationError: if `data` is not JSON or violates the schema.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            if not any(one["loc"] == ("samples",) and one["type"] == "missing" for one in error.errors()):
                raise
        sample = Sample.decode(data)
        return cls(route=sample.route, samples=(sample,))


class FirstSample(Part):
    """A sample of version 1: only texts that were kept had one, and `why` named the signals."""

    schema_version: Literal[1]
    id: Id
    route: Route
    source: Position
    ts: Timestamp
    identity: Hash16
    user: Text | None = None
    conversation: Text | None = None
    prompt: Text
    response: Text
    why: tuple[Text, ...]
    reason: Literal["signal", "sampled", "all"]

    def upgraded(self) -> dict[str, Any]:
        """The fields of the same sample in version 2."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        del fields["schema_version"], fields["reason"]
        return {**fields, "signals": fields["why"], "why": "kept"}
