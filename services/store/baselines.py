"""Pinned baselines, written once, and detect's candidates for the next one."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from services.store.dialect import upsert
from services.store.engine import Conflict
from services.store.tables import BaselineRow, CandidateRow, table

_BASELINES = table(BaselineRow)
_CANDIDATES = table(CandidateRow)


def put(connection: Connection, route: str, id: str, blob: bytes) -> None:
    """Write a baseline; the same one again changes nothing. What it is for people stands in its `pinned` change.

    Raises:
        Conflict: if another artefact is stored under this id: baselines never change.
    """
    stored = load(connection, id)
    if stored is None:
        connection.execute(insert(_BASELINES), {"id": id, "route": route, "blob": blob})
    elif stored != blob:
        raise Conflict(f"baseline {id} of {route} is written already, with another artefact")


def load(connection: Connection, id: str) -> bytes | None:
    """The artefact of a baseline."""
    return connection.execute(select(_BASELINES.c.blob).where(_BASELINES.c.id == id)).scalar_one_or_none()


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
