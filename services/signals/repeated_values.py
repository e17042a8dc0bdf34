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
            if not _overlaps(taken, start, end):
                taken.insert(bisect_left(taken, (start, end)), (start, end))
                yield Repetition(keys[key], *folded.original(start, end))
    for start, end, meant in dates(folded.text) if days else ():
        if meant & days:
            yield Repetition("birth_date", *folded.original(start, end))


def _overlaps(taken: list[tuple[int, int]], start: int, end: int) -> bool:
    at = bisect_left(taken, (start, end))
    return (at < len(taken) and taken[at][0] < end) or (at > 0 and taken[at - 1][1] > start)


_WIDEST_GAP = 3
_SHORT_KEY = 6


def _places(text: str, letters: Squeezed, key: bytes) -> Iterator[tuple[int, int]]:
    """Where a key's letters stand as whole words, no two of them further apart than separators are."""
    at = letters.letters.find(key)
    while at >= 0:
        places = letters.places[at : at + len(key)]
        start, end = int(places[0]), int(places[-1]) + 1
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
    gaps = re.findall(r"[\W_]+", spelled)
    if len(key) < _SHORT_KEY and not (
        len(set(gaps)) == 1 and (len(gaps) == len(key) - 1 or gaps[0] in {" ", "-", "."})
    ):
        return False
    return all(len(gap) <= _WIDEST_GAP and "\n\n" not in gap for gap in gaps)
