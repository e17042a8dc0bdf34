"""One pass over rows: bets in blocks, evidence, status and findings.

Evidence of each window is a Shiryaev-Roberts e-detector, M = (M + 1) * factor, and the stream fires when their mean
reaches the ARL: Shin, Ramdas and Rinaldo, "E-detectors" (2023, arXiv 2203.03532), section 2.3. A bet stands for
a block of rows that is counted from the stream's first row, so nothing depends on how the rows are cut into batches.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from detectors.protocol import Finding, Stream
from detectors.stats import bets
from detectors.stats.drift import DriftState, Float, Plan, Told
from detectors.stats.interval import Distance, distance_of
from schemas.reading import Effect, ReadingStatus

EVERY: Final = 50  # rows between two periodic findings
RECENT: Final = 48  # rows whose ids are remembered as possible exemplars
EXEMPLARS: Final = 5
CAP: Final = 10.0  # evidence never exceeds this times the threshold, so that it can come back


class Walk:
    """One pass over rows: takes a state, changes copies of its arrays, gives the state after the last row."""

    def __init__(self, plan: Plan, state: DriftState) -> None:
        self.fitted, self.recipe, self.course, self.arl = plan.fitted, plan.recipe, plan.course, plan.arl
        self.plan = plan
        self.decay = plan.course.decay
        self.state = state
        self.n, self.fired, self.begun = state.n, state.fired, state.begun
        self.blind, self.prompts = state.blind, state.prompts
        self.sums, self.wealth, self.cusum = state.sums.copy(), state.wealth.copy(), state.cusum.copy()
        self.since, self.along = state.since.copy(), state.along.copy()
        self.novel, self.idle = state.novel.copy(), state.idle.copy()
        self.placed = state.placed
        self.recent = list(zip(state.ids, state.scores, strict=True))
        self.findings: list[Finding] = []

    def over(self, told: Told) -> tuple[DriftState, tuple[Finding, ...]]:
        """Take in all rows, in order."""
        turned = bets.turn(self.fitted, told.design, told.target)
        member = told.cluster[:, None] == np.arange(len(self.fitted.local))
        tallies = np.concatenate([told.design, told.target, member], axis=1)
        for i, row in enumerate(told.row):
            before = self.status
            used = bool(told.used[i])
            self._see(bool(told.novel[i]), used)
            if used:
                self._bet(turned[i], int(told.cluster[i]), tallies[i], told.ids[i])
            self._speak(int(row), before, used)
        return self._after(), tuple(self.findings)

    @property
    def status(self) -> ReadingStatus:
        """Blind goes before firing: what is not understood is not judged."""
        if self.blind:
            return "blind"
        return "firing" if self.fired >= 0 else "quiet"

    def _see(self, novel: bool, used: bool) -> None:
        """Note whether the prompt was unlike the baseline's, or not used; too many such make the stream blind."""
        self.novel[self.prompts % len(self.novel)] = novel
        self.idle[self.prompts % len(self.idle)] = not used
        self.prompts += 1
        strange = self.novel.sum() > self.course.novel_share * len(self.novel)
        self.blind = bool(strange or self.idle.sum() > self.course.idle_share * len(self.idle))

    def _bet(self, turned: Float, cluster: int, tally: Float, id_: str) -> None:
        """Settle the standing bet on one row, then let the row into the past."""
        if self.n % self.course.block == 0:
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

    def _speak(self, row: int, before: ReadingStatus, used: bool) -> None:
        """Judge the row, and say so where the status changed or it is time for a periodic word."""
        distance: Distance | None = None
        n, due = self.n, used and self.n % EVERY == 0
        log_e = float(np.log(self.wealth.mean())) if self.wealth.any() else None
        if used and self.fired < 0 and self.wealth.mean() >= self.arl:
            self.fired, self.begun = self.n, int(self.since[int(self.cusum.argmax())])
        if due and 0 <= self.fired <= self.n - self.course.recent:
            distance = self._distance()
            if distance.high <= self.course.floor:
                self._rest()
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
            floor=self.course.floor,
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

    def _rest(self) -> None:
        """The shift is over: back to quiet with zero evidence."""
        self.fired, self.begun = -1, 0
        self.wealth = np.zeros_like(self.wealth)
        self.cusum = np.zeros_like(self.cusum)

    def _after(self) -> DriftState:
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
