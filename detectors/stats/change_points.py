"""Since when: the posterior over the exchange at which a stream moved, from its last rows.

Before the change each row is as the baseline expects, after it as some shift makes it; how large a shift is integrated
out, so that a great one and a small one are dated alike. The prior over the position is flat over the rows that are
kept. The change lies between two rows of the stream, so the ends of the interval count the exchanges between them in.

Sources: Chernoff and Zacks, "Estimating the current mean of a normal distribution which is subjected to changes in
time" (1964); Shiryaev (1963) for the position's posterior; Bissiri, Holmes and Walker, "A general framework for
updating belief distributions" (2016) for tempering, which widens the interval for what the model of a row leaves out
(rows of one prompt go together, tails are heavier than normal ones). One exponent for each kind of stream, whatever the
route; what comes of it is measured (`python -m tests.benchmarks.change_points`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Float, Int
from schemas.base import moment
from schemas.reading import ChangePoint

SURE: Final = 0.9
RATE_TEMPER: Final = 0.7
DRIFT_TEMPER: Final = 0.5
EDGE: Final = 0.005  # an expected probability is never taken for nearer to 0 or 1
MOVED: Final = np.array([0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 0.95, 0.99])  # of all answers that could turn
SLIPS: Final = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])  # standard errors by which the baseline may be off
SCALES: Final = np.array([0.1, 1.0, 10.0])  # of the prior variance of a shift
STEP: Final = 0.85  # standard deviations to a step of a packed coordinate, of which there are 7 to each side


@dataclass(frozen=True, slots=True)
class Onset:
    """The estimate as a state keeps it.

    Attributes:
        n: rows of the stream before the first one that moved; least: the same at the early end of the interval.
        event_index, low, high: exchanges of the route; ts, ts_low, ts_high: their times, seconds since 1970.
    """

    n: int
    least: int
    event_index: int
    low: int
    high: int
    ts: float
    ts_low: float
    ts_high: float

    def point(self) -> ChangePoint:
        """The estimate as readings carry it."""
        return ChangePoint(
            event_index=self.event_index,
            low=self.low,
            high=self.high,
            ts=moment(self.ts),
            ts_low=moment(self.ts_low),
            ts_high=moment(self.ts_high),
        )


def onset_of(posterior: Float, index: Int, ts: Float, n: int) -> Onset:
    """The posterior's median and its central 90%.

    Args:
        posterior: (h,) chance that the row is the first one that moved; sums to 1.
        index: (h,) event index of the kept rows, oldest first.
        ts: (h,) their times.
        n: rows of the stream up to and with the last kept one.
    """
    below = np.cumsum(posterior)
    last = len(posterior) - 1
    first, middle, final = (
        min(int(np.searchsorted(below, share)), last) for share in ((1 - SURE) / 2, 0.5, (1 + SURE) / 2)
    )
    before = max(first - 1, 0)
    low = int(index[before]) + 1 if first else int(index[0])
    return Onset(
        n=n - len(posterior) + middle,
        least=n - len(posterior) + first,
        event_index=int(index[middle]),
        low=min(low, int(index[middle])),
        high=int(index[final]),
        ts=float(ts[middle]),
        ts_low=float(ts[before]),
        ts_high=float(ts[final]),
    )


def rate_posterior(values: Float, expected: Float, rises: bool, error: float) -> Float:
    """(h,) chance that each row is the first at which a rate moved.

    After the change a share of the answers that could turn has turned: a probability q is q + (1 - q) m of a rise and
    q (1 - m) of a fall, each m of `MOVED` as likely as the other. Before it, q may be off by `SLIPS` errors.

    Args:
        values: (h,) what happened, 0 or 1, oldest first.
        expected: (h,) what the baseline expects.
        rises: whether the rate rose.
        error: standard error of the mean expectation, at least.
    """
    chance = np.clip(expected, EDGE, 1 - EDGE)[:, None]
    told = values[:, None] > 0
    turned = chance + (1 - chance) * MOVED if rises else chance * (1 - MOVED)
    after = _suffix(_log_chance(told, turned)) - np.log(len(MOVED))
    slipped = _log_chance(told, np.clip(chance + SLIPS * error, EDGE, 1 - EDGE))
    before = np.cumsum(slipped, axis=0) - slipped - SLIPS**2 / 2
    return _normal(_log_mean(RATE_TEMPER * before) + _log_mean(RATE_TEMPER * after))


def drift_posterior(rows: Float, prior: Float, noise: Float) -> Float:
    """(h,) chance that each row is the first at which the mean of the rows moved.

    Args:
        rows: (h, d) independent coordinates of mean 0 before the change, oldest first.
        prior: (d,) variance of a shift over that of the noise; multiples of it (`SCALES`) are as likely.
        noise: (d,) variance of a row around its mean.
    """
    sums = _suffix(rows) / np.sqrt(noise)
    count = np.arange(len(rows), 0, -1, dtype=np.float64)[:, None]
    evidence = [
        (sums**2 * (scaled / (count * scaled + 1))).sum(axis=1) - np.log1p(count * scaled).sum(axis=1)
        for scaled in SCALES[:, None] * prior
    ]
    return _normal(DRIFT_TEMPER * _log_mean(np.stack(evidence, axis=1) / 2))


def packed(rows: Float) -> NDArray[np.uint8]:
    """(n, d) coordinates in standard deviations as (n, d / 2) bytes, two to a byte; rounding adds 6% of noise."""
    steps = np.zeros((len(rows), rows.shape[1] + rows.shape[1] % 2), dtype=np.uint8)
    steps[:, : rows.shape[1]] = np.clip(np.rint(rows / STEP), -7, 7) + 8
    return np.asarray(steps[:, ::2] << 4 | steps[:, 1::2], dtype=np.uint8)


def unpacked(held: NDArray[np.uint8], wide: int) -> Float:
    """The (n, wide) coordinates again, as rounded."""
    steps = np.stack([held >> 4, held & 15], axis=2).reshape(len(held), 2 * held.shape[1])[:, :wide]
    return (steps.astype(np.float64) - 8) * STEP


def _log_chance(told: Bool, chance: Float) -> Float:
    return np.asarray(np.where(told, np.log(chance), np.log1p(-chance)))


def _suffix(terms: Float) -> Float:
    """Sum of each row and all after it."""
    return np.asarray(np.cumsum(terms[::-1], axis=0)[::-1])


def _log_mean(logs: Float) -> Float:
    """(h,) log of the sum over the columns of (h, m) logs."""
    most = logs.max(axis=1)
    return np.asarray(most + np.log(np.exp(logs - most[:, None]).sum(axis=1)))


def _normal(logs: Float) -> Float:
    """Weights that sum to 1."""
    held = np.exp(logs - logs.max())
    return np.asarray(held / held.sum())
