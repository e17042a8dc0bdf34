"""Who may ask what, from where: checked before anything of a body is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from fastapi import Depends, Request

from services.api.problems import Problem, answer
from services.errors import InputError

Role = Literal["ingest", "viewer", "operator", "admin"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        name: of the key, None on a machine without keys. role: what it may do.
        routes: globs of the routes that it sees, where `*` stands for any characters, also `/`.
    """

    name: str | None
    role: Role
    routes: tuple[str, ...] = ("*",)

    def sees(self, route: str) -> bool:
        """Whether the route is one of its own; what is of another route does not exist for it."""
        return any(fnmatchcase(route, glob) for glob in self.routes)


LOCAL: Final = Principal(None, "admin")
"""Everybody, where no key exists: the API then answers on this machine alone."""
Guard = Callable[[Request, Role], Awaitable[Principal]]
"""Who asks, if they may do what the role may, else raises Problem(401 or 403)."""

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
OPEN: Final = frozenset({"/livez", "/readyz", "/metrics", "/slack/actions"})
"""Asked under any name: probes tell no secret, and Slack signs what it sends."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


async def local_only(_request: Request, _role: Role) -> Principal:
    """Lets everybody pass: without a key the API answers on this machine alone, which `check_host` holds."""
    return LOCAL


def needs(guard: Guard, role: Role) -> Any:
    """A dependency of FastAPI: passes requests that may do what the role may, and notes who asks for `who`."""

    async def may(request: Request) -> None:
        request.state.principal = await guard(request, role)

    return Depends(may)


def who(request: Request) -> Principal:
    """Who asks. A path that nothing guards has no answer to that, and fails: denied by default."""
    found: Principal = request.state.principal
    return found


def check_host(host: str) -> None:
    """That the API may listen there.

    Raises:
        InputError: if it is no loopback address: nobody could be told apart from anybody else.
    """
    if host not in LOOPBACK:
        raise InputError(
            f"--host {host}: without an API key the API answers on 127.0.0.1 alone, since whoever reaches it may "
            "decide; leave --host out, and let a proxy that knows its users reach 127.0.0.1"
        )


class Secure:
    """ASGI middleware: the security headers of every answer, and no request that another site's page made.

    Args:
        hosts: names under which the API is asked. Another name is a page elsewhere whose name was pointed to this
            machine, and is refused; None asks no such thing. `OPEN` paths are answered under any name.
    """

    def __init__(self, app: _App, hosts: Collection[str] | None = LOOPBACK) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def secured(message: _Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0].decode("latin-1").lower() not in _HEADERS]
                message["headers"] = kept + [(k.encode(), v.encode()) for k, v in _HEADERS.items()]
            await send(message)

        refused = self._refusal(Request(scope))
        await (self._app if refused is None else answer(refused))(scope, receive, secured)

    def _refusal(self, request: Request) -> Problem | None:
        if request.url.path in OPEN:
            return None
        if self._hosts is not None and _name(f"//{request.headers.get('host', '')}") not in self._hosts:
            return Problem(421, f"ask for it by one of these names: {', '.join(sorted(self._hosts))}")
        if request.method not in _SAFE and _is_foreign(request):
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


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
