"""A connection over TLS is closed by both sides; an event loop that ends before the other's goodbye leaves it open.

A command that ends closes what is left. A test process lives on, and whichever test is running when the garbage is
collected would be told of a socket that another one left.
"""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

SECONDS: Final = 10.0
SELF_PIPE: Final = 1


def wait_for_goodbyes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `asyncio.run` end only when its connections are closed, or after `SECONDS`."""
    close = asyncio.Runner.close

    def close_after(runner: asyncio.Runner) -> None:
        runner.run(_closed(runner.get_loop()))
        close(runner)

    monkeypatch.setattr(asyncio.Runner, "close", close_after)


async def _closed(loop: asyncio.AbstractEventLoop) -> None:
    selector = loop._selector  # type: ignore[attr-defined] -- a loop does not tell what it still reads
    async with asyncio.timeout(SECONDS):
        while len(selector.get_map()) > SELF_PIPE:
            await asyncio.sleep(0.01)
