"""A server that connections cannot fill: who says or takes nothing makes room, and files stay for broker and database.

uvicorn waits for ever for the first byte, for the rest of a request and for a client that reads nothing, and takes as
many connections as the system has files; the process's own connections then find none.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Any, Final, Literal

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST: Final = 1_024
RESERVED: Final = 256
"""Open files that are left for the broker, the database, and what a process reads."""
_LEAST: Final = 16
_WANTED_FILES: Final = 65_536
_REPLIES: Final = {
    408: b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    503: b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n",
}


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a server gives its clients.

    Attributes:
        most: connections in all. each: of them for one address, where a proxy may stand with many behind it.
        head_seconds: within which the head of a request must have come. body_seconds: within which its body must have,
            where nobody who reads it has given up before.
        write_seconds: within which some of what is sent must be taken. Whoever takes longer for all of it makes room
            for others.
    """

    most: int = MOST
    each: int = MOST // 2
    head_seconds: float = 10.0
    body_seconds: float = 40.0
    write_seconds: float = 30.0


def affordable_limits() -> ConnectionLimits:
    """Limits within the files that this process may open; it may open as many as the system lets it from here on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    most = max(min(MOST, max(soft, wanted) - RESERVED), _LEAST)
    return ConnectionLimits(most, most // 2)


class OpenConnections:
    """The connections of a server, and which of them wait for their clients, the longest waiting first."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._clients: Counter[str] = Counter()
        self._waiting: OrderedDict[GuardedProtocol, None] = OrderedDict()

    def admit(self, one: GuardedProtocol) -> bool:
        """Count a new connection; where there is no room, the one that has waited longest for its client is closed.

        False when all of them are at work: the new one has to come later.
        """
        crowded = self._clients[one.address] >= self.limits.each
        if crowded or self._clients.total() >= self.limits.most:
            idle = next((other for other in self._waiting if not crowded or other.address == one.address), None)
            if idle is None:
                return False
            idle.drop()
        self._clients[one.address] += 1
        return True

    def leave(self, one: GuardedProtocol) -> None:
        """It is closed."""
        self._waiting.pop(one, None)
        self._clients[one.address] -= 1
        if not self._clients[one.address]:
            del self._clients[one.address]

    def mark(self, one: GuardedProtocol, *, waiting: bool) -> None:
        """Whether it waits for its client."""
        if not waiting:
            self._waiting.pop(one, None)
        elif one not in self._waiting:
            self._waiting[one] = None


class GuardedProtocol(H11Protocol):
    """uvicorn's protocol with an end to all waiting for a client."""

    def __init__(self, open_connections: OpenConnections, **named: Any) -> None:
        super().__init__(**named)
        self._open = open_connections
        self._admitted = False
        self._part: Literal["head", "body"] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._untaken: asyncio.TimerHandle | None = None
        self._slow = False
        self.address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, or send it away."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # to be told of every byte that is not taken
        self.address = self.client[0] if self.client else ""
        self._admitted = self._open.admit(self)
        if self._admitted:
            self._expect("head")
        else:
            self._end(503)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, and know what has still to come."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of one that was answered before it had come."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """Some of what is sent is not taken: wait for that, also where the connection is to be closed after it."""
        super().pause_writing()
        if self._untaken is None:
            self._await_taking()

    def resume_writing(self) -> None:
        """All of it was taken."""
        super().resume_writing()
        self._stop_awaiting()

    def drop(self) -> None:
        """Close it at once, for another to have its place."""
        self._forget()
        self.transport.abort()

    def _look(self) -> None:
        state = self.conn.their_state
        if self.transport.is_closing() or state not in (h11.IDLE, h11.SEND_BODY):
            self._expect(None)
        else:
            self._expect("head" if state is h11.IDLE else "body")

    def _expect(self, part: Literal["head", "body"] | None) -> None:
        """Set the time for what has to come, unless it runs already: a byte now and then does not lengthen it."""
        if part == self._part:
            return
        self._part = part
        if self._timer is not None:
            self._timer.cancel()
        limits = self._open.limits
        seconds = limits.head_seconds if part == "head" else limits.body_seconds
        self._timer = None if part is None else self.loop.call_later(seconds, self._end, 408)
        self._mark()

    def _mark(self) -> None:
        if self._admitted:
            self._open.mark(self, waiting=self._part == "head" or self._slow)

    def _await_taking(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._untaken = self.loop.call_later(self._open.limits.write_seconds, self._look_at_taking, left)

    def _look_at_taking(self, before: int) -> None:
        """Nothing was taken: it ends. Some was: it goes on, unless its place is wanted."""
        if self.transport.get_write_buffer_size() >= before:
            self.drop()
            return
        self._slow = True
        self._mark()
        self._await_taking()

    def _stop_awaiting(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
        self._untaken = None
        if self._slow:
            self._slow = False
            self._mark()

    def _end(self, status: int) -> None:
        """Close it, with a word where none has been said of this request."""
        if not self.transport.is_closing():
            if self._part != "body" or not self.cycle.response_started:
                self.transport.write(_REPLIES[status])
            self.transport.close()

    def _forget(self) -> None:
        self._expect(None)
        self._stop_awaiting()
        if self._admitted:
            self._admitted = False
            self._open.leave(self)
