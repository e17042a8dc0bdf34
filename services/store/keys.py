"""Text that came from outside, as part of a key."""

from __future__ import annotations

import hashlib
from typing import Final

LONGEST: Final = 500
_KEPT: Final = 400


def key_of(text: str) -> str:
    """The text itself, or of more than 500 characters the first 400 and a hash of all; NUL becomes U+FFFD.

    PostgreSQL refuses index entries over 2,700 bytes and text with NUL: one long value must not stop a batch.
    """
    clean = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if len(clean) <= LONGEST:
        return clean
    return f"{clean[:_KEPT]}#{hashlib.sha256(clean.encode()).hexdigest()[:16]}"


def key_if_any(text: str | None) -> str | None:
    """`key_of` for what may be missing."""
    return None if text is None else key_of(text)
