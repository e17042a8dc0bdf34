"""What journal and audit log are chained with.

commitment = sha256(salt || payload), hash = sha256(previous hash || commitment || meta), meta = canonical JSON of what
says which entry it is. Whoever can write the whole database can make a new chain: it shows edits of single rows. That
a whole chain was made anew shows the head that is kept outside the database.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

from schemas.base import canonical, iso

SALT_BYTES: Final = 16


def commitment_of(salt: bytes, payload: str) -> str:
    """Binds the entry to its payload; without the salt nobody can test a guess of an erased one."""
    return hashlib.sha256(salt + payload.encode()).hexdigest()


def hash_of(previous: str, commitment: str, meta: tuple[str, int, str, str, datetime]) -> str:
    """Binds the entry to its place and to all before it."""
    *place, ts = meta
    return hashlib.sha256(previous.encode() + commitment.encode() + canonical([*place, iso(ts)])).hexdigest()
