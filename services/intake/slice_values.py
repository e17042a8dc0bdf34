"""The values that a slice's dimension had: tags come from outside, and each value would be rows for good."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
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
    named = [None if value is None else _placed(last, value, index) for index, value in enumerate(values, start=first)]
    return last, tuple(named)


def bounded_sets(
    known: KnownValues, names: Sequence[Iterable[str]], first: int
) -> tuple[dict[int, int], tuple[Mapping[str, str], ...]]:
    """The same of rows that have several values each: of each row, value -> what it is called."""
    last = dict(known)
    named = [{name: _placed(last, name, index) for name in sorted(row)} for index, row in enumerate(names, start=first)]
    return last, tuple(named)


def _placed(last: dict[int, int], value: str, index: int) -> str:
    """What a value is called that is seen now; notes that it was."""
    key = hash_text(value)
    if key not in last and len(last) >= MOST_VALUES:
        oldest = min(last, key=lambda one: (last[one], one))
        if last[oldest] > index - IDLE:
            return OTHER
        del last[oldest]
    last[key] = index
    return value


def hash_text(text: str) -> int:
    """64 bits of a text, as a signed integer."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
