"""Whether a rate lies above a ceiling that people set, whatever it was before: from the first exchange on."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Baseline, Finding, Rows, Scope, Stream
from detectors.stats.rate_ceiling import (
    CAP,
    CeilingBets,
    began_above,
    ceiling_bets,
    rate_bounds,
    window_of_ceiling,
)
from schemas.reading import Effect, ReadingStatus
from schemas.spec import Spec

PERIOD = 50  # scored rows between two periodic findings
UNSCORED = 200  # rows in a row without a value before the stream is blind
SHOWN = 5
LEAST_ROWS = 500  # before an alarm may end


@dataclass(frozen=True, slots=True)
class CeilingWatch:
    """One signal with its ceiling, a share, the bets against it, and the rows its rate is measured over."""

    signal: str
    ceiling: float
    bets: CeilingBets
    window: int


@dataclass(frozen=True, slots=True)
class ObjectivesArtefact:
    """The ceilings, by signal, and the mean number of rows between false alarms of each."""

    watches: tuple[CeilingWatch, ...]
    arl: float


@dataclass(frozen=True, slots=True)
class CeilingState:
    """Where one ceiling stands.

    Attributes:
        wealth: (b,) Shiryaev-Roberts processes. values: packed bits of the last rows, `kept` of them.
        n: scored rows; unscored: rows in a row without a value.
        moved: number of the row from which the rate seems to lie above; None while nothing fires.
        shown: ids of the last rows for which the signal was true.
    """

    wealth: NDArray[np.float64]
    values: NDArray[np.uint8]
    kept: int = 0
    n: int = 0
    unscored: int = 0
    moved: int | None = None
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectivesState:
    """One state a ceiling, in the order of the artefact."""

    ceilings: tuple[CeilingState, ...]


@dataclass(frozen=True, slots=True)
class Objectives:
    """One-sided sequential test of a rate against an absolute ceiling; it learns nothing, and fires while learning.

    The null is "given all that came before, the rate is at most the ceiling": the mean number of exchanges between
    false alarms is at least the ARL by proof, not by measurement. The effect is the rate itself, from 0, with its
    95% confidence sequence, over the rows since it seems to lie above, at most the window; `floor` is the ceiling. An
    alarm ends when that sequence, over the window, lies below the ceiling: after at least 500 rows.

    A rate just above its ceiling takes long: about `log(ARL)` over the relative entropy of the two (2.1% against a
    ceiling of 0.5%, ARL 300,000: some 900 exchanges; 100%: 3).
    """

    spec: ClassVar[Spec] = Spec(
        name="objective",
        kind="ceiling",
        title="Ceilings",
        noun="rate above its ceiling",
        says="rates that must stay below a ceiling of the monitor file, whatever is normal",
        sign="a rate is above its ceiling",
        worse="up",
        graver=True,
        graver_from=2.0,
        of_baseline=False,
    )
    scope: ClassVar[Scope] = "identity"
    learns: ClassVar[bool] = False
    artefact_type: ClassVar[type[ObjectivesArtefact]] = ObjectivesArtefact
    state_type: ClassVar[type[ObjectivesState]] = ObjectivesState

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Every signal that has a ceiling, everywhere."""
        return tuple(Stream(signal) for signal in sorted(baseline.ceilings))

    def fit(self, baseline: Baseline) -> ObjectivesArtefact:
        """The ceilings with their bets."""
        watches = (
            CeilingWatch(signal, ceiling, ceiling_bets(ceiling), window_of_ceiling(ceiling))
            for signal, ceiling in sorted(baseline.ceilings.items())
        )
        return ObjectivesArtefact(tuple(watches), baseline.arl)

    def start(self, artefact: ObjectivesArtefact) -> ObjectivesState:
        """Zero evidence."""
        empty = np.zeros(0, np.uint8)
        return ObjectivesState(tuple(CeilingState(np.zeros(len(w.bets.weight)), empty) for w in artefact.watches))

    def step(
        self, artefact: ObjectivesArtefact, state: ObjectivesState, rows: Rows
    ) -> tuple[ObjectivesState, tuple[Finding, ...]]:
        """Hold the rows against every ceiling."""
        states: list[CeilingState] = []
        findings: list[Finding] = []
        for watch, before in zip(artefact.watches, state.ceilings, strict=True):
            runner = _CeilingRunner(watch, artefact.arl, before)
            findings += runner.run(rows)
            states.append(runner.after())
        return ObjectivesState(tuple(states)), tuple(sorted(findings, key=lambda finding: finding.row))


