"""A POST to a receiver that is an address: to hosts that may be called alone, and what its answer means."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from services.notify.channel import NotAccepted
from services.outbound import HttpReply, Outbound, Unanswered, UrlRefused

SECONDS: Final = 10.0
"""How long one call may take."""
MOST_BYTES: Final = 64 * 1024
_LONGEST_WAIT: Final = 3600.0
_UNSAID_WAIT: Final = 60.0
_LATER: Final = frozenset({408, 425})
_CLOSED: Final = frozenset({401, 403, 404, 405, 407, 410, 426, 451})
_REMEDIES: Final = {
    401: "check its secret",
    403: "check its secret, and what it may",
    404: "check its address",
    410: "check its address",
}


def utc_now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """Where a receiver listens. The name is looked up at each call, and what it leads to is checked then.

    Attributes:
        url: may be secret; it is shown to nobody but by its host.
        allow_hosts: those that may be private. seconds: how long one call may take.
    """

    url: str
    allow_hosts: tuple[str, ...] = ()
    seconds: float = SECONDS
    clock: Callable[[], datetime] = utc_now

    async def post(
        self, body: bytes, headers: Mapping[str, str], path: str = "", query: Mapping[str, str] | None = None
    ) -> HttpReply:
        """The answer, whatever its status, which stands though its body cannot be read: that is empty then.

        Raises:
            NotAccepted: if there is none.
        """
        try:
            async with Outbound(self.url, self.allow_hosts, connections=1) as outbound:
                return await outbound.post(path, body, headers, seconds=self.seconds, most=MOST_BYTES, query=query)
        except UrlRefused as refused:
            raise NotAccepted(str(refused), "closed", slow=True) from None
        except Unanswered as trouble:
            if trouble.trouble == "redirect":
                raise NotAccepted(str(trouble), "closed", slow=True) from None
            if trouble.begun is not None:
                return trouble.begun
            sure = "" if trouble.trouble == "unreachable" else "; the message may have arrived"
            raise NotAccepted(f"{trouble}{sure}") from None

    async def send(
        self, body: bytes, headers: Mapping[str, str], path: str = "", query: Mapping[str, str] | None = None
    ) -> HttpReply:
        """The answer of one that accepted.

        Raises:
            NotAccepted: if it did not, or there is no answer.
        """
        reply = await self.post(body, headers, path, query)
        refused = refusal(reply, self.clock())
        if refused is not None:
            raise refused
        return reply


def refusal(reply: HttpReply, now: datetime, words: str = "") -> NotAccepted | None:
    """What an answer that is no acceptance means; `words` are what it says besides. None for one that is."""
    status = reply.status
    if 200 <= status < 300:
        return None
    told = f"it answers {reply.told}{f': {words}' if words else ''}"
    if status == 429:
        return NotAccepted(f"{told}: too many messages", after=retry_after(reply.headers, now, _UNSAID_WAIT))
    if status in _LATER or status >= 500:
        return NotAccepted(f"{told}; the message may have arrived", after=retry_after(reply.headers, now))
    remedy = _REMEDIES.get(status)
    told = f"{told}; {remedy}" if remedy else told
    return NotAccepted(told, "closed" if status in _CLOSED else "message", slow=True)


def retry_after(headers: Mapping[str, str], now: datetime, unsaid: float | None = None) -> float | None:
    """Seconds that an answer asks to wait, in a number or a date, an hour at most; `unsaid` if it does not say.

    >>> retry_after({"retry-after": "7"}, utc_now()), retry_after({"retry-after": "soon"}, utc_now(), 60.0)
    (7.0, 60.0)
    """
    said = headers.get("retry-after", "").strip()
    if not said:
        return unsaid
    try:
        seconds = float(said) if not said[-1].isalpha() else _until(said, now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return unsaid
    return min(max(seconds, 0.0), _LONGEST_WAIT) if math.isfinite(seconds) else unsaid


def _until(date: str, now: datetime) -> float:
    then = parsedate_to_datetime(date)
    return ((then if then.tzinfo else then.replace(tzinfo=UTC)) - now).total_seconds()
