"""Which exchanges are unlike all of the baseline's, and whether more of them are: new topics."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import exp, log, sqrt
from typing import ClassVar, Final

import numpy as np

from detectors.protocol import Baseline, Finding, Int, Rows, Scope, Stream
from detectors.stats.intervals import wilson
from detectors.stats.novelty import NoveltyMap, fit_novelty, repeats
from detectors.stats.repeated_prompts import HALF, keys_in
from detectors.stats.share_evidence import NONE, Processes, factors, grown, has_reached, log_evidence
from schemas.reading import Effect, ReadingStatus
from schemas.spec import Spec

PERIOD: Final = 50  # rows between two periodic findings
WINDOW: Final = 500  # last rows by which an alarm ends
FULL: Final = (1 << WINDOW) - 1
RECENT: Final = 128  # last prompts among which one that comes back is no news
SHOWN: Final = 5
EPOCH: Final = 1000  # rows in which the false-discovery rate of what is shown is held
KEPT: Final = 32  # discoveries of an epoch that raise later levels
TOO_FEW: Final = "too few different prompts in the baseline"


@dataclass(frozen=True, slots=True)
class NoveltyArtefact:
    """The baseline's prompts; `expected` is the largest share of novel ones that counts as no change."""

    prompts: NoveltyMap | None
    expected: float
    arl: float


@dataclass(frozen=True, slots=True)
class NoveltyState:
    """Where the stream stands.

    Attributes:
        n: rows used. evidence: that more rows are novel. firing: whether it is told.
        recent: keys of the last prompts. window: a bit for each of the last 500 rows, set where it was novel.
        discoveries: places within the epoch (1 to 1,000) of the exchanges that were shown; shown: ids of the last ones.
        blind: whether it was said that nothing can be.
    """

    n: int = 0
    evidence: Processes = NONE
    firing: bool = False
    recent: Int = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    window: int = 0
    discoveries: tuple[int, ...] = ()
    shown: tuple[str, ...] = ()
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Novelty:
    """A conformal p-value of each prompt, what of it is shown, and a sequential test of the share of novel ones.

    The score is the distance to the nearest of one half of the baseline's prompts; the p-value is how many of the other
    half are as far, drawn out by an exponential tail (`detectors.stats.novelty`). Every 50 rows it names as exemplars
    the exchanges that are *shown* as novel: those that LORD++ (Ramdas et al., "Online control of the false discovery
    rate with decaying memory", 2017, arXiv 1710.00499, eq. 8) finds at a false-discovery rate of `fdr` within each
    thousand rows. Nobody is told of a single one.

    It fires where the share of rows with p <= `level` exceeds `level` by more than `floor` and `slack` standard errors
    of the held-out half: new topics. A prompt that stands among the last 128 counts once. Limits: a topic that is new
    and lies among known ones is not seen; the unit is the prompt, so a mix that merely narrows is user_shift's.

    Attributes:
        level: p-value from which a prompt is novel; floor: further share that is no change; slack: standard errors.
    """

    spec: ClassVar[Spec] = Spec(
        name="novelty",
        kind="shift",
        title="New topics",
        noun="new topics",
        says="prompts unlike any of the baseline's, each of them and how many there are",
        does="is asked about topics that are new",
        sign="users ask about new topics",
        severity="info",
        worse="up",
        blames="users",
    )
    scope: ClassVar[Scope] = "route"
    learns: ClassVar[bool] = True
    artefact_type: ClassVar[type[NoveltyArtefact]] = NoveltyArtefact
    state_type: ClassVar[type[NoveltyState]] = NoveltyState

    level: float = 0.05
    floor: float = 0.05
    slack: float = 2.0
    fdr: float = 0.1

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """One: all prompts of the route."""
        return (Stream(),)

    def fit(self, baseline: Baseline) -> NoveltyArtefact:
        """Where the baseline's prompts lie, of its embedded rows."""
        found = fit_novelty(baseline.rows.prompt[baseline.rows.embedded])
        if found is None:
            return NoveltyArtefact(None, 1.0, baseline.arl)
        prompts, _ = found
        error = sqrt(self.level * (1 - self.level) / len(prompts.held))
        return NoveltyArtefact(prompts, self.level + self.floor + self.slack * error, baseline.arl)

    def start(self, artefact: NoveltyArtefact) -> NoveltyState:
        """Nothing seen."""
        return NoveltyState()

    def step(
        self, artefact: NoveltyArtefact, state: NoveltyState, rows: Rows
    ) -> tuple[NoveltyState, tuple[Finding, ...]]:
        """Test every embedded row whose prompt was not just asked."""
        where = rows.embedded.nonzero()[0]
        if not len(where):
            return state, ()
        if artefact.prompts is None:
            blind = Finding(int(where[0]), Stream(), "blind", True, 0, reason=TOO_FEW)
            return replace(state, blind=True), () if state.blind else (blind,)
        keys = (keys_in(rows)[where] & HALF).astype(np.int64)
        again, recent = repeats(keys, state.recent, np.ones(len(where), dtype=np.bool_), RECENT)
        at = where[~again]
        p = artefact.prompts.p_values_in(rows)[at]
        findings: list[Finding] = []
        turns = ((p <= self.level) | ((state.n + 1 + np.arange(len(at))) % PERIOD == 0)).nonzero()[0].tolist()
        done = 0
        while done < len(at):
            if not state.firing:  # rows that are not novel only let the evidence fall
                turn = next((turn for turn in turns if turn >= done), len(at))
                state, done = _fallen(artefact, state, turn - done), turn
                if done == len(at):
                    break
            row = int(at[done])
            before, state = state, self._after(artefact, state, float(p[done]), rows.ids[row])
            done += 1
            changed = before.firing != state.firing
            if changed or state.n % PERIOD == 0:
                findings.append(self._finding(artefact, state, row, changed))
            if state.n % PERIOD == 0:
                state = replace(state, shown=())
        return replace(state, recent=recent), tuple(findings)

    def _after(self, artefact: NoveltyArtefact, state: NoveltyState, p: float, id: str) -> NoveltyState:
        """The state after one row."""
        novel = p <= self.level
        n, window = state.n + 1, (state.window << 1 | int(novel)) & FULL
        evidence = grown(state.evidence, float(novel), artefact.expected, artefact.arl)
        firing = state.firing or has_reached(evidence, artefact.arl)
        if state.firing and n >= WINDOW and wilson(window.bit_count(), WINDOW)[1] <= artefact.expected:
            firing, evidence = False, NONE
        place = (n - 1) % EPOCH + 1
        found = state.discoveries if place > 1 else ()
        shown = state.shown
        if novel and p <= lord_level(place, found, self.fdr):
            found, shown = (*found, place)[-KEPT:], (*shown, id)[-SHOWN:]
        return NoveltyState(n, evidence, firing, state.recent, window, found, shown)

    def _finding(self, artefact: NoveltyArtefact, state: NoveltyState, row: int, changed: bool) -> Finding:
        status: ReadingStatus = "firing" if state.firing else "quiet"
        hits, n = state.window.bit_count(), min(state.n, WINDOW)
        low, high = wilson(hits, n)
        effect = Effect(
            name="novel prompts",
            before=100 * self.level,
            after=100 * hits / n,
            low=100 * (low - self.level),
            high=100 * (high - self.level),
            unit="pp",
        )
        return Finding(
            row=row,
            stream=Stream(),
            status=status,
            transition=changed,
            n=state.n,
            direction="up" if state.firing else None,
            effect=effect,
            floor=artefact.expected - self.level,
            log_e=log_evidence(state.evidence),
            threshold=log(artefact.arl),
            exemplars=state.shown,
        )


