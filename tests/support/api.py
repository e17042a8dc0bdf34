"""The API in this process, asked as programs ask it, and what it would have sent to the broker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI

from schemas.base import Record
from services.api.app import Api, make
from services.api.auth.authentication import Authenticator
from services.api.decision_outbox import DecisionPublisher, DecisionWriter
from services.api.exchange_publisher import ExchangePublisher
from services.api.sse import LiveUpdates
from services.api.system import SystemHealth
from services.monitor import Monitor
from services.record.recorder import Recorder
from services.store import change_marks
from services.store.engine import Database

BASE = "http://127.0.0.1:8400"
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
_APPLICATIONS: deque[tuple[Api, FastAPI]] = deque(maxlen=8)


@dataclass
class Wire:
    """Where records go: kept in order; `fault`, when it gives an exception, stands for the broker's."""

    sent: list[tuple[str, bytes | None, bytes]] = field(default_factory=list)
    fault: Callable[[bytes], BaseException | None] = lambda _value: None

    async def send(self, topic: str, key: bytes | None, value: bytes) -> None:
        """Keep one record, or fail as told."""
        await asyncio.sleep(0)
        error = self.fault(value)
        if error is not None:
            raise error
        self.sent.append((topic, key, value))


def api_on(database: Database, wire: Wire, **more: Any) -> Api:
    """An API whose clock stands at `NOW`; `gateway` options and fields of `Api` may be given.

    Its stream of `/live` ends at once: the transport of these tests waits for the end of an answer. `live=None` has
    one that goes on.
    """
    relay = DecisionPublisher(database, wire.send, owner="one", clock=lambda: NOW)
    gateway = ExchangePublisher(wire.send, **more.pop("gateway", {}))
    door = more.pop("door", None) or Authenticator(database, clock=lambda: NOW)
    if "live" not in more:
        more["live"] = LiveUpdates(lambda: database.query(change_marks.read))
        more["live"].close()
    health = SystemHealth(database, more.pop("operations", None))
    return Api(database, gateway, DecisionWriter(database, relay.wake, lambda: NOW), relay, health, door, **more)


def recorded(database: Database, *records: Record) -> None:
    """Let the record step take these in."""
    Recorder(database, Monitor().policy).apply(records)


def asked(app: FastAPI | Api, method: str, path: str, **more: Any) -> httpx.Response:
    """One request, as a program on this machine sends it."""
    [answer] = all_asked(app, [(method, path, more)])
    return answer


def all_asked(app: FastAPI | Api, requests: Sequence[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
    """Requests that are made at the same time."""
    served = application(app) if isinstance(app, Api) else app

    async def work() -> list[httpx.Response]:
        transport = httpx.ASGITransport(served)
        async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=30) as client:
            return await asyncio.gather(*(client.request(m, path, **more) for m, path, more in requests))

    return asyncio.run(work())


def application(api: Api) -> FastAPI:
    """The application that an API is: the same for all that is asked of it, since making one takes long."""
    for known, made in _APPLICATIONS:
        if known is api:
            return made
    made = make(api)
    _APPLICATIONS.append((api, made))
    return made


class Pieces:
    """A body that arrives in pieces, and how many of them were taken."""

    def __init__(self, piece: bytes, n: int) -> None:
        self._piece, self._n = piece, n
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self._n):
            self.taken += 1
            yield self._piece


def later(hours: float) -> datetime:
    """So long after `NOW`."""
    return NOW + timedelta(hours=hours)
