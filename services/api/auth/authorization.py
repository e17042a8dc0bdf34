"""Who may do what, on which routes, from where: checked before anything of a body is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Depends, Request

from services.api.auth.api_key import Role, may, sees
from services.api.http.problems import Problem
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

    @property
    def sees_all(self) -> bool:
        """Whether it sees every route, and with them what is of none."""
        return "*" in self.routes

    def may(self, role: Role) -> bool:
        """Whether it may do what the role may."""
        return may(self.role, role)

    def sees(self, route: str) -> bool:
        """Whether the route is one of its own; what is of another route does not exist for it."""
        return sees(self.routes, route)


LOCAL: Final = Principal(None, "admin")
"""Everybody, while no key exists: the API then answers on this machine alone."""
Guard = Callable[[Request, Role], Awaitable[Principal]]
"""Who asks, if they may do what the role may, else raises Problem(403)."""

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""Need no key: probes tell no secret, and Slack signs what it sends."""


async def by_role(request: Request, role: Role) -> Principal:
    """Who asks, as `services.api.auth.middleware` has found out, if their role may do that."""
    caller: Principal = request.state.caller
    if not caller.may(role):
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


def visible_globs(principal: Principal, route: str | None = None) -> tuple[str, ...]:
    """What `visible` wants: the route that is asked for, if it is seen, else all that are seen."""
    if route is None:
        return principal.routes
    return (route,) if principal.sees(route) else ()
