"""The streams of `rate_shift`: their evidence, their last rows and their status, all in one pass over the rows.

Evidence is a matrix of streams by bets that each row multiplies; what is rare (a status that changes, a periodic
report, an alarm) is done a stream at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Finding, Float, Int, Stream
from detectors.stats.change_points import Onset, onset_of, rate_posterior
from detectors.stats.intervals import rate_change
from detectors.stats.linear_algebra import faded_sums
from detectors.stats.rate_evidence import Bets, BetTable, EvidenceTrace, RateEvidence, Side, no_evidence
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
TRACED = 256  # rows whose evidence is worked out together
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
        before = np.array([[state.n] for state in self.states], dtype=np.int64)
        numbers = np.concatenate([before, before + np.cumsum(used, axis=1)], axis=1)
        shared = StreamRows.of(self.watches, batch, used, numbers, errors)
        streams = [StreamPass(self.watches[s], state, s, shared) for s, state in enumerate(self.states)]
        attend: Bool = np.asarray(shared.due.any(axis=0))
        for stream in streams:
            if stream.changes is not None:
                attend |= stream.changes
        for start in range(0, used.shape[1], TRACED):
            rows = slice(start, start + TRACED)
            self._follow(rows, streams, attend[rows], factor[rows], used.T[rows], numbers[:, :-1].T[rows])
        return [self._state(s, stream) for s, stream in enumerate(streams)], self.findings

    def _errors(self, cell: Int, used: Bool) -> tuple[Float, Float]:
        """(s, n) error of the mean expectation after each row, and the null's room at it; only rows used move it."""
        count, cells = used.shape[1], self.share.shape[1]
        keep = np.where(used.T[:, :, None], 1 - FADE, 1.0)
        adds = np.zeros((count, len(used), cells))
        s, row = np.nonzero(used)
        adds[row, s, cell[s, row]] = FADE
        mixes = faded_sums(self.share, keep, adds)
        self.share = mixes[-1].copy()
        mixes *= mixes
        mixes *= self.errors
        errors = np.sqrt(mixes.sum(axis=2)).T
        return errors[:, 1:], self.floor[:, None] + self.slack[:, None] * errors[:, :-1]

    def _follow(
        self, rows: slice, streams: Sequence[StreamPass], attend: Bool, factor: Float, used: Bool, numbers: Int
    ) -> None:
        """Take in rows, and do what some of them call for."""
        trace = self.bets.trace(self.evidence, factor, used, numbers, self.level)
        over = used & (trace.total >= self.level)
        row = -1
        while (row := self._next(row, attend, over)) < len(used):
            crossed = over[row] & ~self.firing
            for s in self._attend(rows.start + row, row, streams, crossed, trace):
                one, later = np.array([s]), slice(row + 1, None)
                nothing = self.bets.only(one).gather([])
                again = self.bets.only(one).trace(
                    nothing, factor[later][:, one], used[later][:, one], numbers[later][:, one], self.level[one]
                )
                trace.put(s, row + 1, again)
                over[later, s] = used[later, s] & (trace.total[later, s] >= self.level[s])
        self.evidence = trace.after(len(used))

    def _next(self, row: int, attend: Bool, over: Bool) -> int:
        """The next row that calls for something: for that of a stream, or one at which the evidence is enough."""
        later = slice(row + 1, None)
        calls = (attend[later] | (over[later] & ~self.firing).any(axis=1)).nonzero()[0]
        return row + 1 + int(calls[0]) if len(calls) else len(attend)

    def _attend(
        self, row: int, place: int, streams: Sequence[StreamPass], crossed: Bool, trace: EvidenceTrace
    ) -> list[int]:
        """Do what a row calls for, alarms that start or end and findings: the streams whose evidence is forgotten."""
        ended = []
        evidence = trace.after(place + 1) if crossed.any() else None
        for s, stream in enumerate(streams):
            if not (crossed[s] or stream.attends(row)):
                continue
            side, since = self.bets.leaning(evidence, s) if crossed[s] and evidence is not None else (None, 0)
            finding = stream.judge(row, side, since, float(trace.total[place, s]))
            self.firing[s] = stream.firing is not None
            if stream.ended:
                ended.append(s)
            if finding is not None:
                self.findings.append(finding)
        return ended

    def _state(self, s: int, stream: StreamPass) -> WatchState:
        return stream.state(self.bets.evidence_of(self.evidence, s), self.share[s].copy())


