"""Evidence that more of the rows are hits than a share allows: bets that may be large, as hits are rare.

Source: Shin, Ramdas, Rinaldo, "E-detectors" (2023, arXiv 2203.03532), the Shiryaev-Roberts form with the payoff
1 + bet * (hit / share - 1), whose mean is at most 1 while at most `share` of the rows are hits. One process a bet;
their mean is the evidence, `E[first row at which it reaches c] >= c` while the share holds.
"""

from __future__ import annotations

from math import log
from typing import Final

Processes = tuple[float, ...]
BETS: Final = (0.02, 0.1, 0.4)
NONE: Final[Processes] = (0.0, 0.0, 0.0)
HELD: Final = 10.0  # times the ARL at which evidence is held, so that it can come back
LEAST_SHARE: Final = 1e-4


def log_evidence(processes: Processes) -> float:
    """Natural logarithm of the mean of the processes, 0 at least.

    >>> log_evidence(NONE)
    0.0
    """
    return log(max(sum(processes) / len(processes), 1.0))


def has_reached(processes: Processes, arl: float) -> bool:
    """Whether the evidence is enough to fire."""
    mean = sum(processes) / len(processes)
    return mean >= arl * (1 - 1e-9) and log(max(mean, 1.0)) >= log(arl)


def grown(processes: Processes, hit: float, share: float, arl: float) -> Processes:
    """The processes after a row; `hit` in [0, 1], `share` in (0, 1) fixed before the row was seen."""
    most, (small, middle, large) = HELD * arl * len(BETS), factors(hit, share)
    a, b, c = processes
    a, b, c = (a + 1.0) * small, (b + 1.0) * middle, (c + 1.0) * large
    if a <= most and b <= most and c <= most:
        return a, b, c
    return min(a, most), min(b, most), min(c, most)


def factors(hit: float, share: float) -> Processes:
    """What each process is multiplied by at a row, once it has its 1."""
    gain = hit / max(share, LEAST_SHARE) - 1.0
    small, middle, large = BETS
    return 1.0 + small * gain, 1.0 + middle * gain, 1.0 + large * gain
