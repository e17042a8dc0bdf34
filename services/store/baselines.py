"""Pinned baselines, written once, and detect's candidates for the next one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from services.store.dialect import upsert
from services.store.engine import Conflict
from services.store.tables import BaselineRow, CandidateRow, table

_BASELINES = table(BaselineRow)
_CANDIDATES = table(CandidateRow)


@dataclass(frozen=True, slots=True)
class BaselineInfo:
    """A pinned baseline without its artefact; `summary` is JSON for people."""

    id: str
    route: str
    identity: str
    pinned_at: datetime
    summary: str


def put(connection: Connection, info: BaselineInfo, blob: bytes) -> None:
    """Write a baseline; the same one again changes nothing.

    Raises:
        Conflict: if another artefact is stored under this id: baselines never change.
    """
    stored = load(connection, info.id)
    if stored is None:
        values = {name: getattr(info, name) for name in BaselineInfo.__dataclass_fields__}
        connection.execute(insert(_BASELINES), {**values, "blob": blob})
    elif stored != blob:
        raise Conflict(f"baseline {info.id} of {info.route} is written already, with another artefact")


def load(connection: Connection, id: str) -> bytes | None:
    """The artefact of a baseline."""
    return connection.execute(select(_BASELINES.c.blob).where(_BASELINES.c.id == id)).scalar_one_or_none()


def infos(connection: Connection, route: str | None = None) -> tuple[BaselineInfo, ...]:
    """The baselines of one route or of all, by route, the newest of each first.

    Sorted here: databases differ in what they take for the order of text.
    """
    names = tuple(BaselineInfo.__dataclass_fields__)
    query = select(*(_BASELINES.c[name] for name in names))
    if route is not None:
        query = query.where(_BASELINES.c.route == route)
    newest = (_BASELINES.c.pinned_at.desc(), _BASELINES.c.id)
    found = (BaselineInfo(*row) for row in connection.execute(query.order_by(*newest)))
    return tuple(sorted(found, key=lambda info: info.route))


def put_candidates(connection: Connection, route: str, key: str, rows: bytes) -> None:
    """Write candidate rows, in place of those under the same key."""
    upsert(connection, _CANDIDATES, [{"route": route, "key": key, "rows": rows}])


def candidates(connection: Connection, route: str) -> dict[str, bytes]:
    """Key -> candidate rows of the route."""
    query = select(_CANDIDATES.c.key, _CANDIDATES.c.rows).where(_CANDIDATES.c.route == route)
    return {row.key: row.rows for row in sorted(connection.execute(query), key=lambda row: str(row.key))}


def drop_candidates(connection: Connection, route: str) -> None:
    """Delete the candidate rows of the route."""
    connection.execute(delete(_CANDIDATES).where(_CANDIDATES.c.route == route))
