"""`keelwatch mcp` as agents start it: over stdio, and over HTTP, where nobody gets through with another's key."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult

from services.store.engine import Database
from tests.mcp.test_server import refused, text_of
from tests.support.access import bearer, key
from tests.support.api import recorded
from tests.support.command import environment
from tests.support.listening import listening
from tests.support.records import ROUTE, alert
from tests.support.source import ROOT
from tests.support.streams import until

pytestmark = pytest.mark.processes
COMMAND = ["-m", "services.cli", "mcp"]


@pytest.fixture
def url(database: Database) -> Iterator[str]:
    recorded(database, alert("firing", 300))
    with listening(database) as served:
        yield served.url


@contextmanager
def agents_server(folder: Path, **more: str) -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [sys.executable, *COMMAND, "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, cwd=ROOT, env=environment(folder, more), stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: process.poll() is not None or _open(port), "it listens", 60)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.terminate()


def _open(port: int) -> bool:
    with closing(socket.socket()) as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_over_stdio_the_key_is_the_environments(url: str, database: Database, tmp_path: Path) -> None:
    shown = bearer(key(database, "viewer"))["authorization"].removeprefix("Bearer ")
    named = environment(tmp_path, {"KEELWATCH_API_URL": url, "KEELWATCH_API_KEY": shown})

    async def work() -> tuple[list[str], CallToolResult]:
        started = StdioServerParameters(command=sys.executable, args=[*COMMAND, "--read-only"], env=named, cwd=ROOT)
        async with Client(started) as client:
            tools = [one.name for one in (await client.list_tools()).tools]
            return tools, await client.call_tool("list_incidents", {})

    tools, done = asyncio.run(work())
    assert ROUTE in text_of(done)
    assert "decide" not in tools


def test_over_http_an_api_without_keys_is_not_opened_to_others(url: str, tmp_path: Path) -> None:
    with agents_server(tmp_path, KEELWATCH_API_URL=url) as place:
        for headers in ({}, {"authorization": "Bearer kw_any"}, {"authorization": "Basic eDp5"}):
            assert "key" in refused(asyncio.run(asked(place, headers)))


async def asked(place: str, headers: dict[str, str]) -> CallToolResult:
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False) as wire,
        Client(streamable_http_client(place, http_client=wire)) as client,
    ):
        return await client.call_tool("list_incidents", {})


def test_over_http_each_caller_shows_a_key_of_their_own(url: str, database: Database, tmp_path: Path) -> None:
    mine = bearer(key(database, "viewer"))
    admins = bearer(key(database, "admin"))["authorization"].removeprefix("Bearer ")

    async def rebound(place: str) -> int:
        async with httpx2.AsyncClient(trust_env=False) as wire:
            return (await wire.post(place, headers={"host": "evil.example"}, json={})).status_code

    with agents_server(tmp_path, KEELWATCH_API_URL=url, KEELWATCH_API_KEY=admins) as place:
        assert ROUTE in text_of(asyncio.run(asked(place, mine)))
        assert "401" in refused(asyncio.run(asked(place, {})))
        assert "401" in refused(asyncio.run(asked(place, {"authorization": "Bearer kw_none"})))
        assert 400 <= asyncio.run(rebound(place)) < 500, "a page elsewhere whose name points here"
