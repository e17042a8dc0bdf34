"""The streams of `rate_shift`: their evidence, their last rows and their status, all in one pass over the rows.

Evidence is a matrix of streams by bets that each row multiplies; what is rare (a status that changes, a periodic
report, an alarm) is done a stream at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Finding, Float, Int, Stream
from detectors.stats.change_points import Onset, onset_of, rate_posterior
from detectors.stats.intervals import rate_change
from detectors.stats.rate_evidence import Bets, BetTable, RateEvidence, Side, no_evidence
from detectors.stats.rate_expectation import Expectation
from schemas.reading import Effect, ReadingStatus

WINDOW = 500  # rows that an effect is measured over, at most
DATED = 400  # last rows whose exchange and time are kept, among which a change is dated
SETTLING = 64  # rows before the interval without which it is refined no more
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


def _no_index() -> NDArray[np.uint32]:
    return np.zeros(0, dtype=np.uint32)


def _no_ts() -> Float:
    return np.zeros(0)


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


class RatePass:
    """Takes streams through the rows of one batch; the frozen states go in and come out, untouched themselves.

    Every watch has an expectation and bets, every state has evidence.
    """

    def __init__(self, watches: Sequence[RateWatch], states: Sequence[WatchState]) -> None:
        self.watches, self.states = watches, states
        expectations = [watch.expectation for watch in watches if watch.expectation is not None]
        self.bets = BetTable.of([watch.bets for watch in watches if watch.bets is not None])
        self.evidence = self.bets.gather([state.evidence for state in states if state.evidence is not None])
        self.errors = np.stack([expectation.error() for expectation in expectations])
        self.share = np.stack([state.share for state in states])
        self.level = np.array([watch.level for watch in watches])
        self.floor = np.array([watch.floor for watch in watches])
        self.slack = np.array([watch.slack for watch in watches])
        self.firing = np.array([state.firing is not None for state in states])
        self.findings: list[Finding] = []

    def run(self, batch: RateBatch) -> tuple[list[WatchState], list[Finding]]:
        """The states after the rows of a batch, and its findings by row."""
        used = batch.inside & ~np.isnan(batch.value) & ~batch.novel
        errors, rooms = self._errors(batch.cell, used)
        factor = self.bets.surprise(batch.value, batch.expected, rooms)
        streams = [
            StreamPass(watch, state, s, batch, used[s], errors[s])
            for s, (watch, state) in enumerate(zip(self.watches, self.states, strict=True))
        ]
        numbers = np.array([stream.numbers for stream in streams], dtype=np.int64).T
        for row, attend in enumerate(np.any([stream.attend for stream in streams], axis=0)):
            mine = used[:, row]
            total = self.bets.advance(self.evidence, factor[row], mine, numbers[row], self.level)
            crossed = mine & ~self.firing & (total >= self.level)
            if attend or crossed.any():
                self._attend(row, streams, crossed, total)
        states = [self._state(s, stream) for s, stream in enumerate(streams)]
        return states, self.findings

    def _errors(self, cell: Int, used: Bool) -> tuple[Float, Float]:
        """(s, n) error of the mean expectation after each row, and the null's room at it; only rows used move it."""
        errors, rooms = np.empty(used.shape), np.empty(used.shape)
        error = self._error()
        keep = np.where(used, 1 - FADE, 1.0)
        at = cell + self.share.shape[1] * np.arange(len(cell))[:, None]
        flat = self.share.reshape(-1)
        for row in range(used.shape[1]):
            rooms[:, row] = error
            mine = used[:, row]
            if mine.any():
                self.share *= keep[:, row, None]
                flat[at[mine, row]] += FADE
                error = self._error()
            errors[:, row] = error
        return errors, self.floor[:, None] + self.slack[:, None] * rooms

    def _error(self) -> Float:
        """(s,) the errors at the mix as it stands."""
        return np.asarray(np.sqrt(np.einsum("sc,sc,sc->s", self.share, self.share, self.errors)))

    def _attend(self, row: int, streams: Sequence[StreamPass], crossed: Bool, total: Float) -> None:
        """Do what a row calls for: alarms that start or end, and findings."""
        for s, stream in enumerate(streams):
            if not (crossed[s] or stream.attend[row]):
                continue
            side, since = self.bets.leaning(self.evidence, s) if crossed[s] else (None, 0)
            finding = stream.judge(row, side, since, float(total[s]))
            self.firing[s] = stream.firing is not None
            if stream.ended:
                self.bets.forget(self.evidence, s)
            if finding is not None:
                self.findings.append(finding)

    def _state(self, s: int, stream: StreamPass) -> WatchState:
        return stream.state(self.bets.evidence_of(self.evidence, s), self.share[s].copy())


