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
NONE: Final[Processes] = (0.0,) * len(BETS)
HELD: Final = 10.0  # times the ARL at which evidence is held, so that it can come back
LEAST_SHARE: Final = 1e-4


def log_evidence(processes: Processes) -> float:
    """Natural logarithm of the mean of the processes, 0 at least.

    >>> log_evidence(NONE)
    0.0
    """
    return log(max(sum(processes) / len(processes), 1.0))


def grown(processes: Processes, hit: float, share: float, arl: float) -> Processes:
    """The processes after a row; `hit` in [0, 1], `share` in (0, 1) fixed before the row was seen."""
    gain = hit / max(share, LEAST_SHARE) - 1.0
    most = HELD * arl * len(BETS)
    return tuple([min((one + 1.0) * (1.0 + bet * gain), most) for one, bet in zip(processes, BETS, strict=True)])
