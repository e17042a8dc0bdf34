"""ASGI middleware in front of every path: authentication, security headers, no foreign pages.

Who asks is known before anything of the request is parsed, else it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.auth.authentication import Authenticator
from services.api.http.problems import Problem, problem_response

OPEN_PATHS: Final = frozenset({"/livez", "/readyz", "/metrics", "/slack/actions", "/v1/webhooks/github"})
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SECURITY_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


_HSTS: Final = "max-age=31536000"
"""A year, of this very host."""


class SecurityMiddleware:
    """ASGI middleware: the security headers of every answer, and no request that another site's page made.

    With `https` people come by https alone, whatever the last proxy speaks: cookies and browsers are told so.
    """

    def __init__(self, app: ASGIApp, https: bool = False) -> None:
        self._app, self._https = app, https
        self._headers = {**_SECURITY_HEADERS, **({"strict-transport-security": _HSTS} if https else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._https:
            scope["scheme"] = "https"

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0].decode("latin-1").lower() not in self._headers]
                message["headers"] = kept + [(k.encode(), v.encode()) for k, v in self._headers.items()]
            await send(message)

        refused = _foreign_refusal(Request(scope))
        await (self._app if refused is None else problem_response(refused))(scope, receive, secured)


def _foreign_refusal(request: Request) -> Problem | None:
    if request.scope["path"] not in OPEN_PATHS and request.method not in _SAFE_METHODS and _is_foreign(request):
        return Problem(403, "a page of another site sent this; open Keelwatch's own page and decide there")
    return None


def _is_foreign(request: Request) -> bool:
    """Whether a browser says that the request comes from another origin; programs send neither header.

    Behind a proxy the host that we see is not the origin that the browser saw: only the browser can compare them.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


LOGIN: Final = "/login"
STATIC: Final = "/static/"


class AuthenticationMiddleware:
    """ASGI middleware: lets in whom the door knows, and anybody to what needs no key; all else is refused.

    A path that does not exist is refused like one that does, and a body is not read.

    Args:
        door: tells who asks. respond: a problem as an answer.
    """

    def __init__(self, app: ASGIApp, door: Authenticator, respond: Callable[[Request, Problem], Response]) -> None:
        self._app, self._door, self._respond = app, door, respond

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
            await self._respond(request, problem)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def needs_no_key(path: str) -> bool:
    """Probes, what Slack and GitHub sign, and what a browser needs to sign in."""
    return path in OPEN_PATHS or path == LOGIN or path.startswith(STATIC)
