"""The entry to every path: who asks is known before anything of the request is parsed, else it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import Request
from fastapi.responses import Response

from services.api.door import Door
from services.api.guard import OPEN, App, Receive, Scope, Send
from services.api.problems import Problem

LOGIN: Final = "/login"
STATIC: Final = "/static/"


class Entry:
    """ASGI middleware: lets in whom the door knows, and anybody to what needs no key; all else is refused.

    A path that does not exist is refused like one that does, and a body is not read.

    Args:
        door: tells who asks. told: a problem as an answer.
    """

    def __init__(self, app: App, door: Door, told: Callable[[Request, Problem], Response]) -> None:
        self._app, self._door, self._told = app, door, told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and needs_no_key(scope["path"])):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._keyed(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _keyed(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            request.state.caller = await self._door.caller(request)
        except Problem as problem:
            await self._told(request, problem)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def needs_no_key(path: str) -> bool:
    """Probes, what Slack signs, and what a browser needs to sign in."""
    return path in OPEN or path == LOGIN or path.startswith(STATIC)
