"""How firing alerts become resolved ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from schemas.alert import Alert
from services.alert.state import Active
from services.alert.turn import Turn
from services.alert.word import alert_id


def resolved(turn: Turn, fingerprints: Iterable[str], ts: datetime, reason: str) -> Turn:
    """The firing alerts among `fingerprints` resolve at `ts`, or at their own time where that is later.

    A person's clock may be behind the route's: an alert must not resolve before it fired. What a word resolves
    carries its exchange and its effect, what a person resolves the last ones known.
    """
    state = turn.state
    ended = [name for name in sorted(fingerprints) if name in state.active]
    event_index = state.event_index if turn.word is None else turn.word.alert.event_index
    made = tuple(_resolution(state.active[name], event_index, ts, reason) for name in ended)
    if turn.word is not None and turn.word.status == "quiet":
        now = turn.word.alert
        made = tuple(a.model_copy(update={"effect": now.effect, "evidence": now.evidence}) for a in made)
    active = {name: active for name, active in state.active.items() if name not in ended}
    return replace(turn, state=replace(state, active=active), alerts=turn.alerts + made)


def _resolution(active: Active, event_index: int, ts: datetime, reason: str) -> Alert:
    sent = active.sent
    event_index, ts = max(event_index, sent.event_index), max(ts, sent.ts)
    changed = {
        "id": alert_id(sent.fingerprint, "resolved", sent.severity, event_index, ts),
        "status": "resolved",
        "identities": active.identities,
        "event_index": event_index,
        "ts": ts,
        "reason": reason,
    }
    return sent.model_copy(update=changed)
