"""Probes and metrics of a process: /livez, /readyz and /metrics, in the process's own event loop.

A probe never asks the world: it tells what background tasks saw last, and an old sight is no good news.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import uvicorn
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse

from services.observability.connections import (
    ConnectionLimits,
    GuardedProtocol,
    OpenConnections,
    affordable_limits,
)
from services.observability.listen import listening
from services.observability.metrics import CONTENT_TYPE, StreamMeters

EVERY: Final = 2.0
PATIENCE: Final = 5.0
STALE_AFTER: Final = 10.0

Check = Callable[[], Awaitable[str | None]]
"""None when it is well, else what is wrong in one line."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check last said, and when it began to look."""

    reason: str | None
    at: float


class HealthProbes:
    """Samples `checks` in the background and answers probes from the samples.

    Args:
        checks: name -> check; the process is ready when all of them are well.
        alive: why the process should be restarted; None when it should not. Must return at once.
        meters: what /metrics shows.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        alive: Callable[[], str | None],
        meters: StreamMeters,
        *,
        clock: Callable[[], float] = time.monotonic,
        every: float = EVERY,
        patience: float = PATIENCE,
    ) -> None:
        self._checks, self._alive, self._meters = dict(checks), alive, meters
        self._clock, self._every, self._patience = clock, every, patience
        self._sights: dict[str, CheckResult] = {}

    def reasons(self) -> dict[str, str]:
        """What keeps the process from being ready, by check. Empty when it is ready."""
        found = {name: self._reason(name) for name in self._checks}
        return {name: reason for name, reason in found.items() if reason is not None}

    def well(self, name: str) -> bool:
        """Whether the check was well when last seen."""
        return self._reason(name) is None

    def stuck(self) -> str | None:
        """Why the process should be restarted; None when it should not."""
        return self._alive()

    def waiting(self) -> dict[str, int]:
        """Topic -> records that wait for this process: the figures of /metrics."""
        return self._meters.waiting

    async def sample(self, name: str) -> None:
        """Ask one check once. One that fails or takes too long is not well."""
        begin = self._clock()
        try:
            async with asyncio.timeout(self._patience):
                reason = await self._checks[name]()
        except TimeoutError:
            reason = f"no answer within {self._patience:g} s"
        except Exception as error:
            reason = f"cannot be checked: {type(error).__name__}"
        self._sights[name] = CheckResult(reason, begin)

    def router(self) -> APIRouter:
        """The three paths, for an application that has others too."""
        made = APIRouter(include_in_schema=False)

        @made.get("/livez")
        async def livez() -> Response:
            reason = self._alive()
            return _answer({} if reason is None else {"consumer": reason})

        @made.get("/readyz")
        async def readyz() -> Response:
            return _answer(self.reasons())

        @made.get("/metrics")
        async def metrics() -> Response:
            return Response(self._meters.exposition(), media_type=CONTENT_TYPE)

        return made

    def app(self) -> FastAPI:
        """The three paths alone."""
        app = FastAPI(title="Keelwatch", openapi_url=None)
        app.include_router(self.router())
        return app

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Sample every check again and again while the block runs."""
        tasks = [asyncio.create_task(self._again(name), name=f"health {name}") for name in self._checks]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def serve(
        self,
        port: int,
        host: str = "127.0.0.1",
        app: FastAPI | None = None,
        grace: int = 0,
        limits: ConnectionLimits | None = None,
    ) -> AsyncIterator[int]:
        """Watch and answer while the block runs; yields the port, which is chosen when `port` is 0.

        Args:
            port: where to listen.
            host: the address.
            app: what is served; the three paths alone without one.
            grace: seconds that requests have to end in when the block ends; 0 breaks them off.
            limits: of connections; what this process can afford without them.

        Raises:
            InputError: if nobody can listen there.
        """
        with listening(host, port) as listener:
            config = uvicorn.Config(
                app or self.app(),
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                proxy_headers=False,  # uvicorn would believe whoever asks from this machine
                timeout_graceful_shutdown=grace or None,
                http=partial(GuardedProtocol, OpenConnections(limits or affordable_limits())),  # type: ignore[arg-type]
                ws="none",
            )
            server = _Server(config)
            async with self.watching():
                task = asyncio.create_task(server.serve([listener]), name="health server")
                try:
                    yield int(listener.getsockname()[1])
                finally:
                    server.should_exit, server.force_exit = True, not grace
                    await asyncio.gather(task, return_exceptions=True)

    async def _again(self, name: str) -> None:
        while True:
            await self.sample(name)
            await asyncio.sleep(self._every)

    def _reason(self, name: str) -> str | None:
        sight = self._sights.get(name)
        if sight is None:
            return "not checked yet"
        age = self._clock() - sight.at
        return sight.reason if age <= STALE_AFTER else f"not checked for {age:.0f} s"


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()


def in_thread(work: Callable[[], str | None]) -> Check:
    """A check that blocks, such as of a database, in a thread of its own.

    While one call hangs no second one is started, and the thread keeps no process from ending.
    """
    running: list[asyncio.Future[str | None]] = []

    async def check() -> str | None:
        if not running:
            running.append(_started(work))
            running[0].add_done_callback(lambda _: running.clear())
        return await asyncio.shield(running[0])

    return check


def _started(work: Callable[[], str | None]) -> asyncio.Future[str | None]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str | None] = loop.create_future()

    def settle(done: Callable[[Any], None], what: Any) -> None:
        if not future.done():
            done(what)

    def tell(done: Callable[[Any], None], what: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, done, what)

    def run() -> None:
        try:
            tell(future.set_result, work())
        except Exception as error:
            tell(future.set_exception, error)

    threading.Thread(target=run, name="keelwatch-check", daemon=True).start()
    return future


def _answer(reasons: Mapping[str, str]) -> Response:
    body = {"ok": not reasons, "reasons": dict(reasons)}
    return JSONResponse(body, status_code=503 if reasons else 200, headers={"cache-control": "no-store"})
