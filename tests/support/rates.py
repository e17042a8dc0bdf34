"""Minutes of a rate that moved, as the record step sums them up."""

from __future__ import annotations

from datetime import timedelta

from services.store import rollups
from services.store.engine import Database
from tests.support.records import IDENTITY, ROUTE, at


def minutes(
    database: Database,
    moved_at: float = 16.0,
    hours: float = 24.0,
    route: str = ROUTE,
    silent: tuple[float, float] = (0, 0),
) -> None:
    """Twelve exchanges each five minutes: of six one is refused, after `moved_at` hours none; nothing in `silent`."""
    rows = []
    for n in range(int(hours * 12)):
        if silent[0] <= n / 12 < silent[1]:
            continue
        refused = 0 if n / 12 >= moved_at else 1 + 2 * (n % 2)
        key = (route, at() + timedelta(minutes=5 * n), IDENTITY, "")
        rows += [(*key, "", 12, 12, 0.0), (*key, "refusal", 12, 12, float(refused))]
    database.transact(lambda connection: rollups.add(connection, rows))
