"""Two-sided evidence that a bounded rank has another mean, vectorised over a batch, and since when it seems so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from detectors.protocol import Float, Int
from schemas.reading import Direction, ReadingStatus

BETS: Final = np.array([0.15, 0.4, 1.0])
BLOCK: Final = 64  # rows at once: products of more would leave the range of numbers
WINDOW: Final = 500
LEAST_GAIN: Final = 0.05
SHOWN: Final = 5
EXTREME: Final = 0.1
SIDES: Final[tuple[Direction, Direction]] = ("up", "down")


@dataclass(frozen=True, slots=True)
class LevelWalk:
    """n usable rows of a batch of `rows`.

    Attributes:
        rank: (n,) in [0, 1]; rest: (n,) levels over the usual; value: (n,) in their own unit.
        up, down: (n,) by how much the rank may exceed 1/2, or fall short of it.
        row: (n,) places in the batch; ids: of those rows.
    """

    rank: Float
    rest: Float
    value: Float
    up: Float
    down: Float
    row: Int
    ids: tuple[str, ...]
    rows: int
    unscored: int
    period: int
    log_arl: float


@dataclass(frozen=True, slots=True)
class WalkState:
    """Where one stream stands.

    Attributes:
        n: rows used. processes: (2, 3) evidence upwards and downwards, one a bet.
        sums: (2, 5) since the change seems to have begun, upwards and downwards: the walk itself, rows, and sums of
            levels, squared levels and values.
        side: the way it fires, 0 up, 1 down, -1 not. fired: n when it began to.
        shown: ids of the last rows of an extreme rank, upwards and downwards.
        recent: mean rank of the last rows while it fires. missing: rows in a row without a value.
    """

    n: int = 0
    processes: tuple[tuple[float, ...], ...] = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    sums: tuple[tuple[float, ...], ...] = ((0.0,) * 5, (0.0,) * 5)
    shown: tuple[tuple[str, ...], ...] = ((), ())
    side: int = -1
    fired: int = 0
    recent: float = 0.5
    missing: int = 0
    blind: bool = False

    @property
    def status(self) -> ReadingStatus:
        """Blind while nothing is told and nothing fires."""
        return "firing" if self.side >= 0 else "blind" if self.blind else "quiet"


@dataclass(frozen=True, slots=True)
class Mark:
    """What there is to say at a row: the effect's sums over `n_since` rows, ids of rows that show it."""

    row: int
    status: ReadingStatus
    transition: bool
    n: int
    direction: Direction | None
    log_e: float
    n_since: int
    rest: float
    square: float
    value: float
    extreme: tuple[str, ...] = ()


