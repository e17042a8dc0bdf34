"""Chance without chance: a share of exchanges chosen by a hash of their id, the same on every run and machine."""

from __future__ import annotations

import hashlib
from typing import Final

_BITS: Final = 64


def chosen(id: str, share: float, purpose: str) -> bool:
    """Whether `id` is among the `share` (0 to 1) drawn for `purpose`; draws for two purposes are independent.

    >>> chosen("k:c/t/0/1", 1.0, "embed"), chosen("k:c/t/0/1", 0.0, "embed")
    (True, False)
    """
    digest = hashlib.blake2b(id.encode(), digest_size=_BITS // 8, person=purpose.encode()).digest()
    return int.from_bytes(digest, "big") < int(share * (1 << _BITS))
