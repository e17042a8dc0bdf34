"""Evidence of paired answers that may be looked at after every pair: tests by betting. Pure.

A pair is worse (+1), better (-1) or the same (0). Against "the change is at most m" a gambler stakes the share f of
what is left on each pair: a pair multiplies the stake by 1 + f / (1 + m) * (pair - m), which never grows on average
while that is true. The mean over fixed shares is such a bet too (an e-process), so the chance that it ever reaches
1 / a is at most a (Ville), whenever one stops. With m = 0 only the pairs that flipped count, as in McNemar's test.

Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (2023); several tests at once: Vovk
and Wang, "E-values: calibration, combination and applications" (2021), algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

STAKES: Final = (0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)
"""Shares of what is left that are staked on each pair; all is lost with the last one when a pair goes the other way."""
_HALVINGS: Final = 40


@lru_cache(maxsize=1 << 16)
def evidence(worse: int, better: int, n: int, most: float) -> float:
    """Log of the evidence that the change is larger than `most`, a share in (-1, 1).

    >>> round(evidence(10, 0, 50, 0.0), 2), evidence(0, 10, 50, 0.0) < 0, evidence(0, 0, 50, 0.0)
    (5.54, True, 0.0)
    """
    same = n - worse - better
    logs = [log for stake in STAKES if (log := _log_stake(worse, better, same, stake, most)) > -math.inf]
    if not logs:
        return -math.inf
    top = max(logs)
    return top + math.log(sum(math.exp(log - top) for log in logs) / len(STAKES))


def _log_stake(worse: int, better: int, same: int, stake: float, most: float) -> float:
    """Log of what is left of 1 after so many pairs."""
    each = stake / (1 + most)
    left = 0.0
    for count, factor in ((worse, 1 + each * (1 - most)), (better, 1 - stake), (same, 1 - each * most)):
        if count:
            if factor <= 0:
                return -math.inf
            left += count * math.log(factor)
    return left


def adjusted(logs: Sequence[float]) -> list[float]:
    """Evidence (log) of each of several tests, after closing over all of them: the least mean with others beside it.

    The chance that any true null ever reaches 1 / a is at most a, however the tests depend on each other.

    >>> [round(math.exp(log), 2) for log in adjusted([math.log(90), math.log(1), math.log(2)])]
    [31.0, 1.0, 1.5]
    """
    values = [math.exp(min(log, 700.0)) for log in logs]
    found = []
    for i, value in enumerate(values):
        total, count, least = value, 1, value
        for other in sorted(values[:i] + values[i + 1 :]):
            total, count = total + other, count + 1
            least = min(least, total / count)
        found.append(math.log(least) if least > 0 else -math.inf)
    return found


@lru_cache(maxsize=1 << 14)
def interval(worse: int, better: int, n: int, tail: float) -> tuple[float, float]:
    """Where the change lies, as shares, whenever one stops: each end is missed with a chance of at most `tail`.

    >>> [round(end, 2) for end in interval(0, 0, 100, 0.025)]
    [-0.05, 0.05]
    """
    return -_upper(better, worse, n, tail), _upper(worse, better, n, tail)


def _upper(worse: int, better: int, n: int, tail: float) -> float:
    """The least change that the pairs speak against: the mirrored pairs are more than its negative."""
    inner, outer, wanted = -1.0, 1.0, -math.log(tail)
    for _ in range(_HALVINGS):
        middle = (inner + outer) / 2
        if evidence(better, worse, n, -middle) >= wanted:
            outer = middle
        else:
            inner = middle
    return outer


def flips_needed(tests: int, tail: float) -> int:
    """The fewest flips, all going one way, that decide one of so many tests.

    >>> flips_needed(1, 0.005), flips_needed(2, 0.005)
    (10, 11)
    """
    flips = 1
    while evidence(flips, 0, flips, 0.0) < math.log(tests / tail):
        flips += 1
    return flips


def rate_interval(events: int, n: int, tail: float = 0.025) -> tuple[float, float]:
    """Where the rate of an event lies, whenever one stops. An event is a pair that is worse; none is better."""
    if not n:
        return 0.0, 1.0
    low, high = interval(events, 0, n, tail)
    return max(low, 0.0), min(high, 1.0)
