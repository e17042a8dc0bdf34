"""Whether a rate lies above a ceiling: evidence that grows exchange by exchange, and what is known of the rate.

The evidence is a mixture of Shiryaev-Roberts processes that bet on a rate above the ceiling (Shin, Ramdas, Rinaldo,
"E-detectors", 2023, arXiv 2203.03532). While the rate, given all that came before, is at most the ceiling, each bet
loses on average, so the mean number of exchanges before the mixture reaches `arl` is at least `arl`: whenever it is
looked at, and from the first exchange on. Nothing has to be learned.

The interval is Robbins' confidence sequence for a Bernoulli rate (Robbins, 1970; Howard, Ramdas, McAuliffe, Sekhon,
"Time-uniform, nonparametric, nonasymptotic confidence sequences", 2021): all rates that a mixture over Jeffreys' prior
does not beat by 20 to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log
from typing import Final

import numpy as np
from scipy.special import betaln

from detectors.protocol import Float

BOLDNESS: Final = 0.9  # of the bet that would lose everything at once
SMALLEST_BET: Final = 0.25
CAP: Final = 10.0  # times the ARL: how far evidence may run ahead
LEAST_WINDOW, MOST_WINDOW = 500, 20_000
WORTH: Final = 10.0  # hits that a rate as high as the ceiling would show in a window
_SURE: Final = log(20.0)
_JEFFREYS: Final = 0.5
_HALVINGS: Final = 40


@dataclass(frozen=True, slots=True)
class CeilingBets:
    """Factors of each of b bets where the signal was true (`win`), where it was not (`lose`), and their shares.

    Attributes:
        win, lose, weight: (b,); the weights sum to 1.
    """

    win: Float
    lose: Float
    weight: Float


def ceiling_bets(ceiling: float) -> CeilingBets:
    """Bets against "the rate is at most `ceiling`", a share in (0, 1].

    The boldest is about one over the ceiling, so that a signal that is always true tells within a few exchanges; they
    halve down to a bet that wins slowly on a rate only a little above.
    """
    largest = BOLDNESS / ceiling
    sizes: Float = largest / 2.0 ** np.arange(32, dtype=np.float64)
    sizes = sizes[sizes >= min(SMALLEST_BET, largest)]
    weight = np.full(len(sizes), 1.0 / len(sizes))
    win, lose = np.asarray(1.0 + sizes * (1.0 - ceiling)), np.asarray(1.0 - sizes * ceiling)
    return CeilingBets(win, lose, weight)


def window_of_ceiling(ceiling: float) -> int:
    """Rows that a rate is measured over: the lower the ceiling, the more it takes to know that a rate lies below it.

    >>> window_of_ceiling(0.2), window_of_ceiling(0.005), window_of_ceiling(1e-6)
    (500, 2000, 20000)
    """
    return int(min(max(LEAST_WINDOW, round(WORTH / ceiling)), MOST_WINDOW))


def began_above(values: Float, ceiling: float) -> int:
    """Position in 0/1 `values` (n,) from which on they exceed the ceiling most clearly, by their likelihood ratio."""
    n = np.arange(len(values), 0, -1, dtype=np.float64)
    hits = np.cumsum(values[::-1])[::-1]
    rate = np.clip(hits / n, 1e-12, 1 - 1e-12)
    gain = hits * np.log(rate / ceiling) + (n - hits) * np.log((1 - rate) / max(1 - ceiling, 1e-12))
    return int(np.where(rate > ceiling, gain, -inf).argmax())


def rate_bounds(hits: int, n: int) -> tuple[float, float]:
    """The 95% confidence sequence of a rate after `hits` of `n`: valid at every n at once, so wider than Wilson's.

    >>> [round(end, 3) for end in rate_bounds(0, 2000)], rate_bounds(0, 0)
    ([0.0, 0.004], (0.0, 1.0))
    """
    if n == 0:
        return 0.0, 1.0
    mixed = float(betaln(hits + _JEFFREYS, n - hits + _JEFFREYS) - betaln(_JEFFREYS, _JEFFREYS))

    def beaten(rate: float) -> bool:
        alone = (hits * log(rate) if hits else 0.0) + ((n - hits) * log(1 - rate) if n > hits else 0.0)
        return mixed - alone > _SURE

    best = hits / n
    low = _edge(beaten, 0.0, best) if hits else 0.0
    high = _edge(beaten, 1.0, best) if hits < n else 1.0
    return low, high


def _edge(beaten: Callable[[float], bool], outer: float, inner: float) -> float:
    """The end of the interval between a rate that is `beaten` and the best one, which is not."""
    for _ in range(_HALVINGS):
        middle = (outer + inner) / 2
        if beaten(middle):
            outer = middle
        else:
            inner = middle
    return outer
