"""What happened on a route, and what its rates are held against, read from the database."""

from __future__ import annotations

from sqlalchemy import Connection

from schemas.change import Change
from services.api.happened import Happened, happened
from services.api.window import Window
from services.store import course


def marks(connection: Connection, route: str, window: Window) -> tuple[Happened, ...]:
    """What happened on the route in the window."""
    since, until = window.since, window.until
    facts = course.facts(connection, route, ("change", "decision"), since, until)
    return happened(facts, course.incidents(connection, route, since, until), since, until)


def rates_of(pinned: Change | None) -> dict[str, float]:
    """The baseline's rates by signal."""
    return {} if pinned is None or pinned.pinning is None else dict(pinned.pinning.rates)
