"""Two-sided evidence that a bounded rank has another mean, and since when it seems so."""

from __future__ import annotations

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
    found = (np.flatnonzero(rank >= 1 - EXTREME), np.flatnonzero(rank <= EXTREME))
    return tuple(
        (*before, *(lines.ids[at + i] for i in some[-SHOWN:]))[-SHOWN:]
        for before, some in zip(state.shown, found, strict=True)
    )
