"""Whether novel prompts that look like attacks and are like each other come from several users: an attack wave."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import log
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Baseline, Bool, Finding, Float, Half, Int, Rows, Scope, Stream
from detectors.stats.intervals import wilson
from detectors.stats.novelty import SKETCH, NoveltyMap, Single, fit_novelty
from detectors.stats.share_evidence import NONE, Processes, factors, grown, has_reached, log_evidence
from schemas.base import moment
from schemas.reading import ChangePoint, Effect
from schemas.spec import Spec

Steps = NDArray[np.int8]
PERIOD: Final = 50
WINDOW: Final = 500  # last rows by which an alarm ends
FULL: Final = (1 << WINDOW) - 1
APART: Final = 200  # rows without a hit after which the next one begins another wave
HELD: Final = 48  # last novel prompts that the next is held against
OF_ONE: Final = 4  # of them from one user
STEPS: Final = 256  # to 1 of a kept sketch's coordinate, which is hardly ever beyond a half
SHOWN: Final = 5
FLOOD: Final = 10  # exchanges of one client that are alike, of `PERIOD`, that are told
CLOSE_SHARE: Final = 0.98
LEAST_CLOSE, MOST_CLOSE = 0.45, 0.75  # cosines of sketches
TOO_FEW: Final = "too few different prompts in the baseline"


@dataclass(frozen=True, slots=True)
class ClusterArtefact:
    """What the baseline says of novel prompts.

    Attributes:
        prompts: where its prompts lie; None where they are too few.
        close: cosine of sketches from which two novel prompts are alike.
        usual: (m, SKETCH) sketches of its own held-out novel prompts; attacks: (m,) which of them look like attacks.
        share: share of the baseline's rows that are as novel. signals: that are true of attacks.
    """

    prompts: NoveltyMap | None
    close: float
    usual: Half
    attacks: Bool
    share: float
    arl: float
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldPrompts:
    """The last novel prompts that look like attacks, the oldest first: h of them.

    Attributes:
        sketch: (h, SKETCH) in steps of 1 / STEPS; states kept before have halves, in steps of 1. actor: (h,) who sent
            each. index, ts: (h,) event index and time. ids: of the exchanges.
    """

    sketch: Half | Steps = field(default_factory=lambda: np.zeros((0, SKETCH), dtype=np.int8))
    actor: Int = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    index: Int = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    ts: Float = field(default_factory=lambda: np.zeros(0))
    ids: tuple[str, ...] = ()

    def take(self, where: Int) -> HeldPrompts:
        """Those at the places `where`."""
        ids = tuple(self.ids[i] for i in where)
        return HeldPrompts(self.sketch[where], self.actor[where], self.index[where], self.ts[where], ids)


@dataclass(frozen=True, slots=True)
class ClusterState:
    """Where the stream stands.

    Attributes:
        n: rows used. held: what the next is held against. expected: share of rows that may be like several of them.
        evidence: that more are. since: n at the last hit. hits, began: hits, and n, since evidence was zero.
        shown: ids of the cluster's exchanges. low, high: event index and time of its first and third prompt.
        alike: rows of one client that are like its own, since the last periodic finding.
        window: a bit for each of the last 500 rows, set where it was a hit.
    """

    n: int = 0
    held: HeldPrompts = field(default_factory=HeldPrompts)
    expected: float = 1.0
    evidence: Processes = NONE
    firing: bool = False
    since: int = 0
    hits: int = 0
    began: int = 0
    shown: tuple[str, ...] = ()
    low: tuple[int, float] = (0, 0.0)
    high: tuple[int, float] = (0, 0.0)
    alike: int = 0
    window: int = 0
    blind: bool = False


@dataclass(frozen=True, slots=True)
class AttackCluster:
    """Prompts that are novel, look like attacks, and are alike, of `actors` users or conversations within `hours`.

    A row is a hit when its prompt is novel (conformal p <= `level`), a signal of attacks is true of it (or none was
    scored: unknown is not harmless), and it is like prompts of at least `actors - 1` others among the last 48 such.
    How often that happens without an attack is asked, for each row anew, of the baseline's held-out novel prompts: how
    many of them are like several of those 48. The null is that share and a `floor` more; the bets are e-values while
    new traffic is like the baseline's (`detectors.stats.share_evidence`), and that topics which shift keep to the ARL
    as well is measured (`python -m tests.benchmarks.anomalies`), not proven.

    One client's flood, and one prompt that one client repeats, are no cluster; a finding says that they were seen. A
    prompt of which neither the user nor the conversation is told counts as another client's. Limits: attacks that
    share no wording and no subject form no cluster (rate_shift of the attack signals sees those); attacks like what the
    baseline holds already are not novel; a wave below the floor is not seen.

    Attributes:
        level: p-value from which a prompt is novel; floor: further share of rows that is no wave.
    """

    spec: ClassVar[Spec] = Spec(
        name="attack_cluster",
        kind="anomaly",
        title="Attack waves",
        noun="attack wave",
        says="novel prompts that look like attacks and are alike, from several users or conversations",
        does="gets alike prompts from several users that look like an attack",
        sign="several users sent alike prompts that look like an attack",
        severity="warning",
        worse="up",
        blames="users",
    )
    scope: ClassVar[Scope] = "route"
    learns: ClassVar[bool] = True
    artefact_type: ClassVar[type[ClusterArtefact]] = ClusterArtefact
    state_type: ClassVar[type[ClusterState]] = ClusterState

    level: float = 0.1
    floor: float = 0.005
    actors: int = 3
    hours: float = 24.0

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """One: all prompts of the route."""
        return (Stream(),)

    def fit(self, baseline: Baseline) -> ClusterArtefact:
        """Where the baseline's prompts lie, how alike its own novel ones are, and which of them look like attacks."""
        rows = baseline.rows.take(baseline.rows.embedded.nonzero()[0])
        found, signals = fit_novelty(rows.prompt), baseline.roles.get("attack", ())
        if found is None:
            return ClusterArtefact(None, 1.0, np.zeros((0, SKETCH), np.float16), np.zeros(0, np.bool_), 1.0, 1.0)
        prompts, other = found
        novel = other[prompts.p_values(prompts.scores(rows.prompt[other])) <= self.level]
        usual = prompts.turned(rows.prompt[novel])
        cosines = _cosines(usual, usual)[np.triu_indices(len(usual), 1)]
        close = float(np.quantile(cosines, CLOSE_SHARE)) if len(cosines) else MOST_CLOSE
        attacks = _attacks(rows.take(novel), signals)
        close = float(np.clip(close, LEAST_CLOSE, MOST_CLOSE))
        return ClusterArtefact(prompts, close, usual, attacks, self.level, baseline.arl, signals)

    def start(self, artefact: ClusterArtefact) -> ClusterState:
        """Nothing seen."""
        return ClusterState(expected=self._expected(artefact, HeldPrompts()))

    def step(
        self, artefact: ClusterArtefact, state: ClusterState, rows: Rows
    ) -> tuple[ClusterState, tuple[Finding, ...]]:
        """Hold every embedded row that is novel and looks like an attack against the last such."""
        where = rows.embedded.nonzero()[0]
        if not len(where):
            return state, ()
        if artefact.prompts is None:
            blind = Finding(int(where[0]), Stream(), "blind", True, 0, reason=TOO_FEW)
            return replace(state, blind=True), () if state.blind else (blind,)
        novel = artefact.prompts.p_values_in(rows)[where] <= self.level
        novel &= _attacks(rows, artefact.signals)[where]
        sketches, actors = artefact.prompts.turned(rows.prompt[where[novel]]), _actors(rows)
        turn = iter(sketches)
        findings: list[Finding] = []
        turns = (novel | ((state.n + 1 + np.arange(len(where))) % PERIOD == 0)).nonzero()[0].tolist()
        done = 0
        while done < len(where):
            if not state.firing and not state.hits:  # rows that are not novel only let the evidence fall
                due = next((due for due in turns if due >= done), len(where))
                state, done = _fallen(artefact, state, due - done), due
                if done == len(where):
                    break
            before, row = state, int(where[done])
            if novel[done]:
                state = self._held_against(artefact, state, next(turn), int(actors[row]), rows, row)
            else:
                state = self._counted(artefact, state, hit=False)
            done += 1
            changed = before.firing != state.firing
            if changed or state.n % PERIOD == 0:
                findings.append(self._finding(artefact, state, row, changed))
            if state.n % PERIOD == 0:
                state = replace(state, alike=0)
        return state, tuple(findings)

    def _held_against(
        self, artefact: ClusterArtefact, state: ClusterState, sketch: Half, actor: int, rows: Rows, row: int
    ) -> ClusterState:
        """The state after a novel prompt that looks like an attack."""
        held, ts = state.held, float(rows.ts[row])
        near = (_cosines(_unit(held.sketch), sketch[None, :])[:, 0] >= artefact.close) & (
            held.ts >= ts - 3600 * self.hours
        )
        others = set(held.actor[near].tolist()) - {actor}
        hit = len(others) >= self.actors - 1
        after = self._counted(artefact, state, hit=hit)
        if hit:
            members = near.nonzero()[0]
            ids = (*(held.ids[i] for i in members), rows.ids[row])
            after = replace(after, shown=tuple(dict.fromkeys((*after.shown, *ids)))[-SHOWN:])
            if not state.hits:
                low, high = members[0], members[min(2, len(members) - 1)]
                ends = [(int(held.index[i]), float(held.ts[i])) for i in (low, high)]
                after = replace(after, low=ends[0], high=ends[1])
        alike = bool(near.any()) and not others
        one = HeldPrompts(
            np.concatenate([_in_steps(held.sketch), _in_steps(sketch[None, :])]),
            np.append(held.actor, np.int64(actor)),
            np.append(held.index, rows.index[row]),
            np.append(held.ts, ts),
            (*held.ids, rows.ids[row]),
        )
        kept = _bounded(one, actor)
        return replace(after, held=kept, expected=self._expected(artefact, kept), alike=after.alike + int(alike))

    def _counted(self, artefact: ClusterArtefact, state: ClusterState, *, hit: bool) -> ClusterState:
        """The state after one row, by whether it was a hit."""
        n = state.n + 1
        evidence = grown(state.evidence, float(hit), state.expected, artefact.arl)
        hits, since, began = state.hits + int(hit), n if hit else state.since, state.began
        firing = state.firing or has_reached(evidence, artefact.arl)
        shown = state.shown
        window = (state.window << 1 | int(hit)) & FULL
        if hit and not state.hits:
            began = n - 1
        if firing and n - began >= WINDOW and window.bit_count() <= state.expected * WINDOW:
            hits, firing, shown, evidence = 0, False, (), NONE
        elif hits and not firing and n - since >= APART:
            hits, shown = 0, ()
        held, expected, low, high, alike = state.held, state.expected, state.low, state.high, state.alike
        return ClusterState(n, held, expected, evidence, firing, since, hits, began, shown, low, high, alike, window)

    def _expected(self, artefact: ClusterArtefact, held: HeldPrompts) -> float:
        """The share of rows that may be hits now: what the baseline's own novel prompts would be, and the floor."""
        near = _cosines(artefact.usual, _unit(held.sketch)) >= artefact.close
        found, place = np.unique(held.actor, return_inverse=True)
        of_actor = np.equal.outer(place, np.arange(len(found))).astype(np.float32)
        several = (near.astype(np.float32) @ of_actor > 0).sum(axis=1)  # any prompt of a client counts, once
        like = int(((several >= self.actors - 1) & artefact.attacks).sum())
        return artefact.share * (1 + like) / (1 + len(near)) + self.floor

    def _finding(self, artefact: ClusterArtefact, state: ClusterState, row: int, changed: bool) -> Finding:
        n = max(state.n - state.began, 1) if state.hits else max(state.n, 1)
        low, high = wilson(state.hits, n)
        usual = state.expected - self.floor
        effect = Effect(
            name="prompts of the wave",
            before=100 * usual,
            after=100 * state.hits / n,
            low=100 * (low - usual),
            high=100 * (high - usual),
            unit="pp",
        )
        flood = f"one client sends prompts that are alike ({state.alike} of {PERIOD}): not several users"
        return Finding(
            row=row,
            stream=Stream(),
            status="firing" if state.firing else "quiet",
            transition=changed,
            n=state.n,
            direction="up" if state.firing else None,
            effect=effect,
            floor=self.floor,
            log_e=log_evidence(state.evidence),
            threshold=log(artefact.arl),
            exemplars=state.shown,
            change_point=_since(state) if state.firing else None,
            reason=flood if state.alike >= FLOOD and not state.firing else None,
        )


