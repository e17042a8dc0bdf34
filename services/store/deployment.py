"""The id of this database, by which a cluster is known to belong to it."""

from __future__ import annotations

import uuid
from typing import Final

from sqlalchemy import Connection, select
from sqlmodel import Field

from services.store.dialect import claim
from services.store.tables import Base, table


class DeploymentRow(Base, table=True):
    """The one row of what is of the whole deployment."""

    __tablename__ = "deployment"
    one: int = Field(default=1, primary_key=True, sa_column_kwargs={"autoincrement": False})
    id: str


_ROWS: Final = table(DeploymentRow)


def identity(connection: Connection) -> str:
    """The id, which is made when it is first asked for and stays."""
    found = connection.execute(select(_ROWS.c.id)).scalar()
    if found is None:
        claim(connection, _ROWS, {"one": 1, "id": uuid.uuid4().hex})
        found = connection.execute(select(_ROWS.c.id)).scalar_one()
    return str(found)
