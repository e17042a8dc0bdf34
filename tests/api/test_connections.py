"""Real sockets against a real server: who says nothing, or says it slowly, keeps nobody out and no file for ever."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final

import pytest
from fastapi import FastAPI, Request, Response

from services.api.http import body as bodies
from services.api.http.body import BodyBudget, read_body
from services.api.http.problems import install
from services.observability.connections import RESERVED, ConnectionLimits, affordable_limits
from services.observability.health import HealthProbes
from services.observability.metrics import StreamMeters
from tests.support.source import ROOT

GET = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n"
SILENT = 1_100
FILES = 1_024
SERVER = """
import asyncio, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {files}))
from services.observability.health import HealthProbes
from services.observability.metrics import StreamMeters

async def broker():
    try:  # as a new connection to the broker would
        reader, writer = await asyncio.open_connection("127.0.0.1", {broker})
        writer.close()
    except OSError as error:
        return str(error)

async def main():
    health = HealthProbes({{"broker": broker}}, lambda: None, StreamMeters(), every=0.1)
    async with health.serve(0) as port:
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


def answer(port: int, request: bytes = GET, seconds: float = 20) -> bytes:
    """All that comes until the server has answered or closed; a place may be taken while it is asked for."""
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as one:
            one.sendall(request)
            if said := one.recv(4096):
                return said
        assert time.monotonic() < until, "no answer"


@contextlib.contextmanager
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield server.getsockname()[1]


def test_a_thousand_silent_connections_leave_room_for_a_request_and_for_the_broker() -> None:
    with listener() as broker, contextlib.ExitStack() as stack:
        command = [sys.executable, "-c", SERVER.format(files=FILES, broker=broker)]
        server = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=os.environ)
        )
        stack.callback(server.kill)
        assert server.stdout is not None
        port = int(server.stdout.readline())
        for _ in range(SILENT):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        assert answer(port).startswith(b"HTTP/1.1 200")
        files = len(os.listdir(f"/proc/{server.pid}/fd"))
        assert files <= FILES - RESERVED + 32  # and those of the process itself
        until = time.monotonic() + 20
        while not (said := answer(port, GET.replace(b"livez", b"readyz"))).startswith(b"HTTP/1.1 200"):
            assert time.monotonic() < until, said


@contextlib.asynccontextmanager
async def serving(limits: ConnectionLimits, app: FastAPI | None = None) -> AsyncIterator[int]:
    async with HealthProbes({}, lambda: None, StreamMeters()).serve(0, app=app, limits=limits) as port:
        yield port


def on_server(
    limits: ConnectionLimits, story: Callable[[Clients, int], Awaitable[None]], app: FastAPI | None = None
) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), serving(limits, app) as port, Clients() as clients:
            await story(clients, port)

    asyncio.run(main())


class Clients(contextlib.AsyncExitStack):
    """Connections that are closed at the end."""

    async def opened(self, port: int, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        self.push_async_callback(self._closed, writer)
        return reader, writer

    async def _closed(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("begun", [b"", b"GET /livez HTTP/1.1\r\n", GET + b"GET /"])
def test_a_head_that_does_not_come_ends_with_408_also_when_a_byte_comes_now_and_then(begun: bytes) -> None:
    async def story(clients: Clients, port: int) -> None:
        reader, writer = await clients.opened(port, begun)
        if begun.startswith(GET):
            assert (await reader.readuntil(b"}}")).startswith(b"HTTP/1.1 200")

        async def trickle() -> None:
            while begun:
                writer.write(b"x")
                await asyncio.sleep(0.05)

        task = asyncio.create_task(trickle())
        assert (await reader.read()).startswith(b"HTTP/1.1 408")
        task.cancel()

    on_server(ConnectionLimits(head_seconds=0.4), story)


def test_a_body_that_does_not_come_ends_with_408(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()
    install(app, lambda request, problem: None)  # no pages
    budget = BodyBudget()

    @app.post("/read")
    async def read(request: Request) -> int:
        with budget.share() as share:
            return len(await read_body(request, share))

    @app.post("/unread")
    async def unread() -> int:
        return 0

    async def story(clients: Clients, port: int) -> None:
        head = b" HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nx"
        reader, writer = await clients.opened(port, b"POST /read" + head)
        writer.write(b"y")
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 408")
        # What is answered before its body has come is closed all the same.
        reader, writer = await clients.opened(port, b"POST /unread" + head)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
        assert b"HTTP" not in await reader.read()

    monkeypatch.setattr(bodies, "READ_SECONDS", 0.3)
    on_server(ConnectionLimits(body_seconds=0.8), story, app)


def test_whoever_works_keeps_its_place_and_whoever_waits_makes_room() -> None:
    app, go = FastAPI(), asyncio.Event()

    @app.get("/slow")
    async def slow() -> int:
        await go.wait()
        return 1

    async def story(clients: Clients, port: int) -> None:
        slow_one = b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n"
        first = await clients.opened(port, slow_one)
        silent = await clients.opened(port)
        await asyncio.sleep(0)
        second = await clients.opened(port, slow_one)  # takes the place of the silent one
        assert await silent[0].read() == b""
        refused = await clients.opened(port, slow_one)
        assert (await refused[0].read()).startswith(b"HTTP/1.1 503")
        go.set()
        for reader, _ in (first, second):
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")

    on_server(ConnectionLimits(most=2, each=2, head_seconds=20), story, app)


BIG: Final = 32 * 1024 * 1024  # more than the system keeps for a client
ASK_BIG: Final = b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n"


def big() -> FastAPI:
    app = FastAPI()

    @app.get("/big")
    async def answer() -> Response:
        return Response(b"x" * BIG)

    @app.get("/livez")
    async def alive() -> int:
        return 1

    return app


async def has_room(clients: Clients, port: int) -> bool:
    reader, _ = await clients.opened(port, GET)
    try:
        return (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    except ConnectionResetError:
        return False


@pytest.mark.parametrize("asked", [ASK_BIG, ASK_BIG.replace(b"\n\r", b"\nconnection: close\r\n\r"), ASK_BIG * 20])
def test_a_client_that_reads_nothing_loses_its_place(asked: bytes) -> None:
    """Also one that asks on and on, and one whose connection was to be closed after the answer."""

    async def story(clients: Clients, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as silent:
            silent.sendall(asked)
            await asyncio.sleep(0.1)
            while not await has_room(clients, port):
                await asyncio.sleep(0.05)

    on_server(ConnectionLimits(most=1, each=1, head_seconds=600, write_seconds=0.5), story, big())


def test_a_client_that_reads_slowly_is_waited_for_until_its_place_is_wanted() -> None:
    async def story(clients: Clients, port: int) -> None:
        reader, _ = await clients.opened(port, ASK_BIG)
        taken = 0
        while taken < BIG:
            taken += len(await reader.read(512 * 1024))
            await asyncio.sleep(0.02)
        reader, _ = await clients.opened(port, ASK_BIG)
        given_up = False

        async def read() -> None:
            nonlocal given_up
            with contextlib.suppress(ConnectionResetError):
                while await reader.read(128 * 1024):
                    await asyncio.sleep(0.02)
            given_up = True

        reading = asyncio.create_task(read())
        while not await has_room(clients, port):
            await asyncio.sleep(0.05)
        await reading
        assert given_up

    on_server(ConnectionLimits(most=1, each=1, head_seconds=600, write_seconds=0.5), story, big())


def test_files_are_left_for_the_broker() -> None:
    limits = affordable_limits()
    assert 16 <= limits.each < limits.most <= 1_024
