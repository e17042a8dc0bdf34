"""Redacted text of what people may need to read."""

from __future__ import annotations

from typing import Literal

from schemas.base import Hash16, Id, Record, Text, Timestamp
from schemas.exchange import Route
from schemas.position import Position


class Sample(Record):
    """One exchange's redacted text, kept because a safety signal was true or its id was drawn."""

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
