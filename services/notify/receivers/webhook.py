"""A webhook of one's own: each notification as signed JSON, to any program that takes it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Final

from services.notify.channel import EventChannel, MessageRef
from services.notify.message import RenderedMessage
from services.notify.receivers.http_post import HttpAddress

SIGNATURE: Final = "Keelwatch-Signature"
KEY: Final = "Idempotency-Key"
KIND: Final = "Keelwatch-Event"


class Webhook(EventChannel):
    """Posts JSON; who gets it knows by the signature who sent it and when, and by the key what it has already."""

    def __init__(self, address: HttpAddress, secret: str, headers: Mapping[str, str] | None = None) -> None:
        """`headers` are sent beside our own, which nobody replaces."""
        self._address, self._secret, self._headers = address, secret.encode(), dict(headers or {})

    async def post(self, message: RenderedMessage) -> MessageRef:
        """Send one notification."""
        event = self.event_of(message)
        body = json.dumps(event.as_object(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        signed = signature(self._secret, int(self._address.clock().timestamp()), body)
        ours = {SIGNATURE: signed, KEY: event.id, KIND: event.kind}
        reply = await self._address.send(body, {**self._headers, **ours})
        return MessageRef(answer=reply.told)


def signature(secret: bytes, at: int, body: bytes) -> str:
    """`t=SECONDS,v1=HEX`: HMAC-SHA256 over the time, a dot and the body, as they are sent.

    >>> signature(b"whsec", 1700000000, b"{}")[:24]
    't=1700000000,v1=7d44587d'
    """
    made = hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={made}"
