"""One stream of `rate_shift`: its evidence, its last rows and its status, row by row."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Finding, Float, Int, Stream
from detectors.stats.intervals import rate_change
from detectors.stats.rate_evidence import Bets, RateEvidence, Side, advance, no_evidence, surprise
from detectors.stats.rate_expectation import Expectation
from schemas.reading import Effect, ReadingStatus

WINDOW = 500  # rows that an effect is measured over, at most
PERIOD = 50  # rows between two periodic findings
UNSCORED = 200  # rows in a row without a value before the stream is blind
STRANGE = 50  # last prompts that are asked whether they are unlike the baseline
STRANGE_ON, STRANGE_OFF = 25, 15
SHOWN = 5
FADE = 1 / 256  # weight of one row in the running mix of topics
REACH = 1.25  # an interval that is wider than the floor lies "inside" within this many of its half-widths

UNSCORED_REASON = "unscored"
STRANGE_REASON = "prompts unlike the baseline"
FEW_REASON = "too few"


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


@dataclass(frozen=True, slots=True)
class WatchState:
    """Where a stream stands.

    Attributes:
        evidence: None where the stream is blind for good.
        share: (2c,) running mix of topics of the rows used, as in `Expectation`.
        values, expected: the last rows used, at most `WINDOW`: what happened, what was expected.
        n: rows used, never set back: a reading is named by it.
        unscored: rows in a row without a value; strange: bits of the last `STRANGE` prompts, 1 = unlike the baseline.
        firing: direction of the alarm that stands; moved: number of the row at which the change seems to begin.
        blind: why nothing can be said now.
        ones, zeros: ids of the last rows that show a rise, a fall.
    """

    evidence: RateEvidence | None
    share: Float
    values: NDArray[np.int8]
    expected: NDArray[np.float32]
    n: int = 0
    unscored: int = 0
    strange: int = 0
    firing: Side | None = None
    moved: int = 0
    blind: str | None = None
    ones: tuple[str, ...] = ()
    zeros: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """The rows of one stream within a batch: position, value (NaN unscored), expectation, cell, novelty, id."""

    row: Int
    value: Float
    expected: Float
    cell: Int
    novel: Bool
    ids: tuple[str, ...]


def start_watch(watch: RateWatch) -> WatchState:
    """The state of zero evidence."""
    empty = np.zeros(0, dtype=np.int8), np.zeros(0, dtype=np.float32)
    if watch.expectation is None or watch.bets is None:
        return WatchState(None, np.zeros(0), *empty)
    return WatchState(no_evidence(watch.bets), watch.expectation.share, *empty)


class RateStreamRunner:
    """Takes a stream through the rows of one batch; the frozen state goes in and comes out, untouched itself."""

    def __init__(self, watch: RateWatch, expectation: Expectation, bets: Bets, state: WatchState) -> None:
        self.watch, self.bets, self.errors = watch, bets, expectation.error()
        self.evidence = state.evidence or no_evidence(bets)
        self.share, self.n = state.share.copy(), state.n
        self.error = self._error()  # of the mean expectation over the running mix of topics
        self.values = deque(state.values.tolist(), WINDOW)
        self.expected = deque(state.expected.tolist(), WINDOW)
        self.unscored, self.strange = state.unscored, state.strange
        self.firing, self.moved, self.blind = state.firing, state.moved, state.blind
        self.ones, self.zeros = deque(state.ones, SHOWN), deque(state.zeros, SHOWN)

    def run(self, column: Column) -> list[Finding]:
        """The findings of the rows of a batch."""
        findings: list[Finding] = []
        used = ~np.isnan(column.value) & ~column.novel
        factors, errors = self._prepare(column, used)
        for at, row in enumerate(column.row.tolist()):
            before, fired, n = self._status(), self.firing, self.n
            self._note_row(float(column.value[at]), bool(column.novel[at]))
            if used[at]:
                self.error = errors[at]
                self._bet_on(float(column.value[at]), float(column.expected[at]), factors[at], column.ids[at])
            changed = self._status() != before
            if changed or (self.n != n and self.n % PERIOD == 0):
                findings.append(self._finding(row, changed, fired))
        return findings

    def state(self) -> WatchState:
        """The state after the rows."""
        return WatchState(
            evidence=self.evidence,
            share=self.share,
            n=self.n,
            values=np.array(self.values, dtype=np.int8),
            expected=np.array(self.expected, dtype=np.float32),
            unscored=self.unscored,
            strange=self.strange,
            firing=self.firing,
            moved=self.moved,
            blind=self.blind,
            ones=tuple(self.ones),
            zeros=tuple(self.zeros),
        )

    def _status(self) -> ReadingStatus:
        """Strange prompts hide no alarm; without any value nothing can be said, not even that it goes on."""
        if self.blind == UNSCORED_REASON or (self.blind and not self.firing):
            return "blind"
        return "firing" if self.firing else "quiet"

    def _prepare(self, column: Column, used: Bool) -> tuple[Float, list[float]]:
        """(n, b) factor of each bet at each row, and the error after each row; only rows used move the mix."""
        errors, rooms, error = [], [], self.error
        for cell, counts in zip(column.cell.tolist(), used.tolist(), strict=True):
            rooms.append(self.watch.floor + self.watch.slack * error)
            if counts:
                self.share *= 1 - FADE
                self.share[cell] += FADE
                error = self._error()
            errors.append(error)
        room = np.array(rooms)
        rise, fall = np.minimum(column.expected + room, 1.0), np.minimum(1.0 - column.expected + room, 1.0)
        return surprise(self.bets, column.value, rise, fall), errors

    def _note_row(self, value: float, novel: bool) -> None:
        """Notice whether a row has a value and whether its prompt is unlike the baseline."""
        if np.isnan(value):
            self.unscored += 1
            if self.unscored >= UNSCORED:
                self.blind = UNSCORED_REASON
            return
        self.unscored = 0
        self.strange = (self.strange << 1 | novel) & ((1 << STRANGE) - 1)
        self.blind = self._novelty()

    def _novelty(self) -> str | None:
        """Blind when half of the last prompts are unlike the baseline, until few are."""
        count = self.strange.bit_count()
        limit = STRANGE_OFF if self.blind == STRANGE_REASON else STRANGE_ON
        return STRANGE_REASON if count >= limit else None

    def _bet_on(self, value: float, expected: float, factor: Float, id: str) -> None:
        """Bet on one row, remember it, and see whether an alarm starts or ends."""
        self.evidence = advance(self.evidence, self.bets, factor, self.n, self.watch.level)
        self.n += 1
        self.values.append(int(value))
        self.expected.append(float(np.float32(expected)))
        if value:
            self.ones.append(id)
        elif expected >= self.watch.high:
            self.zeros.append(id)
        if self.firing is None and self.evidence.log(self.bets) >= np.log(self.watch.level):
            self.firing, self.moved = self.evidence.leaning(self.bets)
        elif self.firing and self.n % PERIOD == 0 and self._settled():
            self.firing, self.moved, self.evidence = None, 0, no_evidence(self.bets)

    def _error(self) -> float:
        """The error at the mix as it stands."""
        return float(np.sqrt(np.dot(self.share * self.share, self.errors)))

    def _change(self) -> tuple[int, float, float, float, float]:
        """Rows the effect is measured over, their expected number of ones, and (low, estimate, high) of the change."""
        count = min(len(self.values), max(self.n - self.moved, 1))
        expected = sum(list(self.expected)[-count:])
        hits = sum(list(self.values)[-count:])
        return count, expected, *rate_change(hits, expected, count, self.error)

    def _settled(self) -> bool:
        """Whether the change over a full window lies inside the floor, in the direction of the alarm."""
        count, _, low, estimate, high = self._change()
        if count < WINDOW:
            return False
        reach, half = (high, high - estimate) if self.firing == "up" else (-low, estimate - low)
        return reach <= max(self.watch.floor, REACH * half)

    def _finding(self, row: int, transition: bool, fired: Side | None) -> Finding:
        """The finding at a row; the end of an alarm keeps the direction that it had."""
        status = self._status()
        ended = transition and status == "quiet"
        direction = self.firing or (fired if ended else None)
        shown = () if not self.firing else tuple(self.ones if self.firing == "up" else self.zeros)
        log_e = self.evidence.log(self.bets)
        return Finding(
            row=row,
            stream=self.watch.stream,
            status=status,
            transition=transition,
            n=self.n,
            direction=direction,
            effect=self._effect() if len(self.values) else None,
            floor=self.watch.floor,
            log_e=log_e if np.isfinite(log_e) else None,
            threshold=float(np.log(self.watch.level)),
            exemplars=shown,
            reason=self.blind if status == "blind" else None,
        )

    def _effect(self) -> Effect:
        """The change in percentage points: expected for these prompts, observed."""
        count, expected, low, estimate, high = self._change()
        before = expected / count
        return Effect(
            name=f"{(self.watch.stream.signal or '').replace('_', ' ')} rate",
            before=100 * before,
            after=100 * (before + estimate),
            low=100 * low,
            high=100 * high,
            unit="pp",
        )