class _CeilingRunner:
    """Takes one ceiling through the rows of a batch; the frozen state goes in and comes out."""

    def __init__(self, watch: CeilingWatch, arl: float, state: CeilingState) -> None:
        self.watch, self.arl = watch, arl
        self.wealth = state.wealth
        self.values = np.unpackbits(state.values)[: state.kept].tolist()
        self.n, self.unscored, self.moved, self.shown = state.n, state.unscored, state.moved, list(state.shown)

    def run(self, rows: Rows) -> list[Finding]:
        """The findings of the rows."""
        told = np.where(rows.answered, rows.truths(self.watch.signal), np.nan)
        if self.moved is None and self.unscored < UNSCORED and not np.isnan(told).any():
            found = self._calm(told.astype(np.int8), rows)
            if found is not None:
                return found
        findings: list[Finding] = []
        status = self._status()
        for row, value in enumerate(told.tolist()):
            counts = not isnan(value)
            if counts:
                self._count(int(value), rows.ids[row])
            else:
                self.unscored += 1
            before, status = status, self._status()
            if status != before or (counts and self.n % PERIOD == 0):
                findings.append(self._finding(row, status, status != before))
        return findings

    def _calm(self, told: NDArray[np.int8], rows: Rows) -> list[Finding] | None:
        """The findings where every row is scored and none fires, row by row the same numbers; None where one does."""
        bets = self.watch.bets
        factor = np.where(told[:, None] == 1, bets.win, bets.lose)
        grown, one = np.empty((len(told) + 1, len(bets.weight))), np.ones(len(bets.weight))
        grown[0] = last = self.wealth
        add, multiply = np.add, np.multiply
        with np.errstate(over="ignore"):
            for after, by in zip(grown[1:], factor, strict=True):
                last = multiply(add(last, one, after), by, after)
        if ((grown[1:] * bets.weight).sum(axis=1) >= self.arl).any():
            return None
        findings, done = list[Finding](), 0
        values, hits = told.tolist(), told.nonzero()[0].tolist()
        for stop in [*range(-self.n % PERIOD or PERIOD, len(values) + 1, PERIOD), len(values)]:
            if stop == done:
                continue
            self.values += values[done:stop]
            self.shown = [*self.shown, *[rows.ids[i] for i in hits if done <= i < stop]][-SHOWN:]
            self.n, self.unscored, self.wealth, done = self.n + stop - done, 0, grown[stop], stop
            if self.n % PERIOD == 0:
                findings.append(self._finding(stop - 1, "quiet", transition=False))
        self.wealth = self.wealth.copy()
        return findings

    def after(self) -> CeilingState:
        """The state after the rows."""
        kept = self.values[-self.watch.window :]
        bits = np.packbits(np.array(kept, dtype=np.uint8))
        return CeilingState(self.wealth, bits, len(kept), self.n, self.unscored, self.moved, tuple(self.shown))

    def _status(self) -> ReadingStatus:
        """Without any value nothing can be said, not even that an alarm goes on."""
        if self.unscored >= UNSCORED:
            return "blind"
        return "quiet" if self.moved is None else "firing"

    def _count(self, value: int, id: str) -> None:
        """One scored row: whether an alarm starts or ends."""
        bets = self.watch.bets
        self.wealth = (self.wealth + 1.0) * (bets.win if value else bets.lose)
        total = float((bets.weight * self.wealth).sum())
        if total > CAP * self.arl:
            self.wealth = self.wealth * (CAP * self.arl / total)
        self.values.append(value)
        if value:
            self.shown = [*self.shown, id][-SHOWN:]
        self.n, self.unscored = self.n + 1, 0
        if self.moved is None and total >= self.arl:
            last = np.array(self.values[-self.watch.window :], dtype=np.float64)
            self.moved = self.n - len(last) + began_above(last, self.watch.ceiling)
        elif self.moved is not None and self.n % PERIOD == 0 and self._is_below():
            self.moved, self.wealth = None, np.zeros(len(self.wealth))

    def _is_below(self) -> bool:
        """Whether the rate of the window is known to lie below the ceiling."""
        count = min(self.n, len(self.values), self.watch.window)
        return count >= LEAST_ROWS and rate_bounds(self._hits(count), count)[1] < self.watch.ceiling

    def _hits(self, count: int) -> int:
        return sum(self.values[-count:]) if count else 0

    def _finding(self, row: int, status: ReadingStatus, transition: bool) -> Finding:
        watch = self.watch
        total = float((watch.bets.weight * self.wealth).sum())
        ended = transition and status == "quiet"
        return Finding(
            row=row,
            stream=Stream(watch.signal),
            status=status,
            transition=transition,
            n=self.n,
            direction="up" if self.moved is not None or ended else None,
            effect=self._effect(),
            floor=watch.ceiling,
            log_e=float(np.log(total)) if total > 0 else None,
            threshold=float(np.log(self.arl)) if np.isfinite(self.arl) else None,
            exemplars=tuple(self.shown) if self.moved is not None else (),
            reason="unscored" if status == "blind" else None,
        )

    def _effect(self) -> Effect | None:
        """The rate, from 0, in percent: over the rows since it seems to lie above, at most the window."""
        since = self.n if self.moved is None else self.n - self.moved
        count = min(since, len(self.values), self.watch.window)
        if not count:
            return None
        hits = self._hits(count)
        low, high = rate_bounds(hits, count)
        name = f"{self.watch.signal.replace('_', ' ')} rate"
        return Effect(name=name, before=0.0, after=100 * hits / count, low=100 * low, high=100 * high, unit="pp")
