"""Which rows hold the same prompt: groups, folds, and prompts that are asked again and again."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Float, Half, Int

Keys = NDArray[np.uint64]
Marks = NDArray[np.uint32] | NDArray[np.uint64]  # the lower halves of keys; states kept before hold whole ones
HALF = (1 << 32) - 1
RECENT = 500  # rows within which a prompt that comes back is a repetition


def group_rows(rows: Half) -> Int:
    """(n,) number of the first-seen order of each row's bytes: equal rows, equal numbers, from 0."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows], dtype=np.int64)


def fold_of(groups: Int, folds: int) -> Int:
    """(n,) fold of each row, all rows of a group in one, groups dealt out in a fixed shuffled order.

    Shuffled, because the order of a baseline is that of its traffic: neighbours are alike.
    """
    unique = int(groups.max()) + 1
    order = np.random.default_rng(20231).permutation(unique)
    return (order % folds)[groups]


@dataclass(frozen=True, slots=True)
class Known:
    """The distinct prompts of a baseline.

    Attributes:
        keys: (u,) sorted keys of the prompts; allowed: (u,) how often each may count in `RECENT` rows.
    """

    keys: Keys
    allowed: Float

    @classmethod
    def of(cls, prompts: Half) -> Self:
        """The distinct ones of (n, d) baseline prompts."""
        keys, times = np.unique(prompt_keys(prompts), return_counts=True)
        return cls(keys, 2.0 + 4.0 * times * RECENT / len(prompts))

    def find(self, keys: Keys) -> Int:
        """(n,) position of each key among the distinct prompts, -1 where the baseline did not hold it."""
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, at, -1)

    def repeated(self, keys: Keys, recent: Marks, where: Bool) -> tuple[Bool, Marks]:
        """Which rows repeat a prompt too often to count, and the lower halves of the keys of the last `RECENT` rows.

        A model has one way of answering one prompt: asked again and again, a prompt that the baseline hardly knows
        says nothing about whether the model moved. Within `RECENT` rows it counts twice, plus four times as often
        as in the baseline.

        Args:
            keys: (n,) of the rows' prompts.
            recent: what the call for the rows before them gave.
            where: (n,) rows that count; the others are never repeated.
        """
        held = deque((recent & HALF).tolist(), RECENT)
        times = Counter(held)
        seen = self.find(keys)
        allowed = np.where(seen >= 0, self.allowed[seen], 2.0)
        over = np.zeros(len(keys), dtype=np.bool_)
        for row in np.flatnonzero(where).tolist():
            key = int(keys[row]) & HALF
            if len(held) == RECENT:
                times[held[0]] -= 1
            held.append(key)
            times[key] += 1
            over[row] = times[key] > allowed[row]
        return over, np.array(held, dtype=np.uint32)


def prompt_keys(prompts: Half) -> Keys:
    """(n,) 64-bit keys of prompt vectors: the same vector, the same key."""
    raw = np.ascontiguousarray(prompts)
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in raw)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