def _fallen(artefact: ClusterArtefact, state: ClusterState, rows: int) -> ClusterState:
    """The state after rows that are no hits, while nothing fires and there was no hit."""
    if not rows:
        return state
    small, middle, large = factors(0.0, state.expected)
    a, b, c = state.evidence
    for _ in range(rows):
        a, b, c = (a + 1.0) * small, (b + 1.0) * middle, (c + 1.0) * large
    return replace(state, n=state.n + rows, evidence=(a, b, c), window=state.window << rows & FULL)


def _since(state: ClusterState) -> ChangePoint:
    """The wave's first prompt; one that came before it and was like nothing yet is not counted."""
    first, third = state.low, state.high
    return ChangePoint(
        event_index=first[0],
        low=first[0],
        high=third[0],
        ts=moment(first[1]),
        ts_low=moment(first[1]),
        ts_high=moment(third[1]),
    )


def _in_steps(sketch: Half | Steps) -> Steps:
    """(n, SKETCH) of unit length in 8 bits a coordinate: the cosines of two move by about .002."""
    if sketch.dtype == np.int8:
        return sketch.astype(np.int8)
    return np.clip(np.rint(sketch.astype(np.float32) * STEPS), -127, 127).astype(np.int8)


def _unit(sketch: Half | Steps) -> Single:
    """(n, SKETCH) of about unit length again."""
    return sketch.astype(np.float32) / np.float32(STEPS if sketch.dtype == np.int8 else 1)


def _cosines(a: Half | Single, b: Half | Single) -> Float:
    """(n, m) cosines of sketches, one product a row of `a`."""
    made: Float = np.einsum("nk,mk->nm", a.astype(np.float32), b.astype(np.float32))
    return made


def _attacks(rows: Rows, signals: tuple[str, ...]) -> Bool:
    """(n,) which rows a signal of attacks is true of, and those that none was scored of."""
    told = np.stack([rows.truths(name) for name in signals]) if signals else np.full((1, len(rows)), np.nan)
    made: Bool = (told == 1).any(axis=0) | np.isnan(told).all(axis=0)
    return made


def _actors(rows: Rows) -> Int:
    """(n,) who sent each: the user, else the conversation, else a client of its own."""
    own = -1 - rows.index
    return np.where(rows.users() != 0, rows.users(), np.where(rows.conversations() != 0, rows.conversations(), own))


def _bounded(held: HeldPrompts, actor: int) -> HeldPrompts:
    """The last 48, and of this client the last 4: a flood must not drive out what others sent."""
    where = np.arange(len(held.ids))
    mine = where[held.actor == actor]
    if len(mine) > OF_ONE:
        where = where[where != mine[0]]
    return held.take(where[-HELD:])