def _fallen(artefact: NoveltyArtefact, state: NoveltyState, rows: int) -> NoveltyState:
    """The state after rows that are not novel, while nothing fires."""
    if not rows:
        return state
    small, middle, large = factors(0.0, artefact.expected)
    a, b, c = state.evidence
    for _ in range(rows):
        a, b, c = (a + 1.0) * small, (b + 1.0) * middle, (c + 1.0) * large
    n = state.n + rows
    found = () if (n - 1) // EPOCH != (state.n - 1) // EPOCH else state.discoveries
    return replace(state, n=n, evidence=(a, b, c), window=state.window << rows & FULL, discoveries=found)


def lord_level(place: int, found: tuple[int, ...], fdr: float) -> float:
    """The level of LORD++ at the `place`-th p-value (from 1) after discoveries at the places `found`.

    >>> lord_level(1, (), 0.1) < lord_level(2, (1,), 0.1)
    True
    """
    first = fdr / 2  # what it begins with; the first discovery pays back the rest
    level = first * _weight(place)
    for order, at in enumerate(found):
        level += (fdr - first if order == 0 else fdr) * _weight(place - at)
    return level


def _weight(lag: int) -> float:
    """Weights that sum to 1 over lags from 1 on, as in Javanmard and Montanari (2018), eq. 31."""
    return 0.0722 * log(max(lag, 2)) / (lag * exp(sqrt(log(lag))))
