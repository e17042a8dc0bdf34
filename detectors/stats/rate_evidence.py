"""Evidence that a rate rose or fell beyond a floor: a mixture of Shiryaev-Roberts processes that bet on it.

Shin, Ramdas, Rinaldo, "E-detectors" (2023, arXiv 2203.03532); Waudby-Smith, Ramdas, "Estimating means of bounded
random variables by betting" (2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np

from detectors.protocol import Bool, Float, Int

Side = Literal["up", "down"]
SMALLEST_BET = 0.1
MOST_BETS = 8
BOLDNESS = 0.9  # of the bet that would lose everything at once
MOST_RUN = 1e300
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


@dataclass(frozen=True, slots=True)
class EvidenceTrace:
    """The evidence of s streams before the first of n rows and after each.

    Attributes:
        wealth, run: (n + 1, s, b) as of `RateEvidence`; since: (s, b) as it was before the first row.
        total: (n, s) mixtures after each row.
        used: (n, s) whether a stream uses the row; numbers: (n, s) rows that each used before it.
    """

    wealth: Float
    run: Float
    since: Int
    total: Float
    used: Bool
    numbers: Int

    def after(self, rows: int) -> RateEvidence:
        """(s, b) evidence after the first `rows` of the rows; its arrays are its own."""
        if not rows:
            return RateEvidence(self.wealth[0].copy(), self.run[0].copy(), self.since.copy())
        starts = (self.run[:rows] <= 1.0) & self.used[:rows, :, None]
        last = rows - 1 - starts[::-1].argmax(axis=0)
        began = self.numbers[last, np.arange(len(last))[:, None]]
        since = np.where(starts.any(axis=0), began, self.since)
        return RateEvidence(self.wealth[rows].copy(), self.run[rows].copy(), since)

    def put(self, s: int, first: int, other: EvidenceTrace) -> None:
        """Let the trace of stream `s` alone take its place from row `first` on."""
        self.wealth[first:, s], self.run[first:, s] = other.wealth[:, 0], other.run[:, 0]
        self.total[first:, s] = other.total[:, 0]
        self.since[s] = other.since[0]


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

    def gather(self, evidence: Sequence[RateEvidence]) -> RateEvidence:
        """(s, b) evidence of all streams, to be changed in place."""
        shape = self.size.shape
        whole = RateEvidence(np.zeros(shape), np.ones(shape), np.zeros(shape, dtype=np.int64))
        for s, one in enumerate(evidence):
            held = slice(0, self.count[s])
            whole.wealth[s, held], whole.run[s, held], whole.since[s, held] = one.wealth, one.run, one.since
        return whole

    def evidence_of(self, whole: RateEvidence, s: int) -> RateEvidence:
        """A copy of one stream's evidence."""
        held = slice(0, self.count[s])
        return RateEvidence(whole.wealth[s, held].copy(), whole.run[s, held].copy(), whole.since[s, held].copy())

    def forget(self, whole: RateEvidence, s: int) -> None:
        """Set one stream's evidence back to that before the first row."""
        whole.wealth[s], whole.run[s], whole.since[s] = 0.0, 1.0, 0

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

    def advance(self, whole: RateEvidence, factor: Float, used: Bool, rows: Int, arl: Float) -> Float:
        """Let the streams that use a row take in its (s, b) factors; the (s,) mixtures, each held at `CAP` ARLs.

        `rows`: (s,) number of the row in each stream.
        """
        if used.any():
            mine = used[:, None]
            starts = whole.run <= 1.0
            np.copyto(whole.since, rows[:, None], where=mine & starts)
            run = np.minimum(np.maximum(whole.run, 1.0) * factor, MOST_RUN)
            np.copyto(whole.run, run, where=mine)
            np.copyto(whole.wealth, (whole.wealth + 1.0) * factor, where=mine)
        total = np.asarray((self.weight * whole.wealth).sum(axis=1))
        over = total > CAP * arl
        if over.any():
            whole.wealth[over] *= (CAP * arl[over] / total[over])[:, None]
            total[over] = CAP * arl[over]
        return total

    def only(self, streams: Int) -> Self:
        """The table of some of the streams."""
        count = tuple(self.count[s] for s in streams.tolist())
        return type(self)(self.size[streams], self.weight[streams], self.rises[streams], count)

    def trace(self, whole: RateEvidence, factor: Float, used: Bool, numbers: Int, arl: Float) -> EvidenceTrace:
        """What `advance` would make of n rows at once: the evidence after each.

        Args:
            whole: (s, b) evidence before the rows; it stays as it is.
            factor: (n, s, b) of each bet at each row.
            used: (n, s) whether a stream uses the row.
            numbers: (n, s) rows that each stream used before it.
            arl: (s,) mean number of rows between false alarms that each is held to.
        """
        held = np.where(used[:, :, None], factor, 1.0)
        adds, least = used.astype(np.float64)[:, :, None], np.ones_like(whole.run)
        grown = np.empty((len(used) + 1, 2, *whole.run.shape))
        grown[0, 0], grown[0, 1] = whole.wealth, whole.run
        with np.errstate(over="ignore", invalid="ignore"):
            for before, after, add, by in zip(grown[:-1], grown[1:], adds, held, strict=True):
                np.add(before[0], add, out=after[0])
                np.maximum(before[1], least, out=after[1])
                np.multiply(after, by, out=after)
        if not grown.max() <= MOST_RUN:  # rare: row by row, each held there, as the next one goes by it
            for before, after, add, by in zip(grown[:-1], grown[1:], adds, held, strict=True):
                np.add(before[0], add, out=after[0])
                np.maximum(before[1], least, out=after[1])
                np.multiply(after, by, out=after)
                np.minimum(after, MOST_RUN, out=after)
        wealth, run = grown[:, 0], grown[:, 1]
        total = (self.weight * wealth[1:]).sum(axis=2)
        made = EvidenceTrace(wealth, run, whole.since, total, used, numbers)
        beyond = np.flatnonzero((total > CAP * arl).any(axis=0))
        if len(beyond):
            self._hold(made, beyond, held, arl)
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

    def leaning(self, whole: RateEvidence, s: int) -> tuple[Side, int]:
        """The direction that holds more in a stream, and the row since which its best bet has been winning."""
        held = self.weight[s] * whole.wealth[s]
        rising = float(held[self.rises[s]].sum())
        return ("up" if rising >= held.sum() - rising else "down"), int(whole.since[s, int(held.argmax())])


def _ladder(chance: float) -> Float:
    """Bet sizes from the largest sensible one for an outcome of this probability down by halves."""
    largest = BOLDNESS / float(np.clip(chance, 1e-3, 1.0))
    sizes = largest / 2.0 ** np.arange(MOST_BETS)
    return np.asarray(sizes[sizes >= min(SMALLEST_BET, largest)])
