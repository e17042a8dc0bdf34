"""The streams of `rate_shift`: their evidence, their last rows and their status, all in one pass over the rows.

Evidence is a matrix of streams by bets that each row multiplies; what is rare (a status that changes, a periodic
report, an alarm) is done a stream at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Finding, Float, Int
from detectors.stats.change_points import onset_of, rate_posterior
from detectors.stats.intervals import rate_change
from detectors.stats.linear_algebra import faded_sums
from detectors.stats.rate_evidence import EvidenceTrace, RateEvidence, Side
from detectors.stats.rate_state import RateBatch, RateTable, RateWatch, WatchState
from schemas.reading import Effect, ReadingStatus

Column = TypeVar("Column", bound=NDArray[Any])
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


class RatePass:
    """Takes streams through the rows of one batch; the frozen states go in and come out, untouched themselves.

    Every state has evidence.
    """

    def __init__(self, watches: Sequence[RateWatch], table: RateTable, states: Sequence[WatchState]) -> None:
        self.watches, self.table, self.states = watches, table, states
        self.bets, self.level = table.bets, table.level
        self.evidence = self.bets.gather([state.evidence for state in states if state.evidence is not None])
        self.share = np.stack([state.share for state in states])
        self.firing = np.array([state.firing is not None for state in states])
        self.findings: list[Finding] = []

    def run(self, batch: RateBatch) -> tuple[list[WatchState], list[Finding]]:
        """The states after the rows of a batch, and its findings by row."""
        used = batch.inside & ~np.isnan(batch.value) & ~batch.novel
        errors, rooms = self._errors(batch.cell, used)
        factor = self.bets.surprise(batch.value, batch.expected, rooms)
        before = np.array([[state.n] for state in self.states], dtype=np.int64)
        numbers = np.concatenate([before, before + np.cumsum(used, axis=1)], axis=1)
        shared = StreamRows.of(self.table, batch, used, numbers, errors)
        streams = [StreamPass(self.watches[s], state, s, shared) for s, state in enumerate(self.states)]
        calls = shared.due.copy()
        for stream in streams:
            if stream.changes is not None:
                calls[stream.s] |= stream.changes
        for start in range(0, used.shape[1], TRACED):
            rows = slice(start, start + TRACED)
            self._follow(rows, streams, calls[:, rows], factor[rows], used.T[rows], numbers[:, :-1].T[rows])
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
        mixes *= self.table.errors
        errors = np.sqrt(mixes.sum(axis=2)).T
        return errors[:, 1:], self.table.floor[:, None] + self.table.slack[:, None] * errors[:, :-1]

    def _follow(
        self, rows: slice, streams: Sequence[StreamPass], calls: Bool, factor: Float, used: Bool, numbers: Int
    ) -> None:
        """Take in rows, and do what some of them call for; `calls` (s, n) says which do, but for alarms."""
        trace = self.bets.trace(self.evidence, factor, used, numbers, self.level)
        over, attend = used & (trace.total >= self.level), np.asarray(calls.any(axis=0))
        row = -1
        while (row := self._next(row, attend, over)) < len(used):
            crossed = over[row] & ~self.firing
            due = np.flatnonzero(calls[:, row] | crossed).tolist()
            for s in self._attend(rows.start + row, row, [streams[s] for s in due], crossed, trace):
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
        """Do what a row calls for: alarms that start or end and findings; the streams whose evidence is forgotten."""
        ended = []
        evidence = trace.after(place + 1) if crossed.any() else None
        for stream in streams:
            s = stream.s
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
        rises, falls: (s, n) rows that show a movement; shows: (s,) whether any does.
        values, expected, index, ts: of the rows used, stream by stream, as states keep them; ends: (s + 1,) where each
            stream's begin, and the end.
        scored: (s, n) rows of the stream's slice with a value. missing, heard, strange: (s,) rows without one, those
            with one, and those of them whose prompt is novel.
    """

    batch: RateBatch
    used: Bool
    numbers: Int
    errors: Float
    unscored: Bool
    due: Bool
    rises: Bool
    falls: Bool
    shows: list[bool]
    values: NDArray[np.int8]
    expected: NDArray[np.float16]
    index: NDArray[np.uint32]
    ts: Float
    ends: list[int]
    scored: Bool
    missing: list[int]
    heard: list[int]
    strange: list[int]

    @classmethod
    def of(cls, table: RateTable, batch: RateBatch, used: Bool, numbers: Int, errors: Float) -> StreamRows:
        """What streams share of these rows."""
        s, row = used.nonzero()
        rises, falls = used & (batch.value > 0), used & (batch.value == 0) & (batch.expected >= table.high[:, None])
        absent = np.isnan(batch.value)
        unscored, scored = batch.inside & absent, batch.inside & ~absent
        return cls(
            batch=batch,
            used=used,
            numbers=numbers,
            errors=errors,
            unscored=unscored,
            due=used & (numbers[:, 1:] % PERIOD == 0),
            rises=rises,
            falls=falls,
            shows=(rises | falls).any(axis=1).tolist(),
            values=batch.value[s, row].astype(np.int8),
            expected=batch.expected[s, row].astype(np.float16),
            index=batch.index.astype(np.uint32)[row],
            ts=batch.ts[row],
            ends=[0, *np.cumsum(used.sum(axis=1)).tolist()],
            scored=scored,
            missing=unscored.sum(axis=1).tolist(),
            heard=scored.sum(axis=1).tolist(),
            strange=(scored & batch.novel).sum(axis=1).tolist(),
        )


