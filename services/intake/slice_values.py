"""The values that a slice's dimension had: tags come from outside, and each value would be rows for good."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

MOST_VALUES: Final = 64
IDLE: Final = 1000
OTHER: Final = "(other)"
"""What a value is called that finds no place: 64 others were seen within the last 1,000 exchanges."""

KnownValues = Mapping[int, int]
"""Hash of a value -> event index at which it was last seen."""


def bounded(
    known: KnownValues, values: Sequence[str | None], first: int
) -> tuple[dict[int, int], tuple[str | None, ...]]:
    """The values, those without a place as `OTHER`; the first of them is of event index `first`.

    A value that was not seen for 1,000 exchanges leaves its place to a new one.
    """
    last = dict(known)
    named: list[str | None] = []
    for index, value in enumerate(values, start=first):
        if value is None:
            named.append(None)
            continue
        key = hash_text(value)
        if key not in last and len(last) >= MOST_VALUES:
            oldest = min(last, key=last.__getitem__)
            if last[oldest] > index - IDLE:
                named.append(OTHER)
                continue
            del last[oldest]
        last[key] = index
        named.append(value)
    return last, tuple(named)


def hash_text(text: str) -> int:
    """64 bits of a text, as a signed integer."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
