"""Which rows hold the same prompt: groups, folds, and prompts that are asked again and again."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Float, Half, Int, Rows

Keys = NDArray[np.uint64]
Marks = NDArray[np.uint32] | NDArray[np.uint64]  # the lower halves of keys; states kept before hold whole ones
HALF = (1 << 32) - 1
FEW = 256  # places at which counting one by one takes less time than counting all
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


def mark_of(*arrays: NDArray[Any]) -> bytes:
    """The same for arrays of the same numbers, and for hardly any others."""
    told = hashlib.blake2b(digest_size=16)
    for one in arrays:
        told.update(f"{one.dtype}{one.shape}".encode())
        told.update(np.ascontiguousarray(one).tobytes())
    return told.digest()


@dataclass(frozen=True, slots=True)
class Known:
    """The distinct prompts of a baseline.

    Attributes:
        keys: (u,) sorted keys of the prompts; allowed: (u,) how often each may count in `RECENT` rows.
    """

    keys: Keys
    allowed: Float
    mark: bytes = field(init=False, repr=False, compare=False)  # the same where it knows the same prompts

    def __post_init__(self) -> None:
        """Work out the mark once: it is compared at every batch."""
        object.__setattr__(self, "mark", mark_of(self.keys, self.allowed))

    @classmethod
    def of(cls, prompts: Half) -> Self:
        """The distinct ones of (n, d) baseline prompts."""
        keys, times = np.unique(prompt_keys(prompts), return_counts=True)
        return cls(keys, 2.0 + 4.0 * times * RECENT / len(prompts))

    def equals(self, other: Known) -> bool:
        """Whether it knows the same prompts, as well."""
        return self.mark == other.mark

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
        at = where.nonzero()[0]
        marks = (keys[at] & HALF).astype(np.uint32)
        held = np.concatenate([(recent[-RECENT:] & HALF).astype(np.uint32), marks])
        over = np.zeros(len(keys), dtype=np.bool_)
        ordered = np.sort(held)
        if (ordered[2:] == ordered[:-2]).any():  # every prompt may count twice
            often = (np.searchsorted(ordered, marks, "right") - np.searchsorted(ordered, marks) > 2).nonzero()[0]
            seen = self.find(keys[at[often]])
            allowed = np.where(seen >= 0, self.allowed[seen], 2.0)
            over[at[often]] = _times(held, often + len(held) - len(marks)) > allowed
        return over, held[-RECENT:].copy()


def _times(marks: NDArray[np.uint32], places: Int) -> Int:
    """(n,) how often the mark at each place stands among the `RECENT` up to and with it."""
    if len(places) < FEW:
        back = places[:, None] - np.arange(len(marks))
        same = marks == marks[places][:, None]
        return np.asarray((same & (back >= 0) & (back < RECENT)).sum(axis=1))
    times, told, wanted = Counter[int](), list[int](), set(places.tolist())
    every = marks.tolist()
    for at, mark in enumerate(every):
        if at >= RECENT:
            times[every[at - RECENT]] -= 1
        times[mark] += 1
        if at in wanted:
            told.append(times[mark])
    return np.array(told, dtype=np.int64)


def repeated_in(rows: Rows, known: Known, recent: Marks) -> tuple[Bool, Marks]:
    """`Known.repeated` of the answered and embedded rows; detectors with the same baseline and past share it."""
    where = rows.embedded & rows.answered
    for of, past, found in rows.derive("repeated", list[tuple[Known, Marks, tuple[Bool, Marks]]]):
        if np.array_equal(past, recent) and of.equals(known):
            return found
    found = known.repeated(keys_in(rows), recent, where)
    rows.derived["repeated"].append((known, recent, found))
    return found


def keys_in(rows: Rows) -> Keys:
    """(n,) keys of the rows' prompts, made once."""
    return rows.derive("keys", lambda: prompt_keys(rows.prompt))


def prompt_keys(prompts: Half) -> Keys:
    """(n,) 64-bit keys of prompt vectors: the same vector, the same key."""
    raw = np.ascontiguousarray(prompts).tobytes()
    wide = max(len(raw) // max(len(prompts), 1), 1)
    hashed = hashlib.blake2b
    digests = b"".join([hashed(raw[at : at + wide], digest_size=8).digest() for at in range(0, len(raw), wide)])
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
