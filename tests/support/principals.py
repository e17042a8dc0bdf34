"""Guards that stand for keys: who asks, in which role, for which routes."""

from __future__ import annotations

from fastapi import Request

from services.api.auth.api_key import Role
from services.api.auth.authorization import Guard, Principal
from services.api.http.problems import Problem

_MAY: dict[Role, tuple[Role, ...]] = {
    "ingest": ("ingest",),
    "viewer": ("viewer",),
    "operator": ("viewer", "operator"),
    "admin": ("ingest", "viewer", "operator", "admin"),
}


def as_(role: Role, *globs: str, name: str | None = "key of the test") -> Guard:
    """Everybody has a key of that role, for routes that fit the globs (all when there are none)."""

    async def guard(request: Request, needed: Role) -> Principal:
        request.state.caller = Principal(name, role, globs or ("*",))
        if needed not in _MAY[role]:
            raise Problem(403, f"the key {name} has the role {role}; this needs the role {needed}")
        caller: Principal = request.state.caller
        return caller

    return guard
