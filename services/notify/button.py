"""The buttons of a message: which decisions they are, and what a press carries. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.base import hash16
from schemas.decision import DecisionKind
from schemas.incident import Incident

PREFIX: Final = "keelwatch."
_MOVES: Final = frozenset({"opened", "acknowledged", "snoozed", "woken", "resolved", "reopened", "escalated"})


@dataclass(frozen=True, slots=True)
class Button:
    """One button; `confirm` is what a person is asked before it counts, `done` what is answered after it did."""

    kind: DecisionKind
    label: str
    done: str
    confirm: str | None = None
    style: str | None = None

    @property
    def action(self) -> str:
        """The `action_id` by which a press names its button."""
        return f"{PREFIX}{self.kind}"


BUTTONS: Final = (
    Button("acknowledge", "Acknowledge", "acknowledged", style="primary"),
    Button(
        "accept_baseline",
        "Accept as new baseline",
        "accepted as the new baseline",
        "What the model does since this incident began becomes the route's normal. The incident is resolved.",
    ),
    Button(
        "false_alarm",
        "False alarm",
        "noted as a false alarm",
        "The incident is resolved, and its alerts are muted until their effect doubles or was gone.",
    ),
    Button("silence", "Silence 24 h", "silenced for 24 h"),
    Button("resolve", "Resolve", "resolved", "The incident is resolved, and its evidence starts at zero."),
)


@dataclass(frozen=True, slots=True)
class Value:
    """What a button carries: of which incident it is, in which state it was shown."""

    incident: str
    version: str
    nonce: str


def version_of(incident: Incident) -> str:
    """The incident's state, and how often it has moved: a press on an older version comes too late.

    An entry that moves nothing, such as an evaluation, makes no press stale.
    """
    return f"{incident.state}-{sum(entry.kind in _MOVES for entry in incident.timeline)}"


def value_of(incident: Incident) -> str:
    """The value of the incident's buttons as it stands."""
    version = version_of(incident)
    return f"{incident.id}:{version}:{_nonce(incident.id, version)}"


def parsed(value: str) -> Value | None:
    """What a button's value says; None if we have not made it."""
    incident, _, rest = value.partition(":")
    version, _, nonce = rest.partition(":")
    return Value(incident, version, nonce) if nonce == _nonce(incident, version) else None


def _nonce(incident: str, version: str) -> str:
    """One a version of an incident: two presses with the same one are one decision."""
    return hash16(["press", incident, version])
