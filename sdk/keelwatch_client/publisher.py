"""`Publisher`: takes exchanges from the application and gives them to a worker of its own. It never waits or raises."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import re
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

from keelwatch_client.buffer import ExchangeBuffer, PendingExchange, PublisherStats
from keelwatch_client.context import current
from keelwatch_client.delivery import BATCH, DeliveryWorker, Redact, Transport, log, losses
from keelwatch_client.exchange import dumps, now, uuid7
from keelwatch_client.http_transport import HttpTransport

_ROUTE: Final = re.compile(r"[a-z0-9._/-]{1,200}\Z")
_ALIVE: weakref.WeakSet[Publisher] = weakref.WeakSet()


def checked_route(route: str) -> str:
    """A route that Keelwatch takes.

    Raises:
        ValueError: if it is none.
    """
    if not _ROUTE.match(route) or route.startswith("_keelwatch/"):
        raise ValueError(
            f"route: must be 1 to 200 characters of a-z 0-9 . _ / -, such as support-bot/prod, not {route!r}"
        )
    return route


class Publisher:
    """Publishes exchanges to Keelwatch, from threads and from coroutines alike.

    `publish` writes the exchange as JSON, puts it into a bounded buffer and returns; a thread of its own, which begins
    with the first exchange, sends it. What does not fit is dropped and counted: `stats()`. When the interpreter ends,
    what is left is sent for at most `exit_seconds`. After `os.fork` the child has a buffer and a worker of its own.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        route: str | None = None,
        redact: Redact | None = None,
        buffer_exchanges: int = 10_000,
        buffer_bytes: int = 64 * 1024 * 1024,
        linger_seconds: float = 0.2,
        exit_seconds: float = 5.0,
        transport: Callable[[], Transport] | None = None,
    ) -> None:
        """Nothing is sent and no thread is started yet.

        Args:
            url: address of Keelwatch's API; else `KEELWATCH_API_URL`, else http://127.0.0.1:8400.
            key: API key of the role `ingest`; else `KEELWATCH_API_KEY`.
            route: of exchanges that name no other, such as `support-bot/prod`.
            redact: is given each exchange in the worker's thread before it is sent, and returns what may leave, or
                None to leave it out. When it raises, the exchange is dropped and counted.
            buffer_exchanges: how many may wait.
            buffer_bytes: how many bytes of JSON they may have together.
            linger_seconds: how long the first of a batch waits for others.
            exit_seconds: how long the end of the interpreter may be held up.
            transport: makes another way to send, such as `KafkaTransport`, once in each process.

        Raises:
            ValueError: if the address, the key or the route is none.
        """
        url = url or os.environ.get("KEELWATCH_API_URL") or "http://127.0.0.1:8400"
        key = key or os.environ.get("KEELWATCH_API_KEY") or None
        if transport is None:
            HttpTransport(url, key)  # what is wrong with them is told here, where the application is set up
        self._transport: Callable[[], Transport] = transport or (lambda: HttpTransport(url, key))
        self._route = None if route is None else checked_route(route)
        self._redact, self._linger, self.exit_seconds = redact, linger_seconds, exit_seconds
        self._room = (buffer_exchanges, buffer_bytes)
        self.begin()
        _ALIVE.add(self)

    def begin(self) -> None:
        """Start with nothing, as in a process that was forked: what its parent had buffered, the parent sends."""
        self._buffer = ExchangeBuffer(*self._room, BATCH)
        self._starting = threading.Lock()  # held from the start of the worker on
        self._thread: threading.Thread | None = None
        self._said = False

    def publish(self, exchange: Mapping[str, Any]) -> None:
        """Take one exchange in the native form; `id`, `ts`, route and the fields of `context` are filled in.

        Never waits, and never raises.
        """
        self.enqueue(exchange, current())

    def enqueue(self, exchange: Mapping[str, Any], around: Mapping[str, Any]) -> None:
        """As `publish`, with the fields of the `context` in which the exchange began."""
        try:
            whole = {"id": uuid7(), "ts": now(), "route": self._route, **around, **exchange}
            route = whole["route"]
            if self._buffer.is_full or not isinstance(route, str):
                self._buffer.refuse("buffer_full" if isinstance(route, str) else "invalid")
                return
            body = dumps(whole)
        except (ValueError, TypeError, RecursionError):
            self._buffer.refuse("not_json")
        except Exception:  # an object's own conversion failed
            self._buffer.refuse("fault")
        else:
            self._buffer.add(PendingExchange(route, body))
            if self._thread is None:
                self._start()

    def failed(self) -> None:
        """Count an exchange that a fault of this library has cost."""
        self._buffer.refuse("fault")

    def _start(self) -> None:
        """Start the worker, once: not even a signal handler in the midst of this starts another."""
        if self._buffer.closed or not self._starting.acquire(blocking=False):
            return
        thread = threading.Thread(target=self._work, name="keelwatch-client", daemon=True)
        try:
            thread.start()
        except Exception:  # no thread can be started: at the end of the interpreter, or for want of memory
            self._starting.release()
            return
        self._thread = thread
        if (processes := sys.modules.get("multiprocessing.util")) is not None:
            with suppress(Exception):  # whoever publishes is not told of it
                # A child of multiprocessing ends without atexit.
                processes.Finalize(None, _close_all, exitpriority=10)

    def _work(self) -> None:
        try:
            transport = self._transport()
        except BaseException as error:  # what the application gave: not even that may reach whoever publishes
            text = "keelwatch_client: the transport could not be made, so that nothing is sent"
            log(logging.ERROR, text, error=error)
            return
        DeliveryWorker(self._buffer, transport, self._redact, self._linger).run()

    def flush(self, seconds: float = 5.0) -> bool:
        """Wait until everything is delivered or dropped, at most so long. Whether it is."""
        return self._buffer.drain(seconds)

    def close(self, seconds: float | None = None) -> bool:
        """Send what is left for at most so long (`exit_seconds`), drop and count the rest, and take no more.

        Whether nothing had to be dropped at the end. A second time returns at once.
        """
        if self._buffer.abandoned:
            return True
        seconds = self.exit_seconds if seconds is None else seconds
        until = time.monotonic() + seconds
        self._buffer.drain(seconds, close=True)
        left = self._buffer.abandon()
        if (stats := self._buffer.stats()).dropped and not self._said:
            self._said = True
            text = "keelwatch_client: closed; of %d exchanges not delivered: %s"
            log(logging.WARNING, text, stats.published, losses(stats))
        if self._thread is not None and not left:
            self._thread.join(max(until - time.monotonic(), 0.0))
        return not left

    def stats(self) -> PublisherStats:
        """How many were published, delivered, dropped and why, and how much waits."""
        return self._buffer.stats()

    async def aflush(self, seconds: float = 5.0) -> bool:
        """As `flush`; the event loop goes on meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(None, self.flush, seconds)

    async def aclose(self, seconds: float | None = None) -> bool:
        """As `close`; the event loop goes on meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(None, self.close, seconds)

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Publisher:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _close_all() -> None:
    """At the end of the interpreter: all publishers together may take as long as the most patient one."""
    alive = list(_ALIVE)
    until = time.monotonic() + max((one.exit_seconds for one in alive), default=0.0)
    for one in alive:
        one.close(max(until - time.monotonic(), 0.0))


def _begin_all() -> None:
    for one in list(_ALIVE):
        one.begin()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)
