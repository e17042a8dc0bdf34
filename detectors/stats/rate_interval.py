"""Interval of a change of rate when both what was expected and what happened are uncertain."""

from __future__ import annotations

import math

NORMAL95 = 1.959964


def wilson(hits: float, n: int, z: float = NORMAL95) -> tuple[float, float]:
    """Wilson's interval of a proportion: `hits` of `n`.

    >>> [round(x, 3) for x in wilson(0, 10)]
    [0.0, 0.278]
    """
    if n == 0:
        return 0.0, 1.0
    share, square = hits / n, z * z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def change(hits: float, expected: float, n: int, error: float) -> tuple[float, float, float]:
    """Change of a rate with its 95% interval: (low, estimate, high), all shares.

    Newcombe's "square and add": Wilson's interval of what happened, widened by the error of what was expected.

    Args:
        hits: number of ones among the n rows.
        expected: their expected number.
        n: rows, at least 1.
        error: standard error of the mean expectation.
    """
    after, before = hits / n, expected / n
    low, high = wilson(hits, n)
    estimate, slip = after - before, NORMAL95 * error
    return estimate - math.hypot(after - low, slip), estimate, estimate + math.hypot(high - after, slip)
