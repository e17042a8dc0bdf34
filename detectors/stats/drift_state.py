"""One stream of the embedding detectors: its settings, what a pass over rows goes by, and its state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Finding, Float, Int, Stream
from detectors.stats import bets
from detectors.stats.change_points import Onset
from detectors.stats.repeated_prompts import Marks
from schemas.reading import Movement

SCALED: Final = 64  # rows after which what was scaled up is scaled down again


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """How evidence is gathered: the hyper-parameters that are not of the bet itself.

    Attributes:
        windows: rows over which each arm of the mixture remembers.
        block: rows for which a bet stands.
        recent: rows over which the distance is measured.
        floor: distance in sd inside which a firing stream comes to rest.
        novel_share: share of the last `novel_of` prompts above which the stream is blind; idle_share, idle_of: the
            same of prompts that were not used at all, novel or asked again and again.
    """

    windows: tuple[int, ...] = (12, 48, 192)
    block: int = 4
    recent: int = 500
    floor: float = 0.25
    novel_share: float = 0.35
    novel_of: int = 25
    idle_share: float = 0.5
    idle_of: int = 50

    @property
    def scales(self) -> NDArray[np.float32]:
        """(65, w) by what the sums of each window grow within so many rows, instead of fading."""
        return _scales(self.windows)


@cache
def _scales(windows: tuple[int, ...]) -> NDArray[np.float32]:
    decay = 1 - 1 / np.array(windows, dtype=np.float64)
    return np.asarray(decay ** -np.arange(SCALED + 1, dtype=np.float64)[:, None], dtype=np.float32)


class Movements(Protocol):
    """Names what moved."""

    def told(self, sums: Float, count: int) -> tuple[Movement, ...]:
        """What moved clearly, most first, given the (s,) sums of `moves` over `count` rows."""


@dataclass(frozen=True, slots=True)
class DriftPlan:
    """All that a pass over rows goes by.

    Attributes:
        fitted, recipe, settings: the bets, how they are placed and how evidence is gathered.
        arl: mean number of rows between false alarms, the evidence at which the stream fires.
        effect: name of the distance that findings carry; blind: their reason where prompts are novel.
        movements: what tells of `DriftRows.moves`, where they have names.
    """

    fitted: bets.Fitted
    recipe: bets.Recipe
    settings: EvidenceSettings
    arl: float
    effect: str
    blind: str
    movements: Movements | None = None


@dataclass(frozen=True, slots=True)
class DriftRows:
    """Rows of a stream as numbers: design (n, 1 + q), target (n, d), cluster, whether novel, whether used (n,).

    `rest` (n, d): of the target what the design does not say.
    `index`, `ts` (n,): event index and time. `moves` (n, s): what each row lies above or below the expected in
    quantities that have a name, where `DriftPlan.movements` can tell of them.
    """

    row: Int
    ids: tuple[str, ...]
    design: Float
    target: Float
    cluster: Int
    novel: Bool
    used: Bool
    index: Int
    ts: Float
    moves: Float
    rest: Float


def _no_past() -> NDArray[np.uint8]:
    return np.zeros((0, 0), dtype=np.uint8)


def _no_index() -> NDArray[np.uint32]:
    return np.zeros(0, dtype=np.uint32)


def _no_times() -> Float:
    return np.zeros(0)


def no_moves() -> NDArray[np.float16]:
    """No block of rows of which it is kept what moved."""
    return np.zeros((0, 0), dtype=np.float16)


@dataclass(frozen=True, slots=True)
class DriftState:
    """Running state of one stream.

    Attributes:
        n: rows used so far; fired: value of n at the crossing, -1 while not firing; begun: rows before the shift.
        sums: (w, 1 + q + d + c) decayed sums up to the last row, grown as if none had decayed since the row `sums_of`
            (in states kept before: the last one); placed: the bet that stands.
        wealth: (w,) Shiryaev-Roberts evidence of each arm.
        along: (recent,) ring of distances along the bet, place n mod recent, in eighths; floats in older states.
        novel: (novel_of,) ring of whether prompts were novel; idle: (idle_of,) of whether they were not used;
            prompts: how many there were.
        ids, scores, places: of the last rows that an alarm may name, oldest first: how loudly each speaks for a shift,
            and its number in the stream (states kept before have every row, and no numbers).
        keys: of the last prompts, where repetitions are left out.
        past: (h, d / 2) turned coordinates of the last rows, packed; index, ts: (h,) event index and time of them.
        onset: since when, while firing.
        moves: (b, s) sums of what moved over the last blocks of `MOVES` rows, the last one still growing.
        cusum, since: empty; states kept before have there when each arm began to win.
    """

    n: int
    fired: int
    begun: int
    blind: bool
    sums: NDArray[np.floating[Any]]
    placed: bets.Placed
    wealth: Float
    along: NDArray[np.int8] | NDArray[np.floating[Any]]
    novel: Bool
    idle: Bool
    prompts: int
    ids: tuple[str, ...]
    scores: tuple[float, ...]
    keys: Marks
    past: NDArray[np.uint8] = field(default_factory=_no_past)
    index: NDArray[np.uint32] = field(default_factory=_no_index)
    ts: Float = field(default_factory=_no_times)
    onset: Onset | None = None
    moves: NDArray[np.float16] = field(default_factory=no_moves)
    places: tuple[int, ...] = ()
    sums_of: int | None = None
    cusum: Float = field(default_factory=_no_times)
    since: Int = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def start(fitted: bets.Fitted | None, settings: EvidenceSettings) -> DriftState:
    """The state of zero evidence; without bets there is nothing to remember."""
    q, d = fitted.weights.shape[1:] if fitted else (0, 0)
    w, c = len(settings.windows), len(fitted.local) if fitted else 0
    return DriftState(
        n=0,
        fired=-1,
        begun=0,
        blind=False,
        sums=np.zeros((w, q + d + c), dtype=np.float32),
        placed=_nothing_placed(w, d, c),
        wealth=np.zeros(w),
        along=np.zeros(settings.recent, dtype=np.int8),
        novel=np.zeros(settings.novel_of, dtype=np.bool_),
        idle=np.zeros(settings.idle_of, dtype=np.bool_),
        prompts=0,
        ids=(),
        scores=(),
        keys=np.zeros(0, dtype=np.uint32),
        sums_of=0,
    )


def _nothing_placed(w: int, d: int, c: int) -> bets.Placed:
    """No bet."""
    slope, offset, expected, aim, centre = (
        np.zeros(shape, dtype=np.float32) for shape in ((w, d), (w,), (c, w), (d,), (c,))
    )
    return bets.Placed(slope, offset, expected + 1, aim, centre, 0.0)


def blinded(state: DriftState, rows: Int, reason: str) -> tuple[DriftState, tuple[Finding, ...]]:
    """A stream that cannot be judged is blind, from its first row on."""
    if state.blind or not len(rows):
        return state, ()
    finding = Finding(row=int(rows[0]), stream=Stream(), status="blind", transition=True, n=0, reason=reason)
    return replace(state, blind=True), (finding,)
