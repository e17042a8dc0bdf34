"""Requests of Slack that were taken: one that comes again is known to every process."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import Connection, delete
from sqlmodel import Field

from services.store.dialect import claim
from services.store.tables import Base, UtcDateTime, table

KEPT_REQUESTS: Final = timedelta(minutes=15)
"""Longer than a request's signature counts, by two clocks that differ as much as they may."""


class SlackRequestRow(Base, table=True):
    """One request, by the SHA-256 of its signature, and when it was taken."""

    __tablename__ = "slack_requests"
    id: str = Field(primary_key=True)
    taken: datetime = Field(sa_type=cast(Any, UtcDateTime))


_REQUESTS = table(SlackRequestRow)


def take(connection: Connection, signature: str, now: datetime) -> bool:
    """Note the request; False if it was noted before. What is too old to be sent again is forgotten."""
    connection.execute(delete(_REQUESTS).where(_REQUESTS.c.taken < now - KEPT_REQUESTS))
    id = hashlib.sha256(signature.encode("utf-8", "replace")).hexdigest()
    return claim(connection, _REQUESTS, {"id": id, "taken": now})
