"""What people decide: checked against the incident as it is, written once, told to the relay."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from schemas.decision import Decision, DecisionKind
from schemas.incident import Incident, IncidentState
from services.api.problems import of_store
from services.store import decisions, incidents, routes
from services.store.decisions import Stale
from services.store.engine import Database

ENDS: Final[frozenset[DecisionKind]] = frozenset({"accept_baseline", "false_alarm", "resolve"})
"""Kinds that are to resolve an incident."""
NO_INCIDENT: Final = "there is no such incident; GET /v1/incidents lists them"
_NEEDS_INCIDENT: Final[frozenset[DecisionKind]] = frozenset(
    {"acknowledge", "snooze", "false_alarm", "roll_back", "resolve"}
)
_LEADS_TO: Final[dict[DecisionKind, IncidentState]] = {"acknowledge": "acknowledged"}
_TICK: Final = timedelta(milliseconds=1)

Clock = Callable[[], datetime]


class Decisions:
    """Takes decisions, from whatever people press: pages, the API, Slack."""

    def __init__(self, database: Database, wake: Callable[[], object], clock: Clock | None = None) -> None:
        """`wake` is called after each that was written: it is to be published."""
        self._database, self._wake = database, wake
        self.clock: Clock = clock or (lambda: datetime.now(UTC))

    async def decide(self, decision: Decision) -> str:
        """Write the decision, and have it published; its id. One that was written already is the same one.

        Raises:
            Stale: if it would change nothing, with the reason in words.
            Problem: 503 if the database does not answer.
        """
        await of_store(lambda: self._database.transact(lambda connection: self._write(connection, decision)))
        self._wake()
        return decision.id

    def _write(self, connection: Connection, decision: Decision) -> None:
        routes.lock(connection, [decision.route])
        if decisions.known(connection, decision.id):
            return
        named = None if decision.incident is None else incidents.get(connection, decision.incident)
        if decision.incident is not None and named is None:
            raise Stale(NO_INCIDENT)
        is_open = named is not None or incidents.has_unresolved(connection, decision.route)
        earlier = () if named is None else _unapplied(connection, named)
        reason = staleness(decision, named, is_open, earlier)
        if reason is not None:
            raise Stale(reason)
        decisions.add(connection, decision, self.clock())


def staleness(decision: Decision, named: Incident | None, is_open: bool, earlier: Collection[Decision]) -> str | None:
    """Why a decision would change nothing, in words; None when it would.

    Args:
        decision: what somebody is about to decide.
        named: the incident that it names.
        is_open: whether its route has an open incident.
        earlier: decisions on the same incident that it does not show yet.
    """
    if named is None:
        needs = decision.kind in _NEEDS_INCIDENT and decision.fingerprint is None
        return f"no incident of {decision.route} is open" if needs and not is_open else None
    if named.route != decision.route:
        return f"the incident is of another route, {named.route}"
    if named.state == "resolved" or named.state == _LEADS_TO.get(decision.kind):
        return f"the incident was {named.state} already{_by_whom(named)}"
    ends = next((one for one in earlier if one.kind in ENDS and one.fingerprint is None), None)
    if ends is not None:
        return f"{ends.actor} has ended the incident already ({_words(ends.kind)})"
    same = next((one for one in earlier if _matter(one) == _matter(decision)), None)
    return None if same is None else f"{same.actor} has decided the same already ({_words(same.kind)})"


def _matter(decision: Decision) -> tuple[object, ...]:
    """What a decision does, whoever takes it, when and why."""
    return decision.kind, decision.fingerprint, decision.expires


def stamp(named: Incident | None, now: datetime) -> datetime:
    """When a decision was taken: `now`, and not before what it is about (a route's clock may run ahead)."""
    return now if named is None or now > named.updated_at else named.updated_at + _TICK


def _unapplied(connection: Connection, incident: Incident) -> tuple[Decision, ...]:
    told = {entry.ref for entry in incident.timeline}
    return tuple(one for one in decisions.of_incident(connection, incident.id) if one.id not in told)


def _by_whom(incident: Incident) -> str:
    last = next((entry for entry in reversed(incident.timeline) if entry.kind == incident.state), None)
    return f" by {last.actor}" if last is not None and last.actor else ""


def _words(kind: str) -> str:
    return kind.replace("_", " ")
