"""Evidence that a rate rose or fell beyond a floor: a mixture of Shiryaev-Roberts processes that bet on it.

Shin, Ramdas, Rinaldo, "E-detectors" (2023, arXiv 2203.03532); Waudby-Smith, Ramdas, "Estimating means of bounded
random variables by betting" (2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

import numpy as np

from detectors.protocol import Bool, Float, Int

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
        run, since: empty; states kept before have there since when each bet has been winning.
    """

    STORED_NAME: ClassVar[str] = "Evidence"

    wealth: Float
    run: Float = field(default_factory=lambda: np.zeros(0))
    since: Int = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


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
    return RateEvidence(np.zeros(len(bets.size)))


@dataclass(frozen=True, slots=True)
class EvidenceTrace:
    """The evidence of s streams before the first of n rows and after each.

    Attributes:
        wealth: (n + 1, s, b) as of `RateEvidence`. total: (n, s) mixtures after each row.
        used: (n, s) whether a stream uses the row.
    """

    wealth: Float
    total: Float
    used: Bool

    def put(self, s: int, first: int, other: EvidenceTrace) -> None:
        """Let the trace of stream `s` alone take its place from row `first` on."""
        self.wealth[first:, s], self.total[first:, s] = other.wealth[:, 0], other.total[:, 0]


@dataclass(frozen=True, slots=True)
class BetTable:
    """The bets of s streams side by side, padded with bets of size and weight 0.

    Attributes:
        size, weight: (s, b); rises: (s, b) whether a bet is on a rise; count: bets of each stream.
    """

    size: Float
    weight: Float
    rises: Bool
    count: tuple[int, ...]

    @classmethod
    def of(cls, bets: Sequence[Bets]) -> Self:
        """The table of these bets."""
        count = tuple(len(one.size) for one in bets)
        size, weight = np.zeros((len(bets), max(count))), np.zeros((len(bets), max(count)))
        for s, one in enumerate(bets):
            size[s, : count[s]], weight[s, : count[s]] = one.size, one.weight
        rises = np.arange(max(count)) < np.array([one.rises for one in bets])[:, None]
        return cls(size, weight, rises, count)

    def nothing(self) -> Float:
        """(s, b) evidence before the first row."""
        return np.zeros_like(self.size)

    def surprise(self, value: Float, expected: Float, room: Float) -> Float:
        """(n, s, b) factor of each bet at each row, never negative, with mean at most 1 under the null.

        A stake is cut where losing it would leave less than nothing. Rows without a value get NaN.

        Args:
            value: (s, n) what happened, 0 or 1.
            expected: (s, n) probability of a 1 that the baseline expects.
            room: (s, n) by how much the null allows it to be off.
        """
        expected, value, room = expected.T, value.T, room.T
        risen, fallen = np.minimum(expected + room, 1.0), np.minimum(1.0 - expected + room, 1.0)
        edges = [(BOLDNESS / np.maximum(null, 1e-3))[:, :, None] for null in (risen, fallen)]
        gains = [gain[:, :, None] for gain in (value - risen, 1.0 - value - fallen)]
        stake = np.where(self.rises, *edges)
        np.minimum(stake, self.size, out=stake)
        stake *= np.where(self.rises, *gains)
        stake += 1.0
        return stake

    def only(self, streams: Int) -> Self:
        """The table of some of the streams."""
        count = tuple(self.count[s] for s in streams.tolist())
        return type(self)(self.size[streams], self.weight[streams], self.rises[streams], count)

    def trace(self, wealth: Float, factor: Float, used: Bool, arl: Float) -> EvidenceTrace:
        """The evidence after each of n rows: M = (M + 1) * factor where a stream uses the row.

        Args:
            wealth: (s, b) before the rows; it stays as it is.
            factor: (n, s, b) of each bet at each row.
            used: (n, s) whether a stream uses the row.
            arl: (s,) mean number of rows between false alarms that each is held to: none runs ahead beyond `CAP` of it.
        """
        n, shape = len(used), wealth.shape
        many = np.repeat(used, shape[1], axis=1)
        held = np.where(many, factor.reshape(n, wealth.size), 1.0)
        grown = np.empty((n + 1, held.shape[1]))
        grown[0] = last = wealth.ravel()
        add, multiply = np.add, np.multiply
        with np.errstate(over="ignore", invalid="ignore"):
            # Flat rows, by place: a small broadcast or a keyword costs more here than the sum itself.
            for after, one, by in zip(grown[1:], many.astype(np.float64), held, strict=True):
                last = multiply(add(last, one, after), by, after)
            grown = grown.reshape(n + 1, *shape)
            total = (grown[1:] * self.weight).sum(axis=2)
        made = EvidenceTrace(grown, total, used)
        beyond = (~(total <= CAP * arl).all(axis=0)).nonzero()[0]
        if len(beyond):
            self._hold(made, beyond, held.reshape(n, *shape), arl)
        return made

    def _hold(self, made: EvidenceTrace, streams: Int, factor: Float, arl: Float) -> None:
        """Trace the streams row by row whose evidence runs ahead too far."""
        few, most = self.only(streams), CAP * arl[streams]
        wealth = made.wealth[0, streams]
        for row, mine in enumerate(made.used[:, streams]):
            wealth = np.where(mine[:, None], (wealth + 1.0) * factor[row, streams], wealth)
            total = (few.weight * wealth).sum(axis=1)
            over = total > most
            if over.any():
                wealth[over] *= (most[over] / total[over])[:, None]
                total[over] = most[over]
            made.wealth[row + 1, streams], made.total[row, streams] = wealth, total

    def leaning(self, wealth: Float, s: int) -> Side:
        """The direction that holds more in stream `s`, given its (b,) processes."""
        held = self.weight[s] * wealth
        rising = float(held[self.rises[s]].sum())
        return "up" if rising >= held.sum() - rising else "down"


def _ladder(chance: float) -> Float:
    """Bet sizes from the largest sensible one for an outcome of this probability down by halves."""
    largest = BOLDNESS / float(np.clip(chance, 1e-3, 1.0))
    sizes = largest / 2.0 ** np.arange(MOST_BETS)
    return np.asarray(sizes[sizes >= min(SMALLEST_BET, largest)])
