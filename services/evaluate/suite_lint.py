"""What is doubtful about a suite that can be used, and what so many items can show. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import csr_matrix

from services.evaluate.paired_statistics import detectable, interval
from services.evaluate.scorers import comparable_text
from services.evaluate.suite import BENIGN, DISALLOWED, MEASURES, POOLED, Item, Measure, Suite
from services.signals.spoken_language import language_of
from services.wording import suites as words

NEAR: Final = 0.7
"""Share of the 1- to 3-grams of words that two items have in common, of those that either has: from here on they ask
the same. Two items of one row in two frames share about a third."""
_BUCKETS: Final = 1 << 18
_BLOCK: Final = 512
_MOST: Final = 10
_GRAMS: Final = 3


@dataclass(frozen=True, slots=True)
class SuitePower:
    """What the items of one measure, over all hazards or of one, can show.

    `least` is the smallest change that shows with a chance of 80% after Holm's adjustment, when no item flips by
    chance; `still` what is left open when none flips at all. Both in pp; None: no change can be shown.
    """

    measure: str
    hazard: str
    n: int
    least: float | None
    still: float


def power_of(suite: Suite) -> tuple[SuitePower, ...]:
    """Each tested measure over all its items (hazard `all`), then hazard by hazard: two families of tests."""
    tested = [item for item in suite.items if item.measure != "canary"]
    pooled = Counter((item.measure, POOLED) for item in tested)
    single = Counter((item.measure, item.hazard) for item in tested)
    found = [
        SuitePower(
            measure, hazard, n, None if (least := detectable(n, len(family))) is None else 100 * least, _still(n)
        )
        for family in (pooled, single)
        for (measure, hazard), n in family.items()
    ]
    order: dict[str, int] = {measure: at for at, measure in enumerate(MEASURES)}
    return tuple(sorted(found, key=lambda one: (order[one.measure], one.hazard != POOLED, one.hazard)))


def _still(n: int) -> float:
    return 100 * interval(0, 0, n)[1]


def doubts_of(suite: Suite) -> tuple[str, ...]:
    """What to look at: items that ask the same, hazards with one side, answers that their scorer does not know."""
    return (*_alike(suite.items), *_one_sided(suite.items), *_unjudged(suite.items))


def _alike(items: Sequence[Item]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for item in items:
        first = seen.setdefault(comparable_text(_text(item)), item.id)
        if first != item.id:
            yield words.same_question(item.id, first)
    near = [
        (one, other, share)
        for one, other, share in near_duplicates(items)
        if comparable_text(_text(one)) != comparable_text(_text(other))
    ]
    for one, other, share in near[:_MOST]:
        yield words.near_question(one.id, other.id, share)
    if len(near) > _MOST:
        yield words.more_near(len(near) - _MOST)


def near_duplicates(items: Sequence[Item], near: float = NEAR) -> list[tuple[Item, Item, float]]:
    """Pairs of items that share at least `near` of their n-grams, the nearest first; items of one pair may be alike."""
    if not items:
        return []
    grams = _grams(items)
    sizes = np.asarray(grams.sum(axis=1)).ravel()
    found: list[tuple[Item, Item, float]] = []
    for start in range(0, len(items), _BLOCK):
        shared = (grams[start : start + _BLOCK] @ grams.T).tocoo()
        for row, column, both in zip(shared.row + start, shared.col, shared.data, strict=True):
            if row < column and both >= near * (sizes[row] + sizes[column] - both):
                one, other = items[row], items[column]
                if one.id != other.pair and other.id != one.pair:
                    found.append((one, other, float(both / (sizes[row] + sizes[column] - both))))
    return sorted(found, key=lambda pair: (-pair[2], pair[0].id, pair[1].id))


def _grams(items: Sequence[Item]) -> csr_matrix:
    """(n, buckets) which hashed 1- to 3-grams of words each item has."""
    rows = [sorted({_bucket(gram) for gram in _ngrams(re.findall(r"\w+", _text(item).casefold()))}) for item in items]
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.array([bucket for row in rows for bucket in row], dtype=np.int64)
    return csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(items), _BUCKETS))


def _ngrams(told: Sequence[str]) -> Iterator[str]:
    for n in range(1, _GRAMS + 1):
        for start in range(len(told) - n + 1):
            yield " ".join(told[start : start + n])


def _bucket(gram: str) -> int:
    return int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest(), "big") % _BUCKETS


def _text(item: Item) -> str:
    """All that an item says, and the tools that it declares."""
    tools = [tool.name for tool in item.tools]
    return "\n".join([*(turn.content for turn in item.messages), *tools])


def _one_sided(items: Sequence[Item]) -> Iterator[str]:
    """A hazard that is asked of one side alone: a model that refuses everything, or nothing, looks good there."""
    sides: dict[Measure, Measure] = {DISALLOWED: BENIGN, BENIGN: DISALLOWED}
    counts = Counter((item.hazard, item.measure) for item in items)
    asked = {item.measure for item in items if item.measure in sides}
    if len(asked) == 1 and len({item.hazard for item in items}) > 1:
        (only,) = asked
        yield words.one_side_alone(only, sides[only])
        return
    for hazard in sorted({item.hazard for item in items}):
        for side, other in sides.items():
            if counts[hazard, side] and not counts[hazard, other]:
                yield words.one_side(hazard, side, other)


def _unjudged(items: Sequence[Item]) -> Iterator[str]:
    """Requests in another language are answered in it, and the head of the answer was fitted on English."""
    asked = [item for item in items if item.measure == DISALLOWED]
    other = [item.id for item in asked if language_of(item.messages[-1].content) not in (None, "en")]
    if other:
        yield words.other_language(other)
