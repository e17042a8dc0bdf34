"""One stream of the embedding detectors: its settings, its state, and a pass over rows that makes findings.

The evidence of each window is a Shiryaev-Roberts e-detector, M = (M + 1) * factor, and the stream fires when their mean
reaches the ARL: Shin, Ramdas and Rinaldo, "E-detectors" (2023, arXiv 2203.03532), section 2.3. A bet stands for
a block of rows that is counted from the stream's first row, so nothing depends on how the rows are cut into batches.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import exp, log
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Finding, Float, Int, Stream
from detectors.stats import bets
from detectors.stats.change_points import Onset, drift_posterior, onset_of, packed, unpacked
from detectors.stats.intervals import Distance, distance_of
from detectors.stats.repeated_prompts import Marks
from schemas.reading import Effect, Movement, ReadingStatus

EVERY: Final = 50  # rows between two periodic findings
RECENT: Final = 48  # rows whose ids are remembered as possible exemplars
EXEMPLARS: Final = 5
DATED: Final = 160  # last rows that are kept to date a change among
SETTLING: Final = 40  # rows before the interval without which it is refined no more
MOVES: Final = 8  # rows of which what moved is kept together
MOVES_KEPT: Final = 24
CAP: Final = 10.0  # evidence never exceeds this times the threshold, so that it can come back


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
    def decay(self) -> Float:
        """(w, 1) factor by which the sums fade at each row."""
        return 1 - 1 / np.array(self.windows, dtype=np.float64)[:, None]


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


def _no_past() -> NDArray[np.uint8]:
    return np.zeros((0, 0), dtype=np.uint8)


def _no_index() -> NDArray[np.uint32]:
    return np.zeros(0, dtype=np.uint32)


def _no_times() -> Float:
    return np.zeros(0)


def _no_moves() -> NDArray[np.float16]:
    return np.zeros((0, 0), dtype=np.float16)


@dataclass(frozen=True, slots=True)
class DriftState:
    """Running state of one stream.

    Attributes:
        n: rows used so far; fired: value of n at the crossing, -1 while not firing; begun: rows before the shift.
        sums: (w, 1 + q + d + c) decayed sums up to the last row; placed: the bet that stands.
        wealth: (w,) Shiryaev-Roberts evidence of each arm; cusum, since: (w,) the same started anew wherever it fell to
            nothing, and the row of that start, a first guess at when the shift began.
        along: (recent,) ring of distances along the bet, place n mod recent.
        novel: (novel_of,) ring of whether prompts were novel; idle: (idle_of,) of whether they were not used;
            prompts: how many there were.
        ids, scores: the last rows and their evidence, oldest first.
        keys: of the last prompts, where repetitions are left out.
        past: (h, d / 2) turned coordinates of the last rows, packed; index, ts: (h,) event index and time of them.
        onset: since when, while firing.
        moves: (b, s) sums of what moved over the last blocks of `MOVES` rows, the last one still growing.
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
    along: NDArray[np.floating[Any]]
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
    moves: NDArray[np.float16] = field(default_factory=_no_moves)


def start(fitted: bets.Fitted | None, settings: EvidenceSettings) -> DriftState:
    """The state of zero evidence; without bets there is nothing to remember."""
    q, d = fitted.weights.shape[1:] if fitted else (0, 0)
    w, c = len(settings.windows), len(fitted.local) if fitted else 0
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
        along=np.zeros(settings.recent, dtype=np.float32),
        novel=np.zeros(settings.novel_of, dtype=np.bool_),
        idle=np.zeros(settings.idle_of, dtype=np.bool_),
        prompts=0,
        ids=(),
        scores=(),
        keys=np.zeros(0, dtype=np.uint32),
    )


def blinded(state: DriftState, rows: Int, reason: str) -> tuple[DriftState, tuple[Finding, ...]]:
    """A stream that cannot be judged is blind, from its first row on."""
    if state.blind or not len(rows):
        return state, ()
    finding = Finding(row=int(rows[0]), stream=Stream(), status="blind", transition=True, n=0, reason=reason)
    return replace(state, blind=True), (finding,)


