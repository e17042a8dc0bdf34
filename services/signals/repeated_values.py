"""Where a text repeats a value that another stated, in whatever spelling."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from services.signals.dates import Day, dates
from services.signals.folding import Folded
from services.signals.labelled_values import LabelledValue
from services.signals.sensitive_labels import Squeezed, squeezed
from services.signals.unspaced_scripts import set_apart


class Repetition(NamedTuple):
    """Where a text repeats a value that another stated. A tuple, since a hostile text makes tens of thousands."""

    kind: str
    start: int
    end: int


def repetitions(folded: Folded, stated: Iterable[LabelledValue]) -> Iterator[Repetition]:
    """Every place of a text where one of the values stands, with other separators, in other case or width."""
    values = list(stated)
    letters = squeezed(folded.text) if values else None
    keys: dict[bytes, str] = {}
    days: set[Day] = set()
    for value in values:
        days |= value.days
        for key in value.keys:
            keys.setdefault(key, value.kind)
    taken: list[tuple[int, int]] = []
    text = set_apart(folded.text) if letters else ""
    for key in sorted(keys, key=len, reverse=True) if letters else ():
        for start, end in _places(text, letters, key) if letters else ():
            at = bisect_left(taken, (start, end))
            if not _overlaps(taken, at, start, end):
                taken.insert(at, (start, end))
                yield Repetition(keys[key], *folded.original(start, end))
    for start, end, meant in dates(folded.text) if days else ():
        if meant & days:
            yield Repetition("birth_date", *folded.original(start, end))


def _overlaps(taken: list[tuple[int, int]], at: int, start: int, end: int) -> bool:
    """Whether what would stand at `at` of those that are taken overlaps one of them."""
    return (at < len(taken) and taken[at][0] < end) or (at > 0 and taken[at - 1][1] > start)


_GAP = re.compile(r"[\W_]+")
_WIDEST_GAP = 3
_SHORT_KEY = 6


def _places(text: str, letters: Squeezed, key: bytes) -> Iterator[tuple[int, int]]:
    """Where a key's letters stand as whole words, no two of them further apart than separators are."""
    at, places = letters.letters.find(key), letters.places.data  # quick to give one place
    while at >= 0:
        start, end = places[at], places[at + len(key) - 1] + 1
        if (
            not text[start - 1 : start].isalnum()
            and not text[end : end + 1].isalnum()
            and _spelled(text[start:end], key)
        ):
            yield start, end
            at = letters.letters.find(key, at + len(key))
        else:
            at = letters.letters.find(key, at + 1)


def _spelled(spelled: str, key: bytes) -> bool:
    """Whether what stands between the letters of a key may stand inside a value."""
    if len(spelled) == len(key):
        return True
    if len(spelled) > len(key) * (_WIDEST_GAP + 1):
        return False
    gaps = _GAP.findall(spelled)
    if len(key) < _SHORT_KEY and not (
        len(set(gaps)) == 1 and (len(gaps) == len(key) - 1 or gaps[0] in {" ", "-", "."})
    ):
        return False
    return max(map(len, gaps), default=0) <= _WIDEST_GAP and "\n\n" not in spelled
