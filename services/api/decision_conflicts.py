"""Whether a decision would still change something, and what has happened since a page was opened. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from schemas.base import hash16, iso
from schemas.decision import Decision, DecisionKind, Silence, silences_of
from schemas.incident import EntryKind, Incident, IncidentState
from services.alert.state import Mute
from services.wording import decisions as words
from services.wording import deploys

ENDS: Final[frozenset[DecisionKind]] = frozenset({"accept_baseline", "false_alarm", "resolve"})
"""Kinds that are to resolve an incident."""
AGAIN: Final = timedelta(minutes=5)
"""Two that end so close to each other, or are taken of a route so shortly one after the other, are the same one."""
_NEEDS_INCIDENT: Final[frozenset[DecisionKind]] = frozenset(
    {"acknowledge", "snooze", "false_alarm", "roll_back", "resolve"}
)
_STANDS: Final[frozenset[DecisionKind]] = frozenset({"accept_baseline", "roll_back"})
_LEADS_TO: Final[dict[DecisionKind, IncidentState]] = {"acknowledge": "acknowledged"}
_MOVES: Final[frozenset[EntryKind]] = frozenset(
    {
        "opened",
        "reopened",
        "escalated",
        "verdict_revised",
        "decision",
        "acknowledged",
        "snoozed",
        "woken",
        "resolved",
    }
)


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """What is known of what a decision is about.

    Attributes:
        named: the incident that it names. is_open: whether its route has an unresolved one.
        earlier: the newest of the route that are of its kind, or end an incident, in order.
        applied: ids of those that took effect.
        baseline: the one that is pinned. silences: those that hold, or will in a moment.
        is_held: whether a ceiling holds the first baseline back. mutes: of an `unmute`, what is muted on the route.
    """

    named: Incident | None = None
    is_open: bool = False
    earlier: tuple[Decision, ...] = ()
    applied: frozenset[str] = field(default_factory=frozenset)
    baseline: str | None = None
    silences: tuple[Silence, ...] = ()
    is_held: bool = False
    mutes: tuple[Mute, ...] = ()


def conflict_of(decision: Decision, known: DecisionContext) -> str | None:
    """Why the decision would change nothing, in words: who did what when. None when it would."""
    if known.named is not None and known.named.route != decision.route:
        return words.of_another_route(known.named.route)
    if decision.kind == "end_silence":
        return None if _ends_any(decision, known) else _nothing_to_end(decision, known)
    return _CHECKS.get(decision.kind, _cannot_move)(decision, known)


def _cannot_move(decision: Decision, known: DecisionContext) -> str | None:
    """What is decided to move something must find it there, open, and nobody who was first."""
    named = known.named
    if named is None:
        needs = decision.kind in _NEEDS_INCIDENT and decision.fingerprint is None
        if needs and not known.is_open:
            return words.no_incident(decision.route)
        if decision.kind == "accept_baseline" and not known.is_open and known.baseline is None and not known.is_held:
            return words.still_learning(decision.route)
    elif named.state == "resolved" or named.state == _LEADS_TO.get(decision.kind):
        return words.already(named.state, *_by_whom(named))
    ends = named is not None or decision.kind in _NEEDS_INCIDENT
    return (_ended_before(known) if ends else None) or _same_before(decision, known)


def _cannot_comment(decision: Decision, known: DecisionContext) -> str | None:
    """A comment changes nothing, also of what is over; one that was sent twice stands there once."""
    if known.named is None:
        return words.no_incident(decision.route)
    said = (decision.kind, decision.incident, decision.actor, decision.reason)
    for one in known.earlier:
        if (one.kind, one.incident, one.actor, one.reason) == said and abs(one.ts - decision.ts) <= AGAIN:
            return words.commented_already(one)
    return None


def _cannot_unmute(decision: Decision, known: DecisionContext) -> str | None:
    """An `unmute` must find a mute that no other one, which may still be on its way, has ended."""
    before = [one for one in known.earlier if one.kind == "unmute"]
    for mute in known.mutes:
        about = not mute.is_accepted and decision.fingerprint in (None, mute.fingerprint)
        if about and not any(
            one.fingerprint in (None, mute.fingerprint) and _ends(one, mute, decision) for one in before
        ):
            return None
    like = [
        one
        for one in before
        if None in (one.fingerprint, decision.fingerprint) or one.fingerprint == decision.fingerprint
    ]
    return words.decided_already(like[-1]) if like else words.no_mute(decision.route)


def _ends(one: Decision, mute: Mute, decision: Decision) -> bool:
    """Whether the earlier one ends the mute; its route's clock, by which it was made, may run ahead of who decides."""
    return one.ts >= mute.since or (decision.ts < mute.since and abs(one.ts - decision.ts) <= AGAIN)


_CHECKS: Final[Mapping[DecisionKind, Callable[[Decision, DecisionContext], str | None]]] = {
    "comment": _cannot_comment,
    "unmute": _cannot_unmute,
}


