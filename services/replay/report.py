"""What a replay found, as the JSON object of the contract: sorted, rounded, the same bytes every time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from schemas.alert import Alert
from schemas.base import iso, plain_object
from services.alert.state import Mute
from services.detect.floods import FLOOD
from services.detect.readings import stream_key_parts
from services.detect.state import DetectState
from services.monitor import RoutePolicy
from services.replay.runner import ReplayResult
from services.specs import family_of

_DIGITS = 6


def report(seen: ReplayResult, policy: Callable[[str], RoutePolicy]) -> dict[str, Any]:
    """The object that `replay --json` writes; floats are rounded to 6 digits."""
    incidents = [incident for route in sorted(seen.flows) for incident in seen.incidents(route).incidents]
    incidents.sort(key=lambda incident: (incident.opened_at, incident.route, incident.id))
    found: dict[str, Any] = _rounded(
        {
            "events": seen.events,
            "dead": seen.dead,
            "duplicates": seen.duplicates,
            "routes": {route: _route(seen, route, policy(route)) for route in sorted(seen.flows)},
            "alerts": [alert_object(alert) for alert in seen.alerts],
            "incidents": [plain_object(incident) for incident in incidents],
        }
    )
    return found


def to_text(found: Any) -> str:
    """JSON text with a newline at its end."""
    return json.dumps(_rounded(found), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def alert_object(alert: Alert) -> dict[str, Any]:
    """One alert in the shape of the contract; one that tells of a further change says so in `again`."""
    names = ("route", "family", "signal", "slice", "direction", "fingerprint", "identities", "status", "event_index")
    return {
        **{name: getattr(alert, name) for name in names},
        "ts": iso(alert.ts),
        "severity": alert.severity,
        "effect": None if alert.effect is None else alert.effect.model_dump(mode="json", exclude={"baseline_rate"}),
        "evidence": alert.evidence.model_dump(mode="json"),
        "reason": alert.reason,
        "shadow": alert.shadow,
        **({} if alert.again is None else {"again": alert.again.model_dump(mode="json")}),
    }


def _route(seen: ReplayResult, route: str, policy: RoutePolicy) -> dict[str, Any]:
    state = seen.flows[route].detect
    return {
        "status": state.status,
        "learned": state.learned,
        "of": policy.baseline.first.size if state.pinned is None else state.pinned.n,
        "trial": state.pinned is not None and state.pinned.trial,
        "blind": _blind(state),
        "objectives": _objectives(state, policy),
        "volatile": sorted(state.intake.volatility.fields),
        "muted": [_mute(mute) for mute in seen.muted(route) if not mute.is_accepted],
        "accepted": [_mute(mute) for mute in seen.muted(route) if mute.is_accepted],
    }


def _mute(mute: Mute) -> dict[str, Any]:
    """Why a fingerprint fires unheard, and until when at the latest."""
    names = ("fingerprint", "kind", "actor", "reason")
    return {**{name: getattr(mute, name) for name in names}, "since": iso(mute.since), "until": iso(mute.until)}


def _blind(state: DetectState) -> list[dict[str, Any]]:
    """The blind spots of a route: what cannot be seen, and why. Blind is never OK."""
    spots = []
    for key, why in sorted(state.watch.blind.items()):
        detector, identity, signal, slice_ = stream_key_parts(key)
        spots.append({"detector": detector, "identity": identity, "signal": signal, "slice": slice_, "reason": why})
    if state.flood.blind:
        spots.append({"detector": FLOOD, "identity": None, "signal": None, "slice": None, "reason": state.flood.told})
    return spots


def _objectives(state: DetectState, policy: RoutePolicy) -> dict[str, Any]:
    """The ceilings of a route, which of them a rate is above now, and the rates that hold its first baseline back."""
    fired = {parts[2] for key in state.watch.firing if family_of((parts := stream_key_parts(key))[0]).kind == "ceiling"}
    return {
        name: {"ceiling": ceiling, "above": name in fired, "not_pinned": state.above.get(name)}
        for name, ceiling in sorted(policy.objectives.items())
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DIGITS) + 0.0
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
