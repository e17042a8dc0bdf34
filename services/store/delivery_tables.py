"""The tables of what is on its way to people: who has which notification, and who works on whose."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field

from services.store.tables import Base, UtcDateTime


class DeliveryRow(Base, table=True):
    """One notification for one receiver: `pending` until the vendor accepted it, then `sent`; `failed` when given up.

    `created` is when it was first seen here, by the wall clock. The row by which an incident's message came to be
    has its place: `channel` and `message` (both empty where the vendor does not tell), the digest of what it shows,
    and whether it is a `storm`'s, which stands for many incidents.
    """

    __tablename__ = "deliveries"
    __table_args__ = (Index(None, "receiver", "state"), Index(None, "receiver", "incident"))
    notification: str = Field(primary_key=True)
    receiver: str = Field(primary_key=True)
    incident: str
    state: str = "pending"
    created: datetime = Field(sa_type=cast(Any, UtcDateTime))
    attempts: int = 0
    next_attempt: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    sent: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    error: str | None = Field(default=None, sa_type=Text)
    channel: str | None = None
    message: str | None = None
    shown: str | None = None
    storm: bool = False


class ReceiverRow(Base, table=True):
    """A receiver: who sends to it until when, under a token that only grows, and how long it wants to be left alone."""

    __tablename__ = "receivers"
    receiver: str = Field(primary_key=True)
    owner: str | None = None
    lease_until: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    token: int = Field(default=0, sa_type=BigInteger)
    attempts: int = 0
    next_attempt: datetime | None = Field(default=None, sa_type=cast(Any, UtcDateTime))
    error: str | None = Field(default=None, sa_type=Text)


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
