"""What the embedding detectors remember of a stream, and how they gather evidence."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Finding, Stream
from detectors.stats import bets
from detectors.stats.repeats import Keys

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Course:
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
    def decay(self) -> Float:
        """(w, 1) factor by which the sums fade at each row."""
        return 1 - 1 / np.array(self.windows, dtype=np.float64)[:, None]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a pass over rows goes by.

    Attributes:
        fitted, recipe, course: the bets, how they are placed and how evidence is gathered.
        arl: mean number of rows between false alarms, the evidence at which the stream fires.
        effect: name of the distance that findings carry; blind: their reason where prompts are novel.
    """

    fitted: bets.Fitted
    recipe: bets.Recipe
    course: Course
    arl: float
    effect: str
    blind: str


@dataclass(frozen=True, slots=True)
class Told:
    """Rows of a stream as numbers: design (n, 1 + q), target (n, d), cluster, whether novel, whether used (n,)."""

    row: Int
    ids: tuple[str, ...]
    design: Float
    target: Float
    cluster: Int
    novel: Bool
    used: Bool


@dataclass(frozen=True, slots=True)
class DriftState:
    """Running state of one stream.

    Attributes:
        n: rows used so far; fired: value of n at the crossing, -1 while not firing; begun: rows before the shift.
        sums: (w, 1 + q + d + c) decayed sums up to the last row; placed: the bet that stands.
        wealth: (w,) Shiryaev-Roberts evidence of each arm; cusum, since: (w,) the same started anew wherever it fell to
            nothing, and the row of that start, which dates the shift.
        along: (recent,) ring of distances along the bet, place n mod recent.
        novel: (novel_of,) ring of whether prompts were novel; idle: (idle_of,) of whether they were not used;
            prompts: how many there were.
        ids, scores: the last rows and their evidence, oldest first.
        keys: of the last prompts, where repetitions are left out.
    """

    n: int
    fired: int
    begun: int
    blind: bool
    sums: Float
    placed: bets.Placed
    wealth: Float
    cusum: Float
    since: Int
    along: Float
    novel: Bool
    idle: Bool
    prompts: int
    ids: tuple[str, ...]
    scores: tuple[float, ...]
    keys: Keys


def start(fitted: bets.Fitted | None, course: Course) -> DriftState:
    """The state of zero evidence; without bets there is nothing to remember."""
    q, d = fitted.weights.shape[1:] if fitted else (0, 0)
    w, c = len(course.windows), len(fitted.local) if fitted else 0
    return DriftState(
        n=0,
        fired=-1,
        begun=0,
        blind=False,
        sums=np.zeros((w, q + d + c)),
        placed=bets.Placed(np.zeros((w, d)), np.zeros(w), np.ones((c, w)), np.zeros(d), np.zeros(c), 0.0),
        wealth=np.zeros(w),
        cusum=np.zeros(w),
        since=np.zeros(w, dtype=np.int64),
        along=np.zeros(course.recent),
        novel=np.zeros(course.novel_of, dtype=np.bool_),
        idle=np.zeros(course.idle_of, dtype=np.bool_),
        prompts=0,
        ids=(),
        scores=(),
        keys=np.zeros(0, dtype=np.uint64),
    )


def blinded(state: DriftState, rows: Int, reason: str) -> tuple[DriftState, tuple[Finding, ...]]:
    """What a stream says that cannot be judged: blind, from its first row on."""
    if state.blind or not len(rows):
        return state, ()
    finding = Finding(row=int(rows[0]), stream=Stream(), status="blind", transition=True, n=0, reason=reason)
    return replace(state, blind=True), (finding,)