class StreamPass:
    """One stream of a pass: its last rows, whether it is blind, and its alarm."""

    def __init__(self, watch: RateWatch, state: WatchState, s: int, rows: StreamRows) -> None:
        self.watch, self.before, self.s, self.rows, self.batch = watch, state, s, rows, rows.batch
        self.used, self.error = rows.used[s], rows.errors[s]
        self.numbers = rows.numbers[s].tolist()  # rows used before each row, and after all
        self.firing, self.onset, self.moved, self.ended = state.firing, state.onset, state.moved, False
        self.changes, self.own = self._blindness(), slice(rows.ends[s], rows.ends[s + 1])

    @cached_property
    def values(self) -> NDArray[np.int8]:
        """What happened at the last rows used, those of the batch behind those of earlier ones."""
        return np.concatenate([self.before.values, self.rows.values[self.own]])

    @cached_property
    def expected(self) -> NDArray[np.floating[Any]]:
        """What was expected of them."""
        return np.concatenate([self.before.expected, self.rows.expected[self.own]])

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
        before, rows, own = self.before, self.rows, self.own
        ones, zeros, ones_at, zeros_at = before.ones, before.zeros, before.ones_at, before.zeros_at
        if rows.shows[self.s]:
            rises = self._shown(rows.rises[self.s], ones, ones_at)[-SHOWN:]
            falls = self._shown(rows.falls[self.s], zeros, zeros_at)[-SHOWN:]
            ones, ones_at = tuple([id_ for id_, _ in rises]), tuple([at for _, at in rises])
            zeros, zeros_at = tuple([id_ for id_, _ in falls]), tuple([at for _, at in falls])
        return WatchState(
            evidence=evidence,
            share=share,
            values=_last(before.values, rows.values[own], WINDOW),
            expected=_last(before.expected, rows.expected[own], WINDOW),
            n=self.numbers[-1],
            unscored=self.unscored,
            strange=self.strange,
            firing=self.firing,
            moved=self.moved,
            blind=self.blind[-1],
            ones=ones,
            zeros=zeros,
            ones_at=ones_at,
            zeros_at=zeros_at,
            index=_last(before.index, rows.index[own], DATED),
            ts=_last(before.ts, rows.ts[own], DATED),
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
        count = self.rows.heard[s]
        scored = self.rows.scored[s].nonzero()[0] if strange or (count and missing) else None
        late = missing if scored is None else int(self.rows.unscored[s, scored[-1] :].sum())
        self.unscored = late if count else state.unscored + late
        bits = state.strange << count
        if strange and scored is not None:
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
        rows, before = self.rows, self.before
        index, ts = np.concatenate([before.index, rows.index[self.own]]), np.concatenate([before.ts, rows.ts[self.own]])
        last = n - self.numbers[-1] + len(index)
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
        self.onset = onset_of(posterior, index[first:last], ts[first:last], n)
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


def _last(before: Column, new: Column, most: int) -> Column:
    """The last `most` of a column of a state and what the batch adds to it, as an array of its own."""
    if not len(new):
        return before
    kept: Column = np.concatenate([before[max(len(before) + len(new) - most, 0) :], new[-most:]])  # type: ignore[assignment]
    return kept
