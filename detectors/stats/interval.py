"""How far a stream moved, from the distances of its rows along the bets that were placed before them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance in sd of the baseline, at least 0, with its 95% interval."""

    value: float
    low: float
    high: float


def distance_of(along: NDArray[np.float64], spread: float) -> Distance:
    """Mean of `along` (n,), with an interval for the rows' own noise and the baseline's standard error `spread`.

    Each entry is a row's distance from the baseline's mean along a direction chosen before the row was seen, so an
    unchanged stream has mean 0 in any direction and the estimate needs no correction for having searched. It
    falls short of the true distance as far as the direction was not yet learned.
    """
    n = len(along)
    mean = float(along.mean())
    sd = float(along.std()) if n > 1 else 1.0
    error = float(np.sqrt(max(sd, 0.5) ** 2 / n + spread**2))
    return Distance(max(mean, 0.0), max(mean - Z95 * error, 0.0), max(mean + Z95 * error, 0.0))
