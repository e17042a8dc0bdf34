"""Evidence that a rate rose or fell beyond a floor: a mixture of Shiryaev-Roberts processes that bet on it.

Shin, Ramdas, Rinaldo, "E-detectors" (2023, arXiv 2203.03532); Waudby-Smith, Ramdas, "Estimating means of bounded
random variables by betting" (2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from detectors.protocol import Float, Int

Side = Literal["up", "down"]
SMALLEST_BET = 0.1
MOST_BETS = 8
BOLDNESS = 0.9  # of the bet that would lose everything at once
CAP = 10.0  # times the ARL: how far evidence may run ahead, so that it can come back


@dataclass(frozen=True, slots=True)
class Bets:
    """Bet sizes of both directions, rising ones first.

    Attributes:
        size: (b,) the most that is staked per unit of surprise; weight: (b,) share of each bet, sums to 1.
        rises: number of bets on a rise.
    """

    size: Float
    weight: Float
    rises: int


@dataclass(frozen=True, slots=True)
class RateEvidence:
    """What the bets hold after some rows.

    Attributes:
        wealth: (b,) Shiryaev-Roberts processes.
        run: (b,) the same bets since the row that makes them largest (CUSUM), at least 1.
        since: (b,) number of the row that `run` starts at.
    """

    STORED_NAME: ClassVar[str] = "Evidence"

    wealth: Float
    run: Float
    since: Int

    def log(self, bets: Bets) -> float:
        """Natural logarithm of the mixture; minus infinity before the first row."""
        total = float(bets.weight @ self.wealth)
        return float(np.log(total)) if total > 0 else -np.inf

    def leaning(self, bets: Bets) -> tuple[Side, int]:
        """The direction that holds more, and the row since which its best bet has been winning."""
        held = bets.weight * self.wealth
        best = int(held.argmax())
        return ("up" if held[: bets.rises].sum() >= held[bets.rises :].sum() else "down"), int(self.since[best])


def make_bets(rise: float, fall: float) -> Bets:
    """Bets for a stream whose null probability of 1 is nearly always at most `rise`, of 0 at most `fall`.

    The largest bet is about one over that probability, so that a signal that was never seen before tells within a
    few rows; smaller ones halve down to `SMALLEST_BET`. Each direction has half of the weight.
    """
    up, down = _ladder(rise), _ladder(fall)
    weight = np.concatenate([np.full(len(up), 0.5 / len(up)), np.full(len(down), 0.5 / len(down))])
    return Bets(np.concatenate([up, down]), weight, len(up))


def no_evidence(bets: Bets) -> RateEvidence:
    """Evidence before the first row."""
    count = len(bets.size)
    return RateEvidence(np.zeros(count), np.ones(count), np.zeros(count, dtype=np.int64))


def surprise(bets: Bets, value: Float, rise: Float, fall: Float) -> Float:
    """(n, b) factor of each bet at each row, never negative, with mean at most 1 under the null.

    Args:
        bets: the bets.
        value: (n,) what happened, 0 or 1.
        rise: (n,) the null's largest probability of a 1.
        fall: (n,) the null's largest probability of a 0.
    """
    up = _factor(bets.size[: bets.rises], value, rise)
    down = _factor(bets.size[bets.rises :], 1.0 - value, fall)
    return np.concatenate([up, down], axis=1)


def advance(evidence: RateEvidence, bets: Bets, factor: Float, row: int, arl: float) -> RateEvidence:
    """Evidence after the row numbered `row`, whose factors are (b,); the mixture is held at `CAP` times the ARL."""
    wealth = (evidence.wealth + 1.0) * factor
    total = float(bets.weight @ wealth)
    if total > CAP * arl:
        wealth *= CAP * arl / total
    starts = evidence.run <= 1.0
    run = np.minimum(np.maximum(evidence.run, 1.0) * factor, 1e300)
    return RateEvidence(wealth, run, np.where(starts, row, evidence.since))


def _ladder(chance: float) -> Float:
    """Bet sizes from the largest sensible one for an outcome of this probability down by halves."""
    largest = BOLDNESS / float(np.clip(chance, 1e-3, 1.0))
    sizes = largest / 2.0 ** np.arange(MOST_BETS)
    return np.asarray(sizes[sizes >= min(SMALLEST_BET, largest)])


def _factor(size: Float, value: Float, null: Float) -> Float:
    """(n, b) `1 + stake (value - null)`; a stake is cut where losing it would leave less than nothing."""
    stake = np.minimum(size, BOLDNESS / np.maximum(null, 1e-3)[:, None])
    return np.asarray(1.0 + stake * (value - null)[:, None])
