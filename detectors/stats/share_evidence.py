"""Evidence that more of the rows are hits than a share allows: bets that may be large, as hits are rare."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from typing import Final

BETS: Final = (0.02, 0.1, 0.4)
HELD: Final = 10.0  # times the ARL at which evidence is held, so that it can come back
LEAST_ROOM: Final = 1e-4


@dataclass(frozen=True, slots=True)
class ShareEvidence:
    """One process a bet; their mean is the evidence, `E[first row at which it reaches c] >= c` while the share holds.

    Source: Shin, Ramdas, Rinaldo, "E-detectors" (2023, arXiv 2203.03532), the Shiryaev-Roberts form with the payoff
    1 + bet * (hit / share - 1), whose mean is at most 1 while at most `share` of the rows are hits.
    """

    processes: tuple[float, ...] = (0.0,) * len(BETS)

    @property
    def log_e(self) -> float:
        """Natural logarithm of the mean of the processes, 0 at least."""
        return max(log(max(sum(self.processes) / len(self.processes), 1.0)), 0.0)

    def after(self, hit: float, share: float, arl: float) -> ShareEvidence:
        """The evidence after a row; `hit` in [0, 1], `share` in (0, 1) fixed before the row was seen."""
        gain = hit / max(share, LEAST_ROOM) - 1.0
        most = HELD * arl * len(BETS)
        grown = [min((one + 1.0) * (1.0 + bet * gain), most) for one, bet in zip(self.processes, BETS, strict=True)]
        return replace(self, processes=tuple(grown))