@dataclass(frozen=True, slots=True)
class StreamRows:
    """The rows of a batch as streams share them.

    Attributes:
        batch: the rows. used: (s, n) whether a stream uses a row. numbers: (s, n + 1) rows that each stream has used
            before the first row, and after each. errors: (s, n) error of the mean expectation after each row.
        unscored: (s, n) rows of the stream's slice without a value. due: (s, n) where a periodic finding is due.
        rises, falls: (s, n) rows that show a movement. values, expected, index: the same as states keep them.
        scored: (s, n) rows of the stream's slice with a value. missing, strange: (s,) rows without one, and those with
            one whose prompt is novel.
    """

    batch: RateBatch
    used: Bool
    numbers: Int
    errors: Float
    unscored: Bool
    due: Bool
    rises: Bool
    falls: Bool
    values: NDArray[np.int8]
    expected: NDArray[np.float16]
    index: NDArray[np.uint32]
    scored: Bool
    missing: list[int]
    strange: list[int]

    @classmethod
    def of(cls, watches: Sequence[RateWatch], batch: RateBatch, used: Bool, numbers: Int, errors: Float) -> StreamRows:
        """What streams share of these rows."""
        high = np.array([[watch.high] for watch in watches])
        absent = np.isnan(batch.value)
        unscored, scored = batch.inside & absent, batch.inside & ~absent
        return cls(
            batch=batch,
            used=used,
            numbers=numbers,
            errors=errors,
            unscored=unscored,
            due=used & (numbers[:, 1:] % PERIOD == 0),
            rises=used & (batch.value > 0),
            falls=used & (batch.value == 0) & (batch.expected >= high),
            values=np.where(absent, 0, batch.value).astype(np.int8),
            expected=batch.expected.astype(np.float16),
            index=batch.index.astype(np.uint32),
            scored=scored,
            missing=unscored.sum(axis=1).tolist(),
            strange=(scored & batch.novel).sum(axis=1).tolist(),
        )


class StreamPass:
    """One stream of a pass: its last rows, whether it is blind, and its alarm."""

    def __init__(self, watch: RateWatch, state: WatchState, s: int, rows: StreamRows) -> None:
        self.watch, self.before, self.s, self.rows, self.batch = watch, state, s, rows, rows.batch
        self.used, self.error = rows.used[s], rows.errors[s]
        self.numbers = rows.numbers[s].tolist()  # rows used before each row, and after all
        self.firing, self.onset, self.moved, self.ended = state.firing, state.onset, state.moved, False
        self.due, self.changes = rows.due[s], self._blindness()
        at = self.used.nonzero()[0]
        self.values = np.concatenate([state.values, rows.values[s, at]])
        self.expected = np.concatenate([state.expected, rows.expected[s, at]])
        self.index = np.concatenate([state.index, rows.index[at]])
        self.ts = np.concatenate([state.ts, self.batch.ts[at]])

    def attends(self, row: int) -> bool:
        """Whether the row calls for something."""
        return bool(self.due[row]) or (self.changes is not None and bool(self.changes[row]))

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
        rises = self._shown(self.rows.rises[self.s], self.before.ones, self.before.ones_at)[-SHOWN:]
        falls = self._shown(self.rows.falls[self.s], self.before.zeros, self.before.zeros_at)[-SHOWN:]
        return WatchState(
            evidence=evidence,
            share=share,
            values=self.values[-WINDOW:].copy(),
            expected=self.expected[-WINDOW:].copy(),
            n=self.numbers[-1],
            unscored=self.unscored,
            strange=self.strange,
            firing=self.firing,
            moved=self.moved,
            blind=self.blind[-1],
            ones=tuple([id_ for id_, _ in rises]),
            zeros=tuple([id_ for id_, _ in falls]),
            ones_at=tuple([at for _, at in rises]),
            zeros_at=tuple([at for _, at in falls]),
            index=self.index[-DATED:].copy(),
            ts=self.ts[-DATED:].copy(),
            onset=self.onset,
        )

    def _shown(self, shows: Bool, ids: Sequence[str], numbers: Sequence[int]) -> list[tuple[str, int]]:
        """Ids and numbers of the rows that show a movement, those of earlier batches first."""
        held = list(zip(ids, numbers or (0,) * len(ids), strict=True))
        return [*held, *[(self.batch.ids[i], self.numbers[i]) for i in shows.nonzero()[0].tolist()]]

    def _blindness(self) -> Bool | None:
        """The rows at which it changes why nothing can be said; None where it stays as it was.

        `blind` is why, before the first row and after each.
        """
        state, s = self.before, self.s
        missing, strange = self.rows.missing[s], self.rows.strange[s]
        if state.blind or state.unscored + missing >= UNSCORED or state.strange.bit_count() + strange >= STRANGE_ON:
            self.unscored, self.strange = state.unscored, state.strange
            self.blind: Sequence[str | None] = self._followed()
            return np.array([a != b for a, b in pairwise(self.blind)], dtype=np.bool_)
        self.blind = (None,) * len(self.numbers)
        scored = self.rows.scored[s].nonzero()[0]
        count = len(scored)
        late = int(self.rows.unscored[s, scored[-1] :].sum()) if count and missing else missing
        self.unscored = late if count else state.unscored + late
        bits = state.strange << count
        if strange:
            for place in self.batch.novel[scored].nonzero()[0].tolist():
                bits |= 1 << (count - 1 - place)
        self.strange = bits & ((1 << STRANGE) - 1)
        return None

    def _followed(self) -> list[str | None]:
        """Why nothing can be said, before the first row and after each, row by row."""
        blind = self.before.blind
        said = [blind]
        unscored, inside = self.rows.unscored[self.s], self.batch.inside[self.s]
        for missing, novel, here in zip(unscored.tolist(), self.batch.novel.tolist(), inside.tolist(), strict=True):
            if here and missing:
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
        rows, state = self.rows, self.before
        if self.firing == "up":
            shown = self._shown(rows.rises[self.s], state.ones, state.ones_at)
        else:
            shown = self._shown(rows.falls[self.s], state.zeros, state.zeros_at)
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