class DriftPass:
    """One pass over rows: takes a state, changes copies of its arrays, gives the state after the last row."""

    def __init__(self, plan: DriftPlan, state: DriftState) -> None:
        self.fitted, self.recipe, self.settings, self.arl = plan.fitted, plan.recipe, plan.settings, plan.arl
        self.plan, self.state, self.decay = plan, state, plan.settings.decay
        self.n, self.fired, self.begun, self.onset = state.n, state.fired, state.begun, state.onset
        self.sums, self.along = state.sums.copy(), state.along.astype(np.float32)
        self.wealth, self.cusum, self.since = state.wealth.tolist(), state.cusum.tolist(), state.since.tolist()
        self.most = CAP * plan.arl
        self.placed, self.blind = state.placed, state.blind
        self.recent = list(zip(state.ids, state.scores, strict=True))
        self.findings: list[Finding] = []

    def run(self, rows: DriftRows) -> tuple[DriftState, tuple[Finding, ...]]:
        """Take in all rows, in order."""
        if not len(rows.row):
            return self.state, ()
        self.rows, self.at = rows, np.flatnonzero(rows.used)
        self.turned = bets.whiten(self.fitted, rows.design[self.at], rows.target[self.at])
        self.cluster = rows.cluster[self.at]
        member = self.cluster[:, None] == np.arange(len(self.fitted.local))
        self.tallies = np.concatenate([rows.design[self.at], rows.target[self.at], member], axis=1)
        self._remember()
        blind = self._blindness()
        done = 0
        for i, used in enumerate(rows.used.tolist()):
            before, self.blind = self.status, bool(blind[i])
            if used:
                if done == 0 or self.n % self.settings.block == 0:
                    self._open_block(done)
                self._settle_bet(done, rows.ids[i])
                done += 1
            self._report(int(rows.row[i]), before, used)
        return self._state_after(), tuple(self.findings)

    @property
    def status(self) -> ReadingStatus:
        """Blind goes before firing: what is not understood is not judged."""
        if self.blind:
            return "blind"
        return "firing" if self.fired >= 0 else "quiet"

    def _remember(self) -> None:
        """The last rows to date a change among, those of this batch behind those of earlier ones."""
        state, steps = self.state, packed(self.turned)
        self.past = np.concatenate([state.past, steps]) if len(state.past) else steps
        self.index = np.concatenate([state.index, self.rows.index[self.at].astype(np.uint32)])
        self.ts = np.concatenate([state.ts, self.rows.ts[self.at]])
        self.moves = list(state.moves) if state.moves.shape[1:] == self.rows.moves.shape[1:] else []
        self.moved = self.rows.moves[self.at]
        self.start = state.n

    def _blindness(self) -> Bool:
        """(n,) whether too many of the last prompts were unlike the baseline's, or not used."""
        novel = self._unrolled(self.state.novel, self.rows.novel)
        idle = self._unrolled(self.state.idle, ~self.rows.used)
        self.novel, self.idle = novel, idle
        strange = _last_sums(novel, len(self.state.novel)) > self.settings.novel_share * len(self.state.novel)
        return strange | (_last_sums(idle, len(self.state.idle)) > self.settings.idle_share * len(self.state.idle))

    def _unrolled(self, ring: Bool, new: Bool) -> Bool:
        """What a ring holds, oldest first, and then the new."""
        return np.concatenate([np.roll(ring, -(self.state.prompts % len(ring))), new])

    def _open_block(self, done: int) -> None:
        """Place the bet where a block begins, and see what it earns on the rows of this batch that are in the block."""
        if self.n % self.settings.block == 0:
            self.placed = bets.place(self.fitted, self.recipe, self.sums, self._trust())
        self.first, left = done, self.settings.block - self.n % self.settings.block
        turned, cluster = self.turned[done : done + left], self.cluster[done : done + left]
        placed, bound = self.placed, self.recipe.bound
        along = np.einsum("nd,wd->nw", turned, placed.slope) - placed.offset
        logs = np.clip(along, -bound, bound) - np.log(placed.expected[cluster])
        self.logs: list[list[float]] = logs.tolist()
        distance = np.einsum("nd,d->n", turned, placed.aim) - placed.centre[cluster]
        self.distances: list[float] = distance.tolist()

    def _settle_bet(self, done: int, id_: str) -> None:
        """Settle the standing bet on one row, then let the row into the past."""
        distance, ceiling = self.distances[done - self.first], log(self.most)
        for w, gain in enumerate(self.logs[done - self.first]):
            self.wealth[w] = min((self.wealth[w] + 1) * exp(gain), self.most)
            if self.cusum[w] <= 0:
                self.since[w] = self.n
            self.cusum[w] = min(max(self.cusum[w], 0.0) + gain, ceiling)
        self.along[self.n % len(self.along)] = distance
        self.recent.append((id_, distance))
        self.sums *= self.decay
        self.sums += self.tallies[done]
        if self.moved.shape[1]:
            if self.n % MOVES == 0 or not self.moves:
                self.moves.append(np.zeros(self.moved.shape[1], dtype=np.float16))
            self.moves[-1] = (self.moves[-1] + self.moved[done]).astype(np.float16)
        self.n += 1

    def _trust(self) -> Float:
        """(w,) how much each arm's direction counts: its share of the evidence."""
        held = np.array(self.wealth) + 1
        return np.asarray(held / float(held.sum()))

    def _report(self, row: int, before: ReadingStatus, used: bool) -> None:
        """Judge the row, and say so where the status changed or it is time for a periodic report."""
        n, due, mean = self.n, used and self.n % EVERY == 0, sum(self.wealth) / len(self.wealth)
        distance: Distance | None = None
        if used and self.fired < 0 and mean >= self.arl:
            self.fired, self.begun = n, self.since[int(np.argmax(self.cusum))]
        if self.fired >= 0 and (due or self.fired == n):
            self._date()
        if due and 0 <= self.fired <= n - self.settings.recent:
            distance = self._distance()
            if distance.high <= self.settings.floor:
                self._return_to_quiet()
        if self.status == before and not due:
            return
        log_e = log(mean) if mean > 0 else None
        self.findings.append(self._finding(row, before, distance or self._distance(), log_e))

    def _date(self) -> None:
        """Estimate since when, as long as enough rows from before the change are kept."""
        last = len(self.past) - (self.start + len(self.at) - self.n)
        first = max(last - DATED, 0)
        if last - first < 1 or (self.onset and self.onset.least < self.n - (last - first) + SETTLING):
            return
        noise = self.fitted.noise
        rows = unpacked(self.past[first:last], len(noise))
        posterior = drift_posterior(rows, self.fitted.prior[-1] / noise, noise)
        self.onset = onset_of(posterior, self.index[first:last], self.ts[first:last], self.n)
        self.begun = self.onset.n

    def _finding(self, row: int, before: ReadingStatus, distance: Distance, log_e: float | None) -> Finding:
        firing = self.fired >= 0
        return Finding(
            row=row,
            stream=Stream(),
            status=self.status,
            transition=self.status != before,
            n=self.n,
            effect=self._effect(distance) if self.n else None,
            floor=self.settings.floor,
            log_e=log_e,
            threshold=log(self.arl),
            exemplars=self._exemplars() if self.status == "firing" != before else (),
            change_point=self.onset.point() if firing and self.onset else None,
            movements=self._movements() if self.status == "firing" else (),
            reason=self.plan.blind if self.blind else None,
        )

    def _movements(self) -> tuple[Movement, ...]:
        """What moved most, over whole blocks of rows since the change."""
        if self.plan.movements is None:
            return ()
        begun = max(-(-self.begun // MOVES) * MOVES, (self.n - 1) // MOVES * MOVES - (MOVES_KEPT - 1) * MOVES)
        blocks = self.moves[len(self.moves) - (-(-(self.n - begun) // MOVES)) :] if self.n > begun else []
        return self.plan.movements.told(np.sum(blocks, axis=0, dtype=np.float64), self.n - begun) if blocks else ()

    def _effect(self, distance: Distance) -> Effect:
        return Effect(
            name=self.plan.effect, before=0.0, after=distance.value, low=distance.low, high=distance.high, unit="sd"
        )

    def _distance(self) -> Distance:
        """The distance over the rows since the shift began; while quiet, over the last rows."""
        rows = max(1, min(self.n - self.begun, len(self.along)))
        past = self.along[(self.n - rows + np.arange(rows)) % len(self.along)]
        return distance_of(past.astype(np.float64), self.placed.spread)

    def _exemplars(self) -> tuple[str, ...]:
        """Ids of the rows since the shift began that speak loudest for it, the loudest first."""
        since = min(max(self.n - self.begun, 1), RECENT)
        loudest = sorted(self.recent[-since:], key=lambda item: -item[1])[:EXEMPLARS]
        return tuple(id_ for id_, score in loudest if score > 0)

    def _return_to_quiet(self) -> None:
        """The shift is over: back to quiet with zero evidence."""
        self.fired, self.begun, self.onset = -1, 0, None
        self.wealth, self.cusum = [0.0] * len(self.wealth), [0.0] * len(self.cusum)

    def _state_after(self) -> DriftState:
        recent, prompts = self.recent[-RECENT:], self.state.prompts + len(self.rows.used)
        return replace(
            self.state,
            n=self.n,
            fired=self.fired,
            begun=self.begun,
            blind=self.blind,
            sums=self.sums,
            placed=self.placed,
            wealth=np.array(self.wealth),
            cusum=np.array(self.cusum),
            since=np.array(self.since, dtype=np.int64),
            along=self.along,
            novel=_rolled(self.novel, len(self.state.novel), prompts),
            idle=_rolled(self.idle, len(self.state.idle), prompts),
            prompts=prompts,
            ids=tuple(id_ for id_, _ in recent),
            scores=tuple(score for _, score in recent),
            past=self.past[-DATED:],
            index=self.index[-DATED:],
            ts=self.ts[-DATED:],
            onset=self.onset,
            moves=np.array(self.moves[-MOVES_KEPT:], dtype=np.float16) if self.moves else _no_moves(),
        )


def _last_sums(flags: Bool, last: int) -> Int:
    """(n,) number of true ones among the `last` up to each of (last + n,) flags, from the first new one on."""
    counted = np.concatenate([[0], np.cumsum(flags)])
    return np.asarray(counted[last + 1 :] - counted[1 : len(counted) - last])


def _rolled(flags: Bool, last: int, prompts: int) -> Bool:
    """The last flags as a ring again."""
    return np.roll(flags[-last:], prompts % last)
