"""The streams of `rate_shift` and `novel_rate`: what each is held against, its rows and its running state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Float, Int, Stream
from detectors.stats.change_points import Onset
from detectors.stats.rate_evidence import Bets, BetTable, RateEvidence, Side, no_evidence
from detectors.stats.rate_expectation import Expectation, ExpectationTable


@dataclass(frozen=True, slots=True)
class RateWatch:
    """What a stream is held against, fixed when the baseline is pinned.

    Attributes:
        stream: what is watched; floor: smallest change worth an alert, a share.
        expectation, bets: None where the baseline has too few scored rows.
        high: expected probability from which a missing 1 is worth showing.
        slack: standard errors of the baseline that the null allows for.
        arl: rows between false alarms of a stream of equal share; weight: its own share in the budget.
    """

    STORED_NAME: ClassVar[str] = "Watch"

    stream: Stream
    floor: float
    expectation: Expectation | None
    bets: Bets | None
    high: float
    slack: float
    arl: float
    weight: float = 1.0

    @property
    def level(self) -> float:
        """Mean number of rows between false alarms that this stream is held to."""
        return self.arl / self.weight


def _no_index() -> NDArray[np.uint32]:
    return np.zeros(0, dtype=np.uint32)


def _no_ts() -> Float:
    return np.zeros(0)


@dataclass(frozen=True, slots=True)
class WatchState:
    """Where a stream stands that begins, or was kept before `RateColumns`.

    Attributes:
        evidence: None where the stream is blind for good.
        share: (2c,) running mix of topics of the rows used, as in `Expectation`.
        values, expected: the last rows used, at most `WINDOW`: what happened, what was expected.
        n: rows used, never set back: a reading is named by it.
        unscored: rows in a row without a value; strange: bits of the last `STRANGE` prompts, 1 = unlike the baseline.
        firing: direction of the alarm that stands; moved: number of the row at which the change seems to begin.
        blind: why nothing can be said now.
        ones, zeros: ids of the last rows that show a rise, a fall; ones_at, zeros_at: their numbers.
        index, ts: event index and time of the last rows used, at most `DATED`.
        onset: since when, while firing.
    """

    evidence: RateEvidence | None
    share: Float
    values: NDArray[np.int8]
    expected: NDArray[np.floating[Any]]
    n: int = 0
    unscored: int = 0
    strange: int = 0
    firing: Side | None = None
    moved: int = 0
    blind: str | None = None
    ones: tuple[str, ...] = ()
    zeros: tuple[str, ...] = ()
    ones_at: tuple[int, ...] = ()
    zeros_at: tuple[int, ...] = ()
    index: NDArray[np.uint32] = field(default_factory=_no_index)
    ts: Float = field(default_factory=_no_ts)
    onset: Onset | None = None


@dataclass(frozen=True, slots=True)
class RateBatch:
    """n rows as s streams see them.

    Attributes:
        value, expected, cell: (s, n) what happened (NaN unscored), what was expected, the topic's place in the mix.
        inside: (s, n) whether the row is of the stream's slice.
        novel: (n,) whether the prompt is unlike the baseline, or was asked too often.
        index, ts: (n,) event index and time; ids: of the exchanges.
    """

    value: Float
    expected: Float
    cell: Int
    inside: Bool
    novel: Bool
    index: Int
    ts: Float
    ids: tuple[str, ...]


def start_watch(watch: RateWatch) -> WatchState:
    """The state of zero evidence."""
    empty = np.zeros(0, dtype=np.int8), np.zeros(0, dtype=np.float16)
    if watch.expectation is None or watch.bets is None:
        return WatchState(None, np.zeros(0), *empty)
    return WatchState(no_evidence(watch.bets), watch.expectation.share, *empty)


@dataclass(frozen=True, slots=True)
class RateTable:
    """Watches side by side: all that every batch asks of them, put together once.

    Attributes:
        bets, models: of s watches, each with an expectation and bets. errors: (s, 2c) as of `Expectation.error`.
        roots: of `errors`. level, floor, slack, high: (s,) as of `RateWatch`.
    """

    bets: BetTable
    models: ExpectationTable
    errors: Float
    roots: Float
    level: Float
    floor: Float
    slack: Float
    high: Float

    @classmethod
    def of(cls, watches: Sequence[RateWatch]) -> Self:
        """The table of these watches, one at least."""
        expectations = [watch.expectation for watch in watches if watch.expectation is not None]
        errors = np.stack([one.error() for one in expectations])
        return cls(
            bets=BetTable.of([watch.bets for watch in watches if watch.bets is not None]),
            models=ExpectationTable.of(expectations),
            errors=errors,
            roots=np.sqrt(errors),
            level=np.array([watch.level for watch in watches]),
            floor=np.array([watch.floor for watch in watches]),
            slack=np.array([watch.slack for watch in watches]),
            high=np.array([watch.high for watch in watches]),
        )
