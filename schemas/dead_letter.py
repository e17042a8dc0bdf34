"""What a step could not read, with the reason."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from schemas.base import EARLIEST, LATEST, Id, NonNegative, Part, Record, Text, Timestamp
from schemas.position import Position

KEPT_BYTES: Final = 256 * 1024


def _base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("must be base64") from None
    return text


def _is_none(value: object) -> bool:
    return value is None


class SealedContent(Part):
    """What only the day's private key opens: `box` is HPKE's (RFC 9180), as base64; `key` is the name of the key."""

    key: Id
    box: Text


class DeadLetter(Record):
    """At most the first 256 KiB of the raw bytes, with length, sha256 and reason.

    The bytes stand in `raw` (base64) or, on a topic, in `sealed`. Where there are none of them at all, `withheld`
    says why: `limit`, since too many such letters came; `no_key`, since no key was known to seal them with.
    """

    step: Id
    reason: Text
    source: Position
    first_seen: Timestamp | None = None
    raw: Annotated[str, AfterValidator(_base64)]
    length: NonNegative
    sha256: Text
    sealed: SealedContent | None = Field(None, exclude_if=_is_none)
    withheld: Literal["limit", "no_key"] | None = Field(None, exclude_if=_is_none)

    @classmethod
    def of(
        cls,
        raw: bytes,
        step: str,
        reason: str,
        source: Position,
        first_seen: datetime | None = None,
        *,
        content: bool = True,
    ) -> DeadLetter:
        """Make the dead letter of `raw`; a big poison message stays small, and without `content` none is kept of it.

        `first_seen` is left out where it is no time that a record may have: Kafka's timestamps are the publisher's.
        """
        return cls(
            step=step,
            reason=reason,
            source=source,
            first_seen=first_seen if first_seen and EARLIEST <= first_seen < LATEST else None,
            raw=base64.b64encode(raw[:KEPT_BYTES]).decode() if content else "",
            length=len(raw),
            sha256=hashlib.sha256(raw).hexdigest(),
            withheld=None if content else "limit",
        )
