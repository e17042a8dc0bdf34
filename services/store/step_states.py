"""Running states of the steps, saved by compare-and-swap."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from sqlalchemy import (
    BigInteger,
    Connection,
    LargeBinary,
    bindparam,
    select,
    update,
)
from sqlmodel import Field

from services.store.dialect import claim
from services.store.engine import Conflict
from services.store.tables import Base, table


class StateRow(Base, table=True):
    """A step's running state of one route, saved by compare-and-swap on its version."""

    __tablename__ = "states"
    step: str = Field(primary_key=True)
    route: str = Field(primary_key=True)
    version: int = Field(sa_type=BigInteger)
    blob: bytes = Field(sa_type=LargeBinary)


_STATES = table(StateRow)
_CHANCE_BITS: Final = 31


def saves(version: int) -> int:
    """How often the state of this version was saved."""
    return version % (1 << _CHANCE_BITS)


def load(connection: Connection, step: str, route: str) -> tuple[int, bytes] | None:
    """Version and bytes of a step's state of one route; None when it was never saved."""
    query = select(_STATES.c.version, _STATES.c.blob).where(_STATES.c.step == step, _STATES.c.route == route)
    found = connection.execute(query).one_or_none()
    return (found.version, found.blob) if found else None


def all_of(connection: Connection, step: str) -> dict[str, tuple[int, bytes]]:
    """Route -> version and bytes, of all routes of which the step has saved a state."""
    query = select(_STATES.c.route, _STATES.c.version, _STATES.c.blob).where(_STATES.c.step == step)
    return {row.route: (row.version, row.blob) for row in connection.execute(query.order_by(_STATES.c.route))}


def save(connection: Connection, step: str, route: str, version: int, blob: bytes) -> int:
    """Save the state that was made from version `version` (0: from nothing); its new version.

    The first version is drawn by chance: a state that was deleted and made anew is no version of what somebody still
    has in memory.

    Raises:
        Conflict: if somebody else saved in between. The transaction must be given up.
    """
    after = version + 1 if version else 1 + (secrets.randbits(_CHANCE_BITS) << _CHANCE_BITS)
    if version == 0:
        saved = claim(connection, _STATES, {"step": step, "route": route, "version": after, "blob": blob})
    else:
        where = (_STATES.c.step == step, _STATES.c.route == route, _STATES.c.version == version)
        changed = connection.execute(update(_STATES).where(*where).values(version=after, blob=blob))
        saved = changed.rowcount == 1
    if not saved:
        raise Conflict(f"another process saved the state of {step} for {route}; load it and repeat")
    return after


def save_all(connection: Connection, step: str, states: Mapping[str, tuple[int, bytes]]) -> dict[str, int]:
    """Save the states of routes, each made from a version; their new versions, see `save`.

    Raises:
        Conflict: if somebody else saved one in between. The transaction must be given up.
    """
    after = {route: save(connection, step, route, 0, blob) for route, (version, blob) in states.items() if not version}
    later = {route: one for route, one in sorted(states.items()) if one[0]}
    if later:
        where = (
            _STATES.c.step == step,
            _STATES.c.route == bindparam("named"),
            _STATES.c.version == bindparam("before"),
        )
        rows = [{"named": name, "before": n, "version": n + 1, "blob": blob} for name, (n, blob) in later.items()]
        changed = update(_STATES).where(*where).execution_options(preserve_rowcount=True)
        if connection.execute(changed, rows).rowcount != len(rows):
            raise Conflict(f"another process saved a state of {step} for one of {len(rows)} routes; load and repeat")
    return after | {route: version + 1 for route, (version, _) in later.items()}


def touch(connection: Connection, step: str, route: str, version: int) -> int:
    """Count a new version of a state that stays as it is, so that nobody goes on from the one before it.

    One that was never saved has none to count.

    Raises:
        Conflict: if somebody else saved in between. The transaction must be given up.
    """
    if version == 0:
        confirm(connection, step, route, version)
        return 0
    where = (_STATES.c.step == step, _STATES.c.route == route, _STATES.c.version == version)
    if connection.execute(update(_STATES).where(*where).values(version=version + 1)).rowcount != 1:
        raise Conflict(f"another process saved the state of {step} for {route}; load it and repeat")
    return version + 1


def version_of(connection: Connection, step: str, route: str) -> int:
    """The version of a step's state of one route; 0 when it was never saved."""
    query = select(_STATES.c.version).where(_STATES.c.step == step, _STATES.c.route == route)
    return connection.execute(query).scalar_one_or_none() or 0


def confirm(connection: Connection, step: str, route: str, version: int) -> None:
    """Make sure that nobody has saved the state since version `version` (0: never), where there is nothing to save.

    Raises:
        Conflict: if somebody has. The transaction must be given up.
    """
    if version_of(connection, step, route) != version:
        raise Conflict(f"another process saved the state of {step} for {route}; load it and repeat")
