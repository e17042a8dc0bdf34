"""What a step could not read, with the reason."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from schemas.base import NonNegative, Record, Timestamp
from schemas.position import Position

KEPT_BYTES: Final = 256 * 1024


class DeadLetter(Record):
    """At most the first 256 KiB of the raw bytes (base64), with length, sha256 and reason."""

    step: str
    reason: str
    source: Position
    first_seen: Timestamp | None = None
    raw: str
    length: NonNegative
    sha256: str

    @classmethod
    def of(cls, raw: bytes, step: str, reason: str, source: Position) -> DeadLetter:
        """Make the dead letter of `raw`; a big poison message stays small."""
        kept = base64.b64encode(raw[:KEPT_BYTES]).decode()
        return cls(
            step=step, reason=reason, source=source, raw=kept, length=len(raw), sha256=hashlib.sha256(raw).hexdigest()
        )
