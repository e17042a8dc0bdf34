"""Opsgenie by its Alert API: an incident is an alert there, created, acknowledged and closed as it is here."""

from __future__ import annotations

import json
from typing import Any, Final

from schemas.alert import Severity
from services.notify.incident_event import AlertAction, IncidentEvent
from services.notify.receivers.alert_channel import AlertChannel
from services.notify.receivers.http_post import HttpAddress

MESSAGE: Final = 130
DESCRIPTION: Final = 15_000
PRIORITIES: Final[dict[Severity, str]] = {"critical": "P1", "error": "P2", "warning": "P3", "info": "P5"}
_PATHS: Final[dict[AlertAction, str]] = {"trigger": "", "acknowledge": "acknowledge", "resolve": "close"}


class Opsgenie(AlertChannel):
    """One integration of Opsgenie. `alias` is the incident's id, so that nothing is there twice."""

    def __init__(self, address: HttpAddress, key: str) -> None:
        """`address` is that of all alerts."""
        self._address, self._headers = address, {"Authorization": f"GenieKey {key}"}

    async def ask(self, event: IncidentEvent, action: AlertAction) -> str:
        """What was answered to one call."""
        body = json.dumps(alert_body(event, action), ensure_ascii=False).encode("utf-8", "replace")
        if action == "trigger":
            return (await self._address.send(body, self._headers)).told
        path = f"/{event.incident}/{_PATHS[action]}"
        return (await self._address.send(body, self._headers, path, {"identifierType": "alias"})).told


def alert_body(event: IncidentEvent, action: AlertAction) -> dict[str, Any]:
    """What is sent; of an alert that is there only what happened."""
    if action != "trigger":
        return {"source": "Keelwatch", "note": event.what}
    lines = [event.headline, *(f"{name}: {text}" for name, text in event.facts), *([event.url] if event.url else [])]
    return {
        "message": _cut(f"{event.severity}: {event.headline}", MESSAGE),
        "alias": event.incident,
        "description": _cut("\n".join(lines), DESCRIPTION),
        "entity": event.route,
        "source": "Keelwatch",
        "priority": PRIORITIES[event.severity],
        "tags": [event.severity, f"verdict:{event.verdict}"],
        "details": {"incident": event.incident, "route": event.route, "confidence": event.confidence or "unknown"},
    }


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