def _ends_any(decision: Decision, known: DecisionContext) -> bool:
    """Whether a silence ends by it that nobody has ended at about the same time."""
    before = {one.id: one for one in known.silences}
    changed = [(one, before[one.id]) for one in silences_of([decision], known.silences) if one != before.get(one.id)]
    return any(was.ended_by is None or abs(one.until - was.until) >= AGAIN for one, was in changed)


def _nothing_to_end(decision: Decision, known: DecisionContext) -> str:
    """Who was first to end it, where somebody was."""
    ends = (one for one in reversed(known.earlier) if one.kind == "end_silence")
    first = next((one for one in ends if one.silence in (None, decision.silence)), None)
    return words.no_silence(decision.route) if first is None else words.decided_already(first)


def _ended_before(known: DecisionContext) -> str | None:
    for one in known.earlier:
        if one.kind in ENDS and one.fingerprint is None and _is_of(one, known) and one.id not in known.applied:
            return words.ended_already(one)
    return None


def _same_before(decision: Decision, known: DecisionContext) -> str | None:
    named = known.named
    snoozed = None if named is None or decision.kind != "snooze" else named.snoozed_until
    if named is not None and snoozed is not None and abs(snoozed - decision.until) < AGAIN:
        return words.already("snoozed", *_by_whom(named))
    if decision.kind == "silence":
        long = (one for one in known.silences if one.until > decision.until - AGAIN)
        found = next((one for one in long if one.fingerprint in (None, decision.fingerprint)), None)
        return None if found is None else words.silenced_already(found)
    for one in known.earlier:
        if one.kind == decision.kind and _covers(one, decision, known):
            return words.decided_already(one)
    return None


def _covers(one: Decision, decision: Decision, known: DecisionContext) -> bool:
    """Whether the earlier one does all that a decision of its kind would do."""
    about = (decision.fingerprint, decision.model, decision.share)
    if (one.fingerprint, one.model, one.share) != about or not _is_of(one, known):
        return False
    if one.kind == "snooze":
        return one.id not in known.applied and abs(one.until - decision.until) < AGAIN
    if one.kind == "announce":  # another moment or another version is another change, whether the first took effect
        is_other = deploys.is_deploy(decision.reason) and one.reason != decision.reason
        return not is_other and abs(one.ts - decision.ts) <= AGAIN
    if one.id not in known.applied:
        return True
    began = decision.ts - AGAIN if known.named is None else _began(known.named)
    return one.kind in _STANDS and one.ts >= began


def _is_of(one: Decision, known: DecisionContext) -> bool:
    """Whether it is about the named incident; one that names none is about whatever is open."""
    return known.named is None or one.incident in (None, known.named.id)


def _began(incident: Incident) -> datetime:
    """When the incident was opened last."""
    return max([entry.ts for entry in incident.timeline if entry.kind == "reopened"], default=incident.opened_at)


def incident_version(incident: Incident, pending: Sequence[Decision]) -> str:
    """The incident as a page shows it: a later `incident_changes_since` tells what happened since."""
    return _sealed([mark for mark, _ in _story(incident, pending)])


def incident_changes_since(seen: str, incident: Incident, pending: Sequence[Decision]) -> str | None:
    """What happened to the incident since a page showed it, in words; None if nothing that matters did.

    An evaluation, or one more alert of the same severity, makes no page stale.
    """
    marks = _story(incident, pending)
    names = [mark for mark, _ in marks]
    if seen == _sealed(names):
        return None
    n = int(seen.partition(".")[0]) if seen.partition(".")[0].isdecimal() and len(seen) < 40 else 0
    is_prefix = 0 < n < len(marks) and seen == _sealed(names[:n])
    told = [text for _, text in (marks[n:] if is_prefix else marks[-1:])]
    return words.since_opened(told)


def route_version(newest: Decision | None, baseline: str | None) -> str:
    """What was decided on a route last, and its baseline, as a page shows them."""
    return hash16([None if newest is None else newest.id, baseline])


def route_changes_since(seen: str, newest: Decision | None, baseline: str | None) -> str | None:
    """What happened to the route since a page showed it, in words; None if nothing did."""
    if seen == route_version(newest, baseline):
        return None
    return words.since_opened([words.NEW_BASELINE if newest is None else words.decided_at(newest)])


def _sealed(marks: Sequence[str]) -> str:
    return f"{len(marks)}.{hash16(list(marks))}"


def _story(incident: Incident, pending: Sequence[Decision]) -> list[tuple[str, str]]:
    """What matters of its story, each with its words; a decision has one name before and after it took effect."""
    told = [
        (entry.ref or f"{entry.kind} {iso(entry.ts)}", words.happened(entry))
        for entry in incident.timeline
        if entry.kind in _MOVES
    ]
    return [*told, *((one.id, words.decided_at(one)) for one in pending)]


def _by_whom(incident: Incident) -> tuple[str | None, datetime | None]:
    """Who brought the incident into its state, and when."""
    last = next((entry for entry in reversed(incident.timeline) if entry.kind == incident.state), None)
    return (None, None) if last is None else (last.actor, last.ts)
