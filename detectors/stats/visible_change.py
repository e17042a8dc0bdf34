"""The smallest change of a rate that a baseline of so many exchanges can show."""

from __future__ import annotations

from math import sqrt
from typing import Final

SLACK: Final = 1.5
"""Standard errors of a baseline's rate that count as no change, as of `RateShift.slack`; a test holds them equal."""


def smallest_change(rate: float, n: int, floor: float) -> float:
    """A change that stays below this is inside the null of `rate_shift`: it never alerts, however long it lasts.

    The null allows for the floor, and for `SLACK` standard errors of the `n` exchanges that the rate was counted of.
    Beyond it evidence grows, the faster the further. Of prompts that repeat, or of one slice alone, it takes more.

    Args:
        rate: share that was counted in the baseline.
        n: scored exchanges of it, at least 1.
        floor: smallest change worth an alert, a share.

    >>> [round(100 * smallest_change(0.15, n, 0.02), 1) for n in (300, 1000)]
    [5.1, 3.7]
    """
    drawn = (rate * n + 0.5) / (n + 1)
    return floor + SLACK * sqrt(drawn * (1 - drawn) / n)
