"""One stream of the embedding detectors: its settings, its state, and a pass over rows that makes findings.

The evidence of each window is a Shiryaev-Roberts e-detector, M = (M + 1) * factor, and the stream fires when their mean
reaches the ARL: Shin, Ramdas and Rinaldo, "E-detectors" (2023, arXiv 2203.03532), section 2.3. A bet stands for
a block of rows that is counted from the stream's first row, so nothing depends on how the rows are cut into batches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from detectors.protocol import Bool, Finding, Float, Int, Stream
from detectors.stats import bets
from detectors.stats.intervals import Distance, distance_of
from detectors.stats.repeated_prompts import Keys
from schemas.reading import Effect, ReadingStatus

EVERY: Final = 50  # rows between two periodic findings
RECENT: Final = 48  # rows whose ids are remembered as possible exemplars
EXEMPLARS: Final = 5
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


@dataclass(frozen=True, slots=True)
class DriftPlan:
    """All that a pass over rows goes by.

    Attributes:
        fitted, recipe, settings: the bets, how they are placed and how evidence is gathered.
        arl: mean number of rows between false alarms, the evidence at which the stream fires.
        effect: name of the distance that findings carry; blind: their reason where prompts are novel.
    """

    fitted: bets.Fitted
    recipe: bets.Recipe
    settings: EvidenceSettings
    arl: float
    effect: str
    blind: str


@dataclass(frozen=True, slots=True)
class DriftRows:
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
        along=np.zeros(settings.recent),
        novel=np.zeros(settings.novel_of, dtype=np.bool_),
        idle=np.zeros(settings.idle_of, dtype=np.bool_),
        prompts=0,
        ids=(),
        scores=(),
        keys=np.zeros(0, dtype=np.uint64),
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
        self.plan = plan
        self.decay = plan.settings.decay
        self.state = state
        self.n, self.fired, self.begun = state.n, state.fired, state.begun
        self.blind, self.prompts = state.blind, state.prompts
        self.sums, self.wealth, self.cusum = state.sums.copy(), state.wealth.copy(), state.cusum.copy()
        self.since, self.along = state.since.copy(), state.along.copy()
        self.novel, self.idle = state.novel.copy(), state.idle.copy()
        self.placed = state.placed
        self.recent = list(zip(state.ids, state.scores, strict=True))
        self.findings: list[Finding] = []

    def run(self, rows: DriftRows) -> tuple[DriftState, tuple[Finding, ...]]:
        """Take in all rows, in order."""
        turned = bets.whiten(self.fitted, rows.design, rows.target)
        member = rows.cluster[:, None] == np.arange(len(self.fitted.local))
        tallies = np.concatenate([rows.design, rows.target, member], axis=1)
        for i, row in enumerate(rows.row):
            before = self.status
            used = bool(rows.used[i])
            self._note_prompt(bool(rows.novel[i]), used)
            if used:
                self._settle_bet(turned[i], int(rows.cluster[i]), tallies[i], rows.ids[i])
            self._report(int(row), before, used)
        return self._state_after(), tuple(self.findings)

    @property
    def status(self) -> ReadingStatus:
        """Blind goes before firing: what is not understood is not judged."""
        if self.blind:
            return "blind"
        return "firing" if self.fired >= 0 else "quiet"

    def _note_prompt(self, novel: bool, used: bool) -> None:
        """Note whether the prompt was unlike the baseline's, or not used; too many such make the stream blind."""
        self.novel[self.prompts % len(self.novel)] = novel
        self.idle[self.prompts % len(self.idle)] = not used
        self.prompts += 1
        strange = self.novel.sum() > self.settings.novel_share * len(self.novel)
        self.blind = bool(strange or self.idle.sum() > self.settings.idle_share * len(self.idle))

    def _settle_bet(self, turned: Float, cluster: int, tally: Float, id_: str) -> None:
        """Settle the standing bet on one row, then let the row into the past."""
        if self.n % self.settings.block == 0:
            self.placed = bets.place(self.fitted, self.recipe, self.sums, self._trust())
        placed, bound = self.placed, self.recipe.bound
        log = np.clip(placed.slope @ turned - placed.offset, -bound, bound) - np.log(placed.expected[cluster])
        factor = np.exp(log)
        self.wealth = np.minimum((self.wealth + 1) * factor, CAP * self.arl)
        grown = np.maximum(self.cusum, 0.0) + log
        self.since = np.where(self.cusum <= 0, self.n, self.since)
        self.cusum = np.minimum(grown, np.log(CAP * self.arl))
        distance = float(placed.aim @ turned - placed.centre[cluster])
        self.along[self.n % len(self.along)] = distance
        self.recent = [*self.recent[1 - RECENT :], (id_, distance)]
        self.sums = self.sums * self.decay + tally
        self.n += 1

    def _trust(self) -> Float:
        """(w,) how much each arm's direction counts: its share of the evidence."""
        held: Float = self.wealth + 1
        return held / float(held.sum())

    def _report(self, row: int, before: ReadingStatus, used: bool) -> None:
        """Judge the row, and say so where the status changed or it is time for a periodic report."""
        distance: Distance | None = None
        n, due = self.n, used and self.n % EVERY == 0
        log_e = float(np.log(self.wealth.mean())) if self.wealth.any() else None
        if used and self.fired < 0 and self.wealth.mean() >= self.arl:
            self.fired, self.begun = self.n, int(self.since[int(self.cusum.argmax())])
        if due and 0 <= self.fired <= self.n - self.settings.recent:
            distance = self._distance()
            if distance.high <= self.settings.floor:
                self._return_to_quiet()
        if self.status == before and not due:
            return
        distance = distance or self._distance()
        self.findings.append(self._finding(row, before, n, distance, log_e))

    def _finding(self, row: int, before: ReadingStatus, n: int, distance: Distance, log_e: float | None) -> Finding:
        return Finding(
            row=row,
            stream=Stream(),
            status=self.status,
            transition=self.status != before,
            n=n,
            effect=self._effect(distance) if n else None,
            floor=self.settings.floor,
            log_e=log_e,
            threshold=float(np.log(self.arl)),
            exemplars=self._exemplars() if self.status == "firing" != before else (),
            reason=self.plan.blind if self.blind else None,
        )

    def _effect(self, distance: Distance) -> Effect:
        return Effect(
            name=self.plan.effect, before=0.0, after=distance.value, low=distance.low, high=distance.high, unit="sd"
        )

    def _distance(self) -> Distance:
        """The distance over the rows since the shift began; while quiet, over the last rows."""
        rows = max(1, min(self.n - self.begun, len(self.along)))
        past = self.along[(self.n - rows + np.arange(rows)) % len(self.along)]
        return distance_of(past, self.placed.spread)

    def _exemplars(self) -> tuple[str, ...]:
        """Ids of the rows since the shift began that speak loudest for it, the loudest first."""
        loudest = sorted(self.recent[-max(self.n - self.begun, 1) :], key=lambda item: -item[1])[:EXEMPLARS]
        return tuple(id_ for id_, score in loudest if score > 0)

    def _return_to_quiet(self) -> None:
        """The shift is over: back to quiet with zero evidence."""
        self.fired, self.begun = -1, 0
        self.wealth = np.zeros_like(self.wealth)
        self.cusum = np.zeros_like(self.cusum)

    def _state_after(self) -> DriftState:
        return replace(
            self.state,
            n=self.n,
            fired=self.fired,
            begun=self.begun,
            blind=self.blind,
            sums=self.sums,
            placed=self.placed,
            wealth=self.wealth,
            cusum=self.cusum,
            since=self.since,
            along=self.along,
            novel=self.novel,
            idle=self.idle,
            prompts=self.prompts,
            ids=tuple(id_ for id_, _ in self.recent),
            scores=tuple(score for _, score in self.recent),
        )