def walk(state: WalkState, lines: LevelWalk) -> tuple[WalkState, list[Mark]]:
    """Take one stream through a batch: a mark at each change of status and where n is a multiple of the period."""
    marks: list[Mark] = []
    at = 0
    last = -1
    apart = np.flatnonzero(np.diff(lines.row) > lines.unscored // 2) + 1
    while at < len(lines.row):  # blocks by the stream's own count: where batches are cut decides nothing
        gap = int(lines.row[at]) - last - 1
        state, more = _absent(state, lines, last, gap)
        marks += more
        far = apart[apart > at]
        stop = min([len(lines.row), at + BLOCK - state.n % BLOCK, *far[:1].tolist()])
        state, at, more = _present(state, lines, at, stop)
        marks += more
        last = int(lines.row[at - 1])
    state, more = _absent(state, lines, last, lines.rows - 1 - last)
    return state, marks + more


def _absent(state: WalkState, lines: LevelWalk, last: int, gap: int) -> tuple[WalkState, list[Mark]]:
    """Rows without a value after row `last`."""
    if not gap:
        return state, []
    missing = state.missing + gap
    after = replace(state, missing=min(missing, lines.unscored))
    if missing < lines.unscored or state.blind or state.side >= 0:
        return after, []
    after = replace(after, blind=True)
    return after, [_mark(after, last + lines.unscored - state.missing, changed=True)]


def _present(state: WalkState, lines: LevelWalk, at: int, stop: int) -> tuple[WalkState, int, list[Mark]]:
    """Rows `at` to `stop`, or up to the first at which the status changes: state, where to go on, marks."""
    seen = replace(state, missing=0, blind=False)
    if state.blind:  # it sees again at this row, which counts
        after, _, marks = _present(seen, lines, at, at + 1)
        marks = [replace(marks[0], transition=True)] if marks else [_mark(after, int(lines.row[at]), changed=True)]
        return after, at + 1, marks
    if state.side >= 0:
        return _firing(seen, lines, at, stop)
    return _quiet(seen, lines, at, stop)


def _quiet(state: WalkState, lines: LevelWalk, at: int, stop: int) -> tuple[WalkState, int, list[Mark]]:
    """Evidence row by row until it is enough."""
    part = slice(at, stop)
    away = lines.rank[part] - 0.5
    gain = np.stack([away - lines.up[part], -away - lines.down[part]])
    e = np.maximum(1.0 + gain[:, :, None] * BETS, LEAST_GAIN)
    product = np.cumprod(e, axis=1)
    before = np.concatenate([np.ones_like(product[:, :1]), product[:, :-1]], axis=1)
    grown = product * (np.array(state.processes)[:, None, :] + np.cumsum(1.0 / before, axis=1))
    log_e = np.log(np.maximum(grown.mean(axis=2), 1.0))  # (2, rows)
    crossed = np.flatnonzero(log_e.max(axis=0) >= lines.log_arl)
    end = int(crossed[0]) + 1 if len(crossed) else stop - at
    sums = _since(state, lines, at, gain)
    marks: list[Mark] = []
    for i in _places(state.n, end, lines.period):
        side = int(log_e[:, i].argmax())
        one = replace(state, n=state.n + i + 1, sums=_tuples(sums[:, i]))
        marks.append(_mark(one, int(lines.row[at + i]), changed=False, log_e=float(log_e[side, i]), side=side))
    after = replace(state, n=state.n + end, processes=_tuples(grown[:, end - 1]), sums=_tuples(sums[:, end - 1]))
    after = replace(after, shown=_extreme(state, lines, at, at + end))
    if len(crossed):
        side = int(log_e[:, end - 1].argmax())
        recent = 0.5 + (0.5 if side == 0 else -0.5) * 0.5
        after = replace(after, side=side, fired=after.n, recent=recent)
        marks = [one for one in marks if one.n != after.n]
        mark = _mark(after, int(lines.row[at + end - 1]), changed=True, log_e=float(log_e[side, end - 1]), side=side)
        marks.append(mark)
    return after, at + end, marks


def _since(state: WalkState, lines: LevelWalk, at: int, gain: Float) -> Float:
    """(2, rows, 5) the sums at each row: a walk that falls to 0 begins anew, and so do they (Page, 1954)."""
    rows = slice(at, at + gain.shape[1])
    rest, value = lines.rest[rows], lines.value[rows]
    columns = np.stack([np.ones_like(rest), rest, rest * rest, value], axis=1)
    made = np.empty((2, gain.shape[1], 5))
    for side in range(2):
        held = np.array(state.sums[side])
        height = held[0] + np.cumsum(gain[side])
        lowest = np.minimum.accumulate(np.minimum(height, 0.0))
        last = np.maximum.accumulate(np.where(height <= lowest, np.arange(len(height)), -1))
        total = held[1:] + np.cumsum(columns, axis=0)
        made[side, :, 0] = height - lowest
        made[side, :, 1:] = np.where(last[:, None] >= 0, total - total[last], total)
    return made


def _firing(state: WalkState, lines: LevelWalk, at: int, stop: int) -> tuple[WalkState, int, list[Mark]]:
    """Rows while it fires: the effect is followed, and it ends once the last rows rank as usual."""
    side, marks = state.side, list[Mark]()
    sums, recent, n = list(state.sums[side]), state.recent, state.n
    for i in range(at, stop):
        n += 1
        rest = float(lines.rest[i])
        sums = [sums[0], sums[1] + 1, sums[2] + rest, sums[3] + rest * rest, sums[4] + float(lines.value[i])]
        recent += (float(lines.rank[i]) - recent) * 2.0 / WINDOW
        room = float(lines.up[i] if side == 0 else -lines.down[i])
        inside = recent - 0.5 < room if side == 0 else recent - 0.5 > room
        both = tuple(tuple(sums) if j == side else state.sums[j] for j in range(2))
        one = replace(state, n=n, sums=both, recent=recent)
        if inside and n - state.fired >= WINDOW:
            after = WalkState(n=n)
            return after, i + 1, [*marks, replace(_mark(after, int(lines.row[i]), changed=True), log_e=0.0)]
        if n % lines.period == 0:
            marks.append(_mark(one, int(lines.row[i]), changed=False, log_e=lines.log_arl, side=side))
    return replace(state, n=n, sums=both, recent=recent), stop, marks


def _mark(state: WalkState, row: int, *, changed: bool, log_e: float = 0.0, side: int = -1) -> Mark:
    _, n, rest, square, value = state.sums[side] if side >= 0 else (0.0,) * 5
    direction = SIDES[state.side] if state.side >= 0 else None
    shown = state.shown[state.side] if state.side >= 0 and changed else ()
    return Mark(row, state.status, changed, state.n, direction, log_e, int(n), rest, square, value, shown)


def _extreme(state: WalkState, lines: LevelWalk, at: int, stop: int) -> tuple[tuple[str, ...], ...]:
    """The last rows whose rank is extreme, upwards and downwards."""
    rank = lines.rank[at:stop]
    found = (np.flatnonzero(rank >= 1 - EXTREME), np.flatnonzero(rank <= EXTREME))
    return tuple(
        (*before, *(lines.ids[at + i] for i in some[-SHOWN:]))[-SHOWN:]
        for before, some in zip(state.shown, found, strict=True)
    )


def _places(n: int, rows: int, period: int) -> Iterator[int]:
    """Which of the next rows are multiples of the period."""
    first = period - n % period - 1
    yield from range(first, rows, period)


def _tuples(values: Float) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(one) for one in row) for row in values)
