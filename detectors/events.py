"""Whether something happened that must never happen once: a signal whose floor is 0."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from detectors.protocol import Baseline, Finding, Rows, Scope, Stream
from schemas.reading import Effect, ReadingStatus
from schemas.spec import Spec

PERIOD = 50  # scored rows between two periodic findings
UNSCORED = 200  # rows in a row without a value before the stream is blind
SHOWN = 5


@dataclass(frozen=True, slots=True)
class EventsArtefact:
    """Names of the signals that are events."""

    signals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventState:
    """Where one signal stands: scored rows, events among them, rows in a row without a value, last ids."""

    n: int = 0
    events: int = 0
    unscored: int = 0
    shown: tuple[str, ...] = ()

    @property
    def status(self) -> ReadingStatus:
        """Blind while nothing is scored; firing from the first event on, until started anew."""
        if self.unscored >= UNSCORED:
            return "blind"
        return "firing" if self.events else "quiet"


@dataclass(frozen=True, slots=True)
class EventsState:
    """One state a signal, in the order of the artefact."""

    signals: tuple[EventState, ...]


@dataclass(frozen=True, slots=True)
class Events:
    """Counts confirmed events of each signal whose floor is 0 and fires at the first; only a person resolves it.

    It needs no baseline rows and no vectors. What counts as confirmed is the signal's business.
    """

    spec: ClassVar[Spec] = Spec(
        name="events",
        kind="event",
        title="Events",
        noun="events",
        says="signals that must not happen once; alerts at the first",
        unit="ratio",
        worse="up",
        severity="critical",
        of_baseline=False,
        resolves=False,
    )
    scope: ClassVar[Scope] = "identity"
    learns: ClassVar[bool] = False
    artefact_type: ClassVar[type[EventsArtefact]] = EventsArtefact
    state_type: ClassVar[type[EventsState]] = EventsState

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Every signal whose floor is 0, everywhere."""
        return tuple(Stream(signal) for signal in self.fit(baseline).signals)

    def fit(self, baseline: Baseline) -> EventsArtefact:
        """The signals, by name."""
        return EventsArtefact(tuple(sorted(signal for signal, floor in baseline.floors.items() if floor == 0)))

    def start(self, artefact: EventsArtefact) -> EventsState:
        """No event yet."""
        return EventsState(tuple(EventState() for _ in artefact.signals))

    def step(self, artefact: EventsArtefact, state: EventsState, rows: Rows) -> tuple[EventsState, tuple[Finding, ...]]:
        """Count the events of the rows."""
        states: list[EventState] = []
        findings: list[Finding] = []
        for signal, before in zip(artefact.signals, state.signals, strict=True):
            after, found = _follow(signal, before, rows)
            states.append(after)
            findings += found
        return EventsState(tuple(states)), tuple(sorted(findings, key=lambda finding: finding.row))


def _follow(signal: str, state: EventState, rows: Rows) -> tuple[EventState, list[Finding]]:
    """One signal's state after the rows, and the findings on the way."""
    findings: list[Finding] = []
    told = rows.truths(signal)
    missing = np.isnan(told)
    if missing.all() and (state.status == "blind" or state.unscored + len(rows) < UNSCORED):
        return replace(state, unscored=state.unscored + len(rows)), findings
    if not missing.any() and not told.any() and state.status != "blind":
        turns = range(-state.n % PERIOD or PERIOD, len(rows) + 1, PERIOD)
        findings = [
            _finding(after - 1, signal, replace(state, n=state.n + after, unscored=0), False) for after in turns
        ]
        return replace(state, n=state.n + len(rows), unscored=0), findings
    for row, value in enumerate(told.tolist()):
        before, state = state, _count(state, value, rows.ids[row])
        changed = state.status != before.status
        due = state.n != before.n and state.n % PERIOD == 0
        if changed or due:
            findings.append(_finding(row, signal, state, changed))
    return state, findings


def _count(state: EventState, value: float, id: str) -> EventState:
    """The state after one row."""
    if np.isnan(value):
        return replace(state, unscored=state.unscored + 1)
    if not value:
        return replace(state, n=state.n + 1, unscored=0)
    return EventState(state.n + 1, state.events + 1, 0, (*state.shown, id)[-SHOWN:])


def _finding(row: int, signal: str, state: EventState, transition: bool) -> Finding:
    """The finding on a signal at a row."""
    return Finding(
        row=row,
        stream=Stream(signal),
        status=state.status,
        transition=transition,
        n=state.n,
        direction="up" if state.events else None,
        effect=Effect(name=f"{signal.replace('_', ' ')} events", before=0.0, after=float(state.events), unit="ratio"),
        floor=0.0,
        exemplars=state.shown,
        reason="unscored" if state.status == "blind" else None,
    )
