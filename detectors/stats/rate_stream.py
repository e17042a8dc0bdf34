"""The streams of `rate_shift`: their evidence, their last rows and their status, all in one pass over the rows.

Evidence is a matrix of streams by bets that each row multiplies; what is rare (a status that changes, a periodic
report, an alarm) is done a stream at a time, and only for streams of which something rare is to be said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import log

import numpy as np

from detectors.protocol import Bool, Finding, Float, Int
from detectors.stats.change_points import onset_of, rate_posterior
from detectors.stats.intervals import rate_change
from detectors.stats.rate_columns import DATED, WINDOW, BatchRows, RateColumns, StreamMarks
from detectors.stats.rate_evidence import EvidenceTrace, Side
from detectors.stats.rate_state import RateBatch, RateTable, RateWatch
from schemas.reading import Effect, ReadingStatus

SETTLING = 64  # rows before the interval without which it is refined no more
PERIOD = 50  # rows between two periodic findings
UNSCORED = 200  # rows in a row without a value before the stream is blind
STRANGE = 50  # last prompts that are asked whether they are unlike the baseline
STRANGE_ON, STRANGE_OFF = 25, 15
SHOWN = 5
TRACED = 256  # rows whose evidence is worked out together
REACH = 1.25  # an interval that is wider than the floor lies "inside" within this many of its half-widths

UNSCORED_REASON = "unscored"
STRANGE_REASON = "prompts unlike the baseline"
FEW_REASON = "too few"


class RatePass:
    """Takes streams through the rows of one batch; the frozen columns go in and come out, untouched themselves."""

    def __init__(self, watches: Sequence[RateWatch], table: RateTable, before: RateColumns) -> None:
        self.watches, self.table, self.before = watches, table, before
        self.bets, self.level, self.wealth = table.bets, table.level, before.wealth
        self.firing = np.array([one.firing is not None for one in before.marks])
        self.streams: dict[int, StreamPass] = {}
        self.findings: list[Finding] = []

    def run(self, batch: RateBatch) -> tuple[RateColumns, list[Finding]]:
        """The columns after the rows of a batch, and its findings by row."""
        rows = self.rows = BatchRows(self.table, self.before, batch)
        factor = self.bets.surprise(batch.value, batch.expected, rooms := rows.rooms)
        calls = rows.used & (rows.numbers[:, 1:] % PERIOD == 0)
        risky = self._risky()
        for s in risky:
            changes = self._stream(s).follow()
            calls[s] |= changes
        for start in range(0, rooms.shape[1], TRACED):
            part = slice(start, start + TRACED)
            self._follow(part, calls[:, part], factor[part], rows.used.T[part])
        unscored, strange = self._since()
        for s in risky:
            unscored[s], strange[s] = self.streams[s].unscored, self.streams[s].strange
        return rows.after(self.wealth, unscored, strange, self._marks()), self.findings

    def _stream(self, s: int) -> StreamPass:
        if s not in self.streams:
            self.streams[s] = StreamPass(self.watches[s], s, self.rows)
        return self.streams[s]

    def _risky(self) -> list[int]:
        """The streams that are blind, or may become so within the rows."""
        rows, before = self.rows, self.before
        late = before.unscored + rows.missing >= UNSCORED
        odd = np.bitwise_count(before.strange) + rows.strange >= STRANGE_ON
        blind = np.array([one.blind is not None for one in before.marks])
        risky: list[int] = (blind | late | odd).nonzero()[0].tolist()
        return risky

    def _since(self) -> tuple[Int, Int]:
        """(s,) rows in a row without a value, and bits of the last prompts, after the rows."""
        rows, before = self.rows, self.before
        heard = rows.heard > 0
        unscored = np.where(heard, 0, before.unscored + rows.missing)
        for s in (heard & (rows.missing > 0)).nonzero()[0].tolist():
            unscored[s] = rows.unscored[s, rows.scored[s].nonzero()[0][-1] :].sum()
        full = rows.heard >= STRANGE
        strange = np.where(full, 0, before.strange << np.where(full, 0, rows.heard))
        for s in rows.strange.nonzero()[0].tolist():
            novel = rows.batch.novel[rows.scored[s]][-STRANGE:]
            for place in novel.nonzero()[0].tolist():
                strange[s] |= 1 << (len(novel) - 1 - place)
        return unscored, strange & ((1 << STRANGE) - 1)

    def _marks(self) -> tuple[StreamMarks, ...]:
        """What each stream keeps, most of them what they kept."""
        rows, batch = self.rows, self.rows.batch
        rises = rows.used & (batch.value > 0)
        falls = rows.used & (batch.value == 0) & (batch.expected >= self.table.high[:, None])
        marks = list(self.before.marks)
        for s, stream in self.streams.items():
            marks[s] = stream.marks()
        for s, up, down in zip(range(len(marks)), rises, falls, strict=True):
            rose, fell = up.nonzero()[0][-SHOWN:].tolist(), down.nonzero()[0][-SHOWN:].tolist()
            if not rose and not fell:
                continue
            one = marks[s]
            ones, ones_at = rows.shown(s, rose, one.ones, one.ones_at)
            zeros, zeros_at = rows.shown(s, fell, one.zeros, one.zeros_at)
            shown = ones[-SHOWN:], zeros[-SHOWN:], ones_at[-SHOWN:], zeros_at[-SHOWN:]
            marks[s] = StreamMarks(one.firing, one.moved, one.blind, *shown, one.onset)
        return tuple(marks)

    def _follow(self, rows: slice, calls: Bool, factor: Float, used: Bool) -> None:
        """Take in rows, and do what some of them call for; `calls` (s, n) says which do, but for alarms."""
        trace = self.bets.trace(self.wealth, factor, used, self.level)
        over, attend = used & (trace.total >= self.level), np.asarray(calls.any(axis=0))
        row = -1
        while (row := self._next(row, attend, over)) < len(used):
            crossed = over[row] & ~self.firing
            due = (calls[:, row] | crossed).nonzero()[0].tolist()
            for s in self._attend(rows.start + row, row, due, crossed, trace):
                one, later = np.array([s]), slice(row + 1, None)
                few = self.bets.only(one)
                again = few.trace(few.nothing(), factor[later][:, one], used[later][:, one], self.level[one])
                trace.put(s, row + 1, again)
                over[later, s] = used[later, s] & (trace.total[later, s] >= self.level[s])
        self.wealth = trace.wealth[-1].copy()

    def _next(self, row: int, attend: Bool, over: Bool) -> int:
        """The next row that calls for something: for that of a stream, or one at which the evidence is enough."""
        later = slice(row + 1, None)
        calls = (attend[later] | (over[later] & ~self.firing).any(axis=1)).nonzero()[0]
        return row + 1 + int(calls[0]) if len(calls) else len(attend)

    def _attend(self, row: int, place: int, due: Sequence[int], crossed: Bool, trace: EvidenceTrace) -> list[int]:
        """Do what a row calls for: alarms that start or end and findings; the streams whose evidence is forgotten."""
        ended = []
        for s in due:
            stream = self._stream(s)
            side = self.bets.leaning(trace.wealth[place + 1, s], s) if crossed[s] else None
            finding = stream.judge(row, side, float(trace.total[place, s]))
            self.firing[s] = stream.firing is not None
            if stream.ended:
                ended.append(s)
            if finding is not None:
                self.findings.append(finding)
        return ended


class StreamPass:
    """One stream of a pass of which something is to be said: its last rows, whether it is blind, and its alarm."""

    def __init__(self, watch: RateWatch, s: int, rows: BatchRows) -> None:
        self.watch, self.s, self.rows, self.before = watch, s, rows, rows.before.marks[s]
        self.used, self.error, self.numbers = rows.used[s], rows.errors[s], rows.numbers[s]
        self.firing, self.onset, self.moved, self.ended = (
            self.before.firing,
            self.before.onset,
            self.before.moved,
            False,
        )
        self.blind: Sequence[str | None] | None = None

    def judge(self, row: int, side: Side | None, total: float) -> Finding | None:
        """Start or end an alarm at a row that calls for it, and say what there is to say."""
        fired, n = self.firing, int(self.numbers[row + 1])
        due = bool(self.used[row]) and n % PERIOD == 0
        before = self._status(self._blind(row))
        self.ended = False
        if side is not None:
            self.firing = side
        if self.firing and (side is not None or due):
            self._date(n, float(self.error[row]))
        if self.firing and side is None and due and self._settled(row):
            self.firing, self.onset, self.moved, self.ended, total = None, None, 0, True, 0.0
        status = self._status(self._blind(row + 1))
        if status == before and not due:
            return None
        return self._finding(row, status, status != before, fired, total)

    def marks(self) -> StreamMarks:
        """What is kept of the stream but for the ids of its last rows."""
        blind = self.blind[-1] if self.blind is not None else None
        return replace(self.before, firing=self.firing, moved=self.moved, blind=blind, onset=self.onset)

    def _blind(self, row: int) -> str | None:
        """Why nothing could be said before a row."""
        return self.blind[row] if self.blind is not None else None

    def follow(self) -> Bool:
        """(n,) the rows at which it changes why nothing can be said, row by row."""
        rows, s, blind = self.rows, self.s, self.before.blind
        self.unscored, self.strange = int(rows.before.unscored[s]), int(rows.before.strange[s])
        said = [blind]
        unscored, inside = rows.unscored[s], rows.batch.inside[s]
        for missing, novel, here in zip(unscored.tolist(), rows.batch.novel.tolist(), inside.tolist(), strict=True):
            if here and missing:
                self.unscored += 1
                blind = UNSCORED_REASON if self.unscored >= UNSCORED else blind
            elif here:
                self.unscored = 0
                self.strange = (self.strange << 1 | novel) & ((1 << STRANGE) - 1)
                limit = STRANGE_OFF if blind == STRANGE_REASON else STRANGE_ON
                blind = STRANGE_REASON if self.strange.bit_count() >= limit else None
            said.append(blind)
        self.blind = said
        return np.array([a != b for a, b in pairwise(said)], dtype=np.bool_)

    def _status(self, blind: str | None) -> ReadingStatus:
        """Strange prompts hide no alarm; without any value nothing can be said, not even that it goes on."""
        if blind == UNSCORED_REASON or (blind and not self.firing):
            return "blind"
        return "firing" if self.firing else "quiet"

    def _date(self, n: int, error: float) -> None:
        """Estimate since when, as long as enough rows from before the change are kept."""
        rows, before = self.rows, self.rows.before
        new = n - int(before.n[self.s])
        count = min(int(before.dated[self.s]) + new, DATED)
        if self.onset and self.onset.least < n - count + SETTLING:
            return
        told, dated = before.values.shape[1] + new, before.index.shape[1] + new
        gone, known = slice(told - count, told), slice(dated - count, dated)
        posterior = rate_posterior(
            rows.values[self.s, gone].astype(np.float64),
            rows.expected[self.s, gone].astype(np.float64),
            self.firing == "up",
            error,
        )
        index = rows.index[self.s, known].astype(np.int64)
        self.onset = onset_of(posterior, index, rows.ts[self.s, known], n)
        self.moved = self.onset.n

    def _change(self, row: int) -> tuple[int, float, float, float, float]:
        """Rows the effect is measured over, their expected number of ones, and (low, estimate, high) of the change."""
        rows, n = self.rows, int(self.numbers[row + 1])
        last = rows.before.values.shape[1] + n - int(self.numbers[0])
        count = min(n, last, WINDOW, max(n - self.moved, 1))
        expected = float(rows.expected[self.s, last - count : last].sum(dtype=np.float64))
        hits = float(np.count_nonzero(rows.values[self.s, last - count : last]))
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
        rows, marks, batch = self.rows, self.before, self.rows.batch
        value, expected = batch.value[self.s], batch.expected[self.s]
        if self.firing == "up":
            rises = (self.used & (value > 0)).nonzero()[0].tolist()
            ids, at = rows.shown(self.s, rises, marks.ones, marks.ones_at or (0,) * len(marks.ones))
        else:
            falls = (self.used & (value == 0) & (expected >= self.watch.high)).nonzero()[0].tolist()
            ids, at = rows.shown(self.s, falls, marks.zeros, marks.zeros_at or (0,) * len(marks.zeros))
        return tuple([id_ for id_, number in zip(ids, at, strict=True) if self.moved <= number < n][-SHOWN:])

    def _finding(self, row: int, status: ReadingStatus, transition: bool, fired: Side | None, total: float) -> Finding:
        """The finding at a row; the end of an alarm keeps the direction that it had."""
        n = int(self.numbers[row + 1])
        ended = transition and status == "quiet"
        return Finding(
            row=row,
            stream=self.watch.stream,
            status=status,
            transition=transition,
            n=n,
            direction=self.firing or (fired if ended else None),
            effect=self._effect(row) if n else None,
            floor=self.watch.floor,
            log_e=log(total) if total > 0 else None,
            threshold=log(self.watch.level),
            exemplars=self._exemplars(n) if self.firing else (),
            change_point=self.onset.point() if self.firing and self.onset else None,
            reason=self._blind(row + 1) if status == "blind" else None,
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
