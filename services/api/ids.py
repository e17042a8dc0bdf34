"""Ids that the gateway gives to exchanges that come without one."""

from __future__ import annotations

import uuid


def uuid7(milliseconds: int, chance: bytes) -> str:
    """A UUIDv7 of a time since 1970 and 10 random bytes: ids sort by time, and say nothing of the content.

    >>> uuid7(1_732_471_200_000, bytes(10))
    '01935f54-9900-7000-8000-000000000000'
    """
    value = (milliseconds & (2**48 - 1)) << 80 | int.from_bytes(chance[:10])
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
