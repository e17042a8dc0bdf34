"""Whether one answer comes again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from detectors.protocol import Baseline, Finding, Rows, Scope, Stream
from schemas.reading import ReadingStatus
from schemas.spec import Spec


@dataclass(frozen=True, slots=True)
class ParrotingArtefact:
    """Nothing is learned."""


@dataclass(frozen=True, slots=True)
class ParrotingState:
    """The vector of the last answer, how often it came in a row, and how many answers there were."""

    last: bytes = b""
    times: int = 0
    n: int = 0


@dataclass(frozen=True, slots=True)
class Parroting:
    """Counts how often the last answer came in a row, and fires while that is `most` times or more."""

    spec: ClassVar[Spec] = Spec(
        name="parroting",
        kind="shift",
        title="Repeated answers",
        noun="one answer to everything",
        says="whether one answer comes again and again",
        does="gives one answer to everything",
        sign="every question gets one answer",
        unit="ratio",
        blames="model",
    )
    scope: ClassVar[Scope] = "identity"
    learns: ClassVar[bool] = False
    artefact_type: ClassVar[type[ParrotingArtefact]] = ParrotingArtefact
    state_type: ClassVar[type[ParrotingState]] = ParrotingState

    most: int = 20

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """The answers, everywhere."""
        return (Stream(),)

    def fit(self, baseline: Baseline) -> ParrotingArtefact:
        """Nothing to learn."""
        return ParrotingArtefact()

    def start(self, artefact: ParrotingArtefact) -> ParrotingState:
        """No answer yet."""
        return ParrotingState()

    def step(
        self, artefact: ParrotingArtefact, state: ParrotingState, rows: Rows
    ) -> tuple[ParrotingState, tuple[Finding, ...]]:
        """Count the rows that carry vectors."""
        findings: list[Finding] = []
        for row in range(len(rows)):
            if not rows.embedded[row]:
                continue
            before, answer = self._status(state), rows.response[row].tobytes()
            state = ParrotingState(answer, state.times + 1 if answer == state.last else 1, state.n + 1)
            changed = self._status(state) != before
            if changed or state.n % 50 == 0:
                findings.append(Finding(row, Stream(), self._status(state), changed, state.n))
        return state, tuple(findings)

    def _status(self, state: ParrotingState) -> ReadingStatus:
        return "firing" if state.times >= self.most else "quiet"
