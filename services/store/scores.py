"""Score rows, what produced them, and who answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select

from schemas.identity import Model
from schemas.score import Scorer
from services.store.dialect import insert_new
from services.store.tables import Identity, IncidentRow, ScoreRow, table
from services.store.tables import Scorer as ScorerRow

KEPT_ROWS: Final = 5_000
HELD_BEFORE: Final = KEPT_ROWS  # as many as stood in the table when the incident opened
HELD_AFTER: Final = 500  # over so many exchanges an effect is measured
_ROWS = table(ScoreRow)
_INCIDENTS = table(IncidentRow)


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert score rows: dicts of the columns of `ScoreRow`."""
    if rows:
        connection.execute(insert(_ROWS), rows)


def add_scorers(connection: Connection, scorers: Mapping[str, Scorer]) -> None:
    """Note what produced rows, by id, unless it is known."""
    rows = [{"id": id, "payload": scorer.model_dump_json()} for id, scorer in sorted(scorers.items())]
    insert_new(connection, table(ScorerRow), rows)


def add_identities(connection: Connection, route: str, models: Mapping[str, Model]) -> None:
    """Note what stands behind the identities of a route, unless it is known."""
    rows = [
        {"route": route, "identity": identity, "model": model.model_dump_json()}
        for identity, model in sorted(models.items())
    ]
    insert_new(connection, table(Identity), rows)


def identities(connection: Connection, route: str) -> dict[str, Model]:
    """Identity -> what stands behind it, of one route."""
    known = table(Identity)
    found = connection.execute(select(known.c.identity, known.c.model).where(known.c.route == route))
    return {row.identity: Model.model_validate_json(row.model) for row in found}


def prune(connection: Connection, route: str, identities: Iterable[str]) -> None:
    """Keep the last 5,000 rows of each of the identities, whatever their age, and those of incidents.

    An incident holds the rows from 5,000 exchanges before its opening to 500 after it. Rows that were pruned before
    their incident was recorded are gone: that takes scores that run more than 5,000 exchanges ahead of alerts.
    """
    for identity in sorted(identities):
        of_identity = (_ROWS.c.route == route, _ROWS.c.identity == identity)
        newest = select(_ROWS.c.event_index).where(*of_identity).order_by(_ROWS.c.event_index.desc())
        cut = connection.execute(newest.offset(KEPT_ROWS).limit(1)).scalar_one_or_none()
        if cut is not None:
            connection.execute(delete(_ROWS).where(*of_identity, _ROWS.c.event_index <= cut, ~_held(route)))


def _held(route: str) -> ColumnElement[bool]:
    opened = _INCIDENTS.c.opened_event_index
    return exists().where(
        _INCIDENTS.c.route == route, _ROWS.c.event_index.between(opened - HELD_BEFORE, opened + HELD_AFTER)
    )
