"""Who may ask what, from where: checked before anything of a body is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request

from services.access.rights import Role, may, sees
from services.api.problems import Problem, answer
from services.errors import InputError


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        name: of the key, None on a machine without keys. role: what it may do.
        routes: globs of the routes that it sees, where `*` stands for any characters, also `/`.
        signed_in: whether a browser's session says so, which can be ended.
    """

    name: str | None
    role: Role
    routes: tuple[str, ...] = ("*",)
    signed_in: bool = False

    def sees(self, route: str) -> bool:
        """Whether the route is one of its own; what is of another route does not exist for it."""
        return sees(self.routes, route)


LOCAL: Final = Principal(None, "admin")
"""Everybody, while no key exists: the API then answers on this machine alone."""
Guard = Callable[[Request, Role], Awaitable[Principal]]
"""Who asks, if they may do what the role may, else raises Problem(403)."""

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
OPEN: Final = frozenset({"/livez", "/readyz", "/metrics", "/slack/actions"})
"""Need no key: probes tell no secret, and Slack signs what it sends."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


async def by_role(request: Request, role: Role) -> Principal:
    """Who asks, as `services.api.entry` has found out, if their role may do that."""
    caller: Principal = request.state.caller
    if not may(caller.role, role):
        raise Problem(403, f"the key {caller.name} has the role {caller.role}; this needs the role {role}")
    return caller


def needs(guard: Guard, role: Role) -> Any:
    """A dependency of FastAPI: passes requests that may do what the role may, and notes who asks for `who`."""

    async def may(request: Request) -> None:
        request.state.principal = await guard(request, role)

    return Depends(may)


def who(request: Request) -> Principal:
    """Who asks. A path that nothing guards has no answer to that, and fails: denied by default."""
    found: Principal = request.state.principal
    return found


def check_host(host: str, *, keys: bool) -> None:
    """That the API may listen there: without `keys` nobody on another machine could be told apart from anybody else.

    Raises:
        InputError: if it may not.
    """
    if host not in LOOPBACK and not keys:
        raise InputError(
            f"--host {host}: without an API key the API answers on 127.0.0.1 alone; make one with `keelwatch key "
            "create --name NAME --role admin`, or name a file that holds one in KEELWATCH_API_KEY_FILE"
        )


class Secure:
    """ASGI middleware: the security headers of every answer, and no request that another site's page made."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0].decode("latin-1").lower() not in _HEADERS]
                message["headers"] = kept + [(k.encode(), v.encode()) for k, v in _HEADERS.items()]
            await send(message)

        refused = _refusal(Request(scope))
        await (self._app if refused is None else answer(refused))(scope, receive, secured)


def _refusal(request: Request) -> Problem | None:
    if request.scope["path"] not in OPEN and request.method not in _SAFE and _is_foreign(request):
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
