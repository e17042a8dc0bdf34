"""Per-minute rollups: how many exchanges, how many scored, the sum of a signal's values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from services.store.dialect import add_up
from services.store.tables import Rollup, table

_ROLLUPS = table(Rollup)


@dataclass(frozen=True, slots=True)
class Rate:
    """One signal over a span of time: `n` exchanges, `scored` of them, the `sum` of their values.

    For a Boolean the sum is how many were true. `signal` is empty for the exchanges themselves.
    """

    identity: str
    slice: str
    signal: str
    n: int
    scored: int
    sum: float

    @property
    def mean(self) -> float | None:
        """Mean of the scored ones, a rate for Booleans; None when nothing was scored."""
        return self.sum / self.scored if self.scored else None


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add the rows (dicts of the columns of `Rollup`, each key once) to what is stored."""
    add_up(connection, _ROLLUPS, rows, ("n", "scored", "sum"))


def rates(
    connection: Connection,
    route: str,
    since: datetime | None = None,
    until: datetime | None = None,
    slice: str | None = "",
) -> tuple[Rate, ...]:
    """Rates of the route in [since, until), by identity, slice and signal; `slice=None` gives all slices."""
    keys = (_ROLLUPS.c.identity, _ROLLUPS.c.slice, _ROLLUPS.c.signal)
    sums = [func.sum(_ROLLUPS.c[name]) for name in ("n", "scored", "sum")]
    query = select(*keys, *sums).where(_ROLLUPS.c.route == route).group_by(*keys)
    if since is not None:
        query = query.where(_ROLLUPS.c.minute >= since)
    if until is not None:
        query = query.where(_ROLLUPS.c.minute < until)
    if slice is not None:
        query = query.where(_ROLLUPS.c.slice == slice)
    found = sorted(connection.execute(query), key=lambda row: tuple(row[:3]))
    return tuple(Rate(row[0], row[1], row[2], int(row[3]), int(row[4]), float(row[5])) for row in found)
