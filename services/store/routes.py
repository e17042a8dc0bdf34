"""Each route: its clock, the head of its journal, and the identities that answered on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import (
    BigInteger,
    Connection,
    Text,
    bindparam,
    func,
    select,
    update,
)
from sqlmodel import Field

from schemas.identity import Model
from services.store.dialect import insert_new, upsert
from services.store.engine import Conflict
from services.store.tables import WRITTEN, Base, UtcDateTime, table, today, visible


class RouteRow(Base, table=True):
    """What is known of a route as a whole: its clock (greatest unflagged time) and the head of its journal.

    `arrived` is when its last exchange came, by our own clock: None where none ever did, as for a route that people
    decided on alone. `written` is the day on which the row was made.
    """

    __tablename__ = "routes"
    route: str = Field(primary_key=True)
    clock: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    journal_seq: int = Field(default=0, sa_type=BigInteger)
    journal_hash: str = ""
    arrived: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)


class IdentityRow(Base, table=True):
    """What stands behind an effective identity of a route: its model as JSON, without volatile fields."""

    __tablename__ = "identities"
    route: str = Field(primary_key=True)
    identity: str = Field(primary_key=True)
    model: str = Field(sa_type=Text)
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)


@dataclass(frozen=True, slots=True)
class RouteHead:
    """A route's clock, the last entry of its journal ((0, "") before the first), and when it was heard of last."""

    clock: datetime | None = None
    seq: int = 0
    hash: str = ""
    arrived: datetime | None = None


_LOCK_ATTEMPTS: Final = 5
_ROUTES, _IDENTITIES = table(RouteRow), table(IdentityRow)
_HEAD: Final = (_ROUTES.c.clock, _ROUTES.c.journal_seq, _ROUTES.c.journal_hash, _ROUTES.c.arrived)


def add_identities(connection: Connection, route: str, models: Mapping[str, Model]) -> None:
    """Note what stands behind the identities of a route, and the day on which they answered last."""
    written = today()
    rows = [
        {"route": route, "identity": identity, "model": model.model_dump_json(), "written": written}
        for identity, model in sorted(models.items())
    ]
    upsert(connection, _IDENTITIES, rows, newer=("written",))


def identities(connection: Connection, route: str) -> dict[str, Model]:
    """Identity -> what stands behind it, of one route."""
    found = connection.execute(select(_IDENTITIES.c.identity, _IDENTITIES.c.model).where(_IDENTITIES.c.route == route))
    return {row.identity: Model.model_validate_json(row.model) for row in found}


def ensure(connection: Connection, *names: str) -> None:
    """Make the rows of the routes that have none."""
    new = {"clock": None, "journal_seq": 0, "journal_hash": "", "arrived": None, "written": today()}
    insert_new(connection, _ROUTES, [{"route": name, **new} for name in sorted(names)])


def lock(connection: Connection, names: Iterable[str]) -> dict[str, RouteHead]:
    """Wait for, and keep until the end of the transaction, what one transaction at a time may change of the routes.

    A route's journal, incidents and retention are read, derived and written: another writer must not come between.
    Returns them as they are then.
    """
    wanted = sorted(set(names))
    rows = select(_ROUTES.c.route, *_HEAD).where(_ROUTES.c.route.in_(wanted)).order_by(_ROUTES.c.route)
    for _ in range(_LOCK_ATTEMPTS):
        found = {row.route: RouteHead(*row[1:]) for row in connection.execute(rows.with_for_update())}
        if len(found) == len(wanted):
            return found
        ensure(connection, *(name for name in wanted if name not in found))
    # Each time one of them was deleted while we waited for it.
    raise Conflict(f"{', '.join(wanted)[:200]}: deleted again and again; load it and repeat")


def clock(connection: Connection, route: str) -> datetime | None:
    """The route's clock: the greatest unflagged time of its exchanges."""
    return connection.execute(select(_ROUTES.c.clock).where(_ROUTES.c.route == route)).scalar_one_or_none()


def exists(connection: Connection, route: str) -> bool:
    """Whether anything is known of the route."""
    return connection.execute(select(_ROUTES.c.route).where(_ROUTES.c.route == route)).first() is not None


def arrivals(connection: Connection) -> dict[str, datetime | None]:
    """Route -> when its last exchange came, by our own clock; of all routes."""
    return {row.route: row.arrived for row in connection.execute(select(_ROUTES.c.route, _ROUTES.c.arrived))}


def set_times(connection: Connection, heads: Mapping[str, RouteHead]) -> None:
    """Move the clocks of routes that are there, and when each was heard of last."""
    if heads:
        rows = [{"named": route, "clock": one.clock, "arrived": one.arrived} for route, one in sorted(heads.items())]
        connection.execute(update(_ROUTES).where(_ROUTES.c.route == bindparam("named")), rows)


def head(connection: Connection, route: str) -> tuple[int, str]:
    """Number and hash of the last entry of the route's journal; (0, "") before the first."""
    found = connection.execute(
        select(_ROUTES.c.journal_seq, _ROUTES.c.journal_hash).where(_ROUTES.c.route == route)
    ).one_or_none()
    return (found.journal_seq, found.journal_hash) if found else (0, "")


def set_head(connection: Connection, route: str, seq: int, hash_: str) -> None:
    """Note the new last entry of the route's journal."""
    ensure(connection, route)
    connection.execute(update(_ROUTES).where(_ROUTES.c.route == route).values(journal_seq=seq, journal_hash=hash_))


def count(connection: Connection, globs: Sequence[str]) -> int:
    """How many routes fit one of the globs."""
    query = select(func.count()).select_from(_ROUTES).where(visible(_ROUTES.c.route, globs))
    return int(connection.execute(query).scalar_one())


def some(connection: Connection, globs: Sequence[str], most: int) -> tuple[str, ...]:
    """At most so many routes that fit one of the globs, in the order of their names."""
    query = select(_ROUTES.c.route).where(visible(_ROUTES.c.route, globs)).order_by(_ROUTES.c.route).limit(most)
    return tuple(connection.execute(query).scalars())


def names(connection: Connection) -> tuple[str, ...]:
    """All routes, sorted."""
    return tuple(sorted(connection.execute(select(_ROUTES.c.route)).scalars()))
