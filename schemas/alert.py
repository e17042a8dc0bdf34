"""A transition that people may hear of."""

from __future__ import annotations

from typing import Literal

from schemas.base import Hash16, NonNegative, Record, Text, Timestamp, hash16
from schemas.exchange import ToldRoute
from schemas.position import Position
from schemas.reading import ChangedAgain, ChangePoint, Direction, Effect, Evidence, Movement, Questions

AlertStatus = Literal["firing", "resolved"]
Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")


class Alert(Record):
    """`firing` while any identity's stream fires; `resolved` when none does, with the reason.

    One that carries `again` tells that behaviour changed once more while it fires; all else in it is as it was sent.
    One in `shadow` is of a route or signal that is tried out: it is kept and shown, opens no incident, and nobody is
    told of it.
    """

    id: Hash16
    route: ToldRoute
    family: Text
    signal: Text | None = None
    hazard: Text | None = None
    slice: Text | None = None
    direction: Direction | None = None
    fingerprint: Hash16
    identities: tuple[Hash16, ...] = ()
    status: AlertStatus
    severity: Severity
    event_index: NonNegative
    ts: Timestamp
    source: Position | None = None
    effect: Effect | None = None
    floor: float | None = None
    evidence: Evidence
    exemplars: tuple[Text, ...] = ()
    counterparts: tuple[Text | None, ...] = ()
    change_point: ChangePoint | None = None
    movements: tuple[Movement, ...] = ()
    questions: Questions | None = None
    again: ChangedAgain | None = None
    reason: Text | None = None
    silenced: bool = False
    shadow: bool = False


def rank(severity: Severity) -> int:
    """Severities in order, `info` is 0."""
    return SEVERITIES.index(severity)


def fingerprint_of(
    route: str,
    family: str,
    signal: str | None,
    hazard: str | None = None,
    slice: str | None = None,
    direction: str | None = None,
) -> str:
    """16 hex by which two transitions are of one alert."""
    return hash16([route, family, signal, hazard, slice, direction])
