"""Whether a conversation leads to harm although each of its turns looks harmless: evidence summed over its turns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import exp, log
from typing import ClassVar, Final

import numpy as np

from detectors.protocol import Baseline, Finding, Float, Int, Rows, Scope, Stream
from schemas.base import moment
from schemas.reading import ChangePoint, Effect, ReadingStatus
from schemas.spec import Spec

PERIOD: Final = 50
WINDOW: Final = 500  # rows without one more such conversation by which an alarm ends
LIVE: Final = 128  # conversations that are remembered
SHOWN: Final = 4  # of each the last turns
SHOWN_BYTES: Final = 2600  # of all their ids; beyond it those of the conversation that is silent longest go first
UNSCORED: Final = 200  # rows in a row without a conversation or a probability before the stream is blind
FARTHEST: Final = 12.0  # log-odds beyond which a probability says no more
TAIL: Final = 0.1
LEAST_SCALE: Final = 0.25
LEAST_P: Final = 1e-9
FEW_REASON: Final = "too few turns with probabilities in the baseline"


@dataclass(frozen=True, slots=True)
class EscalationArtefact:
    """How risky the baseline's turns are.

    Attributes:
        signals: whose probabilities are risks, s of them.
        middle, scale: (s,) of each risk's log-odds: their median, and how far the 95% quantile lies above it.
        held: (m,) sorted risks of the baseline's turns; beyond `edge` p falls exponentially, by e each `spread`.
        alike: by how much the turns of one conversation are alike, from 1 (not at all) on; evidence is shared so.
        arl: turns between false alarms. learned: whether there was enough.
    """

    signals: tuple[str, ...]
    middle: Float
    scale: Float
    held: Float
    edge: float
    spread: float
    alike: float
    arl: float
    learned: bool


@dataclass(frozen=True, slots=True)
class LiveConversation:
    """A conversation that goes on.

    Attributes:
        key: its pseudonym. evidence: summed since it was last nothing, a natural logarithm. turns: that it sums over.
        last: event index of its last turn. began: event index and time of the first of those turns.
        shown: ids of the last of them.
    """

    key: int
    evidence: float = 0.0
    turns: int = 0
    last: int = 0
    began: tuple[int, float] = (0, 0.0)
    shown: tuple[str, ...] = ()


Walk = tuple[float, int, int, float, tuple[str, ...]]
"""Evidence, turns, event index and time of the first of them, ids of the last: as of a `LiveConversation`."""


NO_WALK: Final[Walk] = (0.0, 0, 0, 0.0, ())


@dataclass(frozen=True, slots=True)
class EscalationState:
    """Where the stream stands.

    Attributes:
        n: turns used. walks: conversations by their pseudonym, the one that spoke last at the end, `LIVE` at most.
        live: the same in states kept before.
        firing: whether one escalated lately. since: n when the last one did; found: that conversation as it was then.
        missing: rows in a row without what is needed. count: conversations that escalated since it fires.
    """

    n: int = 0
    live: tuple[LiveConversation, ...] = ()
    firing: bool = False
    since: int = 0
    found: LiveConversation | None = None
    missing: int = 0
    count: int = 0
    walks: dict[int, Walk] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EscalatingConversation:
    """A random walk of the log evidence of risk, one a conversation, that fires at the route's budget.

    A turn's risk is the largest of the log-odds of the signals whose role is `risk`, each in units of the baseline's
    spread; its p-value is how many of the baseline's turns are as risky, drawn out by an exponential tail. The step is
    the log of the e-value 1 / (2 sqrt(p)) (Vovk and Wang, "E-values: calibration, combination and applications", 2021,
    eq. 1), over how alike the turns of one conversation are in the baseline, less a `drift`; the walk is held at 0
    below, and a step is at most a share of the way, so that it takes `least_turns` turns: no single one fires. Crossed
    at log ARL: with turns like the baseline's that is one false alarm in ARL turns at most (a conversation's evidence
    is an e-detector, see `detectors.stats.share_evidence`). Measured: `python -m tests.benchmarks.anomalies`.

    An alarm tells of one conversation, and its exemplars are that one's last turns; it ends 500 turns after the last
    such conversation. Limits: only turns whose conversation is told; the heads' own blind spots; a baseline that holds
    such conversations calls them usual; 128 conversations are remembered, the one that is silent longest is forgotten.

    Attributes:
        drift: what a turn takes away. least_turns: turns that it takes. least_rows: baseline turns without which it is
            blind.
    """

    spec: ClassVar[Spec] = Spec(
        name="escalating_conversation",
        kind="anomaly",
        title="Escalating conversations",
        noun="escalating conversation",
        says="conversations that lead to harm step by step, each turn of which looks harmless",
        does="has a conversation that leads to harm step by step",
        sign="a conversation led to harm step by step",
        severity="warning",
        worse="up",
        unscored="no exchange carries a conversation",
    )
    scope: ClassVar[Scope] = "route"
    learns: ClassVar[bool] = True
    artefact_type: ClassVar[type[EscalationArtefact]] = EscalationArtefact
    state_type: ClassVar[type[EscalationState]] = EscalationState

    drift: float = 0.1
    least_turns: int = 3
    least_rows: int = 100

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """One: all conversations of the route."""
        return (Stream(),)

    def fit(self, baseline: Baseline) -> EscalationArtefact:
        """How risky turns usually are, and how alike within one conversation."""
        rows, signals = baseline.rows, baseline.roles.get("risk", ())
        odds = _log_odds(rows, signals)
        scored = ~np.isnan(odds).all(axis=1)
        if scored.sum() < self.least_rows:
            none = np.zeros(len(signals))
            return EscalationArtefact(signals, none, none + 1, np.zeros(0), 0.0, 1.0, 1.0, baseline.arl, learned=False)
        odds = odds[scored]
        heard = ~np.isnan(odds).all(axis=0)
        middle, scale = np.full(len(signals), np.inf), np.ones(len(signals))  # what was never scored says nothing later
        middle[heard] = np.nanmedian(odds[:, heard], axis=0)
        scale[heard] = np.maximum(np.nanquantile(odds[:, heard], 0.95, axis=0) - middle[heard], LEAST_SCALE)
        held = np.sort(_risk(odds, middle, scale))
        edge = float(np.quantile(held, 1 - TAIL))
        beyond = held[held > edge] - edge
        spread = float(beyond.mean() * (1 + 2 / np.sqrt(len(beyond)))) if len(beyond) else LEAST_SCALE
        made = EscalationArtefact(
            signals, middle, scale, held, edge, max(spread, 0.05), 1.0, baseline.arl, learned=True
        )
        steps = np.log(_e_values(_p_values(made, _risk(odds, middle, scale))))
        return replace(made, alike=_alike(steps, rows.conversations()[scored]))

    def start(self, artefact: EscalationArtefact) -> EscalationState:
        """No conversation."""
        return EscalationState()

    def step(
        self, artefact: EscalationArtefact, state: EscalationState, rows: Rows
    ) -> tuple[EscalationState, tuple[Finding, ...]]:
        """Add each turn to its conversation."""
        odds, keys = _log_odds(rows, artefact.signals), rows.conversations()
        usable = (keys != 0) & ~np.isnan(odds).all(axis=1) & artefact.learned
        steps = np.full(len(rows), np.nan)
        if usable.any():
            p = _p_values(artefact, _risk(odds[usable], artefact.middle, artefact.scale))
            most = log(artefact.arl) / self.least_turns
            steps[usable] = np.minimum(np.log(_e_values(p)) / artefact.alike - self.drift, most)
        runner = _TurnRunner(artefact, state, rows)
        runner.run(steps)
        return runner.after(), tuple(runner.findings)


class _TurnRunner:
    """Takes the conversations through the rows of a batch; the frozen state goes in and comes out."""

    def __init__(self, artefact: EscalationArtefact, state: EscalationState, rows: Rows) -> None:
        self.artefact, self.rows, self.level = artefact, rows, log(artefact.arl)
        self.n, self.firing, self.since, self.found = state.n, state.firing, state.since, state.found
        self.missing, self.count = state.missing, state.count
        before = {one.key: (one.evidence, one.turns, *one.began, one.shown) for one in state.live}
        self.walks: dict[int, Walk] = {**before, **state.walks}
        self.shown = sum(len(id) for walk in self.walks.values() for id in walk[-1])
        self.findings: list[Finding] = []

    def run(self, steps: Float) -> None:
        """Add each step to its conversation; rows without one are missing."""
        rows = self.rows
        turns = zip(steps.tolist(), rows.conversations().tolist(), rows.index.tolist(), rows.ts.tolist(), strict=True)
        status, stands = self._status(), (self.missing, self.firing)
        for row, (step, key, index, ts) in enumerate(turns):
            due = False
            if step != step:  # noqa: PLR0124 -- not a number
                self.missing = min(self.missing + 1, UNSCORED)
            else:
                self._add(step, key, (index, ts), rows.ids[row])
                due = self.n % PERIOD == 0
            if not due and stands == (self.missing, self.firing):
                continue
            stands = self.missing, self.firing
            before, status = status, self._status()
            if due or status != before:
                most = max((walk[0] for walk in self.walks.values()), default=0.0)
                self.findings.append(_finding(self.artefact, self.after(), row, status != before, most))

    def after(self) -> EscalationState:
        """The state after the rows."""
        since, found, count = self.since, self.found, self.count
        return EscalationState(self.n, (), self.firing, since, found, self.missing, count, dict(self.walks))

    def _status(self) -> ReadingStatus:
        return _status_of(self.missing, firing=self.firing)

    def _add(self, step: float, key: int, at: tuple[int, float], id: str) -> None:
        """One turn; a walk that falls to nothing begins anew."""
        evidence, turns, began, ts, shown = self.walks.pop(key, NO_WALK)
        if shown:
            self.shown -= sum(map(len, shown))
        self.n, self.missing, evidence = self.n + 1, 0, evidence + step
        walk = NO_WALK
        if evidence > 0.0:
            began, ts = (began, ts) if turns else at
            walk = (evidence, turns + 1, began, ts, (*shown, id)[-SHOWN:])
        if evidence >= self.level:
            self.found = LiveConversation(key, evidence, walk[1], at[0], (walk[2], walk[3]), walk[4])
            self.firing, self.since, self.count, walk = True, self.n, self.count + 1, NO_WALK
        elif self.firing and self.n - self.since >= WINDOW:
            self.firing, self.count, self.found = False, 0, None
        self._keep(key, walk)

    def _keep(self, key: int, walk: Walk) -> None:
        """The conversation spoke last; what there is no room for goes."""
        walks = self.walks
        walks[key] = walk
        if walk[-1]:
            self.shown += sum(map(len, walk[-1]))
        if len(walks) > LIVE:
            gone = walks.pop(next(iter(walks)))[-1]
            if gone:
                self.shown -= sum(map(len, gone))
        while self.shown > SHOWN_BYTES:
            silent = next(key for key, one in walks.items() if one[-1])
            self.shown -= sum(map(len, walks[silent][-1]))
            walks[silent] = (*walks[silent][:-1], ())


def _status_of(missing: int, *, firing: bool) -> ReadingStatus:
    if missing >= UNSCORED and not firing:
        return "blind"
    return "firing" if firing else "quiet"


def _finding(artefact: EscalationArtefact, state: EscalationState, row: int, changed: bool, most: float) -> Finding:
    status, found = _status_of(state.missing, firing=state.firing), state.found
    reason = None
    if status == "blind":
        reason = FEW_REASON if not artefact.learned else EscalatingConversation.spec.unscored
    return Finding(
        row=row,
        stream=Stream(),
        status=status,
        transition=changed,
        n=state.n,
        direction="up" if status == "firing" else None,
        effect=Effect(name="escalating conversations", before=0.0, after=float(state.count), unit="ratio"),
        log_e=found.evidence if found is not None and status == "firing" else most,
        threshold=log(artefact.arl),
        exemplars=() if found is None else found.shown,
        change_point=None if found is None or status != "firing" else _since(found),
        reason=reason,
    )


def _since(found: LiveConversation) -> ChangePoint:
    """The conversation's turns, from the first that spoke of it on."""
    at, ts = found.began
    return ChangePoint(event_index=at, low=at, high=at, ts=moment(ts), ts_low=moment(ts), ts_high=moment(ts))