class StreamPass:
    """One stream of a pass: its last rows, whether it is blind, and its alarm."""

    def __init__(self, watch: RateWatch, state: WatchState, s: int, batch: RateBatch, used: Bool, error: Float) -> None:
        self.watch, self.before, self.batch, self.used, self.error = watch, state, batch, used, error
        self.numbers = [state.n, *(state.n + np.cumsum(used)).tolist()]  # rows used before each row, and after all
        at = np.flatnonzero(used)
        self.values = np.concatenate([state.values, batch.value[s, at].astype(np.int8)])
        self.expected = np.concatenate([state.expected, batch.expected[s, at]]).astype(np.float16)
        self.index = np.concatenate([state.index, batch.index[at].astype(np.uint32)])
        self.ts = np.concatenate([state.ts, batch.ts[at]])
        self.firing, self.onset, self.moved, self.ended = state.firing, state.onset, state.moved, False
        self.unscored, self.strange = state.unscored, state.strange
        self.blind = self._blindness(batch.value[s], batch.inside[s])
        due = used & (np.array(self.numbers[1:]) % PERIOD == 0)
        changes = [a != b for a, b in zip(self.blind, self.blind[1:], strict=False)]
        self.attend: Bool = due | np.array(changes, dtype=np.bool_)
        self.rises = self._shown(at, batch.value[s, at] > 0, state.ones, state.ones_at)
        falls = (batch.value[s, at] == 0) & (batch.expected[s, at] >= watch.high)
        self.falls = self._shown(at, falls, state.zeros, state.zeros_at)

    def judge(self, row: int, side: Side | None, since: int, total: float) -> Finding | None:
        """Start or end an alarm at a row that calls for it, and say what there is to say; `since` is a first guess."""
        fired, n, due = self.firing, self.numbers[row + 1], self.used[row] and self.numbers[row + 1] % PERIOD == 0
        before = self._status(self.blind[row])
        self.ended = False
        if side is not None:
            self.firing, self.moved = side, since
        if self.firing and (side is not None or due):
            self._date(n, float(self.error[row]))
        if self.firing and side is None and due and self._settled(row):
            self.firing, self.onset, self.moved, self.ended, total = None, None, 0, True, 0.0
        status = self._status(self.blind[row + 1])
        if status == before and not due:
            return None
        return self._finding(row, status, status != before, fired, total)

    def state(self, evidence: RateEvidence, share: Float) -> WatchState:
        """The state after the rows."""
        keep = SHOWN
        return replace(
            self.before,
            evidence=evidence,
            share=share,
            n=self.numbers[-1],
            values=self.values[-WINDOW:],
            expected=self.expected[-WINDOW:],
            unscored=self.unscored,
            strange=self.strange,
            firing=self.firing,
            moved=self.moved,
            blind=self.blind[-1],
            ones=tuple(id_ for id_, _ in self.rises[-keep:]),
            zeros=tuple(id_ for id_, _ in self.falls[-keep:]),
            ones_at=tuple(at for _, at in self.rises[-keep:]),
            zeros_at=tuple(at for _, at in self.falls[-keep:]),
            index=self.index[-DATED:],
            ts=self.ts[-DATED:],
            onset=self.onset,
        )

    def _shown(self, at: Int, shows: Bool, ids: Sequence[str], numbers: Sequence[int]) -> list[tuple[str, int]]:
        """Ids and numbers of the rows that show a movement, those of earlier batches first."""
        held = list(zip(ids, numbers or (0,) * len(ids), strict=True))
        return [*held, *((self.batch.ids[i], self.numbers[i]) for i in at[shows].tolist())]

    def _blindness(self, value: Float, inside: Bool) -> list[str | None]:
        """Why nothing can be said, before the first row and after each."""
        blind = self.before.blind
        said = [blind]
        for unscored, novel, here in zip(
            np.isnan(value).tolist(), self.batch.novel.tolist(), inside.tolist(), strict=True
        ):
            if here and unscored:
                self.unscored += 1
                blind = UNSCORED_REASON if self.unscored >= UNSCORED else blind
            elif here:
                self.unscored = 0
                self.strange = (self.strange << 1 | novel) & ((1 << STRANGE) - 1)
                limit = STRANGE_OFF if blind == STRANGE_REASON else STRANGE_ON
                blind = STRANGE_REASON if self.strange.bit_count() >= limit else None
            said.append(blind)
        return said

    def _status(self, blind: str | None) -> ReadingStatus:
        """Strange prompts hide no alarm; without any value nothing can be said, not even that it goes on."""
        if blind == UNSCORED_REASON or (blind and not self.firing):
            return "blind"
        return "firing" if self.firing else "quiet"

    def _date(self, n: int, error: float) -> None:
        """Estimate since when, as long as enough rows from before the change are kept."""
        last = n - self.numbers[-1] + len(self.index)
        first = max(last - DATED, 0)
        if last - first < 1 or (self.onset and self.onset.least < n - (last - first) + SETTLING):
            return
        gone = slice(n - self.numbers[-1] + len(self.values) - (last - first), n - self.numbers[-1] + len(self.values))
        posterior = rate_posterior(
            self.values[gone].astype(np.float64),
            self.expected[gone].astype(np.float64),
            self.firing == "up",
            error,
        )
        self.onset = onset_of(posterior, self.index[first:last], self.ts[first:last], n)
        self.moved = self.onset.n

    def _change(self, row: int) -> tuple[int, float, float, float, float]:
        """Rows the effect is measured over, their expected number of ones, and (low, estimate, high) of the change."""
        n = self.numbers[row + 1]
        last = n - self.numbers[-1] + len(self.values)
        count = min(last, WINDOW, max(n - self.moved, 1))
        expected = float(self.expected[last - count : last].astype(np.float64).sum())
        hits = float(self.values[last - count : last].sum())
        return count, expected, *rate_change(hits, expected, count, float(self.error[row]))

    def _settled(self, row: int) -> bool:
        """Whether the change over a full window lies inside the floor, in the direction of the alarm."""
        count, _, low, estimate, high = self._change(row)
        if count < WINDOW:
            return False
        reach, half = (high, high - estimate) if self.firing == "up" else (-low, estimate - low)
        return reach <= max(self.watch.floor, REACH * half)

    def _exemplars(self, n: int) -> tuple[str, ...]:
        """The last rows since the change that show it."""
        shown = self.rises if self.firing == "up" else self.falls
        return tuple(id_ for id_, at in shown if self.moved <= at < n)[-SHOWN:]

    def _finding(self, row: int, status: ReadingStatus, transition: bool, fired: Side | None, total: float) -> Finding:
        """The finding at a row; the end of an alarm keeps the direction that it had."""
        n = self.numbers[row + 1]
        ended = transition and status == "quiet"
        return Finding(
            row=row,
            stream=self.watch.stream,
            status=status,
            transition=transition,
            n=n,
            direction=self.firing or (fired if ended else None),
            effect=self._effect(row) if n and len(self.values) else None,
            floor=self.watch.floor,
            log_e=float(np.log(total)) if total > 0 else None,
            threshold=float(np.log(self.watch.level)),
            exemplars=self._exemplars(n) if self.firing else (),
            change_point=self.onset.point() if self.firing and self.onset else None,
            reason=self.blind[row + 1] if status == "blind" else None,
        )

    def _effect(self, row: int) -> Effect:
        """The change in percentage points: expected for these prompts, observed."""
        count, expected, low, estimate, high = self._change(row)
        before = expected / count
        return Effect(
            name=f"{(self.watch.stream.signal or '').replace('_', ' ')} rate",
            before=100 * before,
            after=100 * (before + estimate),
            low=100 * low,
            high=100 * high,
            unit="pp",
        )
