"""What a run has shown, in words and as an exit code. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.judge import Violation, invalid

KEPT, VIOLATED, INVALID = 0, 1, 3
_SHOWN = 20


@dataclass(frozen=True)
class Outcome:
    """`planned` and `fired` are faults; `redelivered` counts records that a step made more than once.

    Attributes:
        unaccepted: ids of which nobody knows whether the broker has them; it was not disturbed, so there are none.
        drained, probed: seconds from the last kill until everything was committed, and that a fresh exchange took.
        scored, dead: different ids with this end. incidents: route -> how many.
        expected: routes of which the undisturbed replay must tell an incident.
    """

    planned: Sequence[str]
    fired: Sequence[str]
    redelivered: int
    unaccepted: int
    drained: float
    probed: float
    scored: int
    dead: int
    incidents: Mapping[str, int] = field(default_factory=dict)
    expected: Sequence[str] = ()
    violations: Sequence[Violation] = ()

    @property
    def reasons(self) -> list[str]:
        """Why the run shows nothing; empty when it is valid."""
        nothing = [f"no incident of {route} to be found" for route in self.expected if not self.incidents.get(route)]
        unknown = [f"{self.unaccepted} records were not accepted"] if self.unaccepted else []
        return [*invalid(self.planned, self.fired, self.redelivered), *unknown, *nothing]

    @property
    def code(self) -> int:
        """0: the promises were kept, 1: they were not, 3: the run shows nothing."""
        if self.violations:
            return VIOLATED
        return INVALID if self.reasons else KEPT

    def lines(self) -> Iterator[str]:
        """The account for people."""
        fired = Counter(self.fired)
        yield f"faults: {fired.total()} of {len(self.planned)}"
        for name, n in sorted(fired.items()):
            yield f"  {n} x {name}"
        yield f"{self.redelivered} records were made again"
        yield f"drained after {self.drained:.1f} s, a fresh exchange scored after {self.probed:.1f} s"
        yield f"{self.scored} scored, {self.dead} dead letters; incidents: {_counted(self.incidents)}"
        yield f"violations: {len(self.violations)}"
        for violation in self.violations[:_SHOWN]:
            yield f"  {violation.kind}: {violation.what}"
        if len(self.violations) > _SHOWN:
            yield f"  ... {_counted(Counter(violation.kind for violation in self.violations))}"
        for reason in self.reasons:
            yield f"INVALID: {reason}"
        yield {KEPT: "kept", VIOLATED: "VIOLATED", INVALID: "INVALID: this run shows nothing"}[self.code]


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items())) or "none"
