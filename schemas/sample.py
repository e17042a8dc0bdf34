"""Redacted text of what people may need to read."""

from __future__ import annotations

from typing import Literal

from schemas.base import Hash16, Record, Timestamp
from schemas.exchange import Route
from schemas.position import Position


class Sample(Record):
    """One exchange's redacted text, kept because a safety signal was true or its id was drawn."""

    id: str
    route: Route
    source: Position
    ts: Timestamp
    identity: Hash16
    user: str | None = None
    conversation: str | None = None
    prompt: str
    response: str
    why: tuple[str, ...]
    reason: Literal["signal", "sampled", "all"]
