"""Two-sided evidence that a bounded rank has another mean, and since when it seems so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, log
from typing import Final

import numpy as np

from detectors.protocol import Float, Int
from schemas.reading import Direction, ReadingStatus

BETS: Final = np.array([0.15, 0.4, 1.0])
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
        row: (n,) places in the batch; ids: of all rows of the batch.
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


def walk_all(states: Sequence[WalkState], every: Sequence[LevelWalk]) -> list[tuple[WalkState, list[Mark]]]:
    """Take streams through a batch, those of which nothing is new side by side: to the bit what `walk` gives."""
    plain = [s for s, (state, lines) in enumerate(zip(states, every, strict=True)) if _is_plain(state, lines)]
    made: dict[int, tuple[WalkState, list[Mark]]] = {}
    if plain:
        together = _Together([states[s] for s in plain], [every[s] for s in plain])
        made = {s: told for s, told in zip(plain, together.told(), strict=True) if told is not None}
    return [made.get(s) or walk(state, every[s]) for s, state in enumerate(states)]


def _is_plain(state: WalkState, lines: LevelWalk) -> bool:
    """Whether a stream is quiet, and rows without a value are too few to say anything of them."""
    if state.side >= 0 or state.blind or not len(lines.row):
        return False
    return state.missing + lines.rows - len(lines.row) <= lines.unscored // 2


class _Together:
    """Quiet streams side by side: row by row the same sums and products as `_quiet`, of all streams at once."""

    def __init__(self, states: Sequence[WalkState], every: Sequence[LevelWalk]) -> None:
        self.states, self.every, streams, rows = states, every, len(states), every[0].rows
        adds, times = np.zeros((rows, streams, 8)), np.ones((rows, streams, 8))
        for s, lines in enumerate(every):
            away = lines.rank - 0.5
            gain = np.stack([away - lines.up, -away - lines.down], axis=1)
            factor = np.maximum(1.0 + gain[:, :, None] * BETS, LEAST_GAIN)
            adds[lines.row, s, :6], times[lines.row, s, :6] = 1.0, factor.reshape(-1, 6)
            adds[lines.row, s, 6:] = gain
        # Six processes of a stream and its two walks; what cannot be negative is not changed by being held at 0.
        self.held = np.empty((rows + 1, streams, 8))
        self.held[0] = [[*one.processes[0], *one.processes[1], one.sums[0][0], one.sums[1][0]] for one in states]
        flat, none = self.held.reshape(rows + 1, -1), np.zeros(streams * 8)
        last, add, multiply, maximum = flat[0], np.add, np.multiply, np.maximum
        for one, by, after in zip(adds.reshape(rows, -1), times.reshape(rows, -1), flat[1:], strict=True):
            maximum(multiply(add(last, one, after), by, after), none, out=after)
            last = after
        risen, fallen = ((self.held[1:, :, i] + self.held[1:, :, i + 1]) + self.held[1:, :, i + 2] for i in (0, 3))
        self.side, self.most = fallen > risen, np.maximum(risen, fallen)
        enough = exp(every[0].log_arl) * len(BETS)
        self.crossed: list[bool] = np.any(self.most >= enough, axis=0).tolist()

    def told(self) -> Iterator[tuple[WalkState, list[Mark]] | None]:
        """The state and marks of each stream; None of one that fires."""
        for s, (state, lines) in enumerate(zip(self.states, self.every, strict=True)):
            if self.crossed[s]:
                yield None
                continue
            marks = [
                self._mark(s, at, state.n + at + 1)
                for at in range(-(state.n + 1) % lines.period, len(lines.row), lines.period)
            ]
            last, n = self.held[-1, s].tolist(), state.n + len(lines.row)
            sums = self._sums(s, 0, len(lines.row) - 1), self._sums(s, 1, len(lines.row) - 1)
            shown = _extreme(state, lines, 0, len(lines.row))
            processes, missing = ((*last[:3],), (*last[3:6],)), lines.rows - 1 - int(lines.row[-1])
            yield WalkState(n, processes, sums, shown, -1, state.fired, state.recent, missing, blind=False), marks

    def _mark(self, s: int, at: int, n: int) -> Mark:
        """What there is to say at the `at`-th usable row of a stream."""
        row = int(self.every[s].row[at])
        side = int(self.side[row, s])
        log_e = log(max(float(self.most[row, s]) / len(BETS), 1.0))
        _, count, rest, square, value = self._sums(s, side, at)
        return Mark(row, "quiet", False, n, None, log_e, int(count), rest, square, value)

    def _sums(self, s: int, side: int, at: int) -> tuple[float, ...]:
        """The sums of a side of a stream up to and with its `at`-th usable row, as `_walk_on` makes them."""
        lines = self.every[s]
        rows = lines.row[: at + 1]
        height = self.held[rows + 1, s, 6 + side]
        ends = (height <= 0).nonzero()[0]
        first, before = (int(ends[-1]) + 1, (0.0,) * 4) if len(ends) else (0, self.states[s].sums[side][1:])
        if first > at:
            return (0.0, *before)
        rest = lines.rest[first : at + 1]
        parts = np.empty((len(rest) + 1, 3))
        parts[0] = before[1:]
        parts[1:, 0], parts[1:, 1], parts[1:, 2] = rest, rest * rest, lines.value[first : at + 1]
        return (float(height[-1]), before[0] + len(rest), *np.add.accumulate(parts)[-1].tolist())


def walk(state: WalkState, lines: LevelWalk) -> tuple[WalkState, list[Mark]]:
    """Take one stream through a batch: a mark at each change of status and where n is a multiple of the period."""
    marks: list[Mark] = []
    at = 0
    last = -1
    apart = (np.diff(lines.row) > lines.unscored // 2).nonzero()[0] + 1
    while at < len(lines.row):
        gap = int(lines.row[at]) - last - 1
        state, more = _absent(state, lines, last, gap)
        marks += more
        far = apart[apart > at]
        stop = min([len(lines.row), *far[:1].tolist()])
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
    """Evidence row by row until it is enough: sums and products in the order of the rows, however they are cut."""
    part = slice(at, stop)
    away = lines.rank[part] - 0.5
    gain = np.stack([away - lines.up[part], -away - lines.down[part]], axis=1)
    factor = np.maximum(1.0 + gain[:, :, None] * BETS, LEAST_GAIN).tolist()
    level, marks = exp(lines.log_arl) * len(BETS), list[Mark]()
    (a, b, c), (d, e, f) = state.processes
    up, down = list(state.sums[0]), list(state.sums[1])
    rows = zip(gain.tolist(), factor, lines.rest[part].tolist(), lines.value[part].tolist(), strict=True)
    for i, ((rise, fall), ((r, s, t), (u, v, w)), rest, value) in enumerate(rows):
        a, b, c = (a + 1.0) * r, (b + 1.0) * s, (c + 1.0) * t
        d, e, f = (d + 1.0) * u, (e + 1.0) * v, (f + 1.0) * w
        _walk_on(up, rise, rest, value)
        _walk_on(down, fall, rest, value)
        risen, fallen, n = a + b + c, d + e + f, state.n + i + 1
        side = int(fallen > risen)
        most = fallen if side else risen
        crossed = most >= level
        if not crossed and n % lines.period:
            continue
        log_e = log(max(most / len(BETS), 1.0))
        one = replace(state, n=n, sums=(tuple(up), tuple(down)))
        if crossed:
            shown = _extreme(state, lines, at, at + i + 1)
            recent = 0.5 + (0.5 if side == 0 else -0.5) * 0.5
            processes = (a, b, c), (d, e, f)
            one = replace(one, processes=processes, shown=shown, side=side, fired=n, recent=recent)
        marks.append(_mark(one, int(lines.row[at + i]), changed=crossed, log_e=log_e, side=side))
        if crossed:
            return one, at + i + 1, marks
    shown = _extreme(state, lines, at, stop)
    after = replace(
        state,
        n=state.n + stop - at,
        processes=((a, b, c), (d, e, f)),
        sums=(tuple(up), tuple(down)),
        shown=shown,
    )
    return after, stop, marks


def _walk_on(sums: list[float], gain: float, rest: float, value: float) -> None:
    """The walk and what is summed since it began: where it falls to 0 it begins anew (Page, 1954)."""
    height = sums[0] + gain
    if height <= 0:
        sums[:] = (0.0, 0.0, 0.0, 0.0, 0.0)
        return
    sums[0] = height
    sums[1] += 1
    sums[2] += rest
    sums[3] += rest * rest
    sums[4] += value


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
    found = ((rank >= 1 - EXTREME).nonzero()[0], (rank <= EXTREME).nonzero()[0])
    return tuple(
        (*before, *[lines.ids[i] for i in lines.row[at + some[-SHOWN:]].tolist()])[-SHOWN:]
        for before, some in zip(state.shown, found, strict=True)
    )
