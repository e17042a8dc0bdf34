"""Which rows are the same prompt, and folds that keep them together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]


def group_rows(rows: NDArray[np.float16]) -> Int:
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
