"""PagerDuty by its Events API v2: an incident is an alert there, triggered, acknowledged and resolved as it is here."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from schemas.base import iso
from services.notify.channel import NotAccepted
from services.notify.incident_event import AlertAction, IncidentEvent, unlinked
from services.notify.receivers.alert_channel import AlertChannel
from services.notify.receivers.http_post import HttpAddress, refusal
from services.outbound import HttpReply
from services.wording.notifications import OPEN_PAGE

SUMMARY: Final = 1024
_SAID: Final = 200
_PIECE: Final = 8
_OF_KEY: Final = re.compile(r"(?i)routing.?key|integration.?key")


class PagerDuty(AlertChannel):
    """One service of PagerDuty. `dedup_key` is the incident's id, so that nothing is there twice."""

    def __init__(self, address: HttpAddress, routing_key: str) -> None:
        self._address, self._key = address, routing_key

    async def ask(self, event: IncidentEvent, action: AlertAction) -> str:
        """What was answered to one call."""
        body = json.dumps({"routing_key": self._key, **event_body(event, action)}, ensure_ascii=False)
        reply = await self._address.post(body.encode("utf-8", "replace"), {})
        words = self._words(reply)
        refused = refusal(reply, self._address.clock(), words)
        if refused is not None and reply.status == 400 and _OF_KEY.search(words):
            raise NotAccepted(f"{refused}; check its integration key", "closed", slow=True)
        if refused is not None:
            raise refused
        return f"{reply.told}: {words}" if words else reply.told

    def _words(self, reply: HttpReply) -> str:
        """What it says of the event, without our key."""
        try:
            said = json.loads(reply.body)
        except (ValueError, RecursionError):
            return ""
        found = [said.get("message"), *_texts(said.get("errors"))] if isinstance(said, dict) else []
        words = "; ".join(one for one in found if isinstance(one, str))
        return unlinked(without_key(words, self._key), _SAID) if words else ""


def without_key(words: str, key: str) -> str:
    """The words without the key, in whatever case, and without a piece of 8 or more of its characters."""
    size = min(_PIECE, len(key))
    pieces = {_lower(key[at : at + size]) for at in range(len(key) - size + 1)}
    lower = _lower(words)
    hidden = {at + n for at in range(len(words)) if lower[at : at + size] in pieces for n in range(size)}
    shown = ("\0" if at in hidden else one for at, one in enumerate(words.replace("\0", " ")))
    return re.sub("\0+", "KEY", "".join(shown))


def _lower(text: str) -> str:
    """In lower case, character by character: of the same length, which `str.lower` does not keep."""
    return "".join(low if len(low := one.lower()) == 1 else one for one in text)


def event_body(event: IncidentEvent, action: AlertAction) -> dict[str, Any]:
    """The event without its key. Severities are called alike there."""
    told: dict[str, Any] = {"event_action": action, "dedup_key": event.incident}
    if action != "trigger":
        return told
    details = dict((("What happened", event.what), *event.facts))
    payload = {
        "summary": event.headline[:SUMMARY],
        "source": event.route,
        "severity": event.severity,
        "timestamp": iso(event.opened_at),
        "group": event.route,
        "class": event.verdict,
        "custom_details": {**details, "confidence": event.confidence or "unknown"},
    }
    links = {} if event.url is None else {"client_url": event.url, "links": [{"href": event.url, "text": OPEN_PAGE}]}
    return {**told, "client": "Keelwatch", **links, "payload": payload}


def _texts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