def _log_odds(rows: Rows, signals: tuple[str, ...]) -> Float:
    """(n, s) of each risk, NaN where it was not scored."""
    told = np.full((len(rows), len(signals)), np.nan)
    for place, name in enumerate(signals):
        told[:, place] = rows.probabilities(name)
    share = 1 / (1 + exp(FARTHEST))
    held = np.clip(told, share, 1 - share)
    odds: Float = np.log(held / (1 - held))
    return odds


def _risk(odds: Float, middle: Float, scale: Float) -> Float:
    """(n,) the largest risk of each row, in units of the baseline's spread; every row has one."""
    worst: Float = np.nanmax((odds - middle) / scale, axis=1)
    return worst


def _p_values(artefact: EscalationArtefact, risk: Float) -> Float:
    """(n,) share of the baseline's turns that are at least as risky."""
    held = artefact.held
    counted = (1.0 + len(held) - np.searchsorted(held, risk, side="left")) / (1.0 + len(held))
    tail = TAIL * np.exp(-np.maximum(risk - artefact.edge, 0.0) / artefact.spread)
    return np.maximum(np.where(risk > artefact.edge, tail, counted), LEAST_P)


def _e_values(p: Float) -> Float:
    """(n,) e-values of p-values: their mean is 1 where the p-values are uniform."""
    made: Float = 0.5 / np.sqrt(p)
    return made


def _alike(steps: Float, keys: Int) -> float:
    """How many turns of a conversation say what one says: 1 + (turns - 1) times their correlation, 1 at least."""
    known = keys != 0
    names, place, size = np.unique(keys[known], return_inverse=True, return_counts=True)
    several = size[place] > 1
    if several.sum() < 2 * PERIOD or len(names) < PERIOD:
        return 1.0
    steps, place = steps[known][several], place[several]
    rest = steps - steps.mean()
    sums, squares = np.bincount(place, rest), np.bincount(place, rest**2)
    turns = np.bincount(place)
    pairs = float((turns * (turns - 1)).sum())
    correlation = float((sums**2 - squares).sum()) / pairs / max(float((rest**2).mean()), 1e-12)
    return 1.0 + (float(turns[turns > 0].mean()) - 1) * max(correlation, 0.0)
