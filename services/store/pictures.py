"""Pictures in messages: which one a receiver has of an incident, so that none is sent twice."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Text, delete, select
from sqlmodel import Field

from services.store.dialect import upsert
from services.store.tables import Base, table


class PictureRow(Base, table=True):
    """The picture in an incident's message at a receiver: the vendor's name of the file, its `key`, and its words.

    `file` is None when the vendor would not show it: it is not sent again before the picture is another one.
    """

    __tablename__ = "pictures"
    receiver: str = Field(primary_key=True)
    incident: str = Field(primary_key=True)
    file: str | None = None
    key: str
    words: str = Field(sa_type=Text)


_PICTURES = table(PictureRow)


@dataclass(frozen=True, slots=True)
class MessagePicture:
    """A picture at its vendor: the name of its file, None if it is not shown; what tells it from another; its words."""

    file: str | None
    key: str
    words: str


def picture_of(connection: Connection, receiver: str, incident: str) -> MessagePicture | None:
    """The picture of the incident that the receiver has."""
    one = _PICTURES.c
    query = select(one.file, one.key, one.words).where(one.receiver == receiver, one.incident == incident)
    row = connection.execute(query).one_or_none()
    return None if row is None else MessagePicture(*row)


def keep_picture(connection: Connection, receiver: str, incident: str, picture: MessagePicture) -> None:
    """It is this one from now on."""
    row = {"receiver": receiver, "incident": incident, "file": picture.file, "key": picture.key, "words": picture.words}
    upsert(connection, _PICTURES, [row])


def forget(connection: Connection, incident: str) -> None:
    """Nobody has a picture of the incident any more."""
    connection.execute(delete(_PICTURES).where(_PICTURES.c.incident == incident))
