"""What the payload of a notification in the outbox says, for whoever sends it and for what silences do to it."""

from __future__ import annotations

import msgspec

from schemas.alert import Severity


class OutboxContent(msgspec.Struct, frozen=True):
    """What a notification says: `fired` is the severity of the alert that it tells of, where it fires."""

    severity: Severity
    mention: bool
    text: str
    fingerprint: str | None = None
    fired: Severity | None = None


def content_of(payload: str) -> OutboxContent | None:
    """What the payload of a notification says; None if it cannot be read, as after a change by hand."""
    try:
        return msgspec.json.decode(payload, type=OutboxContent)
    except msgspec.DecodeError:
        return None
