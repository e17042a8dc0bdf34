"""Pictures that stand in messages, so that none is sent twice."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from services.store.delivery_tables import PictureRow
from services.store.dialect import upsert
from services.store.tables import table

_PICTURES = table(PictureRow)


@dataclass(frozen=True, slots=True)
class Pictured:
    """A picture at its vendor: the name of its file, None if it is not shown; what tells it from another; its words."""

    file: str | None
    key: str
    words: str


def get(connection: Connection, receiver: str, incident: str) -> Pictured | None:
    """The picture of the incident that the receiver has."""
    one = _PICTURES.c
    query = select(one.file, one.key, one.words).where(one.receiver == receiver, one.incident == incident)
    row = connection.execute(query).one_or_none()
    return None if row is None else Pictured(*row)


def put(connection: Connection, receiver: str, incident: str, picture: Pictured) -> None:
    """It is this one from now on."""
    row = {"receiver": receiver, "incident": incident, "file": picture.file, "key": picture.key, "words": picture.words}
    upsert(connection, _PICTURES, [row])
