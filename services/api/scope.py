"""Which routes exist for whoever asks."""

from __future__ import annotations

from services.api.guard import Principal


def globs(principal: Principal, route: str | None = None) -> tuple[str, ...]:
    """What `visible` wants: the route that is asked for, if it is seen, else all that are seen."""
    if route is None:
        return principal.routes
    return (route,) if principal.sees(route) else ()
