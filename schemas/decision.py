"""What a person decided."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

from schemas.base import Hash16, Record, Text, Timestamp, hash16
from schemas.exchange import Route
from schemas.identity import Model

_LASTS: Final = timedelta(hours=24)

DecisionKind = Literal[
    "announce",
    "acknowledge",
    "snooze",
    "accept_baseline",
    "false_alarm",
    "roll_back",
    "silence",
    "resolve",
]


class Decision(Record):
    """A person's decision on a route or one of its incidents, with the reason and who took it."""

    kind: DecisionKind
    route: Route
    incident: Hash16 | None = None
    fingerprint: Hash16 | None = None
    model: Model | None = None
    actor: Text
    reason: Text
    ts: Timestamp
    expires: Timestamp | None = None

    @property
    def id(self) -> str:
        """Made of the content: the same decision, delivered twice, is one."""
        return hash16(self.model_dump(mode="json"))

    @property
    def until(self) -> datetime:
        """When a snooze or a silence ends: `expires`, else 24 h after it was decided. None is for ever."""
        return self.ts + _LASTS if self.expires is None else self.expires
