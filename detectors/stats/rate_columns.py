"""Where the streams of `rate_shift` and `novel_rate` stand, side by side: what every batch moves on is one array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Float, Int
from detectors.stats.change_points import Onset
from detectors.stats.rate_evidence import Side
from detectors.stats.rate_state import RateBatch, RateTable, WatchState

Column = TypeVar("Column", bound=NDArray[Any])
WINDOW: Final = 500  # rows that an effect is measured over, at most
DATED: Final = 400  # last rows whose exchange and time are kept, among which a change is dated
FADE: Final = 1 / 256  # weight of one row in the running mix of topics
SCALED: Final = 64  # rows after which what was scaled up is scaled down again
GROWN: Final = (1 - FADE) ** -np.arange(SCALED + 1, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class StreamMarks:
    """What a stream keeps that hardly ever changes: as of `WatchState`."""

    firing: Side | None = None
    moved: int = 0
    blind: str | None = None
    ones: tuple[str, ...] = ()
    zeros: tuple[str, ...] = ()
    ones_at: tuple[int, ...] = ()
    zeros_at: tuple[int, ...] = ()
    onset: Onset | None = None


@dataclass(frozen=True, slots=True)
class RateColumns:
    """The states of s streams that see.

    Attributes:
        n, unscored, strange: (s,) as of `WatchState`.
        wealth: (s, b) Shiryaev-Roberts processes, padded as `BetTable` is.
        mix: (s, 2c) running mix of topics times the error of each, times `GROWN` of n modulo `SCALED`.
        values, expected: (s, h) of the last rows used, at most `WINDOW`, newest last; a stream of fewer has padding.
        index, ts: (s, h') of the last rows used, at most `DATED`; dated: (s,) how many of them are no padding.
        marks: one a stream.
    """

    n: Int
    unscored: Int
    strange: Int
    wealth: Float
    mix: Float
    values: NDArray[np.int8]
    expected: NDArray[np.float16]
    index: NDArray[np.uint32]
    ts: Float
    dated: Int
    marks: tuple[StreamMarks, ...]

    @classmethod
    def of(cls, states: Sequence[WatchState], table: RateTable) -> Self:
        """The columns of streams that each had a state of their own."""
        n = np.array([one.n for one in states], dtype=np.int64)
        mix = np.stack([one.share for one in states]) * np.sqrt(table.errors) * GROWN[n % SCALED][:, None]
        wealth = np.zeros_like(table.bets.size)
        for s, one in enumerate(states):
            if one.evidence is not None:
                wealth[s, : len(one.evidence.wealth)] = one.evidence.wealth
        return cls(
            n=n,
            unscored=np.array([one.unscored for one in states], dtype=np.int64),
            strange=np.array([one.strange for one in states], dtype=np.int64),
            wealth=wealth,
            mix=mix,
            values=_aligned([one.values for one in states], np.dtype(np.int8)),
            expected=_aligned([one.expected for one in states], np.dtype(np.float16)),
            index=_aligned([one.index for one in states], np.dtype(np.uint32)),
            ts=_aligned([one.ts for one in states], np.dtype(np.float64)),
            dated=np.array([len(one.index) for one in states], dtype=np.int64),
            marks=tuple(
                StreamMarks(one.firing, one.moved, one.blind, one.ones, one.zeros, one.ones_at, one.zeros_at, one.onset)
                for one in states
            ),
        )


def _aligned(columns: Sequence[NDArray[Any]], kind: np.dtype[Any]) -> Any:
    """(s, h) columns of different lengths with their ends together."""
    made = np.zeros((len(columns), max(map(len, columns))), dtype=kind)
    for s, one in enumerate(columns):
        made[s, made.shape[1] - len(one) :] = one
    return made


class BatchRows:
    """The rows of a batch behind those of earlier ones, and which of them call for what; (s, n) where not said.

    Attributes:
        batch: the rows. used: whether a stream uses a row.
        numbers: (s, n + 1) rows that each stream has used before the first row, and after each.
        errors: error of the mean expectation after each row; rooms: the null's room at it; mix: (s, 2c) after all.
        missing, heard, strange: (s,) rows of the stream's slice without a value, with one, and those of the latter
            whose prompt is novel. unscored, scored: which rows they are.
    """

    def __init__(self, table: RateTable, before: RateColumns, batch: RateBatch) -> None:
        self.table, self.before, self.batch = table, before, batch
        absent = np.isnan(batch.value)
        self.scored = batch.inside & ~absent
        self.used = self.scored & ~batch.novel
        self.numbers = np.empty((len(self.used), self.used.shape[1] + 1), dtype=np.int64)
        self.numbers[:, 0] = before.n
        np.cumsum(self.used, axis=1, out=self.numbers[:, 1:])
        self.numbers[:, 1:] += before.n[:, None]
        self.stream, self.row = self.used.nonzero()
        self.new = self.numbers[:, -1] - before.n
        self._mix()
        inside, heard = batch.inside.sum(axis=1), self.scored.sum(axis=1)
        self.missing, self.heard = inside - heard, heard
        self.strange = (self.scored & batch.novel).sum(axis=1) if batch.novel.any() else np.zeros_like(heard)

    def _mix(self) -> None:
        """Follow the mix of topics; only rows used move it."""
        before, batch, (streams, count) = self.before, self.batch, self.used.shape
        turn = self.numbers[self.stream, self.row] % SCALED + 1
        cell = batch.cell[self.stream, self.row]
        mixes = np.zeros((count + 1, streams, before.mix.shape[1]))
        mixes[0] = before.mix
        mixes[self.row + 1, self.stream, cell] = FADE * self.table.roots[self.stream, cell] * GROWN[turn]
        full = turn == SCALED
        ends = {row: self.stream[full & (self.row == row)] for row in np.unique(self.row[full]).tolist()}
        last, add = mixes[0], np.add
        for row, mix in enumerate(mixes[1:]):
            last = add(last, mix, mix)
            if row in ends:
                mix[ends[row]] /= GROWN[SCALED]
        square = np.einsum("nsc,nsc->ns", mixes, mixes)
        errors = np.sqrt(square).T / GROWN[self.numbers % SCALED]
        self.mix, self.errors = last.copy(), errors[:, 1:]
        self.rooms = self.table.floor[:, None] + self.table.slack[:, None] * errors[:, :-1]

    @cached_property
    def unscored(self) -> Bool:
        """Rows of the stream's slice without a value."""
        return self.batch.inside & ~self.scored

    @cached_property
    def values(self) -> NDArray[np.int8]:
        """(s, h + m) what happened at the rows used, those of the batch from place h on."""
        return self._behind(self.before.values, self.batch.value[self.stream, self.row])

    @cached_property
    def expected(self) -> NDArray[np.float16]:
        """(s, h + m) what was expected of them."""
        return self._behind(self.before.expected, self.batch.expected[self.stream, self.row])

    @cached_property
    def index(self) -> NDArray[np.uint32]:
        """(s, h' + m) their event index."""
        return self._behind(self.before.index, self.batch.index[self.row])

    @cached_property
    def ts(self) -> Float:
        """(s, h' + m) their times."""
        return self._behind(self.before.ts, self.batch.ts[self.row])

    def _behind(self, held: Column, new: NDArray[Any]) -> Column:
        made: Column = np.zeros((len(held), held.shape[1] + int(self.new.max())), dtype=held.dtype)  # type: ignore[assignment]
        made[:, : held.shape[1]] = held
        made[self.stream, held.shape[1] + self.numbers[self.stream, self.row] - self.before.n[self.stream]] = new
        return made

    def shown(
        self, s: int, at: Sequence[int], ids: tuple[str, ...], numbers: tuple[int, ...]
    ) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Ids and numbers of the rows `at` of a stream, those of earlier batches first."""
        if not at:
            return ids, numbers
        own, names = self.numbers[s], self.batch.ids
        return (*ids, *[names[i] for i in at]), (*(numbers or (0,) * len(ids)), *[int(own[i]) for i in at])

    def after(self, wealth: Float, unscored: Int, strange: Int, marks: tuple[StreamMarks, ...]) -> RateColumns:
        """The columns after the rows."""
        n, before = self.numbers[:, -1].copy(), self.before
        if not len(self.row):
            held = before.values, before.expected, before.index, before.ts
        else:
            held = (*self._kept(WINDOW, self.values, self.expected), *self._kept(DATED, self.index, self.ts))
        values, expected, index, ts = held
        dated = np.minimum(before.dated + self.new, DATED)
        return RateColumns(n, unscored, strange, wealth, self.mix, values, expected, index, ts, dated, marks)

    def _kept(self, most: int, *columns: NDArray[Any]) -> list[Any]:
        """The last `most` rows of each stream, all with their ends together."""
        streams, wide = columns[0].shape
        stop = wide - int(self.new.max()) + self.new
        keep = min(most, int(stop.max()))
        at = (stop - keep)[:, None] + np.arange(keep)
        short = at < 0
        at += np.arange(streams)[:, None] * wide
        at[short] = 0
        made = [column.ravel()[at] for column in columns]
        if short.any():
            for one in made:
                one[short] = 0
        return made
